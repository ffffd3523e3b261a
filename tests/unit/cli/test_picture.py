"""A rollout as people see it: whole, within 80 columns, and without a lie in the bars."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace
from rich.console import Console
from tests.unit.cli import examples
from tests.unit.cli.examples import THEN

from headway.cli.picture import countdown, headline, picture, share_cells
from headway.model.rollout import Phase
from headway.model.views import RolloutView


def drawn(view: RolloutView, now: float = THEN + 230) -> str:
    console = Console(width=80, file=io.StringIO(), force_terminal=False)
    with console.capture() as capture:
        console.print(picture(view, now))
    return "\n".join(line.rstrip() for line in capture.get().splitlines())


def test_the_whole_picture() -> None:
    assert (
        drawn(examples.view())
        == """\
web  a1b2c3d4e5f6 in place of 0f9e8d7c6b5a  by alice, 3 min ago
step 5 of 8, production 25%: soaking for 30 s, 30 s of 1 min left

  staging     ████████████████████████  4/4
  dogfood     ████████████████████████  4/4
  canary      ████████████============  1/2  1 held
  production  ███▒x?··················  18/120  9 moving  2 failed  1 unknown

  pass     errors is 0.1% of 12,881 requests, the limit is 2%
  no data  latency has 12 of the 50 samples that it takes
why      all of the step has attested
blocked  canary is held by bob: the canary's disk is swapped
next     headway rollout advance web
         begins 50 % of production; it begins by itself in 60 s unless somebody
         pauses
rollout  r17"""
    )


@pytest.mark.parametrize("phase", list(Phase))
def test_every_phase_can_be_drawn(phase: Phase) -> None:
    view = examples.view(phase)
    assert str(phase) in drawn(view)
    assert max(map(len, drawn(view).splitlines())) <= 80
    assert headline(view).endswith(f"{phase}: all of the step has attested")


def test_a_first_build_with_no_nodes_yet() -> None:
    view = RolloutView(replace(examples.rollout(), base=None, verdicts=()), ())
    assert "web  a1b2c3d4e5f6, the first build" in drawn(view)


def test_the_next_deploy_names_its_command() -> None:
    assert "headway deploy web BUILD" in drawn(replace(examples.view(), next="deploy"))


@pytest.mark.parametrize(
    ("phase", "step", "words"),
    [
        (Phase.ROLLING, 4, "9 min 10 s to the deadline"),
        (Phase.SOAKING, 4, "30 s of 1 min left"),
        (Phase.WAITING, 4, "30 s to the next step"),
        (Phase.WAITING, 2, ""),
        (Phase.WAITING, 7, ""),
        (Phase.PAUSED, 4, ""),
        (Phase.SOAKING, 99, ""),
    ],
)
def test_the_countdown_is_that_of_the_phase(phase: Phase, step: int, words: str) -> None:
    assert countdown(replace(examples.rollout(phase), step=step), THEN + 230) == words


def test_no_time_is_left_below_nothing() -> None:
    assert countdown(examples.rollout(Phase.SOAKING), THEN + 99999) == "0 s of 1 min left"


@given(
    st.lists(st.integers(0, 20_000), min_size=1, max_size=5).flatmap(
        lambda counts: st.tuples(st.just(counts), st.integers(sum(counts), sum(counts) + 20_000))
    ),
    st.integers(5, 60),
)
def test_a_bar_never_hides_a_node_and_never_shows_more_than_there_are(
    given_counts: tuple[list[int], int], width: int
) -> None:
    counts, total = given_counts
    cells = share_cells(counts, total, width)
    assert sum(cells) <= width
    for count, length in zip(counts, cells, strict=True):
        assert (length > 0) == (count > 0)
        assert length <= max(1, count * width / total if total else 0)
