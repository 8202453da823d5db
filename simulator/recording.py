"""Recording: one person-day as a watch delivered it, with the reason of every gap and the truth beneath.

This is the contract between the rooms. ``observed`` is True where a value was delivered; ``reason`` is 0 exactly
there. ``values`` holds anything where not observed, so readers look at ``observed`` first; NaN exists only in files.
"""

from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.noise import compiled
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS

SHAPE = (N_SIGNALS, MINUTES_PER_DAY)
RESOLUTION_BITS: Final = 12  # bits of a simulated value after its leading one: one part in 8,192 at worst; judgement
_DROPPED_BITS: Final = 23 - RESOLUTION_BITS  # of a float32's 23
_HALF_STEP: Final = 1 << (_DROPPED_BITS - 1)  # added, carries into the exponent as it should
_KEPT_BITS: Final = 0xFFFF_FFFF >> _DROPPED_BITS << _DROPPED_BITS


class DataError(ValueError):
    """Data that cannot be used: the message names the thing, the value found and what was expected."""


class Reason(IntEnum):
    """Why a cell is missing; 0 means that it is not."""

    OBSERVED = 0
    SENSOR_ABSENT = 1  # the device has no such sensor
    CHARGING = 2  # on the charger
    OFF_WRIST = 3  # taken off: shower, sport, forgotten, not worn
    SENSOR_OFF = 4  # switched off by the firmware: SCL and temperature in sleep and exercise
    MOTION = 5  # too few valid beats, or no heart rate, because the arm moved
    BATTERY_EMPTY = 6  # ran flat
    NOT_RECORDED = 7  # imported data: missing for a reason that nobody wrote down
    OUT_OF_RANGE = 8  # imported data: a value outside the physical range
    LOOSE_FIT = 9  # the strap was too loose for optics and electrodes to touch the skin
    POWER_SAVING = 10  # optics and electrodes switched off to save what was left of the battery
    NOT_SYNCED = 11  # overwritten in the watch's memory before a phone fetched it
    SENSOR_FAILED = 12  # broken for the rest of the recording
    TOO_COLD = 13  # no pulse under cold skin, or a watch colder than it works in
    DROPPED_OUT = 14  # the person has stopped wearing the watch for good
    CLOCK_CHANGED = 15  # minutes that no local clock showed: summer time begins, or a journey east


_OBSERVED: Final = np.uint8(Reason.OBSERVED)  # held against bytes as a byte: NumPy would widen them to the enum's int64


def runs_of(flag: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First place and first place after of every run of True.

    >>> runs_of(np.array([True, False, True, True])).tolist()
    [[0, 1], [2, 4]]
    """
    edges = np.flatnonzero(np.diff(flag, prepend=False, append=False))
    return edges.reshape(-1, 2)


class Event(NamedTuple):
    """Something with a start and an end in a person's day; a named tuple, since eighty a day are made.

    Attributes:
        kind: "sleep", "stage", "activity" (as the watch's log has it), "exercise" (what was done, logged or not, at its
            true time), "mood", "alcohol" or "fault" (of the watch; see ``simulator.faults``).
        label: What it was: "main" or "nap"; "awake", "light", "deep" or "rem"; "walking", ...; "calm", ...; "low", ...;
            "frozen_heart_rate", "phantom_heart_rate", "clock_forward" or "clock_back".
        start_minute: First minute, counted from midnight of the recording's day; below 0 if it began the day before.
        end_minute: First minute after it; above 1440 if it ends on the next day.
    """

    kind: str
    label: str
    start_minute: int
    end_minute: int


@dataclass(frozen=True, slots=True, eq=False)
class Recording:
    """One person-day.

    Attributes:
        person: Identifier, unique in its dataset.
        vendor: Name of the device.
        day: Days since the dataset's first day.
        date: Local calendar date.
        values: float32 [26, 1440] as measured; anything where not observed.
        observed: bool [26, 1440]; True where a value was delivered.
        reason: uint8 [26, 1440] of ``Reason``; 0 exactly where observed.
        truth: float32 [26, 1440], what a perfect watch never taken off would have recorded; None for real people.
        events: What the person did, as far as known.
    """

    person: str
    vendor: str
    day: int
    date: date
    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    reason: NDArray[np.uint8]
    truth: NDArray[np.float32] | None = None
    events: tuple[Event, ...] = ()

    def check(self) -> "Recording":
        """Itself, if every invariant of the contract holds.

        Raises:
            DataError: If a shape or dtype is off, an observed value is not finite, or reason contradicts observed.
        """
        where = f"recording of person {self.person!r}, day {self.day}"
        arrays = {"values": (self.values, np.float32), "observed": (self.observed, np.bool_)}
        arrays["reason"] = (self.reason, np.uint8)
        if self.truth is not None:
            arrays["truth"] = (self.truth, np.float32)
        for name, (array, dtype) in arrays.items():
            if array.shape != SHAPE or array.dtype != dtype:
                raise DataError(f"{where}: {name} is {array.dtype} {array.shape}, expected {np.dtype(dtype)} {SHAPE}")
        if not (np.isfinite(self.values) | ~self.observed).all():
            raise DataError(f"{where}: an observed value is not finite")
        if ((self.reason == _OBSERVED) != self.observed).any():
            raise DataError(f"{where}: reason is not 0 exactly where observed")
        return self


def deliver(values: NDArray[np.float32], reason: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """Leave of values, where they lie, what was observed, rounded to ``RESOLUTION_BITS``, and 0 elsewhere.

    Returns:
        Which were observed.

    >>> values = np.array([[72.3456789, 60.0]], dtype=np.float32)
    >>> deliver(values, np.array([[0, 3]], dtype=np.uint8)).tolist(), values.tolist()
    ([[True, False]], [[72.34375, 0.0]])
    """
    return _deliver(values.view(np.uint32), reason).view(np.bool_)


@compiled
def _deliver(words: NDArray[np.uint32], reason: NDArray[np.uint8]) -> NDArray[np.uint8]:
    observed = np.empty(reason.shape, dtype=np.uint8)
    for row in range(reason.shape[0]):
        for m in range(reason.shape[1]):
            seen = reason[row, m] == 0
            observed[row, m] = seen
            rounded = np.uint32(np.uint32(words[row, m] + np.uint32(_HALF_STEP)) & np.uint32(_KEPT_BITS))
            words[row, m] = rounded if seen else np.uint32(0)
    return observed


def round_to_resolution(values: NDArray[np.float32]) -> None:
    """Round simulated values, where they lie, to ``RESOLUTION_BITS``.

    That is finer than any watch's sensor (heart rate to 1/64 bpm, skin temperature to 1/128 degree), and the digits
    beyond it would be noise that fills four tenths of the disk. Order is kept, whole numbers below 8,192 and the ends
    of every physical range stay as they are.

    >>> values = np.array([72.3456789, 0.1, -2.0, 0.0], dtype=np.float32)
    >>> round_to_resolution(values)
    >>> values.tolist()
    [72.34375, 0.100006103515625, -2.0, 0.0]
    """
    words = values.view(np.uint32)
    words += np.uint32(_HALF_STEP)
    words &= np.uint32(_KEPT_BITS)
