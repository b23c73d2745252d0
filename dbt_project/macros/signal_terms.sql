{# Terms by which signals, scores and features are judged. Tests hold those that the core has too equal to it. #}

{# The models' label: horizon and cost, as `kitepilot.models.labels` has them. #}
{% macro label_horizon_s() %}300{% endmacro %}
{% macro label_cost_bps() %}11.0{% endmacro %}

{# Horizons over which a signal's decay is told, seconds. #}
{% macro decay_horizons_s() %}[60, 120, 300, 600, 900, 1800, 3600]{% endmacro %}

{# A price older than this at the moment it is wanted is no price. #}
{% macro stale_price_s() %}60{% endmacro %}

{# Value of one side of the round trip whose charges a return is reduced by, paise. #}
{% macro round_trip_notional_paise() %}6000000{% endmacro %}

{# Fewer pairs than this give no information coefficient. #}
{% macro least_ic_rows() %}30{% endmacro %}

{# Quantiles kept of a feature's session, and how many earlier sessions it is held against. #}
{% macro feature_quantiles() %}200{% endmacro %}
{% macro feature_past_sessions() %}10{% endmacro %}

{# Of the stability index, as `kitepilot.models.feature_drift` has them. #}
{% macro psi_least_share() %}0.001{% endmacro %}
{% macro psi_least_rows() %}200{% endmacro %}

{#
Spearman's rank correlation; null below a sensible number of pairs, or where one side never differs.

ClickHouse's `rankCorr` is 1 - 6 D / N with N = n^3 - n, which holds without ties. Solved for D, the squared
differences of mean ranks, and with N less what ties take from the spread of either side's ranks (Kendall and
Gibbons, Rank Correlation Methods, chapter 3), it gives the correlation of the mean ranks, exactly.
#}
{% macro information_coefficient(x, y) -%}
    {%- set both = 'isNotNull(' ~ x ~ ') and isNotNull(' ~ y ~ ')' -%}
    {%- set sides = 'assumeNotNull(' ~ x ~ '), assumeNotNull(' ~ y ~ ')' -%}
    arrayMap(
        (n, correlation, ties_x, ties_y) -> if(
            n < {{ least_ic_rows() }} or ties_x >= pow(n, 3) - n or ties_y >= pow(n, 3) - n,
            null,
            {{ settled('(2 * correlation * (pow(n, 3) - n) - ties_x - ties_y)
            / (2 * sqrt(pow(n, 3) - n - ties_x) * sqrt(pow(n, 3) - n - ties_y))') }}
        ),
        [toFloat64(countIf({{ both }}))],
        [rankCorrIf({{ sides }}, {{ both }})],
        [{{ _tied(x, both) }}],
        [{{ _tied(y, both) }}]
    )[1]
{%- endmacro %}

{#
Sum of t^3 - t over groups of t equal values. The k-th of its equals adds 3 k (k - 1), which comes to that without a
map of all values: a session of 300 instruments has 100,000 of them in every model.
#}
{% macro _tied(value, condition) -%}
    arraySum(
        k -> 3. * k * (k - 1),
        arrayEnumerateUniq(groupArrayIf(assumeNotNull({{ value }}), {{ condition }}))
    )
{%- endmacro %}

{#
Six decimals of a share, a rate or bps. The last bits of a sum of floats depend on the order in which rows are met;
what is kept must not, or a day built again would differ from itself.
#}
{% macro settled(value) -%}
    round({{ value }}, 6)
{%- endmacro %}

{# The same for a number of any unit: six decimals of the largest of those it was made of. #}
{% macro settled_to(value, largest) -%}
    if({{ largest }} > 0, round({{ value }}, toInt32(6 - floor(log10({{ largest }})))), {{ value }})
{%- endmacro %}

{# A settled number; what cannot be said is null, never NaN. #}
{% macro null_if_nan(value) -%}
    if(isFinite({{ value }}), {{ settled(value) }}, null)
{%- endmacro %}

{#
For what is held against earlier sessions: from the first day that `days_to_build` names, every day, because a day
that is redone changes what the days after it are held against.
#}
{% macro days_since_first_to_build(column) -%}
    {%- set archived_days = ref('int_archived_days') -%}
    {%- set named = execute and (env_var('KITEPILOT_DBT_DATE', '') or env_var('KITEPILOT_DBT_SINCE', '')) -%}
    {%- if not execute or not (named or is_incremental()) -%}
        1 = 1{{ _and_not_later(column) }}
    {%- else -%}
        {%- set found = run_query(
            'select toString(minOrNull(session_date)) from ' ~ archived_days ~ ' where ' ~ _named_or_changed()
        ) -%}
        {%- set first = found.columns[0].values()[0] if found else none -%}
        {{ column ~ " >= toDate('" ~ first ~ "')" if first else '1 = 0' }}{{ _and_not_later(column) }}
    {%- endif -%}
{%- endmacro %}
