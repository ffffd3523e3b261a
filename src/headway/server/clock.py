"""The control plane's time of day, in which nobody's setting of the machine's clock shows at once.

Soaks, deadlines and silence are counted on it: a clock that is set must neither end a soak, nor
make all nodes silent, nor let a rollout wait for yesterday.
"""

import time
from collections.abc import Callable

import structlog

from headway.signals.lease import now as seconds_passed

HASTE = 0.05
"""By how much faster or slower than real time it goes until it agrees with the machine's clock."""

TOLD = 2.0
"""A difference of so many seconds is worth a warning."""

log = structlog.get_logger()


class SteadyClock:
    """Called, it gives seconds since 1970; never less than before.

    It begins with the machine's clock ``wall``, goes on with ``passed``, which nobody sets, and
    approaches ``wall`` again where that was set.
    """

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        passed: Callable[[], float] = seconds_passed,
    ) -> None:
        self._wall = wall
        self._passed = passed
        self._now = wall()
        self._at = passed()
        self._warned = False

    def __call__(self) -> float:
        """Seconds since 1970."""
        at = self._passed()
        elapsed, self._at = max(0.0, at - self._at), at
        behind = self._wall() - (self._now + elapsed)
        self._now += elapsed + max(-HASTE * elapsed, min(HASTE * elapsed, behind))
        self._warn(behind)
        return self._now

    def _warn(self, behind: float) -> None:
        far = abs(behind) > TOLD
        if far and not self._warned:
            log.warning(
                "the machine's clock was set; this process follows it slowly, or when it is"
                " started again",
                seconds=round(behind, 1),
            )
        self._warned = far
