"""How often somebody may ask."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headway.core.budget import Bucket, Rate, take

RATE = Rate(2.0, 3)


@pytest.mark.parametrize(
    ("bucket", "now", "left", "wait"),
    [
        (None, 10.0, 2.0, 0.0),  # who comes first has the whole burst
        (Bucket(2.0, 10.0), 10.0, 1.0, 0.0),
        (Bucket(1.0, 10.0), 10.0, 0.0, 0.0),
        (Bucket(0.0, 10.0), 10.0, 0.0, 0.5),  # empty: half a second for one
        (Bucket(0.5, 10.0), 10.0, 0.5, 0.25),
        (Bucket(0.0, 10.0), 10.25, 0.5, 0.25),  # what is refused takes nothing
        (Bucket(0.0, 10.0), 10.5, 0.0, 0.0),
        (Bucket(0.0, 10.0), 11.0, 1.0, 0.0),
        (Bucket(0.0, 10.0), 9999.0, 2.0, 0.0),  # never more than the burst
        (Bucket(1.0, 10.0), 0.0, 0.0, 0.0),  # the clock has gone back: nothing is filled
        (Bucket(0.0, 10.0), 0.0, 0.0, 0.5),
    ],
)
def test_a_request(bucket: Bucket | None, now: float, left: float, wait: float) -> None:
    assert take(bucket, RATE, now) == (Bucket(left, now), wait)


def test_no_limit_is_none() -> None:
    bucket = None
    for _ in range(1000):
        bucket, wait = take(bucket, Rate(0.0, 1), 5.0)
        assert wait == 0.0


@given(st.lists(st.floats(0.0, 10.0), max_size=200), st.floats(0.5, 50.0), st.integers(1, 20))
def test_no_more_than_the_rate_and_a_burst_ever_passes(
    gaps: list[float], per_second: float, burst: int
) -> None:
    rate, now, bucket, passed = Rate(per_second, burst), 0.0, None, 0
    for gap in gaps:
        now += gap
        bucket, wait = take(bucket, rate, now)
        passed += wait == 0.0
    assert passed <= burst + now * per_second + 1e-6


@given(st.floats(0.0, 1.0, exclude_max=True), st.floats(0.1, 1e4))
def test_who_waits_as_told_is_let_in(left: float, per_second: float) -> None:
    rate = Rate(per_second, 5)
    bucket, wait = take(Bucket(left, 100.0), rate, 100.0)
    assert wait > 0
    assert take(bucket, rate, 100.0 + wait * (1 + 1e-9) + 1e-9)[1] == 0.0
