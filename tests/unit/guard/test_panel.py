"""Many series at once are each judged as if they were alone, in memory that stays flat."""

import numpy as np

from headway.guard import judge
from headway.guard.budget import Allowance
from headway.guard.numbers import Tick
from headway.guard.panel import Panel
from headway.guard.terms import Terms, terms
from headway.model.plan import Direction, Kind, Metric
from tests.unit.guard.healthy import quantities, ticks

METRICS = [
    Metric("errors", "errors", per="requests", above=0.05),
    Metric("log", "log", per="requests", direction=Direction.BOTH),
    Metric("traffic", "requests", direction=Direction.DOWN),
    Metric("latency", "seconds", per="requests", kind=Kind.CONTINUOUS),
    Metric("queue", "queue", kind=Kind.CONTINUOUS, direction=Direction.BOTH, above=0.5),
]
EACH = Allowance(1e-4, 1e-5, 1e-4)


def known(series: int) -> Terms:
    return terms([METRICS[i % len(METRICS)] for i in range(series)], [EACH] * series)


def play(panel: Panel, before: list[Tick], during: list[Tick]) -> None:
    panel.begin_tier(before)
    for index, tick in enumerate(during):
        if index == 20:
            panel.begin_step()
        panel.look(tick)


def only(tick: Tick, index: int) -> Tick:
    return Tick(*(column[index : index + 1] for column in (*tick.stacked(), tick.season)))


def test_company_changes_no_bit() -> None:
    series = 35
    before = list(ticks(1, series, 30)) + list(quantities(2, series, 10))
    during = list(ticks(3, series, 30, worse=1.4)) + list(quantities(4, series, 10, worse=1.2))
    together, terms_ = Panel(known(series)), known(series)
    play(together, before, during)
    crowd = together.numbers()
    findings = judge.conclude(terms_, crowd, 10.0)
    for index in range(series):
        alone_terms = terms([METRICS[index % len(METRICS)]], [EACH])
        alone = Panel(alone_terms)
        play(alone, [only(t, index) for t in before], [only(t, index) for t in during])
        numbers = alone.numbers()
        for name in numbers.__struct_fields__:
            one, many = getattr(numbers, name)[0], getattr(crowd, name)[index]
            assert one == many or (np.isnan(one) and np.isnan(many)), name
        assert judge.conclude(alone_terms, numbers, 10.0)[0] == findings[index]


def held(panel: Panel) -> int:
    """Bytes in the arrays that a panel holds on to."""

    def size(value: object) -> int:
        if isinstance(value, np.ndarray):
            return value.nbytes
        fields = getattr(value, "__struct_fields__", ())
        return sum(size(getattr(value, name)) for name in fields)

    return sum(size(value) for value in vars(panel).values())


def test_memory_does_not_grow_with_time() -> None:
    panel = Panel(known(10))
    play(panel, list(ticks(1, 10, 10)), list(ticks(2, 10, 10)))
    first = held(panel)
    for tick in ticks(3, 10, 200):
        panel.look(tick)
    assert held(panel) == first
    assert first < 10 * 2000 * 8


def test_a_line_gives_way_to_a_busy_hour_but_not_to_a_quiet_one() -> None:
    """The queue is at 0.6 with a line of 0.5; at this time of other days it is up to ``usual``."""
    one = np.ones(1)
    queue = terms([METRICS[4]], [EACH])
    for usual, beyond in ((0.9, False), (0.3, True), (np.nan, True)):
        panel = Panel(queue)
        panel.begin_tier([])
        for _ in range(4):
            limits = (np.full(1, np.nan), np.full(1, usual))
            panel.look(Tick(0.6 * one, one, 0.1 * one, one, np.nan * one, limits))
        found = judge.conclude(queue, panel.numbers(), 10.0)[0]
        assert (found == judge.Finding.BEYOND) == beyond
