{{ config(materialized='table', pre_hook=[], post_hook=[], order_by='token') }}
with

instruments as (

    select * from {{ ref('int_listed_instruments') }}

),

names as (

    select * from {{ ref('int_instrument_names') }}

),

listed as (

    select
        token,
        toLowCardinality(argMax(instruments.run_id, (instruments.session_date, instruments.run_id))) as run_id,
        min(instruments.session_date) as first_session_date,
        max(instruments.session_date) as last_session_date
    from instruments
    group by token

),

final as (

    select
        listed.run_id as run_id,
        listed.last_session_date as session_date,
        token,
        names.latest_tradingsymbol as tradingsymbol,
        names.former_tradingsymbols as former_tradingsymbols,
        names.shown_name as shown_name,
        listed.first_session_date as first_session_date
    from listed
    inner join names using (token)

)

select * from final
