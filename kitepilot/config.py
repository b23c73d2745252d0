"""Configuration: one typed YAML file, secrets from the environment, a hash that names it.

Unknown keys are refused with the nearest valid name. The hash is over the canonical form (defaults
filled in, keys sorted, secrets absent), so two files that mean the same have the same hash.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import re
import typing
from datetime import date
from pathlib import Path
from typing import Any

import msgspec
import yaml

from kitepilot.alerts.desk import Policy, Target
from kitepilot.alerts.kinds import Severity
from kitepilot.events import RiskLimits, RiskProfile, Sizing
from kitepilot.models.gates import Bounds
from kitepilot.risk import sizing

MOST_ALERT_TARGETS = 8
# Kite Connect exceptions page, read 2026-07-14; per client account
KITE_ORDER_CAPS = {"orders_per_second": 10, "orders_per_minute": 400, "orders_per_day": 5_000}


class ConfigError(ValueError):
    """The configuration cannot be used; the text names file, key and remedy."""


REGISTRY = "registry"  # models.offline: the live model of `kitepilot models`
RUPEES = "_rupees"
LATEST = "latest"
Weekday = typing.Literal["monday", "tuesday", "wednesday", "thursday", "friday"]
PackReplay = typing.Literal["all", "decisions", "none"]
DriftAct = typing.Literal["tell", "refuse_entries", "reduce"]
#: In an address: before its host, or among its parameters.
_PASSWORD = re.compile(r"(://[^\s/:@\"']*:)[^\s/@\"']+(?=@)|([?&]password=)[^&\s\"']+")
FULL_BAND_BPS = 10_000  # the broker takes a market protection of at most 100 %


class Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Base of every section: frozen, nothing unknown."""


class SessionSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which day is traded, and how fast time runs. `speed` is session seconds per second, or "max".

    `square_off` starts leaving before the exchange calendar's time: IST by symbol, "*" for all others. The
    time to be flat moves with it.
    """

    date: str = "2026-11-20"
    speed: float | str = 120.0
    max_lead_s: float = 15.0  # paper: session time may run this far ahead of the decision flow
    square_off: dict[str, str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for symbol, clock in self.square_off.items():
            if not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", clock):
                raise ValueError(f"session.square_off {symbol}: {clock!r} is not a time like 14:30")


class MarketSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The synthetic market, or a recorded one when `feed` names a file or folder of Parquet ticks.

    `symbols` are what is watched and traded live; empty means every NSE stock that has futures. `sectors`
    names a CSV file with the columns symbol and sector that has every stock which is traded; without one the
    synthetic market has sectors of its own, elsewhere `risk.sector_exposure_rupees` bounds each stock alone.
    """

    feed: str = ""
    seed: int = 20261120
    instruments: int = 50
    updates_per_s: float = 1.5
    symbols: list[str] = msgspec.field(default_factory=list)
    sectors: str = ""


class KernelSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bars close `grace_ms` of session time after their end; later ticks are counted and published."""

    grace_ms: int = 1500


class StrategySection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Enabled strategies and their parameters, by the name of their entry point or of their file.

    A file `NAME.py` in `strategies/` of the home is a strategy of the owner's own. `sources` is its text,
    written here when a run is created: what traded is part of the configuration and of its hash.
    """

    enabled: list[str] = msgspec.field(
        default_factory=lambda: ["vwap_reversion", "micro_momentum", "score_follower"]
    )
    parameters: dict[str, dict[str, float]] = msgspec.field(default_factory=dict)
    sources: dict[str, str] = msgspec.field(default_factory=dict)


class ModelSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which models score; empty: none. `offline`: "registry" for the live one of `kitepilot models`, with its
    canary and shadows; or an entry-point name, for the one that `kitepilot seed` trained last. `online`: by
    entry-point name. `shadow`: ids of models to score besides, in any stage, without following them.

    The blended score begins with `offline_weight` for the offline model. Errors of both decide from then on,
    forgotten by half in `half_life_min` minutes; 0 keeps the weight all day.

    `on_drift` says what follows when the blended score errs more than it did, `on_feature_drift` when a tenth
    of the offline model's features looks otherwise than in training. Either lasts until the owner resumes.

    `carry`: what the online model begins with. Empty: nothing, each morning. `latest`: what it had learned by
    the end of the last session before, in the same mode; the run's own configuration then names it by its
    SHA-256, which is the third thing that can stand here.
    """

    offline: str = REGISTRY
    online: str = "river_logistic"
    max_age_sessions: int = 20  # since the last day it was trained on (weekdays are counted)
    shadow: list[str] = msgspec.field(default_factory=list)
    canary_share: float = 0.1  # of the instruments, chosen by their tokens: the canary scores these
    gates: Bounds = Bounds()
    offline_weight: float = 0.7
    half_life_min: float = 60.0
    on_drift: DriftAct = "tell"
    on_feature_drift: DriftAct = "tell"
    carry: str = ""

    def __post_init__(self) -> None:
        if not 0.1 <= self.offline_weight <= 0.9:
            raise ValueError(f"models.offline_weight {self.offline_weight} must be 0.1 to 0.9")
        if not (self.half_life_min == 0 or 5 <= self.half_life_min <= 375):
            raise ValueError(f"models.half_life_min {self.half_life_min} must be 0, or 5 to 375 minutes")
        if not re.fullmatch(f"({LATEST}|[0-9a-f]{{64}})?", self.carry):
            raise ValueError(f"models.carry {self.carry!r} must be empty, {LATEST}, or a SHA-256")
        if self.max_age_sessions < 1:
            raise ValueError(f"models.max_age_sessions {self.max_age_sessions} must be at least 1")
        if not 0.0 <= self.canary_share <= 0.5:
            raise ValueError(f"models.canary_share {self.canary_share} must be 0 to 0.5")


class RetrainSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What is trained anew after the close, and when: `kitepilot retrain`. Nothing is promoted by itself.

    Due is the first close on one of `weekdays` or after it since the last one that went well; with
    `every_sessions` above 0 every so many sessions instead. `data` is a dataset; the rest are the options of
    `kitepilot train` by their names, costs in bps (`cost_bps` null: the day's charges and `slippage_bps`).
    """

    enabled: bool = False
    weekdays: list[Weekday] = msgspec.field(default_factory=lambda: ["friday"])
    every_sessions: int = 0
    data: str = ""
    model: str = "lightgbm"
    label: str = "horizon:5"
    cost_bps: float | None = None
    slippage_bps: float = 2.0
    folds: str = "rolling:10/3"
    embargo: str = "1h"
    trials: int = 0
    seed: int = 7
    jobs: int = 1
    calibration: str = "platt"
    features: list[str] = msgspec.field(default_factory=list)
    parameters: dict[str, int | float | str] = msgspec.field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, least in (("every_sessions", 0), ("trials", 0), ("seed", 0), ("jobs", 1)):
            if getattr(self, name) < least:
                raise ValueError(f"retrain.{name} {getattr(self, name)} must be at least {least}")
        if self.enabled and not self.data:
            raise ValueError("retrain.enabled wants a dataset in retrain.data (`kitepilot datasets list`)")
        if self.enabled and not (self.weekdays or self.every_sessions):
            raise ValueError("retrain.enabled wants retrain.weekdays or retrain.every_sessions")


class DailyPackSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The day's papers, made by themselves after the close: `kitepilot daily-pack`.

    `replay`: what of the day is computed again and compared: `all`, its `decisions` alone, or `none`.
    """

    enabled: bool = True
    replay: PackReplay = "all"


class SizingSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How large an entry is: docs/how-to/sizing.md. `parameters` are whole numbers, amounts `..._rupees`.

    Without parameters `fixed_notional` takes `risk.trade_notional_rupees`.
    """

    method: str = "fixed_notional"
    parameters: dict[str, int] = msgspec.field(default_factory=dict)

    def sizing(self, notional_rupees: int) -> Sizing:
        """In paise, as the fold takes it."""
        given = dict(self.parameters)
        if self.method == "fixed_notional" and not given:
            given = {"notional_rupees": notional_rupees}
        in_paise = {
            f"{name.removesuffix(RUPEES)}_paise" if name.endswith(RUPEES) else name: value
            * (100 if name.endswith(RUPEES) else 1)
            for name, value in given.items()
        }
        return Sizing(method=self.method, parameters=in_paise)


class RiskSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Limits in rupees, as a person writes them. See `RiskLimits` for meaning.

    `allowed` and `blocked` are trading symbols; nothing in `allowed` means all that are watched.
    """

    daily_loss_rupees: int = 25_000
    drawdown_rupees: int = 25_000
    trade_risk_rupees: int = 2_500
    instrument_exposure_rupees: int = 150_000
    gross_exposure_rupees: int = 2_000_000
    net_exposure_rupees: int = 2_000_000
    sector_exposure_rupees: int = 1_000_000
    order_value_rupees: int = 100_000
    order_quantity: int = 20_000
    volume_share_bps: int = 100
    open_positions: int = 20
    orders_per_second: int = 8
    orders_per_minute: int = 200
    orders_per_day: int = 3_000
    trades_per_day: int = 1_500
    trades_per_instrument: int = 200
    loss_streak: int = 20
    loss_pause_s: int = 300
    price_band_bps: int = 200
    stale_quote_s: float = 15.0
    spread_bps: int = 50
    circuit_distance_bps: int = 50
    cash_reserve_rupees: int = 10_000
    feed_settle_s: float = 5.0
    clock_skew_ms: int = 2_000
    model_age_s: float = 180.0
    entry_protection_bps: int = 5
    exit_protection_bps: int = 20
    trade_notional_rupees: int = 60_000
    sizing: SizingSection = SizingSection()
    allowed: list[str] = msgspec.field(default_factory=list)
    blocked: list[str] = msgspec.field(default_factory=list)

    def __post_init__(self) -> None:
        for field in msgspec.structs.fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int | float):
                continue
            if value < 0 or (value == 0 and field.name != "entry_protection_bps"):
                raise ValueError(f"risk.{field.name} {value} must be above 0")
        if self.price_band_bps > FULL_BAND_BPS:
            raise ValueError(f"risk.price_band_bps {self.price_band_bps} must be at most {FULL_BAND_BPS}")
        if self.exit_protection_bps > self.price_band_bps:
            raise ValueError(
                f"risk.exit_protection_bps {self.exit_protection_bps} must be 1 to {self.price_band_bps}, "
                "risk.price_band_bps: a market exit without protection, or past the band, is not sent"
            )
        if wrong := sizing.flaw(self.sizing.sizing(self.trade_notional_rupees)):
            raise ValueError(wrong.replace("_paise", RUPEES))

    def limits(self) -> RiskLimits:
        return RiskLimits(
            daily_loss_paise=self.daily_loss_rupees * 100,
            drawdown_paise=self.drawdown_rupees * 100,
            trade_risk_paise=self.trade_risk_rupees * 100,
            instrument_exposure_paise=self.instrument_exposure_rupees * 100,
            gross_exposure_paise=self.gross_exposure_rupees * 100,
            net_exposure_paise=self.net_exposure_rupees * 100,
            sector_exposure_paise=self.sector_exposure_rupees * 100,
            order_value_paise=self.order_value_rupees * 100,
            order_quantity=self.order_quantity,
            volume_share_bps=self.volume_share_bps,
            open_positions=self.open_positions,
            orders_per_second=self.orders_per_second,
            orders_per_minute=self.orders_per_minute,
            orders_per_day=self.orders_per_day,
            trades_per_day=self.trades_per_day,
            trades_per_instrument=self.trades_per_instrument,
            loss_streak=self.loss_streak,
            loss_pause_s=self.loss_pause_s,
            price_band_bps=self.price_band_bps,
            stale_quote_s=self.stale_quote_s,
            spread_bps=self.spread_bps,
            circuit_distance_bps=self.circuit_distance_bps,
            cash_reserve_paise=self.cash_reserve_rupees * 100,
            feed_settle_s=self.feed_settle_s,
            clock_skew_ms=self.clock_skew_ms,
            model_age_s=self.model_age_s,
            entry_protection_bps=self.entry_protection_bps,
            exit_protection_bps=self.exit_protection_bps,
        )

    def profile(self) -> RiskProfile:
        """The first version: what the configuration says."""
        return RiskProfile(
            version=1,
            limits=self.limits(),
            sizing=self.sizing.sizing(self.trade_notional_rupees),
            allowed=tuple(self.allowed),
            blocked=tuple(self.blocked),
        )


class BrokerSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where Kite is, and how it is asked. The defaults are the local sandbox's; live uses Kite's addresses.

    Orders above `slice_value_rupees` or `freeze_quantity` are sent as several. The exchange's freeze quantity
    differs by security and day and is in no Kite file; 100,000 shares have been seen for a large one, and the
    default stays far below. Brokerage is capped per order, so slices of a large order cost a little more.

    `token_key_url` and `api_secret_url` say where secrets lie (`env:NAME`, `file:///path`,
    `keyring:service/name`), never what they are. A login of another user than `user_id` is refused.
    """

    rest_url: str = "http://127.0.0.1:18210"
    ticker_url: str = "ws://127.0.0.1:18211"
    admin_url: str = "http://127.0.0.1:18212"  # sandbox only
    api_key: str = "kitepilot_paper"
    user_id: str = ""
    redirect_url: str = "http://127.0.0.1:18209/kitepilot"  # as registered with the API key
    token_key_url: str = ""  # empty: $KITEPILOT_KEY, else keyring:kitepilot/key
    api_secret_url: str = ""  # empty: $KITEPILOT_API_SECRET, else keyring:kitepilot/<api_key>
    egress_ips: list[str] = msgspec.field(default_factory=list)  # registered with the broker for orders
    orders_per_second: int = 8  # entries: of Kite's 10; the rest is kept for exits and cancels
    orders_per_minute: int = 360  # entries: of Kite's 400
    orders_per_day: int = 4_500  # entries: of Kite's 5,000
    slice_value_rupees: int = 500_000
    freeze_quantity: int = 20_000
    local_ipv4: str = "0.0.0.0"  # noqa: S104 local address of REST requests; 0.0.0.0: any, but never IPv6
    request_timeout_s: float = 7.0
    idle_timeout_s: float = 6.0

    def __post_init__(self) -> None:
        for key, cap in KITE_ORDER_CAPS.items():
            if not 0 < getattr(self, key) <= cap:
                raise ValueError(f"broker.{key} {getattr(self, key)} must be 1 to {cap}, what Kite allows")
        try:
            ipaddress.IPv4Address(self.local_ipv4)
        except ValueError as err:
            raise ValueError(f"broker.local_ipv4 {self.local_ipv4!r} is not an IPv4 address") from err


class ReadinessSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the morning's checks ask of the machine and the account. An empty server or URL is not asked."""

    ntp_server: str = "time.cloudflare.com"
    egress_echo_url: str = ""  # answers with the caller's IPv4 address as plain text
    clock_skew_ms: int = 500
    min_cash_rupees: int = 50_000
    min_free_gib: int = 5
    feed_within_s: float = 8.0


class LogSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The event log: `sqlite` (embedded) or `kafka` (any Kafka-protocol broker)."""

    kind: typing.Literal["sqlite", "kafka"] = "sqlite"
    bootstrap_servers: str = "127.0.0.1:19092"


class StorageSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """PostgreSQL and ClickHouse. An empty database URL means the embedded server in `var/`."""

    database_url: str = ""
    clickhouse_url: str = "http://127.0.0.1:18123"
    clickhouse_database: str = "kitepilot"

    def __repr__(self) -> str:
        """Addresses may hold passwords."""
        fields = msgspec.structs.asdict(self).items()
        return without_passwords(f"StorageSection({', '.join(f'{name}={each!r}' for name, each in fields)})")


class AuditSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where the key lies that seals the audit (`env:NAME`, `file:///path`, `keyring:service/name`).

    Empty: $KITEPILOT_SEAL_KEY, else `seals/paper.key` in the home (paper) or keyring:kitepilot/seal (live).
    """

    key_url: str = ""


class WatchdogSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """When the watchdog flattens in the place of a process that does not speak.

    `silence_s`: machine seconds; longer than a supervised restart of the gateway takes, or it would flatten
    for one. `late_s`: session seconds past an instrument's time to be flat.
    """

    silence_s: float = 15.0
    late_s: float = 60.0

    def __post_init__(self) -> None:
        if not 2.0 <= self.silence_s <= 300.0:
            raise ValueError(f"watchdog.silence_s {self.silence_s} must be 2 to 300 seconds")
        if not 0.0 <= self.late_s <= 600.0:
            raise ValueError(f"watchdog.late_s {self.late_s} must be 0 to 600 seconds")


class ApiSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The API listens on loopback unless told otherwise, and elsewhere with TLS only.

    `tls_certificate` and `tls_key` are PEM files. `hosts` are further names it is asked for by, besides
    `host` and loopback's. `published_on_loopback`: it runs in a container whose port is published on the
    machine's loopback alone. `key_url` says where the key lies that sign-in's own secrets are sealed with.
    """

    host: str = "127.0.0.1"
    port: int = 18200
    tls_certificate: str = ""
    tls_key: str = ""
    hosts: list[str] = msgspec.field(default_factory=list)
    published_on_loopback: bool = False
    key_url: str = ""  # empty: $KITEPILOT_SIGN_IN_KEY, else a file of the home (paper) or the keyring (live)

    @property
    def tls(self) -> bool:
        return bool(self.tls_certificate)

    @property
    def local(self) -> bool:
        """Whether nobody beyond this machine can reach it."""
        return self.published_on_loopback or _is_loopback(self.host)

    def __post_init__(self) -> None:
        if bool(self.tls_certificate) != bool(self.tls_key):
            raise ValueError("api.tls_certificate and api.tls_key are PEM files that go together: set both")
        if not (self.tls or self.local):
            raise ValueError(
                f"api.host {self.host} can be reached from other machines, where passwords would travel in "
                "the clear: set api.tls_certificate and api.tls_key, or api.host 127.0.0.1"
            )


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


class AlertTargetSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who is told: docs/how-to/alerts.md.

    `url_at` says where the Apprise URL lies (`env:NAME`, `file:///path`, `keyring:service/name`): it holds a
    password. `least` severity that is told; `after_s`: told only of what nobody acknowledged for so long.
    """

    name: str
    url_at: str
    least: typing.Literal["warning", "critical"] = "warning"
    after_s: float = 0.0

    def __post_init__(self) -> None:
        if not re.fullmatch(r"[a-z0-9_-]{1,32}", self.name):
            raise ValueError(f"alerts.targets name {self.name!r} must be 1 to 32 of a-z, 0-9, - and _")
        if not 0.0 <= self.after_s <= 86_400.0:
            raise ValueError(f"alerts.targets after_s {self.after_s} must be 0 to 86400 seconds")


class AlertsSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Who is told what, and when. Without `targets` alerts are only listed (`kitepilot alerts list`).

    `quiet`: IST hours in which only critical alerts are told, as "22:00-07:00". `repeat_s` to the second call
    about a critical alert nobody acknowledged, doubling up to an hour; `settle_s`: how long nobody is told of
    a warning that comes back. `dead_man_s`: silence on the log in market hours that is an alert itself.
    `heartbeat_at` says where a URL lies that is asked every `heartbeat_s` while all is followed: a monitor
    elsewhere calls when it is not.
    """

    targets: list[AlertTargetSection] = msgspec.field(default_factory=list)
    quiet: str = ""
    repeat_s: float = 300.0
    settle_s: float = 300.0
    dead_man_s: float = 30.0
    heartbeat_at: str = ""
    heartbeat_s: float = 60.0

    def __post_init__(self) -> None:
        names = [target.name for target in self.targets]
        if len(set(names)) != len(names) or len(names) > MOST_ALERT_TARGETS:
            raise ValueError(f"alerts.targets: at most {MOST_ALERT_TARGETS}, each with a name of its own")
        self.quiet_minutes()
        for key, least in (("repeat_s", 10.0), ("settle_s", 0.0), ("dead_man_s", 5.0), ("heartbeat_s", 5.0)):
            if not least <= getattr(self, key) <= 86_400.0:
                raise ValueError(f"alerts.{key} {getattr(self, key)} must be {least:g} to 86400 seconds")

    def quiet_minutes(self) -> tuple[int, int]:
        """Minutes of the IST day, from and to; (0, 0) for none."""
        found = re.fullmatch(r"([01]\d|2[0-3]):([0-5]\d)-([01]\d|2[0-3]):([0-5]\d)", self.quiet)
        if self.quiet and not found:
            raise ValueError(f'alerts.quiet {self.quiet!r} is not like "22:00-07:00"')
        if not found:
            return (0, 0)
        hour, minute, to_hour, to_minute = map(int, found.groups())
        return (hour * 60 + minute, to_hour * 60 + to_minute)

    def policy(self) -> Policy:
        """As `kitepilot.alerts.desk` takes it."""
        targets = tuple(
            Target(name=each.name, least=Severity(each.least), after_s=each.after_s) for each in self.targets
        )
        return Policy(
            targets=targets, quiet=self.quiet_minutes(), repeat_s=self.repeat_s, settle_s=self.settle_s
        )


class TelemetrySection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What leaves the machine for those who watch it: docs/reference/metrics.md. Nothing does by default.

    `traces_url`: OTLP over HTTP, as `http://127.0.0.1:4318/v1/traces`. `logging`: how processes write what
    they say, as text or one JSON object a line. `loki_url`: where it is sent as well, as `http://127.0.0.1:3100`.
    `sentry_at` says where the address (DSN) lies that failures are told to: `env:NAME`, `file:///path`, ...
    """

    traces_url: str = ""
    logging: typing.Literal["text", "json"] = "text"
    loki_url: str = ""
    sentry_at: str = ""

    def __post_init__(self) -> None:
        for key in ("traces_url", "loki_url"):
            if (url := getattr(self, key)) and not re.match(r"https?://[^/@\s]+", url):
                raise ValueError(f"telemetry.{key} {url!r} must begin with http:// or https:// and a host")


class FlagsSection(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What may be switched off as a whole, for one run: docs/reference/configuration.md.

    `resume_by_api`: the owner resumes over the API and in the browser; off: only `kitepilot resume` does.
    `models_by_api`: the same of promoting models and rolling them back. `strategy_hot_reload`: a paper day
    takes the text of an own strategy whenever its file is saved; off: `kitepilot strategies reload` alone.
    """

    resume_by_api: bool = True
    models_by_api: bool = True
    strategy_hot_reload: bool = True


class Config(Section, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The whole configuration of one run."""

    mode: typing.Literal["paper", "live"] = "paper"
    session: SessionSection = SessionSection()
    market: MarketSection = MarketSection()
    kernel: KernelSection = KernelSection()
    strategies: StrategySection = StrategySection()
    models: ModelSection = ModelSection()
    retrain: RetrainSection = RetrainSection()
    daily_pack: DailyPackSection = DailyPackSection()
    risk: RiskSection = RiskSection()
    watchdog: WatchdogSection = WatchdogSection()
    broker: BrokerSection = BrokerSection()
    readiness: ReadinessSection = ReadinessSection()
    log: LogSection = LogSection()
    storage: StorageSection = StorageSection()
    audit: AuditSection = AuditSection()
    api: ApiSection = ApiSection()
    alerts: AlertsSection = AlertsSection()
    telemetry: TelemetrySection = TelemetrySection()
    flags: FlagsSection = FlagsSection()

    def __post_init__(self) -> None:
        try:
            date.fromisoformat(self.session.date)
        except ValueError as err:
            raise ValueError(f"session.date {self.session.date!r} is not a date like 2026-11-20") from err
        speed = self.session.speed
        if isinstance(speed, str) and speed != "max":
            raise ValueError(f'session.speed {speed!r} is neither a number nor "max"')
        if not isinstance(speed, str) and not 0 < speed <= 100_000:
            raise ValueError(f"session.speed {speed} must be above 0 and at most 100000")


def canonical(config: Config) -> bytes:
    """JSON with sorted keys and every default filled in, without passwords."""
    whole = msgspec.json.encode(msgspec.to_builtins(config), order="sorted")
    return without_passwords(whole.decode()).encode()


def without_passwords(text: str) -> str:
    """`text` with the passwords of the addresses in it as `***`."""
    return _PASSWORD.sub(lambda found: f"{found[1] or found[2]}***", text)


def config_hash(config: Config) -> str:
    """First 16 hex digits of the SHA-256 of `canonical`; stored with each run and each intent."""
    return hashlib.sha256(canonical(config)).hexdigest()[:16]


def load(path: Path | None) -> Config:
    """Read the YAML at `path`; defaults when `path` is None.

    Raises:
        ConfigError: unreadable file, YAML error, unknown key (with the nearest valid one), wrong type.
    """
    if path is None:
        return Config()
    try:
        raw = yaml.safe_load(path.read_text())
    except OSError as err:
        raise ConfigError(f"cannot read the configuration {path}: {err.strerror}") from err
    except yaml.YAMLError as err:
        raise ConfigError(f"{path} is not valid YAML: {err}") from err
    return build(raw or {}, str(path))


def build(raw: object, where: str = "configuration") -> Config:
    """Plain data -> Config. Raises `ConfigError` as `load` does."""
    try:
        return msgspec.convert(raw, Config)
    except msgspec.ValidationError as err:
        raise ConfigError(f"{where}: {_explain(str(err))}") from err


def override(config: Config, **changes: object) -> Config:
    """A copy with dotted keys replaced: `override(c, **{"session.speed": 60})`. None means keep.

    Raises:
        ConfigError: as `build`.
    """
    tree = typing.cast(dict[str, Any], msgspec.to_builtins(config))
    for dotted, value in changes.items():
        if value is None:
            continue
        *path, last = dotted.split(".")
        node = tree
        for key in path:
            node = node.setdefault(key, {})
        node[last] = value
    return build(tree, "command line")


def dump(config: Config) -> str:
    """YAML text that `load` reads back to an equal Config, passwords too: for the run's own folder."""
    return yaml.safe_dump(msgspec.to_builtins(config), sort_keys=False)


def shown(config: Config) -> str:
    """The same for a person, a report, the book of record: without passwords."""
    return without_passwords(dump(config))


def _explain(message: str) -> str:
    """Add the nearest valid key to msgspec's word about an unknown one."""
    found = re.search(r"unknown field `(?P<name>[^`]+)`(?: - at `\$\.?(?P<path>[^`]*)`)?", message)
    if not found:
        return message
    path = found["path"] or ""
    valid = _fields_at(path)
    near = difflib.get_close_matches(found["name"], valid, n=1)
    hint = f"did you mean `{near[0]}`?" if near else f"valid keys here: {', '.join(valid)}"
    place = f"{path}.{found['name']}" if path else found["name"]
    return f"unknown key `{place}`; {hint}"


def _fields_at(path: str) -> list[str]:
    struct: Any = Config
    for key in filter(None, path.split(".")):
        struct = typing.get_type_hints(struct).get(key, Section)
    return [field.name for field in msgspec.structs.fields(struct)]
