with

{{ ranked_scores() }},

roles as (

    select * from {{ ref('int_model_roles') }}
    where {{ days_to_build() }}

),

counted as (

    select
        run_id,
        session_date,
        model,
        count() as row_count,
        countIf(isNotNull(score)) as scored_rows
    from {{ ref('stg_scores') }}
    where {{ days_to_build() }} and interval_s = 60
    group by run_id, session_date, model

),

measured as (

    select
        run_id,
        session_date,
        model,
        count() as labelled_rows,
        avg(came_true) as base_rate,
        {{ null_if_nan('arrayROCAUC(groupArray(said), groupArray(came_true))') }} as auc,
        avg(pow(said - came_true, 2)) as brier,
        base_rate * (1 - base_rate) as base_brier,
        if(base_brier = 0, null, 1 - brier / base_brier) as skill,
        avg(-log(if(came_true = 1, least(greatest(said, 1e-9), 1 - 1e-9), 1 - least(greatest(said, 1e-9), 1 - 1e-9))))
            as log_loss,
        avgIf(came_true, from_highest < greatest(1, intDiv(model_rows, 50))) as hit_rate_best_2pc,
        {{ null_if_nan('avgIf(net_return_bps, from_highest < greatest(1, intDiv(model_rows, 50)))') }} as net_bps_best_2pc,
        countIf(isNotNull(move_bps)) as information_rows,
        {{ information_coefficient('said', 'move_bps') }} as information_coefficient
    from ranked_scores
    group by run_id, session_date, model

),

calibration as (

    select
        run_id,
        session_date,
        model,
        sum(row_count * abs(overconfidence)) / sum(row_count) as calibration_error
    from {{ ref('fct_score_calibration') }}
    where {{ days_to_build() }}
    group by run_id, session_date, model

),

judgements as (

    select run_id, session_date, model, argMax(model_state, (event_at, log_offset)) as last_judgement
    from {{ ref('stg_model_judgements') }}
    where {{ days_to_build() }}
    group by run_id, session_date, model

),

drifts as (

    select run_id, session_date, model, count() as drifts_found
    from {{ ref('stg_drift_findings') }}
    where {{ days_to_build() }}
    group by run_id, session_date, model

),

final as (

    select
        counted.run_id as run_id,
        counted.session_date as session_date,
        counted.model as model,
        roles.role as role,
        roles.closes as closes,
        roles.followed_closes as followed_closes,
        roles.mean_weight as mean_weight,
        counted.row_count as row_count,
        counted.scored_rows as scored_rows,
        measured.labelled_rows as labelled_rows,
        {%- for measure in [
            'base_rate', 'auc', 'brier', 'base_brier', 'skill', 'log_loss', 'hit_rate_best_2pc', 'net_bps_best_2pc'
        ] %}
        if(measured.labelled_rows = 0, null, {{ settled('measured.' ~ measure) }}) as {{ measure }},
        {%- endfor %}
        if(measured.labelled_rows = 0, null, {{ settled('calibration.calibration_error') }}) as calibration_error,
        measured.information_rows as information_rows,
        measured.information_coefficient as information_coefficient,
        judgements.last_judgement as last_judgement,
        drifts.drifts_found as drifts_found
    from counted
    inner join roles
        on counted.run_id = roles.run_id and counted.session_date = roles.session_date and counted.model = roles.model
    left join measured
        on
            counted.run_id = measured.run_id
            and counted.session_date = measured.session_date
            and counted.model = measured.model
    left join calibration
        on
            counted.run_id = calibration.run_id
            and counted.session_date = calibration.session_date
            and counted.model = calibration.model
    left join judgements
        on
            counted.run_id = judgements.run_id
            and counted.session_date = judgements.session_date
            and counted.model = judgements.model
    left join drifts
        on
            counted.run_id = drifts.run_id
            and counted.session_date = drifts.session_date
            and counted.model = drifts.model

)

select * from final
