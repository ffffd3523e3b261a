"""What an app is watched by must fit together, and each refusal says what to do."""

import pytest
from msgspec import structs

from headway.core import metrics
from headway.errors import InvalidInput
from headway.model.plan import Action, AppConfig, Kind, Metric, Step, Watching
from headway.model.source import GraphiteSource, PrometheusSource

ERRORS = Metric("errors", "errors", per="requests")
PROM = PrometheusSource(name="prom", url="http://prom", totals={"jobs": "sum(jobs)"})


def app(**facts: object) -> AppConfig:
    return structs.replace(AppConfig("web", metrics=(ERRORS,)), **facts)


def test_what_fits_is_taken() -> None:
    queue = Metric("queue", "queue", kind=Kind.CONTINUOUS)
    metrics.check(app(metrics=(ERRORS, queue), levels=("queue",), sources=(PROM,)))
    metrics.check(AppConfig("web"))


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"metrics": (ERRORS, ERRORS)}, "the metric errors is there twice"),
        ({"plans": {"p": (Step("canary", metrics=("eror",)),)}}, 'did you mean "errors"'),
        ({"watch": Watching(metrics=("nope",))}, 'watch: there is no metric "nope"'),
        ({"watch": Watching(then=Action.REVERT)}, "nothing to revert"),
        ({"sources": (PROM, PROM)}, "the source prom is there twice"),
        (
            {"sources": (PROM, GraphiteSource(name="g", url="http://g", counts={"jobs": "x"}))},
            "the counter jobs is there twice",
        ),
        ({"sources": (structs.replace(PROM, totals={}),)}, "has no query"),
        ({"sources": (structs.replace(PROM, url="http://prom/a/../b"),)}, "must not contain"),
        (
            {"sources": (structs.replace(PROM, levels={"queue": "q"}, counts={"jobs": "x"}),)},
            "is there twice",
        ),
        (
            {"metrics": (Metric("q", "queue"),), "levels": ("queue",)},
            'give it kind = "continuous"',
        ),
    ],
)
def test_what_does_not_fit_is_refused(facts: dict[str, object], told: str) -> None:
    with pytest.raises(InvalidInput, match=told):
        metrics.check(app(**facts))
