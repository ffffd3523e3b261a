"""A guard that hears reports of random traffic on a canary and on the nodes beside it."""

from collections.abc import Mapping

import msgspec
import numpy as np

from headway.guard.watch import Guard
from headway.model.plan import AppConfig, Guarding, Importance, Metric, Step
from headway.model.rollout import Phase, Rollout
from headway.model.verdict import Verdict
from tests.unit.guard.test_counters import NEW, OLD, report

ERRORS = Metric("errors", "errors", per="requests", importance=Importance.CRITICAL, floor=0.02)
QUICK = Guarding(warmup=0.0, silence=30.0)
BEGIN = 10_000.0


def app(*metrics: Metric, guard: Guarding = QUICK) -> AppConfig:
    return AppConfig("web", metrics=metrics or (ERRORS,), guard=guard)


def rollout(base: str | None = OLD, phase: Phase = Phase.SOAKING, step: int = 0) -> Rollout:
    return Rollout(
        id="r",
        app="web",
        base=base,
        target=NEW,
        plan=(Step("canary"), Step("production", share=0.5), Step("production")),
        by="alice",
        started_at=BEGIN,
        phase=phase,
        step=step,
        since=BEGIN,
        step_since=BEGIN,
        epoch=1,
        attempt=1,
        fractions={"canary": 1.0},
        why="",
    )


class Traffic:
    """One report a second from one node of each tier; rates are per second."""

    def __init__(self, seed: int, canary: float = 40.0, control: float = 400.0) -> None:
        self.random = np.random.default_rng(seed)
        self.guard = Guard()
        self.requests = {"canary": canary, "production": control}
        self.totals: dict[str, dict[str, float]] = {tier: {} for tier in self.requests}
        self.builds = {"canary": OLD, "production": OLD}
        self.silent: set[str] = set()
        self.now = BEGIN
        # The guard learns an app's warm-up with its first rollout.
        earlier = msgspec.structs.replace(rollout(), id="earlier")
        self.guard.judge(app(), earlier, self.now)

    def before(self, seconds: int, **shares: float) -> None:
        """Traffic before the deploy; the canary's node is flipped at its end."""
        self.now = BEGIN - seconds
        self.run(seconds, shares, shares)
        self.builds["canary"] = NEW
        self.totals["canary"] = {}

    def run(self, seconds: int, canary: Mapping[str, float], control: Mapping[str, float]) -> None:
        """Traffic with so many events of each counter per request."""
        for _ in range(seconds):
            self.now += 1.0
            for tier, shares in (("canary", canary), ("production", control)):
                totals = self.totals[tier]
                requests = self.random.poisson(self.requests[tier])
                totals["requests"] = totals.get("requests", 0.0) + requests
                for name, share in shares.items():
                    events = float(self.random.poisson(requests * share))
                    totals[name] = totals.get(name, 0.0) + events
                if tier not in self.silent:
                    said = report(self.builds[tier], node=tier, **totals)
                    self.guard.ingest(said, tier, self.now)

    def verdicts(
        self, config: AppConfig | None = None, state: Rollout | None = None
    ) -> dict[str, Verdict]:
        found = self.guard.judge(config or app(), state or rollout(), self.now)
        return {verdict.metric: verdict for verdict in found}


def judged(traffic: Traffic, seconds: int, canary: float, control: float) -> Verdict:
    """The verdict on errors after so many seconds, looked at every five."""
    verdict = traffic.verdicts()["errors"]
    for _ in range(seconds // 5):
        traffic.run(5, {"errors": canary}, {"errors": control})
        verdict = traffic.verdicts()["errors"]
    return verdict
