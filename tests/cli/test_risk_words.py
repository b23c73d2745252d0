"""What a person writes about limits becomes settings, or one line that says what is wrong."""

from __future__ import annotations

import pytest

from kitepilot.cli.risk_words import ist_time
from kitepilot.config import Config, ConfigError
from kitepilot.market.calendar import to_ist
from kitepilot.risk.edits import changed
from kitepilot.risk.versions import changes

CONFIGURED = Config().risk.profile()


@pytest.mark.parametrize(
    ("word", "field", "value"),
    [
        ("daily_loss=15,000", "daily_loss_paise", 1_500_000),
        ("daily_loss=₹15000.50", "daily_loss_paise", 1_500_050),
        ("daily_loss_rupees=15000", "daily_loss_paise", 1_500_000),
        ("open_positions= 8", "open_positions", 8),
        ("stale_quote_s=2.5", "stale_quote_s", 2.5),
        ("entry_protection_bps=0", "entry_protection_bps", 0),
    ],
)
def test_limits_are_written_in_rupees_bps_and_counts(word: str, field: str, value: float) -> None:
    assert getattr(changed(CONFIGURED, [word]).limits, field) == value


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("dayly_loss=3", "did you mean `daily_loss`"),
        ("zzz=3", "there are: daily_loss, drawdown"),
        ("daily_loss", "is not NAME=VALUE"),
        ("daily_loss=lots", "not a number"),
        ("daily_loss=1.005", "paise at the smallest"),
        ("open_positions=2.5", "a whole number"),
        ("open_positions=nan", "a whole number"),
        ("stale_quote_s=inf", "must be"),
    ],
)
def test_what_cannot_be_is_one_line(word: str, told: str) -> None:
    with pytest.raises(ConfigError, match=told):
        changed(CONFIGURED, [word])


def test_lists_and_sizing_are_part_of_the_profile() -> None:
    words = ["blocked=sbin, INFY", "allowed=TCS", "sizing=fixed_quantity", "sizing.shares=40"]
    made = changed(CONFIGURED, words)
    assert (made.allowed, made.blocked) == (("TCS",), ("INFY", "SBIN"))
    assert (made.sizing.method, made.sizing.parameters) == ("fixed_quantity", {"shares": 40})
    assert changed(made, ["blocked="]).blocked == ()
    assert changed(CONFIGURED, ["sizing.notional_rupees=50000"]).sizing.parameters == {
        "notional_paise": 5_000_000
    }


def test_a_change_is_told_in_the_words_it_was_made_with() -> None:
    made = changed(CONFIGURED, ["daily_loss=15000", "blocked=INFY", "sizing.notional_rupees=50000"])
    assert changes(CONFIGURED, made) == [
        "daily_loss ₹25,000 -> ₹15,000",
        "sizing fixed_notional notional_paise=6000000 -> fixed_notional notional_paise=5000000",
        "blocked none named -> INFY",
    ]


def test_a_time_is_indian_and_refused_otherwise() -> None:
    assert to_ist(ist_time("2026-11-23 09:15")).strftime("%F %R %z") == "2026-11-23 09:15 +0530"
    assert to_ist(ist_time("2026-11-23")).strftime("%F %R") == "2026-11-23 00:00"
    with pytest.raises(ConfigError, match="--from 'soon'"):
        ist_time("soon")
