"""Everything that can go wrong at the sandbox, as one table: what it does and who has seen it at Kite.

The table is the only source: the admin address arms these names, `kitepilot sandbox faults` prints them and
docs/reference/faults.md is made from them. Reports: "F#n" is kite.trade/forum/discussion/n, the others are
named; all were read on 2026-11-21.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

#: Where a fault strikes: a request's reply, an order inside the order system, an update on its way out,
#: all open sockets, a ticker handshake, or the venue as a whole.
Place = Literal["reply", "order", "update", "socket", "handshake", "venue"]

PLACEMENTS = "POST /orders/*"
ORDER_CALLS = "POST|PUT|DELETE /orders/*"


@dataclass(frozen=True)
class Knob:
    """A parameter of a fault. Without a default the seed chooses among `choices` at each hit."""

    default: float | str | None
    choices: tuple[str, ...] = ()


REACHED = Knob(None, ("yes", "no"))


@dataclass(frozen=True)
class Fault:
    """One row. `route` is the default route; `once` faults strike one time unless a count is given."""

    name: str
    place: Place
    does: str
    report: str
    knobs: dict[str, Knob] = field(default_factory=dict)
    route: str = ""
    once: bool = True


FAULTS = (
    Fault(
        "timeout_after_accept", "reply",
        "The order is taken; the reply never comes. After `hold_s` of machine time the connection is cut.",
        "F#41029 (Oct 2022), F#4827, F#8124, F#9602: the client timed out, a retry doubled the order",
        {"hold_s": Knob(15.0)}, PLACEMENTS,
    ),
    Fault(
        "timed_out_400", "reply",
        'HTTP 400 "Order request timed out. Please check the order book ..."; the order goes live '
        "`live_after_s` of session time later.",
        "F#35732 (Oct 2021)",
        {"live_after_s": Knob(8.0)}, PLACEMENTS,
    ),
    Fault(
        "too_many_requests", "reply",
        "HTTP 429 although no limit was passed; nothing reached the order system.",
        "F#12851, F#11404",
        {}, ORDER_CALLS,
    ),
    Fault(
        "bad_gateway_502", "reply",
        "HTTP 502 DataException; `reached` says whether the request got through first.",
        "Kite's exceptions page: 502, the order system is down; F#9215",
        {"reached": REACHED}, ORDER_CALLS,
    ),
    Fault(
        "unavailable_503", "reply",
        "HTTP 503 NetworkException; `reached` as above.",
        "Kite's exceptions page: 503, the service is down",
        {"reached": REACHED}, ORDER_CALLS,
    ),
    Fault(
        "gateway_timeout_504", "reply",
        "HTTP 504 NetworkException; `reached` as above.",
        "Kite's exceptions page: 504, gateway timeout",
        {"reached": REACHED}, ORDER_CALLS,
    ),
    Fault(
        "oms_unreachable", "reply",
        'HTTP 503 NetworkException "Request failed (kitetrade-oms)"; `reached` as above.',
        "F#21259: around the open and the close",
        {"reached": REACHED}, ORDER_CALLS,
    ),
    Fault(
        "html_error", "reply",
        "HTTP 502 with a web page in place of JSON, as a load balancer sends it; `reached` as above.",
        "the stock client turns it into DataException (pykiteconnect 5.2, connect.py)",
        {"reached": REACHED}, ORDER_CALLS,
    ),
    Fault(
        "no_content_type", "reply",
        "The request is handled; its reply has no Content-Type, and the stock client raises a bare KeyError.",
        "pykiteconnect 5.2, connect.py: reads the header without asking whether it is there",
        {}, ORDER_CALLS,
    ),
    Fault(
        "reset_mid_reply", "reply",
        "The connection is reset in the middle of the reply; `reached` as above.",
        "F#41029, F#9602: connection aborted, order placed",
        {"reached": REACHED}, ORDER_CALLS,
    ),
    Fault(
        "ip_refused", "reply",
        'HTTP 403 "IP (x) is not allowed to place orders for this app", on exits too; reads work.',
        "support article on static IPs, enforced since 1 Apr 2026",
        {}, ORDER_CALLS, once=False,
    ),
    Fault(
        "no_ips", "reply",
        'HTTP 403 "No IPs configured for this app", on exits too; reads work.',
        "support article on static IPs, enforced since 1 Apr 2026",
        {}, ORDER_CALLS, once=False,
    ),
    Fault(
        "day_cap", "reply",
        'HTTP 429 "Maximum allowed order requests exceeded", on exits too; cancels still work.',
        "F#12851, F#11404: refused orders count as well, and then nobody can exit",
        {}, PLACEMENTS, once=False,
    ),
    Fault(
        "stuck_order", "order",
        "The order stays in PUT ORDER REQ RECEIVED for `stuck_s` of session time.",
        "F#41029 (Oct 2022): about 90 s",
        {"stuck_s": Knob(90.0)}, PLACEMENTS,
    ),
    Fault(
        "rms_rejected", "order",
        "An order id is given; a moment later the order is REJECTED by the broker's risk system.",
        "order object of Kite's mocks: RMS:Margin Exceeds ...",
        {}, PLACEMENTS,
    ),
    Fault(
        "lost_update", "update",
        "An order update is told to nobody.",
        "F#4217, F#8905, F#9093: updates lost on reconnects, none on placement",
    ),
    Fault(
        "duplicate_update", "update",
        "An order update is told `times` times.",
        "F#33971: order of updates is not guaranteed, repetitions were seen",
        {"times": Knob(2.0)},
    ),
    Fault(
        "reordered_update", "update",
        "An update is told after the one that follows it, or `within_s` of session time later.",
        "F#33971",
        {"within_s": Knob(5.0)},
    ),
    Fault(
        "late_update", "update",
        "An update is told `delay_s` of session time late.",
        "F#48691 (Jan 2025): a missed update raced a modification",
        {"delay_s": Knob(10.0)},
    ),
    Fault(
        "partial_after_complete", "update",
        "`delay_s` of session time after an order's COMPLETE an update tells a smaller fill of it.",
        "F#33971",
        {"delay_s": Knob(1.0)},
    ),
    Fault(
        "silent_socket", "socket",
        "Every open socket goes dead without a word: no frames, no heartbeats, no pongs, no close.",
        "pykiteconnect issue 229 (May 2026)",
    ),
    Fault(
        "abrupt_close", "socket",
        "Every open socket is reset.",
        "pykiteconnect issue 88: code 1006",
    ),
    Fault(
        "poison_frame", "socket",
        "Every open socket gets one frame that cannot be read.",
        "pykiteconnect issue 88: what raises in a callback or the decoder closes the stock ticker",
        {"kind": Knob(
            None, ("cut", "count", "length", "trailing", "token_zero", "not_json", "list", "order", "clock")
        )},
    ),
    Fault(
        "stale_tick", "socket",
        "Every open socket gets one packet per subscribed instrument with the previous day's stamp.",
        "F#6651 (Aug 2021): a cached tick out of hours",
    ),
    Fault(
        "handshake_403", "handshake",
        "The ticker refuses a valid token with HTTP 403.",
        "forum, Oct-Dec 2025",
    ),
    Fault(
        "token_expired", "venue",
        "All access tokens end, as at 06:00. Open sockets live on; a reconnect gets 403.",
        "F#40134, F#19843",
    ),
    Fault(
        "clock_skew", "venue",
        "Every stamp of the venue and its Date header are `seconds` ahead (behind if negative).",
        "orders stamped in the future or past of one's own clock: local clocks drift",
        {"seconds": Knob(30.0)}, once=False,
    ),
)  # fmt: skip

BY_NAME = {fault.name: fault for fault in FAULTS}


def markdown() -> str:
    """The table as docs/reference/faults.md has it."""
    head = "| fault | what it does | parameters | seen at Kite |\n|---|---|---|---|\n"
    return head + "".join(
        f"| `{fault.name}` | {fault.does} | {describe_knobs(fault)} | {fault.report} |\n" for fault in FAULTS
    )


def describe_knobs(fault: Fault) -> str:
    """`hold_s`=15, `reached`=yes or no (drawn)."""
    told = []
    for name, knob in fault.knobs.items():
        if knob.default is None:
            told.append(f"`{name}`: drawn from {', '.join(knob.choices)}")
        else:
            told.append(f"`{name}`: {knob.default:g}" if isinstance(knob.default, float) else f"`{name}`")
    return "; ".join(told)
