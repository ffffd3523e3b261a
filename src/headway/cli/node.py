"""``headway node``: look at nodes, hold them, pin them."""

import time
from collections.abc import Sequence

import click
from rich.console import Group, RenderableType
from rich.text import Text

from headway.cli import verifying
from headway.cli.call import Call, Duration, asking
from headway.cli.picture import STATE_STYLES
from headway.cli.remote import connect
from headway.cli.screen import answer, facts, line, lines, said, table
from headway.cli.wording import ago, clock, duration, short
from headway.client.api import Client
from headway.core import drift
from headway.core.words import count
from headway.errors import InvalidInput, NotFound
from headway.model.report import Report
from headway.model.rollout import NodeState
from headway.model.views import NodeHoldRequest, NodeStatus, PinRequest


@click.group()
def node() -> None:
    """Look at nodes, hold them, pin them."""


@node.command("list")
@click.option("--app", help="Only this app's nodes.")
@click.option("--tier", help="Only this tier's nodes.")
@click.option(
    "--state",
    type=click.Choice([state.value for state in NodeState]),
    help="Only the nodes in this state.",
)
@asking
@click.pass_obj
def list_(call: Call, app: str | None, tier: str | None, state: str | None) -> None:
    """List nodes, what they run and how they stand to the signal."""
    with connect(call) as client:
        found = client.nodes(app, tier, NodeState(state) if state else None)
    answer(call, found, lambda: _list(found, time.time()))


@node.command()
@click.argument("name", metavar="NODE")
@asking
@click.pass_obj
def show(call: Call, name: str) -> None:
    """Show all there is to know of a node, with its last output if something failed."""
    with connect(call) as client:
        found = client.node(name)
    answer(call, found, lambda: _all(found))


@node.command()
@click.argument("name", metavar="NODE")
@asking
@click.pass_obj
def why(call: Call, name: str) -> None:
    """Say in one sentence an app why the node runs what it runs."""
    with connect(call) as client:
        found = client.node(name)
    answer(call, found, lambda: _sentences(found))


@node.command()
@click.argument("name", metavar="NODE")
@click.option("--app", help="Only this app's output.")
@asking
@click.pass_obj
def logs(call: Call, name: str, app: str | None) -> None:
    """Print what the hook that failed last on a node had to say, and why that was the end."""
    with connect(call) as client:
        found = [status for status in client.node(name) if app in {None, status.app}]
    if not found:
        raise NotFound(f"{name} does not run {app}; `headway node show {name}` tells what it runs")
    answer(call, found, lambda: lines(*(_log(status) for status in found)))


@node.command()
@click.argument("name", metavar="NODE")
@click.option("--reason", required=True, help="Why, for everybody who meets the hold.")
@click.option("--for", "length", type=Duration(), help="Lapse after this long, such as 2h.")
@asking
@click.pass_obj
def hold(call: Call, name: str, reason: str, length: float | None) -> None:
    """Keep a node as it is, whatever is signalled."""
    until = None if length is None else time.time() + length
    with connect(call) as client:
        found = client.hold_node(name, NodeHoldRequest(reason, until))
    answer(call, found, lambda: _sentences(found))


@node.command()
@click.argument("name", metavar="NODE")
@asking
@click.pass_obj
def unhold(call: Call, name: str) -> None:
    """Let a node follow the signal again."""
    with connect(call) as client:
        found = client.unhold_node(name)
    answer(call, found, lambda: _sentences(found))


@node.command()
@click.argument("name", metavar="NODE")
@click.argument("build")
@click.option("--app", help="Which app, if the node runs several.")
@asking
@click.pass_obj
def pin(call: Call, name: str, build: str, app: str | None) -> None:
    """Pin a node to a build, whatever is signalled."""
    with connect(call) as client:
        which = app or _only_app(client, name)
        found = client.pin_node(name, which, PinRequest(build))
    answer(call, found, lambda: _sentences(found))


@node.command()
@click.argument("name", metavar="NODE")
@click.option("--app", help="Which app, if the node runs several.")
@asking
@click.pass_obj
def unpin(call: Call, name: str, app: str | None) -> None:
    """Take a node's pin away."""
    with connect(call) as client:
        found = client.unpin_node(name, app or _only_app(client, name))
    answer(call, found, lambda: _sentences(found))


@node.command()
@click.argument("name", metavar="[NODE]", required=False)
@click.option("--app", help="Only this app; without NODE, all of its nodes.")
@click.option(
    "--timeout", type=Duration(), default="10m", show_default=True, help="Wait no longer."
)
@asking
@click.pass_obj
def verify(call: Call, name: str | None, app: str | None, timeout: float) -> None:
    """Have a node read again all that it holds, and print what is not as it was published.

    Ends with 1 if anything is not.
    """
    with connect(call) as client:
        asked = verifying.ask(client, name, app)
        found = verifying.wait(client, asked, timeout)
    wanted = {(status.node, status.app): status.verify for status in asked}
    results = [(one, verifying.result(one, wanted[one.node, one.app])) for one in found]
    done = [(status, result) for status, result in results if result is not None]
    answer(
        call,
        [status for status, _ in done],
        lambda: lines(*(verifying.picture(status, result) for status, result in done)),
    )
    verifying.complain([status for status, result in results if result is None], timeout)
    if any(result.drift for _, result in done):
        raise click.exceptions.Exit(1)


@node.command()
@click.argument("name", metavar="NODE")
@asking
@click.pass_obj
def forget(call: Call, name: str) -> None:
    """Strike a node off the fleet; it comes back when its agent enrols again."""
    with connect(call) as client:
        client.forget_node(name)
    answer(call, {"forgotten": name}, lambda: said(f"{name} is forgotten."))


def _only_app(client: Client, name: str) -> str:
    apps = [status.app for status in client.node(name)]
    if len(apps) == 1:
        return apps[0]
    raise InvalidInput(f"{name} runs {', '.join(apps) or 'no app'}: say which with --app")


def _list(found: Sequence[NodeStatus], now: float) -> RenderableType:
    """All nodes in a table; below it, the sentences of those that are not done."""
    headings = ("NODE", "APP", "TIER", "STATE", "RUNNING", "SEEN")
    rows = [_row(status, now) for status in found]
    troubled = [
        status
        for status in found
        if status.state is not NodeState.DONE or drift.present(status.report)
    ]
    sentences = [line(said(status.node, "bold"), ": ", status.why) for status in troubled]
    parts = [table(headings, rows, "No node matches.", folding=0)]
    return lines(*parts, *([""] if sentences else []), *sentences)


def _row(status: NodeStatus, now: float) -> Sequence[str | Text]:
    state = said(status.state, STATE_STYLES[status.state])
    seen = ago(status.last_seen, now)
    return (status.node, status.app, status.tier, state, short(status.running), seen)


def _sentences(found: Sequence[NodeStatus]) -> RenderableType:
    return lines(*(line(said(one.app, "bold"), ": ", one.why) for one in found))


def _all(found: Sequence[NodeStatus]) -> RenderableType:
    return Group(*(part for status in found for part in (_one(status, time.time()), Text())))


def _one(status: NodeStatus, now: float) -> RenderableType:
    report = status.report
    pairs: list[tuple[str, str | Text]] = [
        ("node", said(status.node, "bold")),
        ("app", status.app),
        ("tier", f"{status.tier}, position {status.position:.4g}, zone {status.zone}"),
        ("state", said(status.state, STATE_STYLES[status.state])),
        ("why", status.why),
        ("running", short(status.running)),
        ("goal", short(status.goal)),
        ("pin", short(status.pin) if status.pin else ""),
        ("hold", _hold(status)),
        ("seen", ago(status.last_seen, now)),
    ]
    if report is None:
        return facts(pairs)
    pairs += [
        ("activity", report.activity),
        ("prepared", short(report.prepared)),
        ("epoch", str(report.epoch)),
        ("failed", short(report.failed.build) if report.failed else ""),
        ("error", said(report.error, "red")),
        *(("drift", said(drift.sentence(one, status.app), "red")) for one in drift.present(report)),
        ("verified", _verified(report, now)),
    ]
    output = [said(f"  {text}", "dim") for text in report.output.splitlines()]
    return Group(facts(pairs), *output)


def _log(status: NodeStatus) -> RenderableType:
    """One app's error and output; the output as it is, since people paste it elsewhere."""
    report = status.report
    app = said(status.app, "bold")
    if report is None:
        return line(app, ": no report has come yet.")
    if not report.error and not report.output:
        return line(app, ": nothing has failed.")
    build = f" ({short(report.failed.build)})" if report.failed else ""
    return lines(
        line(app, build, ": ", said(report.error or "it failed", "red")),
        *(said(text) for text in report.output.splitlines()),
    )


def _verified(report: Report, now: float) -> str:
    done = report.inspection
    if done is None or not done.ended:
        return ""
    return f"{ago(done.ended, now)}, {count(done.files, 'file')} of {short(done.build)}"


def _hold(status: NodeStatus) -> str:
    if status.hold is None:
        return ""
    until = status.hold.until
    lapse = "" if until is None else f", until {clock(until)} ({duration(until - time.time())})"
    return f"by {status.hold.by}: {status.hold.reason}{lapse}"
