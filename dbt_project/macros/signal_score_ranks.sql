{#
CTEs up to `ranked_scores`: one row per model, 1 m close and instrument with a score and a known label, and its
place among the model's rows of the day from either end. Equal scores stand in order of close, then token.
A macro and no model: it has the size of the raw scores, and each mart reads its own days of it.
#}
{% macro ranked_scores() %}
scores as (

    select run_id, session_date, model, close_at, token, score
    from {{ ref('stg_scores') }}
    where {{ days_to_build() }} and interval_s = 60 and isNotNull(score)

),

outcomes as (

    select * from {{ ref('int_minute_outcomes') }}
    where {{ days_to_build() }} and is_labelled

),

labelled as (

    select
        scores.run_id as run_id,
        scores.session_date as session_date,
        scores.model as model,
        scores.close_at as close_at,
        scores.token as token,
        assumeNotNull(scores.score) as said,
        assumeNotNull(outcomes.label) as came_true,
        outcomes.label_move_bps as label_move_bps,
        outcomes.move_bps as move_bps,
        outcomes.net_return_bps as net_return_bps
    from scores
    inner join outcomes
        on
            scores.run_id = outcomes.run_id
            and scores.token = outcomes.token
            and scores.close_at = outcomes.close_at

),

ranked_scores as (

    select
        *,
        count() over (partition by run_id, session_date, model) as model_rows,
        row_number() over (partition by run_id, session_date, model order by said, close_at, token) - 1 as from_lowest,
        row_number() over (partition by run_id, session_date, model order by said desc, close_at, token) - 1 as from_highest
    from labelled

)
{%- endmacro %}
