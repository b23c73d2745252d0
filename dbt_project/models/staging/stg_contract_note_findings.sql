with

source as (

    select * from {{ source('kitepilot', 'contract_note_findings') }} final

),

renamed as (

    select
        run_id,
        session_date,
        note_sha256,
        number as finding_number,
        kind,
        line as file_line,
        what,
        note as on_note,
        ours as in_books,
        difference_paise,
        why,
        imported_at,
        {{ to_ist('imported_at') }} as imported_at_ist
    from source

)

select * from renamed
