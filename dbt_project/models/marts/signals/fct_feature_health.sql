with

feature_days as (

    select * from {{ ref('int_feature_days') }}

),

-- several runs of one day show the same market: the fullest stands for it
past_runs as (

    select session_date, interval_s, argMax(run_id, (row_count, run_id)) as run_id
    from feature_days
    group by session_date, interval_s

),

sessions as (

    select
        session_date,
        interval_s,
        run_id,
        row_number() over (partition by interval_s order by session_date) as session_number
    from past_runs

),

past as (

    select
        feature_days.feature as feature,
        feature_days.interval_s as interval_s,
        sessions.session_number as session_number,
        feature_days.quantiles as quantiles,
        feature_days.row_count as row_count,
        feature_days.value_count as value_count
    from feature_days
    inner join sessions
        on
            feature_days.session_date = sessions.session_date
            and feature_days.interval_s = sessions.interval_s
            and feature_days.run_id = sessions.run_id

),

today as (

    select
        feature_days.*,
        sessions.session_number as session_number
    from feature_days
    inner join sessions
        on feature_days.session_date = sessions.session_date and feature_days.interval_s = sessions.interval_s
    where {{ days_since_first_to_build('feature_days.session_date') }}

),

-- one row per feature of today and earlier session
beside_past as (

    select
        today.run_id as run_id,
        today.session_date as session_date,
        today.interval_s as interval_s,
        today.feature as feature,
        count() as past_sessions,
        groupArrayArray(past.quantiles) as past_points,
        groupArrayArray(
            arrayMap(x -> past.value_count / greatest(length(past.quantiles), 1), past.quantiles)
        ) as past_weights,
        1 - sum(past.value_count) / sum(past.row_count) as past_share_missing
    from today
    inner join past on today.interval_s = past.interval_s and today.feature = past.feature
    where
        past.session_number < today.session_number
        and past.session_number >= today.session_number - {{ feature_past_sessions() }}
    group by run_id, session_date, interval_s, feature

),

binned as (

    select
        today.*,
        beside_past.past_sessions as past_sessions,
        beside_past.past_share_missing as past_share_missing,
        arraySort(beside_past.past_points) as sorted_past,
        arrayDistinct(
            arrayMap(
                i -> sorted_past[1 + intDiv(i * (length(sorted_past) - 1), 10)],
                if(empty(sorted_past), [], range(1, 10))
            )
        ) as edges,
        arrayMap(
            e -> arraySum((x, w) -> if(x >= e, w, 0), beside_past.past_points, beside_past.past_weights)
                / arraySum(beside_past.past_weights),
            edges
        ) as past_above,
        arrayMap(e -> arrayCount(x -> x >= e, today.quantiles) / length(today.quantiles), edges) as now_above
    from today
    left join beside_past
        on
            today.run_id = beside_past.run_id
            and today.session_date = beside_past.session_date
            and today.interval_s = beside_past.interval_s
            and today.feature = beside_past.feature

),

shares as (

    select
        *,
        arrayMap(
            (above, next) -> greatest(above - next, {{ psi_least_share() }}),
            arrayConcat([1.0], past_above), arrayConcat(past_above, [0.0])
        ) as past_shares,
        arrayMap(
            (above, next) -> greatest(above - next, {{ psi_least_share() }}),
            arrayConcat([1.0], now_above), arrayConcat(now_above, [0.0])
        ) as now_shares
    from binned

),

final as (

    select
        run_id,
        session_date,
        interval_s,
        feature,
        toUInt16(position) as position,
        row_count,
        1 - value_count / row_count as share_missing,
        toBool(ifNull(value_count > 0 and least = most, false)) as is_constant,
        mean,
        deviation,
        least,
        if(empty(quantiles), null, quantiles[{{ (feature_quantiles() | int) // 2 }}]) as median,
        most,
        toUInt16(past_sessions) as past_sessions,
        if(past_sessions = 0, null, past_share_missing) as past_share_missing,
        toBool(past_sessions = 0 and session_number > 1) as is_new,
        if(
            past_sessions = 0 or empty(sorted_past) or value_count < {{ psi_least_rows() }},
            null,
            {{ settled('arraySum((now, past) -> (now - past) * log(now / past), now_shares, past_shares)') }}
        ) as psi
    from shares

)

select * from final
