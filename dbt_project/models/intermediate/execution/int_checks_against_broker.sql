with

reconciliations as (

    select * from {{ ref('stg_reconciliations') }}

),

final as (

    select
        run_id,
        session_date,
        'broker_' || occasion as check_name,
        toInt64(count()) as compared,
        toInt64(countIf(verdict = 'halt')) as differences,
        'the broker''s orders, trades and positions against the journal; healed: ' || toString(countIf(verdict = 'healed'))
        || if(differences = 0, '', '; ' || arrayStringConcat(arraySort(groupUniqArrayArray(difference_rules)), ', ')) as detail
    from reconciliations
    group by run_id, session_date, occasion

)

select * from final
