"""What goes into a panel of series each tick, and what stands in it afterwards."""

import numpy as np
from msgspec import Struct
from numpy.typing import NDArray

Values = NDArray[np.float64]


class Tick(Struct, frozen=True):
    """One tick of N series: sums and exposures of both arms, each an array of N.

    A value is sum over exposure: errors per request, lines per node-second, seconds per request.
    Nothing counted where there was exposure is 0, no exposure is silence. ``season`` is the
    seasonal score of the control, NaN where the season is not known, and ``usual`` the dynamic
    (lower, upper) thresholds, if the source reaches back far enough for them.
    """

    canary: Values
    exposure: Values
    control: Values
    control_exposure: Values
    season: Values
    usual: tuple[Values, Values] | None = None

    def values(self) -> tuple[Values, Values]:
        """(the canary's, the control's) value; NaN where there is none."""
        with np.errstate(divide="ignore", invalid="ignore"):
            canary = np.where(self.exposure > 0, self.canary / self.exposure, np.nan)
            control = np.where(
                self.control_exposure > 0, self.control / self.control_exposure, np.nan
            )
        return canary, control

    def stacked(self) -> Values:
        """The four quantities as (4, N)."""
        return np.array([self.canary, self.exposure, self.control, self.control_exposure])


class Numbers(Struct, frozen=True):
    """Where the evidence stands; arrays of N, or one number each for a single series.

    ``looks`` are the ticks with a canary, ``value`` and ``control_value`` are recent; these and
    the four sums are those of the tier at hand.
    ``log_e`` and ``line_log_e`` are logarithms of e-values, against the control and against the
    fixed line. ``low`` and ``high`` bound the logarithm of a continuous quantity's ratio, and
    ``margin`` is what it must be beyond. ``needed`` is how many times the traffic so far it takes
    to see what must be seen, ``line_needed`` the same against the fixed line. A streak counts
    ticks in a row beyond the z-score, or the line; a silence ticks in a row without exposure.
    ``above`` and ``below`` are the lines as they last stood.
    """

    looks: Values
    canary: Values
    exposure: Values
    control: Values
    control_exposure: Values
    value: Values
    control_value: Values
    log_e: Values
    line_log_e: Values
    low: Values
    high: Values
    margin: Values
    needed: Values
    line_needed: Values
    phi: Values
    canary_score: Values
    control_score: Values
    canary_streak: Values
    control_streak: Values
    line_streak: Values
    canary_before: Values
    control_before: Values
    canary_silent: Values
    control_silent: Values
    above: Values
    below: Values

    def of(self, index: int) -> "Numbers":
        """Those of one series."""
        return Numbers(*(getattr(self, name)[index] for name in self.__struct_fields__))
