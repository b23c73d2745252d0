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

{# Spearman's rank correlation; null below a sensible number of pairs, or where one side never differs. #}
{% macro information_coefficient(x, y) -%}
    if(
        countIf(isNotNull({{ x }}) and isNotNull({{ y }})) < {{ least_ic_rows() }},
        null,
        {{ null_if_nan('rankCorrIf(assumeNotNull(' ~ x ~ '), assumeNotNull(' ~ y ~ '), isNotNull(' ~ x ~ ') and isNotNull(' ~ y ~ '))') }}
    )
{%- endmacro %}

{# What cannot be said is null, never NaN. #}
{% macro null_if_nan(value) -%}
    if(isFinite({{ value }}), {{ value }}, null)
{%- endmacro %}

{#
For what is held against earlier sessions: from the first day that `days_to_build` names, every day, because a day
that is redone changes what the days after it are held against.
#}
{% macro days_since_first_to_build(column) -%}
    {%- set archived_days = ref('int_archived_days') -%}
    {%- set named = execute and (env_var('KITEPILOT_DBT_DATE', '') or env_var('KITEPILOT_DBT_SINCE', '')) -%}
    {%- if not execute or not (named or is_incremental()) -%}
        1 = 1
    {%- else -%}
        {%- set found = run_query(
            'select toString(minOrNull(session_date)) from ' ~ archived_days ~ ' where ' ~ _named_or_changed()
        ) -%}
        {%- set first = found.columns[0].values()[0] if found else none -%}
        {{ column ~ " >= toDate('" ~ first ~ "')" if first else '1 = 0' }}
    {%- endif -%}
{%- endmacro %}
