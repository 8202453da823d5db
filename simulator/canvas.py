"""Canvas: the minutes of a waking day, painted in layers, and what body and watch feel of them.

A day is planned by painting stretches of activity, place and effort over each other (``simulator.daytime``).
``Canvas.trace`` then gives every minute its intensity, steps, arm movement, climb, air and arousal: what an activity
feels like stands in one table, ``FEELS``, and the minute-to-minute texture is white noise on top of stretches that
each have a vigour of their own.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final, NamedTuple

import numba
import numpy as np
from numpy.typing import NDArray

from simulator.recording import Event


class Activity(IntEnum):
    """What the body does in a minute; the first eight exercise classes are LSM-1's."""

    REST = 0  # lying or sitting quietly
    DESK = 1  # seated, hands busy
    CHORES = 2  # on the feet, irregular arm movement
    VEHICLE = 3
    STAIRS = 4
    WALKING = 5
    RUNNING = 6
    BIKING = 7
    SWIMMING = 8
    ELLIPTICAL = 9
    HIIT = 10
    STRENGTH = 11
    WEIGHTLIFTING = 12


class Place(IntEnum):
    """Where a minute is spent; it sets the air around the wrist and the pressure."""

    HOME = 0
    WORK = 1
    OUTDOORS = 2
    VEHICLE = 3
    SHOP = 4
    GYM = 5
    POOL = 6
    SHOWER = 7


class Feel(NamedTuple):
    """What a minute of an activity is like before the person, the stretch and chance change it."""

    effort: (
        float  # share of heart rate reserve, at least; exercise sets its own. Compendium: rest 1.0-1.3, chores 2.5 MET
    )
    arm: float  # movement of the wrist beyond gait, 1 is chores: judgement after MIMS by task
    upright: float  # share of the minute on the feet
    stepping: float  # probability of incidental steps; 71 % of worn minutes have none (Fitabase, Furberg et al. 2016)
    steps: float  # mean of them
    hills: float  # SD of metres climbed in the minute: judgement


FEELS: Final = {
    Activity.REST: Feel(effort=0.0, arm=0.13, upright=0.02, stepping=0.16, steps=5.0, hills=0.0),
    Activity.DESK: Feel(effort=0.012, arm=0.34, upright=0.02, stepping=0.20, steps=5.0, hills=0.0),
    Activity.CHORES: Feel(effort=0.05, arm=1.0, upright=0.85, stepping=0.84, steps=16.5, hills=0.0),
    Activity.VEHICLE: Feel(effort=0.015, arm=0.22, upright=0.0, stepping=0.04, steps=5.0, hills=4.0),
    Activity.STAIRS: Feel(effort=0.30, arm=0.40, upright=1.0, stepping=0.0, steps=0.0, hills=0.0),
    Activity.WALKING: Feel(effort=0.0, arm=0.25, upright=1.0, stepping=0.0, steps=0.0, hills=0.5),
    Activity.RUNNING: Feel(effort=0.0, arm=0.45, upright=1.0, stepping=0.0, steps=0.0, hills=1.1),
    Activity.BIKING: Feel(effort=0.0, arm=0.55, upright=0.2, stepping=0.0, steps=0.0, hills=2.5),
    Activity.SWIMMING: Feel(effort=0.0, arm=2.2, upright=0.0, stepping=0.0, steps=0.0, hills=0.0),
    Activity.ELLIPTICAL: Feel(effort=0.0, arm=0.7, upright=1.0, stepping=0.0, steps=0.0, hills=0.0),
    Activity.HIIT: Feel(effort=0.0, arm=2.4, upright=0.9, stepping=0.0, steps=0.0, hills=0.0),
    Activity.STRENGTH: Feel(effort=0.0, arm=1.5, upright=0.8, stepping=0.0, steps=0.0, hills=0.0),
    Activity.WEIGHTLIFTING: Feel(effort=0.0, arm=1.2, upright=0.7, stepping=0.0, steps=0.0, hills=0.0),
}
CELSIUS: Final = {  # degC of the air by place; judgement, US homes 21-22. Outdoors is the day's own
    Place.HOME: 21.5,
    Place.WORK: 22.3,
    Place.OUTDOORS: 0.0,
    Place.VEHICLE: 21.5,
    Place.SHOP: 20.5,
    Place.GYM: 20.5,
    Place.POOL: 28.0,
    Place.SHOWER: 33.0,
}
PRESSURE_NOISE: Final = {  # hPa, mean spread that is not climbing: norms alt_sd_* (still 0.015 with sensor, car 0.06)
    Place.HOME: 0.004,
    Place.WORK: 0.006,
    Place.OUTDOORS: 0.018,
    Place.VEHICLE: 0.05,
    Place.SHOP: 0.012,
    Place.GYM: 0.012,
    Place.POOL: 0.03,
    Place.SHOWER: 0.006,
}
FLOOR_METRES: Final = 2.8  # metres between floors; 0.3 hPa (norms alt_floor)
EFFORT_PER_STEP: Final = 0.0035  # share of heart rate reserve a step a minute: +20 bpm at 40-60 steps (Fitabase)

_FEELS: Final = np.array([FEELS[activity] for activity in Activity], dtype=np.float32)
_CELSIUS: Final = np.array([CELSIUS[place] for place in Place], dtype=np.float32)
_PRESSURE_NOISE: Final = np.array([PRESSURE_NOISE[place] for place in Place], dtype=np.float32)
_OUTDOORS, _POOL, _SHOWER = int(Place.OUTDOORS), int(Place.POOL), int(Place.SHOWER)
_STAIRS: Final = int(Activity.STAIRS)
_UNIFORMS: Final = 6  # uniforms drawn a minute


@dataclass(frozen=True, slots=True, eq=False)
class Waking:
    """The waking hours of one day, or their end.

    Attributes:
        start: First minute, from midnight of the day.
        codes: uint8 [2, n]: stage (naps), activity.
        flags: bool [2, n]: water, exercising.
        tracks: float32 [8, n]: intensity, cadence, arm motion, upright, climb, pressure noise, arousal, ambient degC.
        events: Activities, moods and naps, minutes from midnight of the day.
    """

    start: int
    codes: NDArray[np.uint8]
    flags: NDArray[np.bool_]
    tracks: NDArray[np.float32]
    events: tuple[Event, ...]


class Canvas:
    """The minutes from getting up to lights out; positions are minutes from midnight of the day."""

    def __init__(self, start: int, end: int) -> None:
        n = end - start
        self.start, self.end = start, end
        self.codes = np.zeros((2, n), dtype=np.uint8)
        self.stage, self.activity = self.codes
        self.place = np.zeros(n, dtype=np.uint8)
        self.effort = np.zeros(n, dtype=np.float32)  # share of heart rate reserve
        self.cadence = np.zeros(n, dtype=np.float32)  # steps a minute of gait
        self.vigour = np.ones(n, dtype=np.float32)  # factor on arm movement
        self.load = np.zeros(n, dtype=np.float32)  # arousal
        self.exercising = np.zeros(n, dtype=np.bool_)
        self.taken = np.zeros(n, dtype=np.bool_)  # planned: no errand or stroll may start here
        self.events: list[Event] = []

    def span(self, begin: float, minutes: float) -> slice:
        """Indices of ``minutes`` from ``begin``, clipped to the day."""
        n = self.end - self.start
        low = min(max(round(begin) - self.start, 0), n)
        return slice(low, min(max(round(begin + minutes) - self.start, low), n))

    def free(self, begin: float, minutes: float) -> bool:
        """True if nothing is planned there and it lies within the day."""
        inside = begin >= self.start and begin + minutes <= self.end
        return inside and not self.taken[self.span(begin, minutes)].any()

    def next_free(self, begin: float, minutes: float) -> float | None:
        """First start from ``begin`` on, in steps of ten minutes over three hours, at which nothing is planned yet."""
        return next((b for b in (begin + 10.0 * step for step in range(19)) if self.free(b, minutes)), None)

    def paint(self, where: slice, activity: Activity, place: Place, effort: float = 0.0, cadence: float = 0.0) -> None:
        """Spend the minutes ``where`` like this."""
        self.activity[where] = activity
        self.place[where] = place
        self.effort[where] = effort
        self.cadence[where] = cadence
        self.taken[where] = True

    def note(self, kind: str, label: str, where: slice) -> None:
        """Write the minutes ``where`` into the diary."""
        self.events.append(Event(kind, label, self.start + where.start, self.start + where.stop))

    def trace(self, since: int, rng: np.random.Generator, *, lightness: float, stepping: float) -> Waking:
        """What body and watch feel from minute ``since`` on.

        Args:
            since: First minute to return, from midnight; earlier ones cost little.
            rng: The day's stream. It yields the same numbers whatever ``since`` is.
            lightness: How large a share of this person's reserve a light task takes, 1 for average fitness.
            stepping: Factor on the steps of incidental movement.
        """
        n = self.end - self.start
        first = min(max(since - self.start, 0), n)
        outdoors = 15.0 + 6.5 * rng.standard_normal()  # degC, the day's mean: judgement, no season
        indoors = 1.2 * rng.standard_normal()  # degC: judgement
        uniforms = rng.random((n, _UNIFORMS), dtype=np.float32)
        tracks = np.zeros((8, n), dtype=np.float32)
        layers = (self.stage, self.activity, self.place, self.effort, self.cadence, self.vigour, self.load)
        tables = (_FEELS, _CELSIUS, _PRESSURE_NOISE)
        _feel(tracks, first, self.start, layers, tables, uniforms, (outdoors, indoors, lightness, stepping))
        water = (self.place == _SHOWER) | (self.place == _POOL)
        return Waking(
            start=self.start + first,
            codes=self.codes[:, first:],
            flags=np.stack([water[first:], self.exercising[first:]]),
            tracks=tracks[:, first:],
            events=tuple(self.events),
        )


@numba.njit(cache=True)
def _feel(tracks, first, start, layers, tables, uniforms, factors):  # type: ignore[no-untyped-def]
    """Fill ``tracks`` [8, n] from minute ``first`` on; see ``Waking.tracks`` and ``Canvas.trace``."""
    stage, activity, place, effort, gait, vigour, load = layers
    feels, celsius, pressure_noise = tables
    outdoors, indoors, lightness, stepping = factors
    for i in range(first, len(activity)):
        what, where, u = activity[i], place[i], uniforms[i]
        floor, arm, upright, chance, steps, hills = feels[what]
        wave = -np.log1p(-u[0])  # exponential, mean 1: few large, many small

        if gait[i] > 0.0:
            cadence = gait[i] * (0.96 + 0.07 * u[1] if gait[i] > 120.0 else 0.86 + 0.22 * u[1])
            if i > 0 and gait[i] != gait[i - 1]:
                cadence *= 0.35 + 0.55 * u[2]  # a bout rarely begins on the minute
        else:
            cadence = 1.0 + steps * stepping * wave if u[2] < chance and stage[i] == 0 else 0.0
        light = lightness * floor
        if what <= _STAIRS:
            light += lightness * EFFORT_PER_STEP * min(cadence, 60.0)

        if what == _STAIRS:  # one floor or two, up or down
            climb = FLOOR_METRES * (1.0 if u[4] < 0.5 else -1.0) * (2.0 if u[5] > 0.6 else 1.0)
        else:
            climb = hills * 2.45 * (u[4] + u[5] - 1.0)  # triangular, SD 1
        if where == _OUTDOORS:  # warmest at 15 h
            air = outdoors + 4.0 * np.sin(2.0 * np.pi * ((start + i) / 1440.0 - 0.375))
        else:
            air = celsius[where] + indoors

        tracks[0, i] = min(max(effort[i] * (0.96 + 0.08 * u[1]), light), 1.0)
        tracks[1, i] = min(cadence, 210.0)
        tracks[2, i] = arm * vigour[i] * (0.35 - 0.65 * np.log1p(-u[3]))
        tracks[3, i] = min(upright + (0.5 if cadence > 12.0 else 0.0), 1.0)
        tracks[4, i] = climb
        tracks[5, i] = pressure_noise[where] * (0.4 + 0.6 * wave)
        tracks[6, i] = min(max(load[i], 0.0), 1.5)
        tracks[7, i] = air
