{{ config(materialized='table', order_by='session_date') }}

with

runs as (

    select run_id, session_date from {{ ref('stg_runs') }}

),

offsets as (

    select
        runs.session_date as session_date,
        offsets.row_count as row_count,
        offsets.archived_at as archived_at
    from {{ ref('stg_archived_offsets') }} as offsets
    inner join runs on runs.run_id = offsets.run_id

),

{% set counted = ['events', 'signals', 'verdicts', 'intents', 'orders', 'order_updates', 'fills', 'foreign_fills'] -%}
rows_of_a_day as (
    {% for table in counted %}
    select session_date, count() as row_count, max(archived_at) as archived_at
    from {{ ref('stg_' ~ table) }}
    group by session_date
    {% if not loop.last %}union all{% endif %}
    {%- endfor %}

),

every_part as (

    select session_date, toUInt64(row_count) as row_count, archived_at from offsets
    union all
    select session_date, toUInt64(row_count) as row_count, archived_at from rows_of_a_day

),

final as (

    select
        session_date,
        sum(row_count) as row_count,
        toDateTime64(max(every_part.archived_at), 3, 'UTC') as archived_at
    from every_part
    group by session_date

)

select * from final
