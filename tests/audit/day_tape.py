"""A run with a log in a home of its own, and the messages of one order's life, numbered as producers do."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

from infra.eventlog.sqlite_log import SqliteLog
from kitepilot import config as configuration
from kitepilot import events as e
from kitepilot.market.calendar import ist_ns
from kitepilot.orders.intents import intent_id, signal_id
from kitepilot.run import Run
from kitepilot.topics import TOPICS

DAY = date(2026, 11, 20)
AT = 1_795_146_300_000_000_000
#: Records of the audit that one round of `order_life` makes, and messages of it that are data.
AUDITED, DATA = 8, 2


def new_run(home: Path, url: str, number: int = 1) -> Run:
    """A run of `home` that begins where the topics end now. The log is made at first use."""
    config = configuration.override(configuration.Config(), **{"storage.database_url": url})
    run_id = f"paper-20261120-{number:04d}"
    run = Run(run_id, home / "runs" / run_id, config)
    run.folder.mkdir(parents=True)
    (run.folder / "config.yaml").write_text(configuration.dump(config))
    log = SqliteLog(run.log_folder)
    log.create_topics(TOPICS)
    starts = {topic.name: log.end_offset(topic.name) for topic in TOPICS}
    (run.folder / "start_offsets.json").write_text(json.dumps(starts))
    log.close()
    return run


def names(run: Run, seq: int) -> tuple[str, str, str]:
    """(signal, intent, order id) of round `seq`."""
    signal = signal_id("vwap_reversion", 408065, 60, AT + seq)
    intent = intent_id(run.run_id, "vwap_reversion", 408065, AT + seq, seq, e.Purpose.ENTRY)
    return signal, intent, f"26112000{seq:07d}"


def order_life(run: Run, seq: int) -> list[tuple[str, e.AnyEvent]]:
    """(topic, message) in the order of their writing: a signal, its verdict and intent, request to fill."""
    signal, intent, order = names(run, seq)
    at = AT + seq * 1_000_000_000
    both = {"event_at": at, "run_id": run.run_id}
    what = {"token": 408065, "tradingsymbol": "INFY", "side": e.Side.BUY, "quantity": 10}
    line = {**both, **what, "intent_id": intent, "purpose": e.Purpose.ENTRY, "strategy": "vwap_reversion"}
    marked = e.Marked(
        source="market", seq=2 * seq, event_at=at, received_at=at, tokens=[408065], last_paise=[150_000],
        bid_paise=[149_995], ask_paise=[150_005], quoted_at=[at],
    )  # fmt: skip
    raised = e.SignalRaised(
        source="market", seq=2 * seq + 1, event_at=at, signal_id=signal, strategy="vwap_reversion",
        token=408065, tradingsymbol="INFY", side=e.Side.BUY, strength=0.5, interval_s=60, bar_close_at=at,
        horizon_s=60, stop_bps=20, take_profit_bps=30, last_paise=150_000, bid_paise=149_995,
        ask_paise=150_005, features={"gap": float("nan")}, scores={"lightgbm-7": 0.75}, received_at=at,
    )  # fmt: skip
    verdict = e.Verdict(
        source="risk", seq=2 * seq, verdict_id=f"v{seq}", signal_id=signal, limit_price_paise=150_005,
        approved=True, denial="", state=e.TradingState.ACTIVE, profile_version=3,
        checks=(e.Check(code="gross_exposure", passed=True, observed=1.0, limit=2.0),), **line,
    )  # fmt: skip
    account = e.AccountMarked(
        source="risk", seq=2 * seq + 1, state=e.TradingState.ACTIVE, realised_paise=0, unrealised_paise=0,
        charges_paise=0, open_positions=0, gross_exposure_paise=0, working_orders=0, oldest_working_at=0,
        orders=0, fills=0, **both,
    )  # fmt: skip
    allowed = e.ApprovedIntent(
        source="risk", seq=seq, config_hash=run.config_hash, signal_id=signal, verdict_id=f"v{seq}",
        order_type="LIMIT", limit_price_paise=150_005, validity="IOC", decision_price_paise=150_000,
        received_at=at, signal_emitted_at=at, **line,
    )  # fmt: skip
    common = {**line, "price_paise": 150_005}
    journaled = [
        e.OrderJournaled(
            source="gateway", seq=3 * seq + step, kind=kind, status=status, filled_quantity=filled,
            order_id=order if step else "", detail=kind, **common,
        )
        for step, (kind, status, filled) in enumerate(
            (("submitting", e.OrderStatus.SUBMITTING, 0), ("accepted", e.OrderStatus.ACCEPTED, 0),
             ("fill", e.OrderStatus.FILLED, 10))
        )
    ]  # fmt: skip
    updated = e.OrderUpdated(
        source="gateway", seq=2 * seq, event_at=at, run_id=run.run_id, intent_id=intent, order_id=order,
        token=408065, status=e.OrderStatus.FILLED, venue_status="COMPLETE", quantity=10, filled_quantity=10,
    )  # fmt: skip
    filled = e.Filled(
        source="gateway", seq=2 * seq + 1, event_at=at, run_id=run.run_id, intent_id=intent, order_id=order,
        trade_id=f"t{seq}", token=408065, side=e.Side.BUY, quantity=10, price_paise=150_000, filled_at=at,
    )  # fmt: skip
    return [
        ("session", marked),
        ("session", raised),
        ("decisions", verdict),
        ("decisions", account),
        ("intents", allowed),
        *(("orders", each) for each in journaled),
        ("session", updated),
        ("session", filled),
    ]


def started(run: Run) -> e.RunStarted:
    parameters = e.DecisionParameters(
        session_date="2026-11-20", open_at=AT, close_at=ist_ns(DAY, "15:30"), instruments=(),
        profile=run.config.risk.profile(), strategies=(),
    )  # fmt: skip
    return e.RunStarted(
        source="cli", seq=0, event_at=AT, run_id=run.run_id, mode="paper", config_hash=run.config_hash,
        parameters=parameters,
    )  # fmt: skip


def write(log: SqliteLog, told: list[tuple[str, e.AnyEvent]]) -> None:
    for topic, event in told:
        log.append(topic, [e.encode(event, emitted_at=event.event_at + 1)])
