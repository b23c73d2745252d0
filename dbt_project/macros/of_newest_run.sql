{#
Condition of the live views: rows of the run that was started last. Both values are scalars that ClickHouse knows
before it reads, so a table is read by its key and within one partition, however long the archive is.
#}
{% macro of_newest_run() -%}
    run_id = (select run_id from {{ ref('int_newest_run') }})
        and session_date = (select session_date from {{ ref('int_newest_run') }})
{%- endmacro %}
