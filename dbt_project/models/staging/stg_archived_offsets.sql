with

source as (

    select * from {{ source('kitepilot', 'archived_offsets') }} final

),

renamed as (

    select
        run_id,
        topic,
        partition,
        start_offset,
        next_offset,
        archived,
        duplicates,
        dead,
        empty,
        rows as row_count,
        own_records,
        archived_at
    from source

)

select * from renamed
