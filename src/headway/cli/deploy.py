"""``headway deploy``: start a rollout, and stay with it if asked."""

import time

import click

from headway.cli.call import Call, Duration, asking
from headway.cli.picture import picture
from headway.cli.remote import connect
from headway.cli.screen import answer
from headway.cli.watching import judge, watch_rollout
from headway.model.views import DeployRequest


@click.command()
@click.argument("app")
@click.argument("build")
@click.option("--plan", default="default", show_default=True, help="One of the app's plans.")
@click.option("--reason", default="", help="Why, for the journal and for everybody else.")
@click.option("--supersede", is_flag=True, help="Take the place of a rollout that is running.")
@click.option("--hotfix", is_flag=True, help="Pass where only hotfixes do; takes --reason.")
@click.option("--wait", is_flag=True, help="Stay until it ends; exit 10 unless it succeeds.")
@click.option("--timeout", type=Duration(), help="Wait no longer than this, such as 45m.")
@asking
@click.pass_obj
def deploy(
    call: Call,
    *,
    app: str,
    build: str,
    plan: str,
    reason: str,
    supersede: bool,
    hotfix: bool,
    wait: bool,
    timeout: float | None,
) -> None:
    """Start a rollout of a build.

    BUILD is named by its first digits, or by its release. With --wait the exit code says how the
    rollout ended.
    """
    with connect(call) as client:
        view = client.deploy(app, DeployRequest(build, plan, reason, supersede, hotfix))
        if not wait and timeout is None:
            answer(call, view, lambda: picture(view, time.time()))
            return
        judge(watch_rollout(call, client, view, timeout))
