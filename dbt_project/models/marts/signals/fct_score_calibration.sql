with

{{ ranked_scores() }},

ranks as (

    select
        *,
        intDiv(model_rows, 10) as least_rows,
        modulo(model_rows, 10) as larger_deciles,
        larger_deciles * (least_rows + 1) as rows_in_larger
    from ranked_scores

),

-- equally many rows a decile; where that cannot be, the lower deciles have one more
placed as (

    select
        *,
        toUInt8(
            1 + if(
                from_lowest < rows_in_larger,
                intDiv(from_lowest, least_rows + 1),
                larger_deciles + intDiv(from_lowest - rows_in_larger, greatest(least_rows, 1))
            )
        ) as decile
    from ranks

),

final as (

    select
        run_id,
        session_date,
        model,
        decile,
        count() as row_count,
        {{ settled('avg(said)') }} as mean_score,
        {{ settled('avg(came_true)') }} as true_share,
        {{ settled('avg(said) - avg(came_true)') }} as overconfidence,
        min(said) as lowest_score,
        max(said) as highest_score,
        {{ null_if_nan('avg(move_bps)') }} as mean_move_bps,
        {{ null_if_nan('avg(net_return_bps)') }} as mean_net_return_bps
    from placed
    group by run_id, session_date, model, decile

)

select * from final
