"""Latent: the body under the watch; a routine drives heart rate, autonomic tone, skin and motion."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, eq=False)
class Latent:
    """One person-day of truth, midnight to midnight.

    Attributes:
        truth: float32 [26, 1440], what a perfect watch never taken off would record.
        motion_g: float32 [1440], standard deviation of wrist acceleration, g; what spoils optical sensing.
    """

    truth: NDArray[np.float32]
    motion_g: NDArray[np.float32]
