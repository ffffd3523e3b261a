"""``headway guard``: what the guard saw and said, and what it would have said."""

from collections.abc import Sequence
from pathlib import Path

import click
from rich.console import RenderableType
from rich.text import Text

from headway import settings
from headway.cli.call import Call, asking
from headway.cli.remote import connect, only_app, resolve
from headway.cli.screen import answer, lines, said, table
from headway.cli.wording import duration
from headway.errors import InvalidInput
from headway.model.plan import AppConfig
from headway.model.verdict import Outcome
from headway.model.views import ReplayView, Tried, TuneRequest, TuneView, Tuning

OUTCOME_STYLES = {
    Outcome.PASS: "green",
    Outcome.FAIL: "red",
    Outcome.NO_DATA: "yellow",
    Outcome.ERROR: "yellow",
}


@click.group()
def guard() -> None:
    """See what the guard saw and said, and try other settings."""


@guard.command()
@click.argument("which", metavar="ROLLOUT")
@asking
@click.pass_obj
def replay(call: Call, which: str) -> None:
    """Give a rollout's verdicts again, from the numbers that were kept.

    ROLLOUT is a rollout's id, or an app: then its latest rollout is meant. A verdict that does not
    come out the same to the last bit is marked.
    """
    with connect(call) as client:
        view = client.replay(resolve(client, which).rollout.id)
    answer(call, view, lambda: _replayed(view))


@guard.command()
@click.argument("app", required=False)
@click.option(
    "--with",
    "file",
    type=click.Path(path_type=Path),
    help="An app's file whose metrics and guard are tried.",
)
@click.option("--rollouts", default=10, show_default=True, help="How many past rollouts.")
@asking
@click.pass_obj
def tune(call: Call, app: str | None, file: Path | None, rollouts: int) -> None:
    """Show what other settings would have done to past rollouts; nothing is changed.

    Without a file some settings near the present ones are tried.
    """
    if not 1 <= rollouts <= 30:
        raise InvalidInput("--rollouts must be between 1 and 30")
    request = TuneRequest(rollouts=rollouts)
    if file is not None:
        given = settings.read(file, AppConfig)
        request = TuneRequest(given.metrics, given.guard, rollouts)
    with connect(call) as client:
        view = client.tune(app or only_app(client), request)
    answer(call, view, lambda: _tuned(view))


@guard.command()
@click.argument("metric")
@click.option("--app", help="The app; without it, the only one.")
@click.option("--rollout", help="Explain it in a past rollout.")
@asking
@click.pass_obj
def explain(call: Call, metric: str, app: str | None, rollout: str | None) -> None:
    """Say in words what a metric is, how it is judged, and where it stands."""
    with connect(call) as client:
        why = client.explain_metric(app or only_app(client), metric, rollout)
    answer(call, why, lambda: lines(*why.sentences))


def _replayed(view: ReplayView) -> RenderableType:
    rows: list[Sequence[str | Text]] = [
        (
            duration(one.after),
            one.metric,
            said(one.said.outcome, OUTCOME_STYLES[one.said.outcome]),
            said("yes", "green") if one.same else said("NO", "bold red"),
            one.said.sentence,
        )
        for one in view.verdicts
    ]
    headings = ("AFTER", "METRIC", "VERDICT", "SAME", "SENTENCE")
    drawn = table(headings, rows, "It has not said anything yet.")
    end = "all the same, bit for bit" if view.same else "NOT all the same"
    return lines(drawn, "", f"{view.rollout}: {view.looks} looks replayed, {end}.")


def _tuned(view: TuneView) -> RenderableType:
    became = list(zip(view.rollouts, view.became, strict=True))
    rows = [(*_row(tuning), _news(view, tuning)) for tuning in view.tunings]
    headings = ("SETTINGS", "REVERTS", "PAUSES", "PASSES AFTER", "WHAT CHANGES")
    drawn = table(headings, rows, "-")
    counted = ", ".join(f"{name} {how}" for name, how in became)
    return lines(drawn, "", f"Of {len(became)} rollouts, newest first: {counted}.")


def _row(tuning: Tuning) -> tuple[str, str, str, str]:
    reverts = sum(one.action == "revert" for one in tuning.tried)
    pauses = sum(one.action == "pause" for one in tuning.tried)
    passed = sorted(one.passed_after for one in tuning.tried if one.passed_after is not None)
    median = duration(passed[len(passed) // 2]) if passed else "-"
    return tuning.settings, str(reverts), str(pauses), median


def _news(view: TuneView, tuning: Tuning) -> str:
    """Where the outcome is another one than with the present settings."""
    pairs = zip(view.tunings[0].tried, tuning.tried, strict=True)
    return "; ".join(
        f"{new.rollout}: {_fate(new)}" for old, new in pairs if old.action != new.action
    )


def _fate(tried: Tried) -> str:
    if tried.action is None or tried.after is None:
        return "not stopped"
    return f"{tried.action} after {duration(tried.after)}"
