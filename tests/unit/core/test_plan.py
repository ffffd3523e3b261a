"""Plans that make sense, and those that are refused."""

import pytest

from headway.core import plan as plans
from headway.errors import InvalidInput, Refused
from headway.model.plan import DEFAULT_PLAN, Step
from headway.model.rollout import FleetView, NodeState, NodeView


def fleet(**sizes: int) -> FleetView:
    return FleetView(
        {
            tier: tuple(NodeView(f"{tier}-{i}", "z", i / size, NodeState.DONE) for i in range(size))
            for tier, size in sizes.items()
        }
    )


def test_the_default_plan_is_a_good_one() -> None:
    plans.check("default", DEFAULT_PLAN)


@pytest.mark.parametrize(
    ("plan", "sentence"),
    [
        ((), "has no steps"),
        ((Step("production", share=0.5),), "stops at 50 % of tier production"),
        ((Step("a", share=0.5), Step("a", share=0.5)), "must rise"),
        ((Step("a", share=0.5), Step("b"), Step("a")), "comes back to tier a"),
    ],
)
def test_what_makes_no_sense_is_refused(plan, sentence) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        plans.check("default", plan)


def test_nodes_that_no_step_reaches_are_named() -> None:
    with pytest.raises(Refused, match="no step for tier batch"):
        plans.covers(DEFAULT_PLAN, fleet(staging=1, batch=2))
    with pytest.raises(Refused, match="no node is enrolled"):
        plans.covers(DEFAULT_PLAN, fleet())


def test_steps_that_add_no_node_are_passed_over() -> None:
    small = fleet(production=3)
    reached = [index for index in range(8) if plans.adds(DEFAULT_PLAN, index, small)]
    titles = [plans.title(DEFAULT_PLAN[index]) for index in reached]
    assert titles == ["production 10 %", "production 50 %", "production 75 %"]
    assert plans.following(DEFAULT_PLAN, reached[-1], small) is None
