"""Each promise of releases, lanes and the schedule has a mutant that breaks it, and is caught.

A mutant is put in place of the genuine rule, and the test of that promise must fail.
"""

import hmac
from collections.abc import Callable
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from msgspec import structs

from headway.core import bisect, lanes, schedule, short_path, suspects
from headway.core import release as core
from headway.forge import hooks
from headway.model.release import Lane, Review
from headway.model.schedule import Shift
from tests.contract import test_forges
from tests.unit.core import test_release, test_schedule

Patch = pytest.MonkeyPatch


def everything_enters(patch: Patch) -> None:
    patch.setattr(core, "objections", lambda change, needs: ())


def unknown_reviews_are_good(patch: Patch) -> None:
    genuine = core.objections

    def credulous(change, needs):  # type: ignore[no-untyped-def]
        if change.review is Review.UNKNOWN:
            change = structs.replace(change, review=Review.APPROVED)
        return genuine(change, needs)

    patch.setattr(core, "objections", credulous)


def overrides_leave_no_trace(patch: Patch) -> None:
    patch.setattr(core, "_overruled", lambda why, against, override: why)


def builds_outlive_a_hotfix(patch: Patch) -> None:
    genuine = core._picked

    def forgetful(state, event, needs, asks):  # type: ignore[no-untyped-def]
        decision = genuine(state, event, needs, asks)
        return structs.replace(decision, state=structs.replace(decision.state, build=state.build))

    patch.setattr(core, "_picked", forgetful)


def what_was_taken_back_comes_back(patch: Patch) -> None:
    patch.setattr(core, "returning", lambda earlier, still, brought: ())


def dark_is_a_prefix(patch: Patch) -> None:
    patch.setattr(core, "is_dark", lambda subject: subject.upper().startswith("DARK"))


def one_dark_change_is_enough(patch: Patch) -> None:
    patch.setattr(core, "is_all_dark", lambda release: any(c.dark for c in release.changes))


def any_config_file_makes_a_config_change(patch: Patch) -> None:
    genuine = core.touches_config

    def hasty(touched, config):  # type: ignore[no-untyped-def]
        found = config is not None and genuine(touched, config)
        return Lane.CONFIG if found else Lane.CODE

    patch.setattr(core, "lane_of", hasty)


def lanes_never_wait(patch: Patch) -> None:
    patch.setattr(lanes, "must_wait", lambda tier, other, holds: "")


def lanes_wait_for_whoever_waits(patch: Patch) -> None:
    patch.setattr(lanes, "MOVING", lanes.MOVING | {lanes.Phase.WAITING})
    genuine = lanes.must_wait
    patch.setattr(
        lanes,
        "must_wait",
        lambda tier, other, holds: genuine(other.plan[other.step].tier, other, holds),
    )


def bisect_believes_the_wrong_half(patch: Patch) -> None:
    genuine = bisect.tell
    patch.setattr(
        bisect, "tell", lambda state, commit, *, good: genuine(state, commit, good=not good)
    )


def the_first_suspect_is_always_named(patch: Patch) -> None:
    patch.setattr(suspects, "named", lambda ranking: ranking[0] if ranking else None)


def the_short_path_skips_the_soak(patch: Patch) -> None:
    genuine = short_path.short_path
    patch.setattr(
        short_path,
        "short_path",
        lambda plan: tuple(structs.replace(step, soak=0.0) for step in genuine(plan)),
    )


def hours_are_counted_in_seconds(patch: Patch) -> None:
    """Midnight plus nine hours: wrong on the days on which the clocks change."""

    def naive(day, minutes, zone):  # type: ignore[no-untyped-def]
        from datetime import datetime, time

        return datetime.combine(day, time(), zone).timestamp() + minutes * 60

    patch.setattr(schedule, "_at", naive)


def every_zone_is_utc(patch: Patch) -> None:
    patch.setattr(schedule, "zone_of", lambda plan: ZoneInfo("UTC"))


def slots_have_room_for_all(patch: Patch) -> None:
    patch.setattr(schedule, "slot_at", lambda plan, now: None)


def hotfixes_pass_every_freeze(patch: Patch) -> None:
    genuine = schedule.frozen_by
    patch.setattr(
        schedule,
        "frozen_by",
        lambda times, now, *, hotfix: "" if hotfix else genuine(times, now, hotfix=hotfix),
    )


def freezes_end_with_the_morning(patch: Patch) -> None:
    patch.setattr(
        schedule,
        "freeze_span",
        lambda freeze, zone: schedule.Span(
            schedule._moment(freeze.begin, zone), schedule._moment(freeze.end, zone)
        ),
    )


def somebody_is_always_on_shift(patch: Patch) -> None:
    patch.setattr(schedule, "shift", lambda times, now: Shift("somebody"))


def turns_are_so_many_seconds(patch: Patch) -> None:
    def naive(rota, turn, zone):  # type: ignore[no-untyped-def]
        return schedule._moment(rota.begin, zone) + turn * rota.days * 86400

    patch.setattr(schedule, "_change", naive)


def signatures_are_not_compared(patch: Patch) -> None:
    patch.setattr(hmac, "compare_digest", lambda one, two: True)


def signed_messages_never_grow_old(patch: Patch) -> None:
    patch.setattr(hooks, "TOLERANCE_SECONDS", float("inf"))


def mutants() -> list[tuple[Callable[[Patch], None], Callable[..., Any], tuple[Any, ...]]]:
    unknown = ({"review": Review.UNKNOWN}, "no review of it is known")
    missing = ({"review": Review.MISSING}, "nobody has approved it")
    r, s, f = test_release, test_schedule, test_forges
    return [
        (everything_enters, r.test_only_what_is_reviewed_and_green_enters, missing),
        (unknown_reviews_are_good, r.test_only_what_is_reviewed_and_green_enters, unknown),
        (overrides_leave_no_trace, r.test_only_what_is_reviewed_and_green_enters, missing),
        (builds_outlive_a_hotfix, r.test_a_pick_makes_a_new_head_and_voids_the_build, ()),
        (
            what_was_taken_back_comes_back,
            r.test_what_was_taken_back_and_is_in_main_still_does_not_come_back_unnoticed,
            (),
        ),
        (dark_is_a_prefix, r.test_dark_is_a_word_at_the_beginning, ("DARKEN the header", False)),
        (one_dark_change_is_enough, r.test_all_dark_is_all_of_it, ()),
        (
            any_config_file_makes_a_config_change,
            r.test_a_change_is_of_the_config_lane_if_it_touches_nothing_else,
            (),
        ),
        (lanes_never_wait, r.test_one_moves_in_a_tier_at_a_time, (lanes.Phase.SOAKING, "canary")),
        (lanes_wait_for_whoever_waits, r.test_two_lanes_never_wait_for_each_other, ()),
        (bisect_believes_the_wrong_half, r.test_bisect_finds_the_one_to_blame_in_few_probes, ()),
        (
            the_first_suspect_is_always_named,
            r.test_where_nothing_tells_changes_apart_none_is_named,
            (),
        ),
        (
            the_short_path_skips_the_soak,
            r.test_the_short_path_takes_each_tier_at_once_and_keeps_the_checks,
            (),
        ),
        (
            hours_are_counted_in_seconds,
            s.test_a_time_that_does_not_exist_is_when_the_clocks_change,
            (),
        ),
        (every_zone_is_utc, s.test_hours_are_hours_of_the_wall_clock, ()),
        (slots_have_room_for_all, s.test_so_many_rollouts_begin_in_a_day_and_no_more, ()),
        (
            hotfixes_pass_every_freeze,
            s.test_a_declared_freeze_may_keep_hotfixes_back_and_needs_no_schedule,
            (),
        ),
        (
            freezes_end_with_the_morning,
            s.test_a_freeze_lasts_to_the_end_of_its_last_day_and_lets_hotfixes_pass,
            (),
        ),
        (
            somebody_is_always_on_shift,
            s.test_before_the_rota_begins_nobody_is_on_shift_and_nothing_begins,
            (),
        ),
        (turns_are_so_many_seconds, s.test_a_turn_lasts_its_days_and_the_next_person_follows, ()),
        (signatures_are_not_compared, f.test_gitlabs_token, ()),
        (
            signed_messages_never_grow_old,
            f.test_gitlabs_signature_holds_for_its_time_only,
            ("plain",),
        ),
    ]


@pytest.mark.parametrize(
    ("mutate", "promise", "arguments"),
    mutants(),
    ids=[mutate.__name__ for mutate, _, _ in mutants()],
)
def test_the_mutant_is_caught(
    mutate: Callable[[Patch], None],
    promise: Callable[..., Any],
    arguments: tuple[Any, ...],
    monkeypatch: Patch,
) -> None:
    with monkeypatch.context() as patch:
        mutate(patch)
        with pytest.raises((AssertionError, ValueError, pytest.fail.Exception)):
            promise(*arguments)


def test_the_genuine_rules_pass() -> None:
    """The promises themselves hold, called as above: a mutant is not caught by a slip."""
    for _, promise, arguments in mutants():
        promise(*arguments)
