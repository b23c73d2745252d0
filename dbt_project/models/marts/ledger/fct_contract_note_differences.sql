{{ config(materialized='view', pre_hook=[], post_hook=[]) }}

with

notes as (

    select * from {{ ref('fct_contract_notes') }}

),

findings as (

    select * from {{ ref('stg_contract_note_findings') }}

),

-- an earlier comparison of the same note may have found more: those of higher number are of then
final as (

    select
        findings.run_id as run_id,
        findings.session_date as session_date,
        findings.finding_number as finding_number,
        findings.kind as kind,
        cast(findings.kind != 'rounding' as UInt8) as is_difference,
        findings.file_line as file_line,
        findings.what as what,
        findings.on_note as on_note,
        findings.in_books as in_books,
        findings.difference_paise as difference_paise,
        findings.why as why
    from findings
    inner join notes
        on findings.run_id = notes.run_id and findings.session_date = notes.session_date
        and findings.note_sha256 = notes.note_sha256
    where findings.finding_number < notes.finding_count

)

select * from final
