with

legs as (

    select * from {{ ref('int_ledger_legs') }}
    where {{ days_to_build() }}

),

note as (

    select * from {{ ref('fct_contract_note') }}
    where {{ days_to_build() }}

),

lines as (

    select
        session_date,
        run_id,
        whose,
        arrayJoin([
            {% for line in ledger_charge_lines() -%}
            (toUInt8({{ loop.index }}), '{{ line }}', {{ line }}_exact_paise){{ ',' if not loop.last }}
            {% endfor %}
        ]) as line
    from legs

),

note_lines as (

    select
        session_date,
        run_id,
        arrayJoin([
            {% for line in ledger_charge_lines() -%}
            ('{{ line }}', {{ line }}_paise){{ ',' if not loop.last }}
            {% endfor %}
        ]) as line
    from note

),

daily as (

    select
        run_id,
        session_date,
        line.1 as line_number,
        line.2 as charge_line,
        sumIf(line.3, whose = 'ours') as exact_paise,
        sum(line.3) as account_exact_paise
    from lines
    group by run_id, session_date, line_number, charge_line

),

note_daily as (

    select
        run_id,
        session_date,
        line.1 as charge_line,
        sum(line.2) as note_paise
    from note_lines
    group by run_id, session_date, charge_line

),

shared as (

    select
        *,
        {{ rounded_share('exact_paise', 'partition by session_date, run_id order by line_number') }} as charges_paise,
        {{ rounded_share('account_exact_paise', 'partition by session_date, run_id order by line_number') }}
            as account_charges_paise
    from daily

),

final as (

    select
        run_id,
        session_date,
        charge_line,
        line_number,
        exact_paise,
        charges_paise,
        toInt64(round(exact_paise)) as rounded_paise,
        account_exact_paise,
        account_charges_paise,
        toInt64(round(account_exact_paise)) as account_rounded_paise,
        note_daily.note_paise as note_paise,
        {{ to_rupees('charges_paise') }} as charges_rupees,
        {{ to_rupees('note_paise') }} as note_rupees
    from shared
    left join note_daily using (session_date, run_id, charge_line)

)

select * from final
