{{ config(
    materialized='incremental',
    incremental_strategy='delete_insert',
    unique_key='session_date',
    engine='MergeTree()',
    order_by=['session_date', 'run_id', 'feature'],
    partition_by='toYYYYMM(session_date)',
    on_schema_change='fail',
    pre_hook="{{ forget_built_days() }}",
    post_hook="{{ note_built_days() }}"
) }}

{% set points = feature_quantiles() | int %}

with

rows_of_features as (

    select
        run_id,
        session_date,
        interval_s,
        names,
        values,
        arrayMap(x -> isFinite(x), values) as finite,
        arrayMap(x -> if(isFinite(x), x, 0), values) as zeroed
    from {{ ref('stg_features') }}
    where {{ days_to_build() }}

),

summed as (

    select
        run_id,
        session_date,
        interval_s,
        names,
        count() as row_count,
        sumForEach(finite) as finite_counts,
        sumForEach(zeroed) as sums,
        sumForEach(arrayMap(x -> x * x, zeroed)) as square_sums,
        quantilesExactForEach(
            {%- for point in range(points) %}{{ (point + 0.5) / points }}{{ ', ' if not loop.last }}{% endfor -%}
        )(arrayMap(x -> if(isFinite(x), x, nan), values)) as quantiles,
        minForEach(arrayMap(x -> if(isFinite(x), x, inf), values)) as least,
        maxForEach(arrayMap(x -> if(isFinite(x), x, -inf), values)) as most
    from rows_of_features
    group by run_id, session_date, interval_s, names

),

by_feature as (

    select
        *,
        arrayJoin(arrayEnumerate(names)) as position,
        greatest(abs(least[position]), abs(most[position])) as largest
    from summed

),

final as (

    select
        run_id,
        session_date,
        interval_s,
        names[position] as feature,
        position,
        row_count,
        finite_counts[position] as value_count,
        if(value_count = 0, null, {{ settled_to('sums[position] / value_count', 'largest') }}) as mean,
        if(
            value_count = 0,
            null,
            {{ settled_to('sqrt(greatest(square_sums[position] / value_count - pow(sums[position] / value_count, 2), 0))', 'largest') }}
        ) as deviation,
        if(value_count = 0, null, least[position]) as least,
        if(value_count = 0, null, most[position]) as most,
        if(value_count = 0, [], quantiles[position]) as quantiles
    from by_feature

)

select * from final
