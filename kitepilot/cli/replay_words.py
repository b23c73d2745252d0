"""A verification told: equal with hashes, or the first difference with both sides and what caused it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from rich.box import SIMPLE_HEAD
from rich.console import Console
from rich.table import Table

from kitepilot.cli.report import ist_clock, ist_millis
from kitepilot.events import decode

if TYPE_CHECKING:
    from flows.replay import Difference, RecordedRun, Verdict
    from kitepilot.ports import LogRecord

FIELDS_SHOWN = 20
HASH_SHOWN = 16
WORDS = {
    "differs": "the two sides say different things",
    "not recorded": "the record lacks this message",
    "only recorded": "the replay does not come to this message",
    "repeated differently": "the record says one number twice, and not the same",
    "repeated too late": "the record repeats a number from long ago",
}


def told(verdict: Verdict | str, run: RecordedRun) -> dict[str, Any]:
    """One part as plain data; a text instead of a verdict is why the market was not compared."""
    if isinstance(verdict, str):
        return {"part": "market", "status": "not compared", "notes": [verdict], "streams": []}
    return {
        "part": verdict.part,
        "status": verdict.status,
        "streams": [
            {
                "topic": each.topic,
                "messages": each.messages,
                "repeated": each.repeated,
                "not_recorded": each.not_recorded,
                "sha256": each.sha256,
            }
            for each in verdict.streams
        ],
        "unreadable": verdict.unreadable,
        "notes": list(verdict.notes),
        "by_instrument": verdict.by_instrument,
        "difference": _difference(verdict, run) if verdict.difference else None,
    }


def _difference(verdict: Verdict, run: RecordedRun) -> dict[str, Any]:
    from flows.replay.decisions import cause_of
    from flows.replay.market import first_cell

    found = verdict.difference
    assert found is not None
    said: dict[str, Any] = {
        "topic": found.topic,
        "source": found.source,
        "seq": found.seq,
        "kind": found.kind,
        "recorded_offset": found.recorded.offset if found.recorded else None,
        "fields": [list(each) for each in found.fields()],
    }
    if verdict.part == "market":
        cell = first_cell(found, run.parameters.instruments)
        if cell is not None:
            said["cell"] = {
                "instrument": cell.instrument,
                "bar_close_at": cell.bar_close_at,
                "bar_close_ist": ist_clock(cell.bar_close_at),
                "column": cell.column,
                "recorded": cell.recorded,
                "replayed": cell.replayed,
            }
    else:
        said["cause"] = _cause(cause_of(run, found))
    said["event_ist"] = _session_time(found)
    return said


def _session_time(found: Difference) -> str:
    event = found.replayed if found.replayed is not None else found.recorded and found.recorded.event
    return ist_clock(event.event_at) if event else ""


def _cause(record: LogRecord | None) -> dict[str, Any] | None:
    if record is None:
        return None
    event = decode(record.value)
    return {
        "session_offset": record.offset,
        "type": type(event).__name__,
        "source": event.source,
        "seq": event.seq,
        "event_ist": ist_clock(event.event_at),
        "appended_ist": ist_millis(record.appended_at),
    }


def show_verdicts(console: Console, result: dict[str, Any]) -> None:
    """For a person at a terminal."""

    def say(text: str) -> None:
        console.print(text, highlight=False, soft_wrap=True)

    say(f"[b]{result['run_id']}[/b] of {result['session']}, read from {result['read_from']}")
    say(_code_line(result["recorded_by"], result["replayed_by"]))
    for part in result["parts"]:
        colour = "green" if part["status"] == "equal" else "red"
        say(f"\n[{colour}][b]{part['part']}: {part['status'].replace('_', ' ')}[/b][/]")
        for each in part["streams"]:
            again = f", {each['repeated']} repeated alike" if each["repeated"] else ""
            sha = each["sha256"][:HASH_SHOWN]
            say(f"  {each['topic']:<12} {each['messages']:>9,} messages  sha256 {sha}{again}")
        if part.get("unreadable"):
            say(f"  {part['unreadable']} records of these topics nobody can read; they decided nothing")
        for note in part["notes"]:
            say(f"  {note}")
        if part.get("difference"):
            _show_difference(console, say, part["difference"])
        elif part.get("by_instrument"):
            _show_instruments(say, part["by_instrument"])


def _code_line(recorded: dict[str, str], replayed: dict[str, str]) -> str:
    if not recorded["code"]:
        return f"which code recorded it was not noted; replayed by {replayed['version']} ({replayed['code']})"
    by = f"recorded by {recorded['version']} ({recorded['code']})"
    if recorded["code"] == replayed["code"]:
        return f"{by}, replayed by the same code"
    return f"{by}, replayed by other code: {replayed['version']} ({replayed['code']})"


def _show_instruments(say: Any, hashes: dict[str, str]) -> None:
    names = sorted(hashes)
    say(f"  {len(names)} instruments, each by its own rows:")
    for at in range(0, len(names), 4):
        say("  " + "  ".join(f"{name:<12} {hashes[name][:8]}" for name in names[at : at + 4]))


def _show_difference(console: Console, say: Any, found: dict[str, Any]) -> None:
    at = "" if found["recorded_offset"] is None else f", offset {found['recorded_offset']}"
    say(
        f"  first difference: {found['topic']} number {found['seq']}{at}, {found['event_ist']} IST: "
        f"{WORDS[found['kind']]}"
    )
    if cause := found.get("cause"):
        say(
            f"  caused by session offset {cause['session_offset']}: {cause['type']} {cause['seq']} of "
            f"{cause['source']}, {cause['event_ist']} IST, written {cause['appended_ist']} IST"
        )
    if cell := found.get("cell"):
        say(
            f"  {cell['instrument']}, bar closed {cell['bar_close_ist']} IST, {cell['column']}: "
            f"recorded {cell['recorded']}, replayed {cell['replayed']}"
        )
    table = Table("field", "recorded", "replayed", box=SIMPLE_HEAD, padding=(0, 2, 0, 0))
    for path, recorded, replayed in found["fields"][:FIELDS_SHOWN]:
        table.add_row(path, _short(recorded), _short(replayed))
    if len(found["fields"]) > FIELDS_SHOWN:
        table.add_row(f"... and {len(found['fields']) - FIELDS_SHOWN} more (--json has all)", "", "")
    console.print(table)


def _short(value: Any) -> str:
    text = "-" if value is None else str(value)
    return text if len(text) <= 60 else f"{text[:57]}..."
