"""Bugs that real systems had, each as one change of our code that the simulation must notice.

A mutant is a replacement of text that occurs exactly once in its file. Where it is from is said in words:
most are in the public issue trackers of trading engines and in the reports of their users.
"""

from __future__ import annotations

from dataclasses import dataclass

DESK = "broker_adapter/gateway/desk.py"
SUBMIT = "broker_adapter/gateway/submit.py"
GATEWAY = "broker_adapter/gateway/main.py"
MACHINE = "kitepilot/orders/order_machine.py"
ACCOUNT = "kitepilot/risk/account.py"
EXITS = "kitepilot/risk/exits.py"
STATE = "kitepilot/risk/state.py"
DECIDE = "kitepilot/risk/decide.py"
FOREIGN = "kitepilot/risk/foreign.py"
EXPOSURE = "kitepilot/risk/exposure.py"
TRUTH = "broker_adapter/gateway/truth.py"
ALLOWANCES = "broker_adapter/kite/allowances.py"
CALENDAR = "kitepilot/market/calendar.py"


@dataclass(frozen=True)
class Mutant:
    """`old` -> `new` in `file`; `story` is the bug as its victims would tell it."""

    name: str
    story: str
    file: str
    old: str
    new: str
    also: tuple[tuple[str, str, str], ...] = ()  # more (file, old, new): a second guard that would hide it

    @property
    def edits(self) -> tuple[tuple[str, str, str], ...]:
        return ((self.file, self.old, self.new), *self.also)


MUTANTS: tuple[Mutant, ...] = (
    Mutant(
        "retry_of_an_ambiguous_post",
        "the request timed out and was sent again; both went live",
        SUBMIT,
        "if not isinstance(sent.outcome, Throttled):",
        'if type(sent.outcome).__name__ not in ("Throttled", "Unknown"):',
    ),
    Mutant(
        "not_found_means_cancelled",
        "an order that one look at the book did not show was written off; it was accepted a moment later",
        DESK,
        "if file.looks < ABSENT_LOOKS or not long_enough or machine_ns < ABSENT_MACHINE_NS:",
        "if file.looks < 1:",
        also=(
            (
                TRUTH,
                "if file.tag not in present and 0 < file.missing_steady < started:",
                "if file.tag not in present:",
            ),
        ),
    ),
    Mutant(
        "partly_filled_then_cancelled_fills_nothing",
        "fills of an order that ended as cancelled were not asked for",
        DESK,
        "        if file.hungry or (file.seen == was and not found):\n            return file, None",
        "        if file.seen.status is OrderStatus.CANCELLED:\n"
        "            file.filled_quantity = file.seen.filled_quantity\n"
        "        if file.hungry or (file.seen == was and not found):\n            return file, None",
    ),
    Mutant(
        "filled_quantity_goes_backwards",
        "an update that came late lowered what was filled",
        MACHINE,
        "filled = max(truth.filled_quantity, filled_quantity)",
        "filled = filled_quantity",
        also=(
            (
                DESK,
                "filled = sum(child.filled_quantity for child in children)",
                "filled = sum(child.seen.filled_quantity for child in children)",
            ),
        ),
    ),
    Mutant(
        "an_ended_order_comes_back_to_life",
        "the reply, or an old OPEN, came after COMPLETE and made the order live again",
        MACHINE,
        "status = TRANSITIONS[truth.status, event]",
        "late = (OrderEvent.ACKNOWLEDGED, OrderEvent.OPEN, OrderEvent.PENDING)\n"
        "    again = truth.status.terminal and event in late\n"
        "    status = TRANSITIONS[OrderStatus.WORKING if again else truth.status, event]",
    ),
    Mutant(
        "a_lost_reply_is_a_rejection",
        "a timeout was taken for a refusal, and the order was forgotten",
        DESK,
        'return OrderEvent.LOST, "unknown", reason',
        'return OrderEvent.REJECTED, "rejected", reason',
    ),
    Mutant(
        "a_trade_is_booked_twice_by_the_gateway",
        "a trade told by two sources was journaled under two lines",
        DESK,
        "if trade.order_id != file.order_id or trade.trade_id in file.trade_ids:",
        "if trade.order_id != file.order_id:",
    ),
    Mutant(
        "a_trade_is_booked_twice_by_the_account",
        "messages told again after a crash were folded twice, and the same fill moved the position again",
        ACCOUNT,
        "    if order is not None and trade in order.trades:\n        return False\n",
        "",
        also=((DECIDE, "    if event.seq <= last:\n        return False\n", ""),),
    ),
    Mutant(
        "an_inferred_fill_is_booked_beside_the_real_one",
        "an order that ended as filled moved the position, and so did its trades",
        ACCOUNT,
        "    if not order.status.terminal:\n        order.status = update.status\n",
        "    if not order.status.terminal:\n"
        "        order.status = update.status\n"
        "        if update.status.terminal and update.filled_quantity:\n"
        "            filled, price = update.filled_quantity, order.limit_price_paise\n"
        "            after = apply_fill(state.position(order.token), order.side, filled, price)\n"
        "            state.positions[order.token] = after\n",
    ),
    Mutant(
        "a_fill_after_the_end_is_ignored",
        "the end was told before its fills, and the fills of a finished order were dropped",
        ACCOUNT,
        "    value = fill.quantity * fill.price_paise\n    before = order.filled_paise",
        "    if order is not None and order.status.terminal:\n"
        "        return False\n"
        "    value = fill.quantity * fill.price_paise\n    before = order.filled_paise",
        also=(
            (
                DESK,
                "        if file.hungry or (file.seen == was and not found):\n            return file, None",
                "        if file.seen == was and not found:\n            return file, None",
            ),
        ),
    ),
    Mutant(
        "the_days_loss_starts_over_after_a_restart",
        "the process was started again and the loss cap with it",
        STATE,
        "    return _decoder.decode(blob[1:])",
        "    state = _decoder.decode(blob[1:])\n"
        "    if state is not None:\n"
        "        state.realised_paise = 0\n"
        "    return state",
    ),
    Mutant(
        "a_halt_is_forgotten_after_a_restart",
        "the owner had halted; the process came back active",
        STATE,
        "    return _decoder.decode(blob[1:])",
        "    state = _decoder.decode(blob[1:])\n"
        "    if state is not None:\n"
        "        state.trading = TradingState.ACTIVE\n"
        "    return state",
    ),
    Mutant(
        "orders_on_their_way_are_forgotten_after_a_restart",
        "working orders were not in the snapshot",
        STATE,
        "    return _decoder.decode(blob[1:])",
        "    state = _decoder.decode(blob[1:])\n"
        "    if state is not None:\n"
        "        state.working.clear()\n"
        "    return state",
    ),
    Mutant(
        "the_cutoff_is_in_the_wrong_zone",
        "15:00 was read as UTC: square-off would have come at half past eight in the evening",
        CALENDAR,
        "        square_off_at=min(square_off_at, close_at),",
        "        square_off_at=of.square_off_at + 19_800 * NS_PER_S,",
    ),
    Mutant(
        "entries_after_the_cutoff",
        "the entry cutoff was compared with the wrong sign of the time zone",
        CALENDAR,
        "        entry_cutoff_at=min(of.entry_cutoff_at, square_off_at, close_at),",
        "        entry_cutoff_at=of.entry_cutoff_at + 19_800 * NS_PER_S,",
    ),
    Mutant(
        "the_loss_cap_forgets_what_was_closed",
        "the cap looked at open positions only, and each new one had the whole cap again",
        EXPOSURE,
        "    return value.closing_charges_paise - earned - value.unrealised_paise",
        "    return value.closing_charges_paise - value.unrealised_paise",
        also=(
            (
                EXPOSURE,
                "at_stops = value.worst_charges_paise - earned - value.worst_unrealised_paise",
                "at_stops = value.worst_charges_paise - value.worst_unrealised_paise",
            ),
        ),
    ),
    Mutant(
        "exits_do_not_count_what_is_on_its_way",
        "a second exit left before the first had ended, and the position turned",
        EXITS,
        "quantity = abs(position.quantity) - exiting_quantity(state, token)",
        "quantity = abs(position.quantity)",
    ),
    Mutant(
        "an_exit_is_sent_once",
        "an exit that filled nothing was not sent again",
        EXITS,
        "    if not reason or now < holding.next_attempt_at:\n        return []",
        "    if not reason or now < holding.next_attempt_at or holding.attempts:\n        return []",
    ),
    Mutant(
        "exits_wait_for_the_trading_state",
        "a halt stopped the exits as well",
        EXITS,
        "    if not reason or now < holding.next_attempt_at:\n        return []",
        "    if not reason or now < holding.next_attempt_at or state.trading.value == 'halted':\n"
        "        return []",
    ),
    Mutant(
        "the_limiter_counts_from_when_it_asked",
        "a sliding window of our own sends met the broker's calendar seconds, and the broker said 429",
        ALLOWANCES,
        "granted = Pass(now + (arrives_within_ns or 0), in_flight=arrives_within_ns is None)",
        "granted = Pass(now - self._windows[scope][0]._span_ns // 2, in_flight=False)",
    ),
    Mutant(
        "what_was_journaled_and_not_told_is_never_told",
        "the process died between its database and the log; the fill was in one of them only",
        GATEWAY,
        "        await self._scribe.republish(progress.unpublished)\n",
        "",
    ),
    Mutant(
        "a_foreign_fill_is_not_netted",
        "the broker had closed the position; the exit opened one the other way",
        FOREIGN,
        "    return min(max(-ours * side.sign, 0), quantity - closes_owners)",
        "    return 0",
    ),
    Mutant(
        "an_intent_is_sent_before_it_is_durable",
        "the process died between the request and its journal: an order nobody knew of",
        GATEWAY,
        "        await self._scribe.open(opened, records[-1].offset + 1)\n        for change in opened:",
        "        opening = asyncio.create_task(self._scribe.open(opened, records[-1].offset + 1))\n"
        "        self._in_flight.add(opening)\n"
        "        opening.add_done_callback(self._in_flight.discard)\n"
        "        for change in opened:",
    ),
    Mutant(
        "unfinished_requests_are_sent_again_after_a_restart",
        "what had no outcome in the journal was sent once more",
        GATEWAY,
        '        reason = Unknown("the gateway ended before the outcome was journaled")\n',
        '        reason = Unknown("the gateway ended before the outcome was journaled")\n'
        "        for file in lost:\n"
        "            await self._submitter.submit(file.intent, file.tag, file.truth.quantity)\n",
    ),
    Mutant(
        "intents_of_an_earlier_life_are_taken_again",
        "after a restart the reader began at the start of the day and known intents were new",
        DESK,
        "        if intent.intent_id in self.intents:\n            return ()\n",
        "",
    ),
    Mutant(
        "one_filled_slice_ends_the_intent",
        "an order sent in slices was taken for filled when its first slice was",
        DESK,
        "    if len(states) == 1:\n        return states.pop(), filled",
        "    if OrderStatus.FILLED in states:\n        return OrderStatus.FILLED, filled\n"
        "    if len(states) == 1:\n        return states.pop(), filled",
    ),
)
