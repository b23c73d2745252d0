{# What each mart has seen of each day: rows archived and the last of them. See `days_to_build`. #}
{% macro built_days() -%}
    {{ return(generate_schema_name('intermediate', none) ~ '.built_days') }}
{%- endmacro %}

{# Run before everything else of a build. #}
{% macro create_built_days() %}
    {% if execute %}
        {% do run_query('create database if not exists ' ~ generate_schema_name('intermediate', none) ~ ' engine = Atomic') %}
        {% do run_query('create table if not exists ' ~ built_days() ~ " (
            model LowCardinality(String), session_date Date, row_count UInt64, archived_at DateTime64(3, 'UTC'),
            built_at DateTime64(3, 'UTC') default now64(3)
        ) engine = ReplacingMergeTree(built_at) order by (model, session_date)") %}
    {% endif %}
{% endmacro %}

{# Before a mart is made anew: it has seen nothing yet. #}
{% macro forget_built_days() %}
    {% if execute and not is_incremental() -%}
        delete from {{ built_days() }} where model = '{{ model.name }}'
    {%- endif %}
{% endmacro %}

{# After a mart was built: it has seen those days as `int_archived_days` had them when the build began. #}
{% macro note_built_days() %}
    insert into {{ built_days() }} (model, session_date, row_count, archived_at)
    select '{{ model.name }}', session_date, row_count, archived_at
    from {{ ref('int_archived_days') }}
    where {{ _named_or_changed() }}
{% endmacro %}

{# Condition on `int_archived_days`: the days named on the command line, else those the mart has not seen so. #}
{% macro _named_or_changed() -%}
    {%- set date = env_var('KITEPILOT_DBT_DATE', '') if execute else '' -%}
    {%- set since = env_var('KITEPILOT_DBT_SINCE', '') if execute else '' -%}
    {%- if date -%}
        session_date = toDate('{{ date }}')
    {%- elif since -%}
        session_date >= toDate('{{ since }}')
    {%- else -%}
        (session_date, row_count, archived_at) not in (
            select session_date, row_count, archived_at from {{ built_days() }} final where model = '{{ model.name }}'
        )
    {%- endif -%}
    {{ _and_not_later('session_date') }}
{%- endmacro %}

{# A long book is made anew in stretches, oldest first: `infra/analytics/slices.py`. #}
{% macro _and_not_later(column) -%}
    {%- set until = env_var('KITEPILOT_DBT_UNTIL', '') if execute else '' -%}
    {%- if until %} and {{ column }} <= toDate('{{ until }}'){% endif -%}
{%- endmacro %}
