"""Nobody's setting of the machine's clock shows at once."""

import pytest

from headway.server.clock import HASTE, SteadyClock


class Machine:
    def __init__(self) -> None:
        self.wall, self.passed = 1000.0, 50.0
        self.clock = SteadyClock(lambda: self.wall, lambda: self.passed)

    def wait(self, seconds: float) -> float:
        self.wall += seconds
        self.passed += seconds
        return self.clock()


def test_it_is_the_machines_clock_where_nobody_sets_that() -> None:
    machine = Machine()
    assert machine.clock() == 1000.0
    assert [machine.wait(0.25) for _ in range(3)] == [1000.25, 1000.5, 1000.75]


@pytest.mark.parametrize("step", [86400.0, 60.0, -7200.0, -1.0])
def test_a_step_shows_as_haste_or_patience_and_never_as_a_step(step: float) -> None:
    machine = Machine()
    machine.wall += step
    before = machine.clock()
    assert before == 1000.0
    for _ in range(100):
        after = machine.wait(0.5)
        assert abs(after - before - 0.5) <= 0.5 * HASTE + 1e-6
        before = after


def test_it_arrives_at_the_machines_clock_again() -> None:
    machine = Machine()
    machine.wall += 10
    for _ in range(201):
        machine.wait(1.0)
    assert machine.clock() == pytest.approx(machine.wall)


def test_a_machine_that_slept_has_slept() -> None:
    machine = Machine()
    assert machine.wait(3600.0) == 4600.0
