"""Two fillers that know what no model can, and so tell what limits one: the truth, and the day's routine.

The *truth* is what a watch without error would have measured; its error is the watch's own. The *routine* is what the
wearer did in every minute, and whose body it was, but neither the luck of the body's minutes nor that of the watch:
the same day is lived again several times with other luck, the mean of which is moved up or down to meet what is known
of the window. What it misses is luck; a model may yet do better over short gaps, since luck lasts.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from model.evaluation.baselines import Known, Values, diurnal
from simulator.cohort import Cohort
from simulator.physiology import embody
from simulator.routine import live_through
from simulator.sensors import measure

LIVES = 8  # as often is a day lived again; the mean of so many has an eighth of a life's luck in it


@dataclass(frozen=True, slots=True, eq=False)
class Truth:
    """Fills with the truth of the windows that are scored; float32 [n, 26, minutes], z units."""

    truth: Values

    def fill(self, values: Values, known: Known, asked: Known, first_minute: NDArray[np.int64]) -> Values:
        """See ``imputers.WindowImputer``."""
        return np.where(known, values, self.truth)


@dataclass(frozen=True, slots=True, eq=False)
class Routine:
    """Fills with what the day's routine lets one expect of the windows that are scored; as ``Truth`` has its own."""

    expected: Values

    def fill(self, values: Values, known: Known, asked: Known, first_minute: NDArray[np.int64]) -> Values:
        """See ``imputers.WindowImputer``."""
        return diurnal(values, known, self.expected)


def relived(cohort: Cohort, place: int, lives: int = LIVES) -> Iterator[NDArray[np.float32]]:
    """What a person's days would have shown on average, had body and watch had other luck.

    Args:
        cohort: Of the person.
        place: Of the person in it.
        lives: How often each day is lived again.

    Yields:
        float32 [26, 1440] of every day, in the signals' units.
    """
    person, vendor = cohort.person(place), cohort.vendor_of(place)
    others = [replace(person, seed=person.seed + 1 + life) for life in range(lives)]
    for day, routine in enumerate(live_through(person, range(cohort.days), cohort.start)):
        total = np.zeros((0,), dtype=np.float64)
        for other in others:
            values = measure(other, vendor, routine, embody(other, routine, day), day)
            total = values.astype(np.float64) if not len(total) else total + values
        yield (total / lives).astype(np.float32)
