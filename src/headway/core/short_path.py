"""Plans made shorter, by rule: for releases in which nothing can be seen, and for hotfixes."""

from msgspec import structs

from headway.model.plan import Checks, Gate, Step


def short_path(plan: tuple[Step, ...]) -> tuple[Step, ...]:
    """The way of a release of nothing but dark changes.

    Each tier in one step, to 100 %, in the plan's order; every gate opens by itself, and nobody
    signs off. The smoke test and the guard stay, and each tier soaks as long as its first step.
    """
    tiers: dict[str, Step] = {}
    for step in plan:
        tiers.setdefault(step.tier, step)
    return tuple(
        structs.replace(step, share=1.0, gate=Gate.AUTO, sign_off=0) for step in tiers.values()
    )


def probe_path(plan: tuple[Step, ...]) -> tuple[Step, ...]:
    """The way of a probe that looks for the change that is to blame.

    Every step before the last tier opens its gate by itself, nobody signs off, and the first step
    of the last tier waits for a person, who never comes: what the probe says is known by then.
    """
    last = plan[-1].tier if plan else ""
    return tuple(
        structs.replace(step, gate=Gate.MANUAL if step.tier == last else Gate.AUTO, sign_off=0)
        for step in plan
    )


def go_on_from(plan: tuple[Step, ...], reached: int) -> tuple[Step, ...]:
    """The way of a hotfix of a release that was in step ``reached``.

    The steps before it are walked without waiting for people or time; the smoke test, attestation
    and every limit on how many nodes move at once stay, and failing metrics stop it as ever.
    """
    return tuple(
        structs.replace(step, gate=Gate.AUTO, soak=0.0, sign_off=0, checks=_watching(step))
        if index < reached
        else structs.replace(step, gate=Gate.AUTO)
        if index == reached
        else step
        for index, step in enumerate(plan)
    )


def _watching(step: Step) -> Checks:
    """A failing metric still stops it, but none needs to have spoken."""
    return Checks.WATCH if step.checks is Checks.REQUIRE else step.checks
