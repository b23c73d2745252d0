{#
Which trading days a mart redoes: `where {{ days_to_build() }}` beside every `ref` or `source` of a mart.

A full refresh, or a mart that is not there yet: every day. Else the days of which raw rows were archived since
this mart last saw them, so a late fill of an old day redoes that day. `--date` and `--since` name days instead.
The list is in the SQL as literals, so ClickHouse reads those partitions only. See README.md.
#}
{% macro days_to_build(column='session_date') -%}
    {%- set archived_days = ref('int_archived_days') -%}
    {%- set named = execute and (env_var('KITEPILOT_DBT_DATE', '') or env_var('KITEPILOT_DBT_SINCE', '')) -%}
    {%- if not execute or not (named or is_incremental()) -%}
        1 = 1{{ _and_not_later(column) }}
    {%- else -%}
        {%- set found = run_query(
            'select toString(session_date) from ' ~ archived_days ~ ' where ' ~ _named_or_changed() ~ ' order by 1'
        ) -%}
        {%- set days = found.columns[0].values() if found else [] -%}
        {%- if days -%}
            {{ column }} in ({% for day in days %}toDate('{{ day }}'){{ ', ' if not loop.last }}{% endfor %})
        {%- else -%}
            1 = 0
        {%- endif -%}
    {%- endif -%}
{%- endmacro %}
