"""Night: when a person goes to bed and gets up, and the stages of sleep in between.

Night D is the main sleep that ends on day D; after a night shift it is sleep by day. It is drawn from a stream of its
own, named by person and day, so that the day before and the day after agree about it. Its times follow a simplified
two-process model [1]: the person's own clock (mid-sleep on free days) and, on working mornings, the alarm, which
people answer by going to bed somewhat earlier, but not early enough; that is social jetlag [2]. Inside, cycles of
about 90 minutes carry deep sleep early and REM late, broken by awakenings that grow with age [3].

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

from simulator.circumstances import Circumstances, circumstances, key_of, life_key, weekday_of
from simulator.noise import Key, bits, compiled, lane_key, normal_at, unit
from simulator.population import Person

__all__ = ["Night", "NightTimes", "Stage", "awake_share", "night_times", "sleep", "weekday_of"]

CYCLE_MINUTES: Final = 93.0  # minutes, mean length of a sleep cycle; SD 13 (Carskadon & Dement)
DEEP_BY_CYCLE: Final = (0.36, 0.26, 0.12, 0.05, 0.02, 0.0, 0.0)  # share of a cycle at age 20; Ohayon 2004, shape
REM_BY_CYCLE: Final = (0.11, 0.23, 0.30, 0.34, 0.36, 0.36, 0.36)  # share of a cycle; all-night REM near 21 %
BRIEF_AWAKENING: Final = 0.040  # probability a minute; half of Fitbit's 55 min awake a night are single minutes
GETTING_UP: Final = 0.35  # share of longer awakenings in which somebody walks: 13-29 steps a night (Fitabase)
GETTING_READY_MINUTES: Final = 62.0  # minutes between alarm and leaving home: judgement
WINDING_DOWN_MINUTES: Final = 75.0  # minutes from coming home late to lights out: judgement
DAY_SLEEP: Final = 0.78  # share of the night's length that sleep by day reaches: 5.5 to 6 h (Akerstedt 2003)
EARLIEST_ONSET, LATEST_ONSET = -300, 600  # minutes from midnight: bounds that keep neighbouring nights apart
EARLIEST_RISE, LATEST_RISE = 150, 1020  # minutes from midnight, likewise

_DEEP: Final = np.array(DEEP_BY_CYCLE)
_REM: Final = np.array(REM_BY_CYCLE)
_TURN: Final = np.array([0.45, 0.07, 0.025, 0.05])  # probability a minute by stage: judgement
_TURN_SIZE: Final = np.array([0.45, 0.30, 0.22, 0.18])  # mean arm movement of a turn: judgement
_TIMES, _CYCLES, _BRIEF, _SPELLS, _TURNS, _BED = range(1, 7)  # lanes of a night
_NIGHTS: Final = 2001  # lane of a life


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
        spells: int64 [n, 3]: first minute, end (from midnight) and ``Stage`` of each spell from onset to rise.
        cadence: float32 [rise - bed], steps per minute of whoever gets up in between.
        bed_celsius: Air temperature around the wrist, under the cover.
    """

    times: NightTimes
    stage: NDArray[np.uint8]
    spells: NDArray[np.int64]
    arm_motion: NDArray[np.float32]
    cadence: NDArray[np.float32]
    bed_celsius: float


def night_times(person: Person, day: int, start: date) -> NightTimes:
    """Bed, onset and rise of night ``day``."""
    life = life_key(person)
    before, after = (circumstances(person, d, start, life) for d in (day - 1, day))
    return _times(person, before, after, key_of(life, _NIGHTS, day))


def sleep(person: Person, day: int, yesterday: Circumstances, today: Circumstances, life: Key) -> Night:
    """Night ``day``, between two days, in full; its ``times`` equal ``night_times``.

    Args:
        person: Who sleeps.
        day: The one on which the night ends.
        yesterday: What the day before brought.
        today: What the day after brings.
        life: The person's ``life_key``.
    """
    key = key_of(life, _NIGHTS, day)
    times = _times(person, yesterday, today, key)
    # deep sleep 17 % of the night at 20, 13 % after 52 (Fitbit); REM changes little with age
    depth = 1.0 - 0.0075 * min(max(person.age_years - 20.0, 0.0), 45.0)
    # alcohol wakes in the second half of the night and takes REM from the first (Ebrahim 2013)
    restless = awake_share(person.age_years) + 0.05 * yesterday.drinks + 0.04 * today.fever
    stage, arm_motion, cadence, bed_celsius = _architecture(
        key, times.rise - times.bed, times.onset - times.bed, depth, 1.0 - 0.35 * yesterday.drinks, restless
    )
    spells = _spells(stage, times.bed, times.onset)
    return Night(
        times=times, stage=stage, spells=spells, arm_motion=arm_motion, cadence=cadence, bed_celsius=bed_celsius
    )


def awake_share(age_years: float) -> float:
    """Expected share of the night spent awake; 0.126 over LifeSnaps, 16 to 68 min from age 20 to 75 (Ohayon 2004)."""
    return min(max(0.115 + 0.0013 * (age_years - 46.0) - 0.0025 * max(26.0 - age_years, 0.0), 0.055), 0.20)


def _times(person: Person, yesterday: Circumstances, today: Circumstances, key: Key) -> NightTimes:
    z_onset, z_rise, z_latency, u_late, u_length = _five(key)
    period = person.sleep_need_minutes / (1.0 - awake_share(person.age_years)) + 45.0 * today.fever
    middle = 60.0 * person.mid_sleep_free_days_hours - (0.0 if person.works else 10.0)
    onset, rise = middle - period / 2, middle + period / 2
    commute = 0.0 if person.commute_by == "home" else person.commute_minutes
    home = yesterday.duty[1] - 1440.0 + commute + WINDING_DOWN_MINUTES if yesterday.works else -1440.0
    alarm = today.duty[0] - commute - GETTING_READY_MINUTES - (45.0 if today.early else 0.0)
    if home > 180.0:  # worked through the night: sleep by day, cut short when the next night is free
        onset = home + 20.0 * z_onset
        rise = onset + DAY_SLEEP * period * (1.0 if today.duty[1] > 1440.0 else 0.75) + 30.0 * z_rise
    elif today.works and alarm < 600.0:
        onset -= 0.80 * max(rise - alarm, 0.0)  # share of the alarm's cut won back by an earlier bedtime: judgement
        onset = max(onset + 42.0 * z_onset, home)  # minutes, SD within person 58 over all nights (Bei 2016)
        rise = min(alarm + 9.0 * z_rise, rise + 30.0 * z_rise)
    else:
        late = 100.0 * u_length if today.weekday >= 5 and u_late < 0.30 else 0.0  # minutes: nights out, judgement
        onset = max(onset + 45.0 * z_onset + late, home)
        rise += 8.0 + 38.0 * z_rise + 0.6 * late
    onset += 60.0 * yesterday.drinks - 40.0 * today.fever  # minutes: judgement
    onset = min(max(onset, EARLIEST_ONSET), LATEST_ONSET)
    rise = min(max(rise, onset + 170.0, EARLIEST_RISE), LATEST_RISE)
    latency = min(max(10.0 * math.exp(0.6 * z_latency), 2.0), 60.0)  # minutes, median 10: Ohayon 2004
    return NightTimes(bed=round(onset - latency), onset=round(onset), rise=round(rise))


@compiled
def _five(key: Key) -> tuple[float, float, float, float, float]:
    """Three standard normals and two uniforms that decide a night's times."""
    own = lane_key(key, _TIMES)
    return (
        normal_at(own, np.uint64(0)),
        normal_at(own, np.uint64(1)),
        normal_at(own, np.uint64(2)),
        unit(bits(own, np.uint64(3))),
        unit(bits(own, np.uint64(4))),
    )


@compiled
def _spells(stage: NDArray[np.uint8], bed: int, onset: int) -> NDArray[np.int64]:
    """Runs of one stage from ``onset`` on as [n, 3]: first minute, end, stage; minutes from midnight."""
    first = onset - bed
    changes = [first]
    for i in range(first + 1, len(stage)):
        if stage[i] != stage[i - 1]:
            changes.append(i)
    changes.append(len(stage))
    out = np.empty((len(changes) - 1, 3), dtype=np.int64)
    for k in range(len(out)):
        out[k, 0], out[k, 1], out[k, 2] = changes[k] + bed, changes[k + 1] + bed, stage[changes[k]]
    return out


@compiled
def _architecture(
    key: Key, minutes: int, latency: int, depth: float, dreaming: float, awake: float
) -> tuple[NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], float]:
    """Stages, wrist movement and steps from lights out to getting up, and the air under the cover.

    Args:
        key: The night's.
        minutes: In bed.
        latency: Minutes until sleep.
        depth: Factor on deep sleep.
        dreaming: Factor on REM in the first half.
        awake: Share of the time after falling asleep that is spent awake.
    """
    stage = np.zeros(minutes, dtype=np.uint8)
    stage[latency:] = 1
    cadence = np.zeros(minutes, dtype=np.float32)
    asleep = minutes - latency
    own = lane_key(key, _CYCLES)
    begin, cycle = 0.0, 0
    while begin < asleep:
        z_length, z_deep = normal_at(own, np.uint64(3 * cycle)), normal_at(own, np.uint64(3 * cycle + 1))
        length = min(max(CYCLE_MINUTES + 13.0 * z_length, 65.0), 130.0)
        share = min(cycle, len(_DEEP) - 1)
        deep = length * min(_DEEP[share] * depth * np.exp(0.25 * z_deep), 0.5)
        rem = length * min(_REM[share] * np.exp(0.25 * normal_at(own, np.uint64(3 * cycle + 2))), 0.45)
        if begin < 0.5 * asleep:
            rem *= dreaming
        falling = begin + 0.3 * (length - deep - rem)
        stage[latency + round(falling) : latency + round(falling + deep)] = 2
        stage[latency + round(begin + length - rem) : latency + round(begin + length)] = 3
        begin, cycle = begin + length, cycle + 1
    own = lane_key(key, _BRIEF)
    for i in range(latency, minutes):  # single minutes awake, anywhere but in deep sleep
        if stage[i] != 2 and unit(bits(own, np.uint64(i))) < BRIEF_AWAKENING / 0.86:
            stage[i] = 0
    own = lane_key(key, _SPELLS)
    spell = (awake - BRIEF_AWAKENING) / 10.0  # spells a minute; mean length 10 min, overlaps apart
    for i in range(asleep):  # longer spells, later in the night more often
        if unit(bits(own, np.uint64(2 * i))) < 2.0 * spell * i / asleep:
            lasting = int(min(max(8.5 * np.exp(0.7 * normal_at(own, np.uint64(2 * i + 1))), 3.0), 45.0))
            stage[latency + i : latency + i + lasting] = 0
            steps = 8.0 * np.exp(0.6 * normal_at(own, np.uint64(2 * (minutes + i)))) + 4.0
            if lasting > 4 and unit(bits(own, np.uint64(2 * (minutes + i) + 1))) < GETTING_UP and i + 4 < asleep:
                cadence[latency + i + 1] = cadence[latency + i + 3] = steps  # there and back
    stage[latency] = 1
    own = lane_key(key, _TURNS)
    arm_motion = np.empty(minutes, dtype=np.float32)
    for i in range(minutes):  # long stillness, turns now and then, restless minutes awake
        turns = unit(bits(own, np.uint64(2 * i))) < _TURN[stage[i]]
        arm_motion[i] = 0.004
        if turns:
            arm_motion[i] -= _TURN_SIZE[stage[i]] * np.log(unit(bits(own, np.uint64(2 * i + 1))))
    # degC: bed microclimate 28-32 (Okamoto-Mizuno 2012)
    return stage, arm_motion, cadence, 29.0 + 1.2 * normal_at(lane_key(key, _BED), np.uint64(0))
