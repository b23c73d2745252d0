{# What the outcomes of a group of signals come to: the columns that quality and decay have in common. #}
{% macro signal_measures() %}
        count() as signals,
        countIf(outcome = 'complete') as complete_signals,
        countIf(outcome = 'session_end') as cut_by_session_end,
        countIf(outcome in ('no_entry_price', 'no_exit_price')) as without_price,
        if(complete_signals = 0, null, {{ settled('countIf(net_return_bps > 0) / complete_signals') }}) as hit_rate,
        {{ information_coefficient('direction * strength', 'move_bps') }} as information_coefficient,
        {{ null_if_nan('avg(gross_return_bps)') }} as mean_gross_return_bps,
        {{ null_if_nan('avg(net_return_bps)') }} as mean_net_return_bps,
        {{ null_if_nan('quantileExactInclusive(0.5)(net_return_bps)') }} as median_net_return_bps,
        if(
            complete_signals < 2,
            null,
            {{ null_if_nan('avg(net_return_bps) / (stddevSamp(net_return_bps) / sqrt(complete_signals))') }}
        ) as net_return_t_statistic,
        any(cost_bps) as cost_bps
{%- endmacro %}
