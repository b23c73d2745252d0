"""The marts of signals against Python: the same market, judged twice."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from loopback_ports import free_port
from scipy.stats import spearmanr
from signals_market import (
    BLEND,
    CANARY,
    FEATURE_NAMES,
    GRACE_NS,
    LIVE,
    MINUTES,
    MUTE_FROM,
    NS,
    ONLINE,
    SECONDS,
    SHADOW,
    SILENT,
    SYMBOLS,
    TOKENS,
    SignalsMarket,
)

from flows.archive import Archive, start_of
from infra.analytics import dbt
from infra.analytics.book import opened_book
from infra.clickhouse.client import connect
from infra.clickhouse.inserts import Inserter
from kitepilot import events as e
from kitepilot import topics
from kitepilot.config import Config, override
from kitepilot.models import feature_drift, labels
from kitepilot.models.reference import references_of
from kitepilot.models.scored_day import Minute, outcomes
from kitepilot.models.training import auc
from kitepilot.run import Run
from research.labels import ChargedCost
from research.walkforward.measures import calibration_error, log_loss, reliability

DAYS = (date(2026, 11, 18), date(2026, 11, 19), date(2026, 11, 20))
MARTS = (
    "fct_signal_quality",
    "fct_signal_decay",
    "fct_score_calibration",
    "fct_model_performance",
    "fct_model_drift",
    "fct_feature_health",
    "fct_feed_health",
    "fct_instrument_feed",
)
KEPT = ",config.materialized:incremental"  # the views are there already
HORIZONS_S = (60, 120, 300, 600, 900, 1800, 3600)
STALE_S = 60
pytestmark = pytest.mark.stack
TERMS = Path(__file__).parents[2] / "dbt_project" / "macros" / "signal_terms.sql"


@dataclass(frozen=True)
class Book:
    """A server with the market's days archived and their marts built."""

    run: Run
    markets: tuple[SignalsMarket, ...]

    @property
    def today(self) -> SignalsMarket:
        return self.markets[2]

    def rows(self, sql: str, of: SignalsMarket | None = None) -> list[dict[str, Any]]:
        where = f" where run_id = '{of.run_id}'" if of else ""
        with connect(self.run, "dbt", database="default") as client:
            return list(client.query(sql + where).named_results())

    def mart(self, name: str, of: SignalsMarket | None = None) -> list[dict[str, Any]]:
        return self.rows(f"select * from kitepilot_marts.{name}", of or self.today)

    def prints(self) -> dict[str, tuple[Any, ...]]:
        """Per mart: rows, and a hash of all of them whatever their order."""
        found = {}
        for name in MARTS:
            sql = f"select count() as rows, sum(cityHash64(*)) as print from kitepilot_marts.{name}"
            [row] = self.rows(sql)
            found[name] = (row["rows"], row["print"])
        return found


def archived(run: Run, market: SignalsMarket) -> SignalsMarket:
    own = Run(market.run_id, run.home / "runs" / market.run_id, run.config)
    own.folder.mkdir(parents=True)
    (own.folder / "start_offsets.json").write_text((run.folder / "start_offsets.json").read_text())
    inserter = Inserter(connect(run, "sink"), own.folder / "archive.spool")
    archive = Archive(market.run_id, market.session, start_of(own), inserter)
    archive.add(market.records())
    archive.flush()
    archive.close()
    return market


def built(run: Run, days: dbt.Days | None = None, kinds: str = "") -> None:
    """Without the invariants: the whole book's build runs those, over every mart.

    `kinds`: of what they rest on too, only what is materialised so (and which days there are).
    """
    wanted = ["int_archived_days", *(f"+{name}{kinds}" for name in MARTS)]
    outcome = dbt.build(run, days, wanted, tested="none")
    assert outcome.ok, [each for each in (*outcome.made, *outcome.failures) if each.failed]


@pytest.fixture(scope="module")
def book(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Book]:
    """Two days are built, then a third and a second run of the first: marts as they grow."""
    if dbt.dbt_program() is None:
        pytest.skip("dbt is not installed: `make bootstrap`")
    home = tmp_path_factory.mktemp("signals-home")
    (home / "clickhouse" / "data").mkdir(parents=True)
    config = override(Config(), **{"storage.clickhouse_url": f"http://127.0.0.1:{free_port()}"})
    with opened_book(config, home) as run:
        (run.folder / "start_offsets.json").write_text(json.dumps({each.name: 0 for each in topics.TOPICS}))
        first, second = (archived(run, SignalsMarket(day, seed)) for seed, day in enumerate(DAYS[:2], 1))
        built(run)
        third = archived(run, SignalsMarket(DAYS[2], 3, shift=1.5))
        again = archived(run, SignalsMarket(DAYS[0], 4))
        built(run, kinds=KEPT)
        yield Book(run, (first, second, third, again))


# --- by hand -------------------------------------------------------------------------------------------


class Followed(NamedTuple):
    """What following one signal for one horizon came to."""

    signal: e.SignalRaised
    horizon_s: int
    outcome: str
    move_bps: float = math.nan
    gross_bps: float = math.nan


def followed(market: SignalsMarket, signal: e.SignalRaised, horizon_s: int) -> Followed:
    """Second by second, as a person would look it up: the first mark after the decision, the last one due."""
    column = TOKENS.index(signal.token)
    decided = (signal.event_at - GRACE_NS - market.open_at) // NS - 1
    due = decided + horizon_s
    heard = np.flatnonzero(market.heard[:, column])
    after = heard[(heard > decided) & (heard <= decided + STALE_S)]
    before = heard[(heard <= due) & (heard >= due - STALE_S)]
    if not after.size:
        return Followed(signal, horizon_s, "no_entry_price")
    if signal.event_at + horizon_s * NS > market.open_at + market.closes_s(column) * NS:
        return Followed(signal, horizon_s, "session_end")
    if not before.size or before[-1] < after[0]:
        return Followed(signal, horizon_s, "no_exit_price")
    enters, leaves = int(after[0]), int(before[-1])
    last = market.last[:, column]
    paid, got = (market.ask, market.bid) if signal.side is e.Side.BUY else (market.bid, market.ask)
    assert signal.side is not None
    gross = signal.side.sign * (got[leaves, column] / paid[enters, column] - 1.0) * 1e4
    return Followed(signal, horizon_s, "complete", (last[leaves] / last[enters] - 1.0) * 1e4, float(gross))


def every_following(market: SignalsMarket) -> list[Followed]:
    entries = [each for each in market.signals if each.side is not None]
    return [
        followed(market, each, horizon)
        for each in entries
        for horizon in dict.fromkeys((*HORIZONS_S, each.horizon_s))
    ]


def cost_bps(market: SignalsMarket) -> float:
    return ChargedCost().bps_on(market.session)


def near(wanted: float) -> Any:
    """Marts keep six decimals."""
    return None if math.isnan(wanted) else pytest.approx(wanted, abs=2e-6)


def scored(market: SignalsMarket, model: str) -> tuple[Any, Any]:
    """(scores, labels) of the model's rows whose label is known, in order of close and token."""
    prices, order = market.minute_prices(), np.argsort(TOKENS)
    minutes = (
        Minute(
            market.minute_close(minute), {model: market.scores[model][minute, order]}, prices[minute, order]
        )
        for minute in range(MINUTES)
    )
    found = list(outcomes(minutes))
    said, y = (np.concatenate(parts) for parts in ([o.scores[model] for o in found], [o.y for o in found]))
    return said[np.isfinite(said)], y[np.isfinite(said)]


# --- signals -------------------------------------------------------------------------------------------


def test_a_return_begins_at_the_first_mark_after_the_decision_and_ends_at_the_horizon(book: Book) -> None:
    found = book.rows("select * from kitepilot_intermediate.int_signal_outcomes", book.today)
    told = {(row["signal_id"], row["horizon_s"]): row for row in found}
    wanted = every_following(book.today)
    assert len(told) == len(wanted)
    for each in wanted:
        row = told[each.signal.signal_id, each.horizon_s]
        assert row["outcome"] == each.outcome
        assert row["move_bps"] == near(each.move_bps)
        assert row["gross_return_bps"] == near(each.gross_bps)
        assert row["net_return_bps"] == near(each.gross_bps - cost_bps(book.today))
    assert {each.outcome for each in wanted} == {"complete", "session_end", "no_entry_price", "no_exit_price"}


def test_what_a_round_trip_costs_is_what_the_core_charges(book: Book) -> None:
    for row in book.rows("select * from kitepilot_intermediate.int_round_trip_costs"):
        assert row["cost_bps"] == pytest.approx(ChargedCost().bps_on(row["session_date"]), rel=1e-12)


def judged(row: dict[str, Any], group: Sequence[Followed], cost: float) -> None:
    complete = [each for each in group if each.outcome == "complete"]
    net = np.array([each.gross_bps - cost for each in complete])
    assert (row["signals"], row["complete_signals"]) == (len(group), len(complete))
    assert row["cut_by_session_end"] == sum(each.outcome == "session_end" for each in group)
    assert row["hit_rate"] == near(float((net > 0).mean()) if net.size else math.nan)
    assert row["mean_net_return_bps"] == near(float(net.mean()) if net.size else math.nan)
    assert row["median_net_return_bps"] == near(float(np.median(net)) if net.size else math.nan)
    said = [each.signal.side.sign * each.signal.strength for each in complete if each.signal.side]
    moved = [each.move_bps for each in complete]
    ranked = float(spearmanr(said, moved).statistic) if len(said) >= 30 else math.nan
    assert row["information_coefficient"] == near(ranked)


def test_signal_quality_and_decay_agree_with_python(book: Book) -> None:
    known = every_following(book.today)
    own = [each for each in known if each.horizon_s == each.signal.horizon_s]
    quality, decay = book.mart("fct_signal_quality"), book.mart("fct_signal_decay")
    assert (len(quality), len(decay)) == (2, 14)
    for row in quality:
        judged(row, [each for each in own if each.signal.strategy == row["strategy"]], cost_bps(book.today))
    for row in decay:
        horizon = 60 * row["horizon_minutes"]
        group = [o for o in known if o.signal.strategy == row["strategy"] and o.horizon_s == horizon]
        judged(row, group, cost_bps(book.today))
    assert any(row["information_coefficient"] is not None for row in (*quality, *decay))
    assert any(row["information_coefficient"] is None for row in decay)


# --- models --------------------------------------------------------------------------------------------


def test_terms_of_the_label_and_of_drift_are_those_of_the_core() -> None:
    text = TERMS.read_text()
    said = dict(re.findall(r"{% macro (\w+)\(\) %}([\d.]+){% endmacro %}", text))
    assert float(said["label_horizon_s"]) == labels.HORIZON_S
    assert float(said["label_cost_bps"]) == labels.COST_BPS
    assert float(said["psi_least_share"]) == feature_drift.LEAST_SHARE
    assert float(said["psi_least_rows"]) == feature_drift.MIN_ROWS
    assert float(said["round_trip_notional_paise"]) == ChargedCost().notional_paise


@pytest.mark.parametrize("model", [LIVE, CANARY, SHADOW, ONLINE, BLEND])
def test_a_models_day_is_measured_as_its_training_was(book: Book, model: str) -> None:
    said, y = scored(book.today, model)
    [row] = [each for each in book.mart("fct_model_performance") if each["model"] == model]
    assert row["labelled_rows"] == len(said)
    assert row["scored_rows"] == int(np.isfinite(book.today.scores[model]).sum())
    base = float(y.mean())
    best = np.argsort(-said, kind="stable")[: max(1, len(said) // 50)]
    assert row["base_rate"] == near(base)
    assert row["auc"] == near(auc(y, said))
    assert row["brier"] == near(float(((said - y) ** 2).mean()))
    assert row["base_brier"] == near(base * (1 - base))
    assert row["log_loss"] == near(log_loss(y.astype(float), np.clip(said, 1e-9, 1 - 1e-9)))
    assert row["hit_rate_best_2pc"] == near(float(y[best].mean()))
    assert row["calibration_error"] == pytest.approx(calibration_error(y.astype(float), said), abs=2e-6)


def test_deciles_of_scores_are_those_of_the_reliability_curve(book: Book) -> None:
    for model in (LIVE, ONLINE):
        said, y = scored(book.today, model)
        rows = sorted(
            (row for row in book.mart("fct_score_calibration") if row["model"] == model),
            key=lambda row: row["decile"],
        )
        wanted = reliability(y.astype(float), said)
        assert [row["row_count"] for row in rows] == [part["rows"] for part in wanted]
        assert [row["mean_score"] for row in rows] == pytest.approx(
            [part["said"] for part in wanted], abs=1e-6
        )
        assert [row["true_share"] for row in rows] == pytest.approx(
            [part["true"] for part in wanted], abs=1e-6
        )


def test_a_score_is_held_against_what_one_could_still_have_traded(book: Book) -> None:
    """The move that the information coefficient is of begins at the first mark after the score."""
    market, horizon = book.today, labels.HORIZON_S
    said, moved = [], []
    for minute in range(MINUTES - horizon // 60):
        for column in range(len(TOKENS)):
            second = 60 * minute + 59
            heard = np.flatnonzero(market.heard[:, column])
            after = heard[(heard > second) & (heard <= second + 60)]
            due = heard[(heard <= second + horizon) & (heard > second + horizon - 60)]
            if after.size and due.size:
                said.append(market.scores[LIVE][minute, column])
                moved.append(market.last[due[-1], column] / market.last[after[0], column] - 1.0)
    [row] = [each for each in book.mart("fct_model_performance") if each["model"] == LIVE]
    assert row["information_rows"] == len(said)
    assert row["information_coefficient"] == near(float(spearmanr(said, moved).statistic))


def test_a_model_is_told_by_the_part_it_played(book: Book) -> None:
    roles = {row["model"]: row["role"] for row in book.mart("fct_model_performance")}
    assert roles == {LIVE: "live", ONLINE: "online", BLEND: "blend", CANARY: "canary", SHADOW: "shadow"}


def test_every_word_about_a_model_is_kept_in_order(book: Book) -> None:
    words = sorted(book.mart("fct_model_drift"), key=lambda row: row["log_offset"])
    assert [(row["finding"], row["model"]) for row in words] == [
        ("judgement", BLEND),
        ("judgement", BLEND),
        ("drift", LIVE),
    ]
    assert [row["model_state"] for row in words] == ["drifted", "fresh", ""]
    performance = {row["model"]: row for row in book.mart("fct_model_performance")}
    assert performance[BLEND]["last_judgement"] == "fresh"
    assert performance[LIVE]["drifts_found"] == 1


# --- features ------------------------------------------------------------------------------------------


def test_a_feature_is_held_against_the_sessions_before_it_and_never_after(book: Book) -> None:
    first, second, third, again = book.markets
    health = {
        (row["run_id"], row["feature"]): row
        for row in book.rows("select * from kitepilot_marts.fct_feature_health")
    }
    for market, past in ((third, (again, second)), (second, (again,)), (first, ())):
        for number, name in enumerate(FEATURE_NAMES):
            row = health[market.run_id, name]
            values = market.features[:, :, number].ravel()
            assert row["past_sessions"] == len(past)
            assert row["share_missing"] == near(float(np.isnan(values).mean()))
            assert row["is_constant"] is (name == "stuck")
            assert row["mean"] == near(float(np.nanmean(values)))
            if not past:
                assert row["psi"] is None
                continue
            then = np.concatenate([each.features[:, :, number].ravel() for each in past])[:, None]
            reference = references_of([name], then, [then])[name]
            edges = np.array([reference.edges])
            counts = feature_drift.counted(values[:, None], edges)
            [wanted] = feature_drift.stability(np.array([reference.shares]), counts)
            assert row["psi"] == pytest.approx(wanted, abs=0.02 + 0.1 * wanted)
    assert health[third.run_id, "wanders"]["psi"] > 0.25
    assert health[second.run_id, "wanders"]["psi"] < 0.25


# --- the feed ------------------------------------------------------------------------------------------


def test_seconds_without_ticks_are_told_in_the_minute_they_belong_to(book: Book) -> None:
    market = book.today
    minutes = sorted(book.mart("fct_feed_health"), key=lambda row: row["minute_at"])
    heard = market.heard.any(axis=1)
    assert len(minutes) == MINUTES
    for number, row in enumerate(minutes):
        part = slice(60 * number, 60 * number + 60)
        assert row["ticks"] == int(market.heard[part].sum())
        if number < MINUTES - 1:
            assert row["seconds_open"] == 60
            assert row["seconds_without_ticks"] == int((~heard[part]).sum())
        trading = np.array([market.closes_s(column) > 60 * number for column in range(len(TOKENS))])
        assert row["instruments"] == int(trading.sum())
        assert row["silent_instruments"] == int((trading & ~market.heard[part].any(axis=0)).sum())
        assert row["tick_age_p50_ms"] is None
    assert max(row["longest_silence_s"] for row in minutes) >= len(SILENT)
    assert minutes[-1]["silent_instruments"] == 1
    assert sum(row["feed_downs"] for row in minutes) == 1


def test_no_dead_letter_is_lost_on_its_way_to_a_minute(book: Book) -> None:
    minutes = book.mart("fct_feed_health")
    reasons: dict[str, int] = {}
    for row in minutes:
        for reason, count in row["dead_letters_by_reason"].items():
            reasons[reason] = reasons.get(reason, 0) + count
    assert reasons == {"off_grid": 3, "bad_frame": 1, "undecodable": 2}


def test_an_instrument_that_fell_silent_says_since_when(book: Book) -> None:
    market = book.today
    rows = {row["token"]: row for row in book.mart("fct_instrument_feed")}
    assert sorted(row["tradingsymbol"] for row in rows.values()) == sorted(SYMBOLS)
    for column, token in enumerate(TOKENS):
        heard = np.flatnonzero(market.heard[:, column])
        row = rows[token]
        assert (row["ticks"], row["seconds_heard"]) == (len(heard), len(heard))
        assert row["longest_silence_s"] == int(np.diff(heard).max()) - 1
        assert row["minutes_heard"] == len(set(heard // 60))
        assert row["session_minutes"] == market.closes_s(column) // 60
        last = (row["last_tick_at"].timestamp() * NS - market.open_at) / NS
        assert last == heard[-1]
    assert rows[TOKENS[-1]]["minutes_heard"] < SECONDS // 60 - (SECONDS - MUTE_FROM) // 60 + 1


# --- the book ------------------------------------------------------------------------------------------


def test_days_built_one_by_one_are_those_of_a_full_refresh(book: Book) -> None:
    """The first day was redone for its second run, and with it what later days are held against."""
    step_by_step = book.prints()
    built(book.run, dbt.Days(full_refresh=True), KEPT)
    assert book.prints() == step_by_step
    assert all(rows for rows, _ in step_by_step.values())
