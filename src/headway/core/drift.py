"""What nodes say of trees that are not as they were published, in sentences.

Drift is told wherever a node is shown, and journalled, but it neither makes a node fail nor keeps
a step from being green: the application serves as it did before, the next deploy heals it, and
one bad disk among ten thousand must not stop a rollout that would replace what it damaged.
"""

from headway.model.names import BuildId
from headway.model.report import Drift, Report

_NAMED = 3


def present(report: Report | None) -> tuple[Drift, ...]:
    """What has drifted and is not mended yet."""
    drifts = report.inspection.drift if report and report.inspection else ()
    return tuple(drift for drift in drifts if not drift.mended)


def sentence(drift: Drift, app: str) -> str:
    """What is not as it was published, the first paths by name."""
    named = [f"{stray.path} {stray.problem}" for stray in drift.strays[:_NAMED]]
    more = f" and {drift.count - len(named)} more" if drift.count > len(named) else ""
    where = "which serves" if drift.serving else "which is not switched to"
    return f"{tree(app, drift.build)}, {where}, is not as published: {', '.join(named)}{more}"


def tree(app: str, build: BuildId) -> str:
    """A build as a sentence names it."""
    return f"{app} {build[:12]}"


def news(before: Report | None, after: Report) -> tuple[str, ...]:
    """What a report tells of drift that the one before did not: each tree once, and its end."""
    told = _by_tree(before.inspection.drift if before and before.inspection else ())
    now = _by_tree(after.inspection.drift if after.inspection else ())
    if not told and not now:
        return ()
    still = _by_tree(present(after))
    appeared = [drift for key, drift in now.items() if key not in told]
    gone = [
        drift
        for key, drift in (_by_tree(present(before)) | _by_tree(appeared)).items()
        if key not in still
    ]
    return (
        *(f"{after.node}: {sentence(drift, after.app)}" for drift in appeared),
        *(f"{after.node}: what had changed of {tree(after.app, d.build)} is gone" for d in gone),
    )


def _by_tree(drifts: tuple[Drift, ...] | list[Drift]) -> dict[tuple[str, BuildId, float], Drift]:
    return {(drift.slot, drift.build, drift.since): drift for drift in drifts}
