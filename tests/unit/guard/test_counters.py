"""Running totals become increments of the right build, whatever restarts in between."""

from headway.guard.counters import BUCKET, KEPT, SECONDS, Arm, Counters
from headway.model.report import Activity, Report

OLD, NEW = "b" * 64, "a" * 64


def report(running: str | None, boot: str = "boot", node: str = "n1", **totals: float) -> Report:
    return Report(
        node=node,
        app="web",
        boot=boot,
        seq=1,
        epoch=1,
        activity=Activity.IDLE,
        running=running,
        prepared=None,
        why="",
        at=0.0,
        counters=totals,
    )


def total(counters: Counters, build: str, name: str) -> float:
    buckets = counters.buckets(counters.arms("web", build), 0.0)
    return sum(bucket.sums.get(name, 0.0) for bucket in buckets)


def test_increments_not_totals_are_counted() -> None:
    counters = Counters()
    for now, requests in [(100.0, 1000.0), (101.0, 1010.0), (107.0, 1030.0)]:
        counters.ingest(report(OLD, requests=requests), "canary", now)
    assert total(counters, OLD, "requests") == 30
    assert total(counters, OLD, SECONDS) == 7
    begins = [bucket.begin for bucket in counters.buckets([Arm("web", "canary", OLD)], 0.0)]
    assert begins == [100.0, 105.0]


def test_a_total_that_fell_was_reset() -> None:
    counters = Counters()
    for now, requests in [(1.0, 50.0), (2.0, 7.0)]:
        counters.ingest(report(OLD, requests=requests), "canary", now)
    assert total(counters, OLD, "requests") == 7


def test_what_spans_a_change_of_build_belongs_to_neither() -> None:
    counters = Counters()
    counters.ingest(report(OLD, requests=50.0), "canary", 1.0)
    counters.ingest(report(NEW, requests=80.0), "canary", 2.0)
    counters.ingest(report(NEW, requests=85.0), "canary", 3.0)
    assert total(counters, NEW, "requests") == 5
    assert total(counters, OLD, "requests") == 0


def test_a_new_process_starts_its_build_from_nothing() -> None:
    counters = Counters()
    counters.ingest(report(OLD, requests=50.0), "canary", 1.0)
    counters.ingest(report(NEW, requests=4.0), "canary", 2.0)
    assert total(counters, NEW, "requests") == 4


def test_arms_are_told_apart_by_tier() -> None:
    counters = Counters()
    for node, tier in [("n1", "canary"), ("n2", "production")]:
        counters.ingest(report(NEW, node=node, requests=0.0), tier, 1.0)
        counters.ingest(report(NEW, node=node, requests=10.0), tier, 2.0)
    assert len(counters.arms("web", NEW)) == 2
    assert counters.arms("web", NEW, "canary") == [Arm("web", "canary", NEW)]


def test_memory_is_bounded() -> None:
    counters = Counters()
    for i in range(KEPT * 3):
        counters.ingest(report(OLD, requests=float(i)), "canary", i * BUCKET)
    assert len(counters.buckets(counters.arms("web", OLD), 0.0)) == KEPT


def test_a_node_that_just_changed_does_not_count_yet() -> None:
    counters = Counters()
    counters.ingest(report(OLD, requests=50.0), "canary", 1.0, warmup=10.0)
    for now, requests in [(2.0, 4.0), (8.0, 20.0), (11.0, 30.0), (12.0, 37.0), (13.0, 45.0)]:
        counters.ingest(report(NEW, requests=requests), "canary", now, warmup=10.0)
    assert total(counters, NEW, "requests") == 15
    assert total(counters, NEW, SECONDS) == 2


def test_a_node_that_just_restarted_does_not_count_yet() -> None:
    counters = Counters()
    for now, requests in [(1.0, 50.0), (2.0, 60.0), (3.0, 5.0), (9.0, 30.0), (14.0, 80.0)]:
        counters.ingest(report(OLD, requests=requests), "canary", now, warmup=10.0)
    assert total(counters, OLD, "requests") == 10 + 50


def test_a_gap_in_the_scraping_is_covered_by_the_next_report() -> None:
    """Time without totals must not look like time without requests."""
    counters = Counters()
    counters.ingest(report(OLD, requests=50.0), "canary", 1.0)
    counters.ingest(report(OLD), "canary", 2.0)
    assert total(counters, OLD, SECONDS) == 0
    counters.ingest(report(OLD, requests=80.0), "canary", 4.0)
    assert total(counters, OLD, "requests") == 30
    assert total(counters, OLD, SECONDS) == 3
