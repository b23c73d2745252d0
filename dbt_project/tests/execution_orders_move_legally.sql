-- Every line of the journal leaves its order where it stood (a fill) or takes it along a legal move of the order
-- machine, and the first one opens it.
select lines.run_id as run_id, lines.line as line, lines.intent_id as intent_id, lines.previous_status as previous_status, lines.status as status
from {{ ref('fct_order_events') }} as lines
left join {{ ref('order_moves') }} as moves
    on lines.previous_status = moves.previous_status and lines.status = moves.status
where if(lines.previous_status = '', lines.line_kind != 'submitting' or lines.status != 'submitting', lines.previous_status != lines.status and moves.status = '')
