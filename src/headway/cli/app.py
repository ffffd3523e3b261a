"""``headway app``: set up apps and look at them."""

from collections.abc import Iterator
from pathlib import Path

import click
from rich.console import RenderableType

from headway import settings
from headway.cli.call import Call, asking
from headway.cli.remote import connect
from headway.cli.screen import answer, facts, lines, table
from headway.cli.wording import duration, short
from headway.core.words import count
from headway.model.plan import AppConfig, Metric, Step
from headway.model.views import AppView


@click.group()
def app() -> None:
    """Set up apps and look at them."""


@app.command("apply")
@click.argument("file", type=click.Path(path_type=Path))
@asking
@click.pass_obj
def apply_(call: Call, file: Path) -> None:
    """Set up the app that FILE describes (TOML), or change it to that."""
    config = settings.read(file, AppConfig)
    with connect(call) as client:
        view = client.apply_app(config)
    answer(call, view, lambda: _drawn(view))


@app.command("list")
@asking
@click.pass_obj
def list_(call: Call) -> None:
    """List the apps, the build that is live and the latest rollout."""
    with connect(call) as client:
        views = client.apps()
    rows = [(view.config.name, short(view.live), view.rollout or "-") for view in views]
    nothing = "There is no app yet; `headway app apply FILE` sets one up."
    answer(call, views, lambda: table(("APP", "LIVE", "ROLLOUT"), rows, nothing))


@app.command()
@click.argument("name", metavar="APP")
@asking
@click.pass_obj
def show(call: Call, name: str) -> None:
    """Show an app: what is live, its plans, its metrics and its smoke test."""
    with connect(call) as client:
        view = client.app(name)
    answer(call, view, lambda: _drawn(view))


def _drawn(view: AppView) -> RenderableType:
    config = view.config
    pairs = [
        ("app", config.name),
        ("live", short(view.live)),
        ("rollout", view.rollout or "-"),
        ("make", " ".join(config.make)),
        ("smoke test", count(len(config.smoke), "check") if config.smoke else "none"),
        ("releases", config.releases.repository if config.releases else "none"),
        ("schedule", _schedule(config)),
    ]
    pairs += [("metric", _metric(metric)) for metric in config.metrics]
    headings = ("PLAN", "STEP", "TIER", "SHARE", "SOAK", "GATE", "CHECKS")
    rows = [row for name, plan in config.plans.items() for row in _steps(name, plan)]
    return lines(facts(pairs), "", table(headings, rows, "It has no plan."))


def _schedule(config: AppConfig) -> str:
    plan = config.schedule
    if plan is None:
        return "none, at any time"
    return f"{plan.mode}, {plan.opens} to {plan.closes}, {', '.join(plan.days)} ({plan.zone})"


def _steps(name: str, plan: tuple[Step, ...]) -> Iterator[tuple[str, ...]]:
    for number, step in enumerate(plan, 1):
        checks = f"{step.checks}, smoke test" if step.smoke else str(step.checks)
        place = (str(number), step.tier, f"{step.share:.0%}", duration(step.soak))
        yield (name if number == 1 else "", *place, step.gate, checks)


def _metric(metric: Metric) -> str:
    quantity = f"{metric.counter} / {metric.per}" if metric.per else f"{metric.counter} per second"
    limits = {"above": metric.above, "below": metric.below, "z-score": metric.zscore}
    bad = ", ".join(f"{name} {limit:g}" for name, limit in limits.items() if limit is not None)
    return f"{metric.name} ({quantity}): {metric.action} when {bad or 'never'}"
