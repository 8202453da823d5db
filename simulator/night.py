"""Night: when a person goes to bed and gets up, and the stages of sleep in between.

Night D is the one that ends on the morning of day D. It is drawn from a stream of its own, named by person and day,
so that the day before and the day after agree about it. Its times follow a simplified two-process model [1]: the
person's own clock (mid-sleep on free days) and, on working mornings, the alarm, which people answer by going to bed
somewhat earlier, but not early enough; that is social jetlag [2]. Inside, cycles of about 90 minutes carry deep sleep
early and REM late, broken by awakenings that grow with age [3].

[1] Borbely, "A two process model of sleep regulation", 1982. [2] Wittmann et al., "Social jetlag", 2006,
doi:10.1080/07420520500545979. [3] Ohayon et al., "Meta-analysis of quantitative sleep parameters", Sleep 2004.
"""

import math
from dataclasses import dataclass
from datetime import date
from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.population import Person
from simulator.randomness import stream

CYCLE_MINUTES: Final = 93.0  # minutes, mean length of a sleep cycle; SD 13 (Carskadon & Dement)
DEEP_BY_CYCLE: Final = (0.36, 0.26, 0.12, 0.05, 0.02, 0.0, 0.0)  # share of a cycle at age 20; Ohayon 2004, shape
REM_BY_CYCLE: Final = (0.11, 0.23, 0.30, 0.34, 0.36, 0.36, 0.36)  # share of a cycle; all-night REM near 21 %
_CYCLES: Final = 18  # cycles that fill the longest night allowed (1,140 min) however short they are
BRIEF_AWAKENING: Final = 0.045  # probability a minute; half of Fitbit's 55 min awake a night are single minutes
GETTING_READY_MINUTES: Final = 62.0  # minutes between alarm and leaving home: judgement
EARLIEST_ONSET, LATEST_ONSET = -300, 330  # minutes from midnight: bounds that keep neighbouring nights apart
EARLIEST_RISE, LATEST_RISE = 150, 840  # minutes from midnight, likewise

_TURN: Final = np.array([0.45, 0.07, 0.025, 0.05], dtype=np.float32)  # probability a minute by stage: judgement
_TURN_SIZE: Final = np.array([0.45, 0.30, 0.22, 0.18], dtype=np.float32)  # mean arm movement of a turn: judgement


class Stage(IntEnum):
    """Sleep stage of a minute."""

    AWAKE = 0
    LIGHT = 1
    DEEP = 2
    REM = 3


class NightTimes(NamedTuple):
    """Minutes relative to midnight of the day on which the night ends; negative is the evening before."""

    bed: int  # lights out
    onset: int  # first minute asleep
    rise: int  # first minute out of bed


@dataclass(frozen=True, slots=True, eq=False)
class Night:
    """One night from lights out to getting up.

    Attributes:
        times: Bed, onset and rise.
        stage: uint8 [rise - bed] of ``Stage``.
        arm_motion: float32 [rise - bed], wrist movement, 1 is typical chores.
        bed_celsius: Air temperature around the wrist, under the cover.
    """

    times: NightTimes
    stage: NDArray[np.uint8]
    arm_motion: NDArray[np.float32]
    bed_celsius: float


def weekday_of(day: int, start: date) -> int:
    """Weekday of day ``day`` after ``start``; Monday is 0.

    >>> weekday_of(1, date(2024, 3, 4))
    1
    """
    return (start.weekday() + day) % 7


def night_times(person: Person, day: int, start: date) -> NightTimes:
    """Bed, onset and rise of night ``day``."""
    return _times(person, weekday_of(day, start), stream(person.seed, person.index, day, "night"))


def sleep(person: Person, day: int, start: date) -> Night:
    """Night ``day`` in full; its ``times`` equal ``night_times``."""
    rng = stream(person.seed, person.index, day, "night")
    times = _times(person, weekday_of(day, start), rng)
    latency = times.onset - times.bed
    stage = np.zeros(times.rise - times.bed, dtype=np.uint8)
    stage[latency:] = _stages(rng, times.rise - times.onset, person)
    return Night(
        times=times,
        stage=stage,
        arm_motion=_movement(rng, stage),
        bed_celsius=29.0 + 1.2 * float(rng.standard_normal()),  # degC: bed microclimate 28-32 (Okamoto-Mizuno 2012)
    )


def awake_share(age_years: float) -> float:
    """Expected share of the night spent awake; 0.126 over LifeSnaps, 16 to 68 min from age 20 to 75 (Ohayon 2004)."""
    return min(max(0.124 + 0.0012 * (age_years - 46.0), 0.07), 0.20)


def _times(person: Person, weekday: int, rng: np.random.Generator) -> NightTimes:
    z_onset, z_rise, z_latency = rng.standard_normal(3).tolist()
    u_late, u_length = rng.random(2).tolist()
    works_today = person.works and weekday < 5
    period = person.sleep_need_minutes / (1.0 - awake_share(person.age_years))
    middle = 60.0 * person.mid_sleep_free_days_hours - (0.0 if person.works else 10.0)
    onset, rise = middle - period / 2, middle + period / 2
    if works_today:
        commute = 0.0 if person.commute_by == "home" else person.commute_minutes
        alarm = 60.0 * person.work_start_hours - commute - GETTING_READY_MINUTES
        onset -= 0.80 * max(rise - alarm, 0.0)  # share of the alarm's cut won back by an earlier bedtime: judgement
        onset += 45.0 * z_onset  # minutes, SD within person 58 over all nights (Bei 2016)
        rise = min(alarm + 9.0 * z_rise, rise + 30.0 * z_rise)
    else:
        late = 100.0 * u_length if weekday >= 5 and u_late < 0.22 else 0.0  # minutes: nights out, judgement
        onset += 48.0 * z_onset + late
        rise += 38.0 * z_rise + 0.6 * late
    onset = min(max(onset, EARLIEST_ONSET), LATEST_ONSET)
    rise = min(max(rise, onset + 170.0, EARLIEST_RISE), LATEST_RISE)
    latency = min(max(10.0 * math.exp(0.6 * z_latency), 2.0), 60.0)  # minutes, median 10: Ohayon 2004
    return NightTimes(bed=round(onset - latency), onset=round(onset), rise=round(rise))


def _stages(rng: np.random.Generator, minutes: int, person: Person) -> NDArray[np.uint8]:
    """Stages from first sleep to getting up, uint8 [minutes]: cycles of light, deep, light and REM."""
    # deep sleep 17 % of the night at 20, 13 % after 52 (Fitbit); REM changes little with age
    depth = 1.0 - 0.0075 * min(max(person.age_years - 20.0, 0.0), 45.0)
    stage = np.full(minutes, Stage.LIGHT, dtype=np.uint8)
    begin, cycle = 0.0, 0
    for z_length, z_deep, z_rem in rng.standard_normal((_CYCLES, 3)).tolist():
        length = min(max(CYCLE_MINUTES + 13.0 * z_length, 65.0), 130.0)
        share = min(cycle, len(DEEP_BY_CYCLE) - 1)
        deep = length * min(DEEP_BY_CYCLE[share] * depth * math.exp(0.25 * z_deep), 0.5)
        rem = length * min(REM_BY_CYCLE[share] * math.exp(0.25 * z_rem), 0.45)
        falling = begin + 0.3 * (length - deep - rem)
        stage[round(falling) : round(falling + deep)] = Stage.DEEP
        stage[round(begin + length - rem) : round(begin + length)] = Stage.REM
        begin, cycle = begin + length, cycle + 1
        if begin >= minutes:
            break
    _awaken(rng, stage, awake_share(person.age_years))
    stage[0] = Stage.LIGHT
    return stage


def _awaken(rng: np.random.Generator, stage: NDArray[np.uint8], share: float) -> None:
    """Put awakenings into ``stage``: single minutes anywhere but in deep sleep, and longer spells, later more often."""
    minutes = len(stage)
    brief = rng.random(minutes, dtype=np.float32) < BRIEF_AWAKENING * (stage != Stage.DEEP) / 0.86
    stage[brief] = Stage.AWAKE
    spells = int(rng.poisson(max(share - BRIEF_AWAKENING, 0.0) * minutes / 10.0))  # mean length 10 min, overlaps apart
    starts = (minutes * np.sqrt(rng.random(spells))).astype(np.int64)
    lengths = np.clip(8.5 * np.exp(0.7 * rng.standard_normal(spells)), 3.0, 45.0).astype(np.int64)
    for begin, end in zip(starts, starts + lengths, strict=True):
        stage[begin:end] = Stage.AWAKE


def _movement(rng: np.random.Generator, stage: NDArray[np.uint8]) -> NDArray[np.float32]:
    """Wrist movement: long stillness, turns now and then, restless minutes awake; float32 like ``stage``."""
    u = rng.random((2, len(stage)), dtype=np.float32)
    turns: NDArray[np.float32] = -_TURN_SIZE[stage] * np.log1p(-u[1]) * (u[0] < _TURN[stage])
    return np.float32(0.004) + turns
