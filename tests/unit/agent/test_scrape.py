"""Sums over Prometheus metrics."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, Counter, generate_latest

from headway.agent.scrape import selector, sums
from headway.errors import InvalidInput

TEXT = """# HELP http_requests_total Requests.
# TYPE http_requests_total counter
http_requests_total{path="/",status="200"} 10
http_requests_total{path="/",status="500"} 2 1700000000000
http_requests_total{path="/a,b}\\"c\\\\",status="503",} 3.5e0
http_requests_total{status="404"} +Inf
http_requests_total_created{status="200"} 1.7e9
up 1
this line { is broken
"""


@pytest.mark.parametrize(
    ("text", "total"),
    [
        ("http_requests_total", 15.5),
        ('http_requests_total{status="200"}', 10.0),
        ('http_requests_total{status!="200"}', 5.5),
        ('http_requests_total{status=~"5.."}', 5.5),
        ('http_requests_total{status=~"5"}', 0.0),
        ('http_requests_total{status!~"5..", path="/"}', 10.0),
        (r'http_requests_total{path="/a,b}\"c\\"}', 3.5),
        ('http_requests_total{missing=""}', 15.5),
        ('http_requests_total{missing!=""}', 0.0),
        ("http_requests_total{}", 15.5),
        (" up ", 1.0),
    ],
)
def test_a_selector_sums(text: str, total: float) -> None:
    assert sums(TEXT, {"x": selector(text)}) == {"x": total}


def test_what_does_not_occur_is_left_out() -> None:
    assert sums(TEXT, {"x": selector("nothing"), "up": selector("up")}) == {"up": 1.0}


@pytest.mark.parametrize(
    "text", ["", "{}", "a b", "a{", 'a{b="c"', "a{b=c}", 'a{b="c" d="e"}', 'a{b=~"("}', "a{b}"]
)
def test_what_is_no_selector_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput):
        selector(text)


@given(st.dictionaries(st.text(max_size=12), st.integers(0, 10**6), min_size=1, max_size=5))
def test_what_the_official_client_writes_is_understood(counts: dict[str, int]) -> None:
    registry = CollectorRegistry()
    counter = Counter("hits", "Hits.", ["label"], registry=registry)
    for label, number in counts.items():
        counter.labels(label).inc(number)
    text = generate_latest(registry).decode()
    for label, number in counts.items():
        quoted = label.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
        found = sums(text, {"x": selector(f'hits_total{{label="{quoted}"}}')})
        assert found == {"x": float(number)}


@given(st.text(max_size=300))
def test_no_text_is_too_strange(text: str) -> None:
    sums(text, {"x": selector('a{b="c"}')})
