"""Garbage on every topic of a running day: counted, kept, reported; the day goes on and proves itself."""

from __future__ import annotations

import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from paper_house import HOUR_NS, OPEN_NS, House, PaperDay, flaws

from kitepilot import events as e
from kitepilot.cli.supervise import Supervisor
from kitepilot.events import encode
from kitepilot.market.ticks import KIND_CLOCK, RECORD_BYTES, own_record, records
from kitepilot.ports import EventLog
from kitepilot.run import Run
from kitepilot.topics import INTENTS, SESSION, TICKS, TOPICS

pytestmark = [pytest.mark.slow, pytest.mark.stack, pytest.mark.timeout(400)]

GARBAGE = (b"\xc1 never valid msgpack", b"", b"\x82\xa4type\xa5bogus\xa1x\x01", bytes(range(256)) * 64)
AT_MINUTE = OPEN_NS + HOUR_NS // 4


def last_packet(log: EventLog, run: Run) -> bytes:
    """The newest full tick record of an instrument whose grid is coarser than a paisa."""
    coarse = [terms.token for terms in run.parameters().instruments if terms.tick_size_paise > 1]
    end = log.end_offset(TICKS.name)
    reader = log.reader({(TICKS.name, 0): max(run.start_offsets()[TICKS.name], end - 200)})
    try:
        for record in reversed(reader.poll(200)):
            batch = records(record.value)
            full = np.flatnonzero(
                np.isin(batch["packet"]["token"], coarse) & (batch["packet"]["exchange_time"] > 0)
            )
            if full.size:
                return batch[full[-1:]].tobytes()
    finally:
        reader.close()
    raise AssertionError("no tick in the log yet")


def changed(packet: bytes, **fields: int) -> bytes:
    """The same tick record with some of its fields replaced."""
    copy = records(packet).copy()
    for name, value in fields.items():
        copy["packet"][name] = value
    return copy.tobytes()


def bad_ticks(packet: bytes) -> dict[str, list[bytes]]:
    """Messages for `ticks` by the reason they must be refused for."""
    good = records(packet)["packet"]
    price, volume = int(good["last_price"][0]), int(good["volume"][0])
    now = AT_MINUTE
    return {
        "undecodable": [packet[:-1], b"short", packet + b"\0"],
        "unknown_token": [changed(packet, token=0xDEAD00)],
        "off_grid": [changed(packet, last_price=price + 1)],
        "volume_fell": [changed(packet, volume=volume // 2)],
        "bad_price": [changed(packet, last_price=0), changed(packet, last_price=price * 200)],
        "clock_jump": [
            own_record(KIND_CLOCK, OPEN_NS - HOUR_NS, now),
            own_record(KIND_CLOCK, OPEN_NS + 48 * HOUR_NS, now),
        ],
        "bad_own_record": [struct.pack(">QII", now, 0, 77).ljust(RECORD_BYTES, b"\0")],
    }


def strangers(run: Run) -> list[bytes]:
    """Intents that are well-formed and must not reach the exchange."""
    intent = e.ApprovedIntent(
        source="stranger", seq=0, event_at=AT_MINUTE, intent_id="A" * 18, run_id="paper-19990101-0001",
        config_hash=run.config_hash, signal_id="s", verdict_id="v", strategy="vwap_reversion",
        purpose=e.Purpose.ENTRY, token=run.parameters().instruments[0].token,
        tradingsymbol=run.parameters().instruments[0].tradingsymbol, side=e.Side.BUY, quantity=1,
        order_type="LIMIT", limit_price_paise=100_000, validity="IOC", decision_price_paise=100_000,
        received_at=0, signal_emitted_at=0,
    )  # fmt: skip
    replace = e.msgspec.structs.replace
    return [
        encode(intent),
        encode(replace(intent, seq=1, run_id=run.run_id, config_hash="another")),
        encode(replace(intent, seq=2, run_id=run.run_id, quantity=-5)),
        encode(replace(intent, seq=3, run_id=run.run_id, intent_id="not a tag!")),
    ]


def absurd_session(run: Run) -> list[bytes]:
    """Well-formed messages on `session` that no fold may take."""
    mark = e.Marked(
        source="market-0", seq=10**9, event_at=AT_MINUTE, received_at=0, tokens=[1, 2], last_paise=[1],
        bid_paise=[1], ask_paise=[1], quoted_at=[1],
    )  # fmt: skip
    fill = e.Filled(
        source="gateway", seq=10**9, event_at=AT_MINUTE, run_id=run.run_id, intent_id="A" * 18, order_id="1",
        trade_id="1", token=1, side=e.Side.BUY, quantity=-1, price_paise=1, filled_at=AT_MINUTE,
    )  # fmt: skip
    return [encode(mark), encode(fill)]


def poison(paper: PaperDay) -> dict[str, int]:
    """Write all of it; how many letters of each reason the summary owes."""
    run, log = paper.current(), paper.house.log()
    for topic in TOPICS:
        if topic is not TICKS:
            log.append(topic.name, list(GARBAGE))
    log.append(INTENTS.name, strangers(run))
    log.append(SESSION.name, absurd_session(run))
    owed = {"undecodable": len(GARBAGE) * (len(TOPICS) - 1) + len(strangers(run)), "malformed": 2}
    for reason, messages in bad_ticks(last_packet(log, run)).items():
        for message in messages:
            log.append(TICKS.name, [message])
        owed[reason] = owed.get(reason, 0) + len(messages)
    log.close()
    return owed


def test_a_poisoned_day_goes_on_counts_everything_and_proves_itself(
    build_house: Callable[..., House], tmp_path: Path
) -> None:
    house = build_house(tmp_path / "home", instruments=6)
    with house.paper() as paper:
        paper.await_time(AT_MINUTE)
        paper.set_speed(1)  # so that a packet is not late before it is written
        begun = paper.session_time
        paper.await_time(begun + 3_000_000_000)
        before = {state.name: state.uptime_s for state in Supervisor(house.home).states()}
        owed = poison(paper)
        paper.set_speed("max")
        paper.await_time(AT_MINUTE + HOUR_NS)
        restarts = [
            state.name for state in Supervisor(house.home).states() if state.uptime_s < before[state.name]
        ]
        paper.interrupt()
        day = paper.wait()
    assert restarts == [], "a poisoned process was restarted"
    assert day.code == 130, day.err[-3000:]
    result = day.result
    assert result["reconciled"], result["first_difference"]
    assert (result["open_positions"], result["unlinked_orders"]) == (0, 0)
    assert {reason: result["dead_letters"].get(reason, 0) for reason in owed} == owed
    log = house.log()
    assert flaws(log, house.run(result["run_id"])) == []
    log.close()
    again = house.replay(result["run_id"])
    assert again.code == 0, again.out[-3000:] + again.err[-3000:]
