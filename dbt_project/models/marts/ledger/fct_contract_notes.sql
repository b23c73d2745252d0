{{ config(materialized='view', pre_hook=[], post_hook=[]) }}
{# A view: a note is imported after the build of its day, and counts at once. #}

with

notes as (

    select * from {{ ref('stg_contract_notes') }}

),

newest as (

    select * from notes
    order by imported_at desc, note_sha256
    limit 1 by run_id, session_date

),

final as (

    select
        run_id,
        session_date,
        note_sha256,
        reconciled,
        trades_on_note,
        trades_in_books,
        trades_agreed,
        charge_lines,
        finding_count,
        imported_at,
        imported_at_ist
    from newest

)

select * from final
