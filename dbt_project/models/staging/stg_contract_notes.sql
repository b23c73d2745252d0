with

source as (

    select * from {{ source('kitepilot', 'contract_notes') }} final

),

renamed as (

    select
        run_id,
        session_date,
        note_sha256,
        reconciled,
        trades_on_note,
        trades_in_books,
        trades_agreed,
        charge_lines,
        findings as finding_count,
        imported_at,
        {{ to_ist('imported_at') }} as imported_at_ist
    from source

)

select * from renamed
