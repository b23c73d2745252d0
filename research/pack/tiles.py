"""The first screen: what the day came to, how much of the loss cap it used, whether it ended flat."""

from __future__ import annotations

from collections.abc import Callable

from kitepilot.money import rupees
from research.pack.book import DayBook, Row
from research.pack.cells import DASH, clock
from research.pack.document import Tile, Tone

UNKNOWN = "not known: see below"
LOSS_LIMIT = "daily_loss"
FLAT_RULE = "flat_by_cutoff"
#: From this share of a limit on it is worth a word.
NEAR = 0.8


def tiles(book: DayBook) -> tuple[Tile, ...]:
    """What is not known says so; a figure is never guessed."""
    makers: tuple[tuple[str, Callable[[DayBook], Tile]], ...] = (
        ("Net result", net),
        ("Loss cap used", cap),
        ("Flat at the cutoff", flat),
        ("Trades", trades),
        ("Charges", charges),
        ("Entries refused", refused),
        ("Books compared", compared),
        ("Replay", replayed),
    )
    found = []
    for name, make in makers:
        try:
            found.append(make(book))
        except (KeyError, TypeError, IndexError):
            found.append(Tile(name, DASH, UNKNOWN, "bad"))
    return tuple(found)


def session(book: DayBook) -> Row | None:
    """The day's line of dim_sessions; None where the marts are not there."""
    return next(iter(book.rows("dim_sessions")), None)


def signed(paise: int) -> str:
    """`-₹1,234.00`."""
    return f"-₹{rupees(-paise)}" if paise < 0 else f"₹{rupees(paise)}"


def net(book: DayBook) -> Tile:
    day = session(book)
    paise = day["net_pnl_paise"] if day else book.result["net_pnl_paise"]
    gross = day["realised_paise"] if day else book.result["gross_pnl_paise"]
    tone: Tone = "good" if paise > 0 else "bad" if paise < 0 else ""
    return Tile("Net result", signed(paise), f"{signed(gross)} before charges", tone)


def charges(book: DayBook) -> Tile:
    day = session(book)
    paise = day["charges_paise"] if day else book.result["charges_paise"]
    return Tile("Charges", signed(paise), "of all orders of the day")


def cap(book: DayBook) -> Tile:
    """How near the day's loss came to its cap, at the worst."""
    of = f"of ₹{rupees(book.cap_paise, 0)}" if book.cap_paise else ""
    for row in book.rows("fct_limit_use"):
        if row["limit_code"] == LOSS_LIMIT and row["use_share"] is not None:
            used = row["use_share"]
            tone: Tone = "bad" if used >= NEAR else ""
            return Tile(
                "Loss cap used", f"{100 * used:.0f} %", f"{of} at {clock(row['nearest_at']).text}", tone
            )
    return Tile("Loss cap used", DASH, of or UNKNOWN, "soft")


def flat(book: DayBook) -> Tile:
    """By the rule where somebody looked; else only whether anything was held at the last mark."""
    for row in book.rows("fct_compliance"):
        if row["rule"] == FLAT_RULE and row["status"] != "not_observed":
            if row["status"] == "held":
                return Tile("Flat at the cutoff", "yes", "nothing held from then on", "good")
            return Tile("Flat at the cutoff", "NO", f"{row['observed']:,.0f} s with a position", "bad")
    day = session(book)
    left = day["open_positions"] if day else book.result["open_positions"]
    note = "the record ends before it" if not left else f"{left} positions at the last mark"
    return Tile("Flat at the cutoff", "NO" if left else DASH, note, "bad" if left else "soft")


def trades(book: DayBook) -> Tile:
    day = session(book)
    if day is None:
        return Tile("Trades", f"{book.result['round_trips']}", "round trips, by the run's own count")
    whole = [row for row in book.rows("fct_performance") if row["dimension"] == "all"]
    of_day = [row for row in whole if row["period"] == "day"]
    won = f"{of_day[0]['won']} won after charges" if of_day else "round trips"
    return Tile("Trades", f"{day['round_trips']}", won if day["round_trips"] else "a day without trades")


def refused(book: DayBook) -> Tile:
    if "fct_denials" in book.marts:
        denials = book.rows("fct_denials")
        reasons = len({row["denial"] for row in denials})
        return Tile("Entries refused", f"{len(denials)}", f"for {reasons} reasons" if denials else "none")
    count = sum(book.result["denials"].values())
    return Tile("Entries refused", f"{count}", "by the run's own count")


def compared(book: DayBook) -> Tile:
    rows = book.rows("fct_reconciliation")
    broken = [row for row in rows if row["status"] == "broken"]
    if rows:
        word = f"{len(broken)} of {len(rows)} comparisons differ" if broken else f"{len(rows)} comparisons"
        return Tile("Books compared", "differ" if broken else "agree", word, "bad" if broken else "good")
    agreed = book.result["reconciled"]
    return Tile(
        "Books compared", "agree" if agreed else "differ", "at the close", "good" if agreed else "bad"
    )


def replayed(book: DayBook) -> Tile:
    states = [state for name, state, _ in book.checks if name.startswith("replay")]
    if "failed" in states:
        return Tile("Replay", "differs", "see Checks", "bad")
    if "passed" in states:
        return Tile("Replay", "the same", "computed again, byte for byte", "good")
    return Tile("Replay", "not done", "see Checks", "soft")
