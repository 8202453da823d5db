"""A norm on its way to an estimate: what is asked, of whom, and what has been found out."""

import math
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.realism.norms import Norm
from simulator.realism.observing import Observations
from simulator.realism.statistics import Counts, NobodyError, NotComputableError, Rows, Sample

MIN_PEOPLE: Final = 5  # below which nothing is said of a population


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic and how it came about.

    Attributes:
        rows: As observed, then by resample.
        people: How many it rests on.
        notes: Remarks for the reader.
    """

    rows: Rows
    people: int
    notes: tuple[str, ...]

    def interval(self, statistic: str) -> tuple[float, float]:
        """95 % interval of the resamples.

        A share of which nobody was seen has resamples without spread; its end is then the largest share that would
        show nobody among ``people`` once in 20 times (the rule of three), and likewise for a share of everybody.
        """
        resampled = self.rows[1:][np.isfinite(self.rows[1:])]
        low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (self.rows[0], self.rows[0])
        if statistic == "share" and low == high == 0:
            high = 1 - 0.05 ** (1 / self.people)
        if statistic == "share" and low == high == 1:
            low = 0.05 ** (1 / self.people)
        return float(low), float(high)


@dataclass(slots=True, kw_only=True)
class Question:
    """What is asked of the observations; functions take the keys that they understand out of it and leave remarks.

    Attributes:
        norm: The row.
        seen: What the dataset shows.
        counts: Resamples of its people, weighted where the norm is of other people.
        keys: What is left of the stratum.
        keep: Which people the stratum picks, by code.
        notes: Remarks for the reader.
        people: How many the sample looked at last rests on.
    """

    norm: Norm
    seen: Observations
    counts: Counts
    keys: dict[str, str]
    keep: NDArray[np.bool_]
    notes: list[str] = field(default_factory=list)
    people: int = 0

    def enough(self, values: Sample) -> Sample:
        """The sample itself, if it speaks of enough people.

        Raises:
            NobodyError: If it does not.
        """
        self.people = len(np.unique(values.person))
        if self.people < MIN_PEOPLE:
            raise NobodyError(f"only {self.people} people have it, expected {MIN_PEOPLE}")
        return values


def number(text: str) -> float:
    """A number in a stratum.

    Raises:
        NotComputableError: If it is none.
    """
    try:
        value = float(text)
    except ValueError:
        raise NotComputableError(f"{text!r} is no number") from None
    if not math.isfinite(value):
        raise NotComputableError(f"{text!r} is no number")
    return value
