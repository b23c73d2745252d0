"""The equity curve and the latency figures of the report."""

from hypothesis import given
from hypothesis import strategies as st

from kitepilot.cli.outcome import percentiles
from kitepilot.cli.report import MINUTE_NS, EquityCurve, chart, ist_clock
from kitepilot.money import rupees


def test_the_curve_keeps_one_point_a_minute_and_the_last_mark() -> None:
    curve = EquityCurve()
    for second in range(3600):
        curve.add(second * 1_000_000_000, -second, 1)
    points = curve.all()
    assert len(points) == 61
    assert points[-1].net_paise == -3599


@given(st.lists(st.integers(-(10**8), 10**8), min_size=2, max_size=400))
def test_every_point_of_the_chart_lies_inside_its_frame(values: list[int]) -> None:
    curve = EquityCurve()
    for minute, value in enumerate(values):
        curve.add(minute * MINUTE_NS, value, 0)
    drawn = chart(curve.all())
    for pair in drawn["path"].split():
        x, y = map(float, pair.split(","))
        assert 0 <= x <= drawn["width"]
        assert 0 <= y <= drawn["height"]


def test_a_day_without_marks_has_no_chart() -> None:
    assert chart([]) == {}


def test_money_and_time_are_shown_as_the_desk_reads_them() -> None:
    assert rupees(-123_450) == "-1,234.50"
    assert ist_clock(1_625_461_887 * 10**9) == "10:41:27"


def test_latencies_are_milliseconds_and_null_without_samples() -> None:
    assert percentiles([]) == {"p50": None, "p95": None, "p99": None}
    assert percentiles([2_000_000] * 10) == {"p50": 2.0, "p95": 2.0, "p99": 2.0}
