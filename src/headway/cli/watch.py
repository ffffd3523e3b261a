"""``headway watch``: an app on the screen, live, with keys to steer it."""

from collections.abc import Sequence

import click

from headway.cli.call import Call, Duration, asking
from headway.cli.remote import connect, only_app, resolve
from headway.cli.watching import has_terminal, judge, watch_app, watch_rollout
from headway.client.api import Client
from headway.errors import InvalidInput, NotFound


@click.command()
@click.argument("app", required=False)
@click.option(
    "--until-ended", is_flag=True, help="Leave when the rollout ends; exit 10 unless it succeeds."
)
@click.option(
    "--timeout", type=Duration(), help="With --until-ended, no longer than this, such as 45m."
)
@asking
@click.pass_obj
def watch(call: Call, app: str | None, *, until_ended: bool, timeout: float | None) -> None:
    """Watch an app: its rollout, train, nodes and journal, live, with keys to steer it.

    Without a terminal, and with --json, each change is a line.
    """
    if timeout is not None and not until_ended:
        raise InvalidInput("--timeout goes with --until-ended")
    with connect(call) as client:
        if until_ended:
            judge(watch_rollout(call, client, resolve(client, app or only_app(client)), timeout))
        elif has_terminal(call):
            _monitor(client, app)
        else:
            watch_app(call, client, app or only_app(client))


def _monitor(client: Client, app: str | None) -> None:
    from headway.monitor.app import Monitor  # noqa: PLC0415 - only who watches waits for it

    apps: Sequence[str] = [view.config.name for view in client.apps()]
    if not apps:
        raise NotFound("there is no app yet; `headway app apply FILE` sets one up")
    if app is not None and app not in apps:
        raise NotFound(f"there is no app {app}; there is {', '.join(apps)}")
    Monitor(client, app or (apps[0] if len(apps) == 1 else None), apps, client.whoami().role).run()
