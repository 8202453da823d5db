"""Missingness: why a minute of a signal is missing, by the mechanisms that make real watches miss minutes.

A watch lacks a sensor; it lies on its charger, when its battery and the person's habit say so; it ran flat; it was
taken off for the shower, the evening, the night or a week; its firmware switches skin conductance and temperature off
in sleep and exercise (LSM-1 section 3.1 [1]); movement spoils beats. Where several hold, the first in that order is
the reason. Which episodes exist is drawn by nested thresholds, so that a person who wears the watch more, all else
equal, never yields less data.

Episodes belong to the day on which they begin and their draws are addressed by that day, so two calendar days agree
about a charge that crosses midnight.

[1] Narayanswamy, Liu et al., ICLR 2025, arXiv:2410.13638. [2] Xu et al., "LSM-2: Learning from Incomplete Wearable
Sensor Data", arXiv:2506.05321: a mean of 49 % of a day's cells missing, no day complete.
"""

import math
from collections.abc import Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Key, bits, compiled, lane_key, time_key, uniform, unit
from simulator.population import Person
from simulator.recording import Reason
from simulator.routine import Routine, Stage
from simulator.signals import INDEX, MINUTES_PER_DAY, RR_STATISTICS, SIGNALS, Sensor
from simulator.vendors import Vendor

RR_VALID_THRESHOLD_PERCENT: Final = 50.0  # %: intervals must cover half the window; cuts off walking (norms rrvalid_*)
AWAKE_OFF_MINUTES: Final = 30  # minutes until a watch off the wrist falls asleep: judgement; see ``find_gaps``
HEART_RATE_LOSS_G: Final = (0.12, 0.40)  # g, SD of wrist acceleration: loss begins above chores, is likeliest in a run
HEART_RATE_LOSS_SHARE: Final = 0.28  # share of spells of the strongest motion in which heart rate is lost: judgement
SPELL_MINUTES: Final = 8  # minutes: a loss lasts up to a spell; Fitbit gaps have quartiles 2, 7 and 36 min (Fitabase)
RECHARGE_AT: Final = 0.22  # share of battery left when people charge: 15-30 % (norms)
OFF_CANDIDATES: Final = 8  # most times a day that a watch is taken off, charging and water aside
LONGEST_EPISODE_MINUTES: Final = 1180  # minutes: episodes end on the day after they began, before 20 h

_LEAD: Final = 40  # minutes before midnight that are looked at: more than AWAKE_OFF_MINUTES
_BY_SENSOR: Final = {sensor: np.array([i for i, s in enumerate(SIGNALS) if s.sensor == sensor]) for sensor in Sensor}

_OBSERVED, _CHARGING, _EMPTY_BATTERY = int(Reason.OBSERVED), int(Reason.CHARGING), int(Reason.BATTERY_EMPTY)
_SENSOR_OFF, _MOTION = int(Reason.SENSOR_OFF), int(Reason.MOTION)  # plain numbers for compiled code
_ALWAYS, _PULSE, _VALID, _BEATS, _WRIST, _SWEAT, _WARMTH = range(7)  # signals that are missing together
_TOGETHER: Final = np.full(len(SIGNALS), _ALWAYS)  # the group of each signal
_TOGETHER[[INDEX[name] for name in RR_STATISTICS]] = _BEATS
_TOGETHER[[INDEX["heart_rate"], INDEX["rr_valid"], INDEX["on_wrist"]]] = _PULSE, _VALID, _WRIST
_TOGETHER[[i for i, s in enumerate(SIGNALS) if s.sensor == Sensor.EDA]] = _SWEAT
_TOGETHER[[i for i, s in enumerate(SIGNALS) if s.sensor == Sensor.TEMP]] = _WARMTH

_HANDLING_LANE, _AWAY_LANE, _OPTICAL_LANE = 500, 501, 502  # noise sequences of the wear under a person's key
_NIGHT, _LATE, _EARLY = range(3)  # what each number of a day's draw decides
_CHARGE_CLOCK, _CHARGE_LENGTH, _FORGET, _EMPTY, _TOP_UP, _TOP_UP_CLOCK, _WATER = range(3, 10)
_OFF: Final = 16  # where the three rows of off-wrist draws begin: exists, clock, length
_DRAWS: Final = _OFF + 3 * OFF_CANDIDATES
_BLOCK_DAYS: Final = 7  # days within which at most one run of unworn days falls
_HABIT_CLOCK: Final = {  # minutes from midnight between which a charge begins: norms charge_evening, charge_morning
    "evening": (1120.0, 1350.0),
    "morning": (390.0, 570.0),
    "desk": (570.0, 960.0),
}

Draws = dict[int, list[float]]
"""Uniform numbers of yesterday, today and tomorrow."""
Span = tuple[float, float]
"""First minute and first minute after, relative to midnight of the day in question."""


def worn(person: Person, vendor: Vendor, routine: Routine, day: int) -> NDArray[np.bool_]:
    """True in the minutes of the day in which the watch is on the wrist, bool [1440]."""
    on_wrist: NDArray[np.bool_] = _handling(person, vendor, routine, day)[_LEAD:] == Reason.OBSERVED
    return on_wrist


def find_gaps(
    person: Person,
    vendor: Vendor,
    routine: Routine,
    rr_valid_percent: NDArray[np.float32],
    motion_g: NDArray[np.float32],
    day: int,
) -> NDArray[np.uint8]:
    """The reason of every missing cell of a person-day, 0 where observed.

    Args:
        person: Who wears the watch; habits decide when it is off.
        vendor: The device; sensors, battery and firmware decide what it records.
        routine: Day ``day`` of that person's life.
        rr_valid_percent: float32 [1440], the share of valid RR intervals as the device measured it.
        motion_g: float32 [1440], standard deviation of wrist acceleration.
        day: Days since the cohort's start, the same as ``routine`` was lived for.

    Returns:
        uint8 [26, 1440] of ``Reason``. While off the wrist or on the charger, ``on_wrist`` stays observed (it is 0)
        for the first ``AWAKE_OFF_MINUTES``; then all channels are blank together. With a few minutes in place of the
        half hour, zeros would be so rare among LSM-1's minutes that the paper's errors of simple rules (Table 3a),
        averaged over z-scored signals, would come from this one signal: 12 for it, 1 on average, instead of 0.66.
    """
    key = _key(person)
    firmware = Firmware(
        skin_always=vendor.eda_and_temperature_in_sleep_and_exercise,
        temperature_only_in_sleep=vendor.temperature_only_in_sleep,
        beats_awake=vendor.beats_awake,
        heart_rate_interval_minutes=vendor.heart_rate_interval_minutes,
    )
    handling = _handling(person, vendor, routine, day)
    exercising = routine.exercising[routine.lead_in_minutes :]
    groups = _groups(handling, firmware, _asleep(routine), exercising, rr_valid_percent, motion_g, key, day)
    reason = groups.take(_TOGETHER, axis=0)
    for sensor, rows in _BY_SENSOR.items():
        if sensor not in vendor.sensors:
            reason[rows] = Reason.SENSOR_ABSENT
    return reason


class Firmware(NamedTuple):
    """What a device's firmware measures when; the meaning of each is that of ``Vendor``'s field of like name."""

    skin_always: bool
    temperature_only_in_sleep: bool
    beats_awake: bool
    heart_rate_interval_minutes: int


def _key(person: Person) -> Key:
    return time_key(person.seed, person.index, "wear")


def _asleep(routine: Routine) -> NDArray[np.bool_]:
    """True from falling asleep to getting up, awakenings included, and in naps; bool [1440]."""
    asleep: NDArray[np.bool_] = routine.stage[routine.lead_in_minutes :] != Stage.AWAKE
    for event in routine.events:
        if event.kind == "sleep":
            asleep[max(event.start_minute, 0) : max(event.end_minute, 0)] = True
    return asleep


@compiled
def _groups(
    handling: NDArray[np.uint8],
    firmware: Firmware,
    asleep: NDArray[np.bool_],
    exercising: NDArray[np.bool_],
    rr_valid_percent: NDArray[np.float32],
    motion_g: NDArray[np.float32],
    key: Key,
    day: int,
) -> NDArray[np.uint8]:
    """Reasons of each group of signals that are missing together, uint8 [7, 1440].

    A watch that is off takes all; else firmware comes before movement. The first ``AWAKE_OFF_MINUTES`` of being off,
    ``on_wrist`` still says so, unless the battery is empty.
    """
    groups = np.zeros((7, asleep.size), dtype=np.uint8)
    _lose_pulse(groups[_PULSE], motion_g, key, day)
    off_minutes = AWAKE_OFF_MINUTES + 1  # since the watch was last worn
    for i in range(_LEAD):
        off_minutes = 0 if handling[i] == _OBSERVED else off_minutes + 1
    for i in range(asleep.size):
        why = handling[_LEAD + i]
        if why != _OBSERVED:
            off_minutes += 1
            for group in range(7):
                groups[group, i] = why
            if off_minutes <= AWAKE_OFF_MINUTES and why != _EMPTY_BATTERY:
                groups[_WRIST, i] = _OBSERVED
            continue
        off_minutes = 0
        if rr_valid_percent[i] < RR_VALID_THRESHOLD_PERCENT:
            groups[_BEATS, i] = _MOTION
        if not asleep[i]:
            if not firmware.beats_awake:
                groups[_BEATS, i] = groups[_VALID, i] = _SENSOR_OFF
            if not exercising[i] and i % firmware.heart_rate_interval_minutes != 0:
                groups[_PULSE, i] = _SENSOR_OFF
        if (asleep[i] or exercising[i]) and not firmware.skin_always:
            groups[_SWEAT, i] = groups[_WARMTH, i] = _SENSOR_OFF
        if firmware.temperature_only_in_sleep:
            groups[_WARMTH, i] = _OBSERVED if asleep[i] else _SENSOR_OFF
    return groups


@compiled
def _lose_pulse(reason: NDArray[np.uint8], motion_g: NDArray[np.float32], key: Key, day: int) -> None:
    """Mark the minutes in which strong motion hides the pulse: the first few of a spell."""
    low, high = HEART_RATE_LOSS_G
    own = lane_key(key, _OPTICAL_LANE)
    for spell in range(motion_g.size // SPELL_MINUTES):
        first = spell * SPELL_MINUTES
        motion = motion_g[first : first + SPELL_MINUTES].mean()
        if motion <= low:
            continue
        place = 2 * (day * (MINUTES_PER_DAY // SPELL_MINUTES) + spell)
        if unit(bits(own, np.uint64(place))) < HEART_RATE_LOSS_SHARE * min((motion - low) / (high - low), 1.0):
            minutes = 1.0 + SPELL_MINUTES * unit(bits(own, np.uint64(place + 1))) ** 1.5
            reason[first : first + min(int(np.ceil(minutes)), SPELL_MINUTES)] = _MOTION


def _handling(person: Person, vendor: Vendor, routine: Routine, day: int) -> NDArray[np.uint8]:
    """Why the whole watch is blank, uint8 [_LEAD + 1440] of ``Reason`` from just before midnight; 0 on the wrist."""
    numbers = uniform(_key(person), _HANDLING_LANE, (day - 1) * _DRAWS, 3 * _DRAWS).tolist()
    draws = {day - 1 + i: numbers[i * _DRAWS : (i + 1) * _DRAWS] for i in range(3)}
    handling = np.zeros(_LEAD + MINUTES_PER_DAY, dtype=np.uint8)
    off = [*_not_put_on(person, routine, day, draws), *_in_water(person, routine, day, draws)]
    charging: list[Span] = []
    empty: list[Span] = []
    for d in (day - 1, day):
        off += _taken_off(person, MINUTES_PER_DAY * (d - day), draws[d])
        night = routine.nights[d - day + 1] if routine.nights else None
        for begin, end, why in _charges(person, vendor, d, night, MINUTES_PER_DAY * (d - day), draws[d]):
            (charging if why == Reason.CHARGING else empty).append((begin, end))
    for spans, why in ((off, Reason.OFF_WRIST), (empty, Reason.BATTERY_EMPTY), (charging, Reason.CHARGING)):
        for begin, end in spans:
            handling[max(round(begin) + _LEAD, 0) : max(round(end) + _LEAD, 0)] = why
    return handling


def _not_put_on(person: Person, routine: Routine, day: int, draws: Draws) -> Iterator[Span]:
    """Nights without the watch, and whole days; relative to midnight of ``day``."""
    if not routine.nights:
        return
    for d, (bed, rise) in zip((day, day + 1), routine.nights, strict=True):
        u_night, u_late, u_early = draws[d][_NIGHT], draws[d][_LATE], draws[d][_EARLY]
        if u_night >= person.worn_nights:  # off from some time in the evening until after breakfast: judgement
            yield bed - 150.0 * u_late**2, rise + 10.0 + 90.0 * u_early**2
    rise, next_rise = routine.nights[0][1], routine.nights[1][1]
    if _away(person, day - 1):
        yield -float(MINUTES_PER_DAY), rise
    if _away(person, day):
        yield rise, next_rise


def _away(person: Person, day: int) -> bool:
    """True if the watch stays in its drawer from getting up on ``day``; such days come in runs of one to five."""
    block, place = divmod(day, _BLOCK_DAYS)
    u_any, u_length, u_offset = uniform(_key(person), _AWAY_LANE, 3 * block, 3).tolist()
    length = 1 + int(5 * u_length)
    offset = int((_BLOCK_DAYS + 1 - length) * u_offset)
    return u_any < person.unworn_days * _BLOCK_DAYS / 3.0 and offset <= place < offset + length  # 3: mean run


def _in_water(person: Person, routine: Routine, day: int, draws: Draws) -> Iterator[Span]:
    """Showers and swims of people who take the watch off, until it is dry and found again (gap median 22 min)."""
    if not person.off_in_water:
        return
    edges = np.flatnonzero(np.diff(routine.water.astype(np.int8), prepend=0, append=0)) - routine.lead_in_minutes
    for begin, end in zip(edges[::2].tolist(), edges[1::2].tolist(), strict=True):
        yield begin, end + 4.0 + 22.0 * draws[day - 1 if end <= 0 else day][_WATER]


def _taken_off(person: Person, midnight: float, draw: list[float]) -> Iterator[Span]:
    """Times at which the watch is put aside during one day, charging and water apart; evenings more often."""
    chance = person.off_wrist_per_day / OFF_CANDIDATES
    for i in range(_OFF, _OFF + OFF_CANDIDATES):
        if draw[i] >= chance:
            continue
        clock, length = draw[i + OFF_CANDIDATES], draw[i + 2 * OFF_CANDIDATES]
        begin = midnight + 420.0 + 990.0 * clock**0.7
        # log-logistic about the person's median; within-person spread of Fitabase off-wrist bouts
        minutes = person.off_wrist_minutes * (length / (1.0 - length)) ** 0.55
        yield begin, begin + min(max(minutes, 2.0), LONGEST_EPISODE_MINUTES)


def _charges(
    person: Person,
    vendor: Vendor,
    day: int,
    night: tuple[int, int] | None,
    midnight: float,
    draw: list[float],
) -> Iterator[tuple[float, float, Reason]]:
    """What day ``day`` brings for the battery; ``night`` (bed, rise) is the one that begins that evening."""
    u_top, u_top_clock = draw[_TOP_UP], draw[_TOP_UP_CLOCK]
    if u_top < (0.22 if vendor.battery_days <= 2 else 0.02):  # share of days with a low-battery top-up: judgement
        begin = midnight + 420.0 + 840.0 * u_top_clock
        yield begin, begin + 0.3 * vendor.charge_minutes, Reason.CHARGING
    if not _is_due(person, vendor, day):
        return
    u_clock, u_length, u_forget, u_empty = draw[_CHARGE_CLOCK : _EMPTY + 1]
    needed = vendor.charge_minutes * (0.45 + 0.5 * u_length) + 30.0 * u_length**3  # and until it is put back on
    window = _HABIT_CLOCK.get(person.charging_habit)
    if window is None and night is not None:
        begin, end = night[0] - 20.0 * u_clock, night[1] + 5.0 + 20.0 * u_length
    else:
        first, last = window or _HABIT_CLOCK["evening"]
        begin = midnight + first + (last - first) * u_clock
        end = begin + needed
    if u_forget < person.forgetful:  # it runs flat some hours later and is found flat after a while
        flat = begin + 60.0 * (1.0 + 8.0 * u_empty)
        found = flat + 60.0 * (0.5 + 7.5 * u_length)
        yield flat, found, Reason.BATTERY_EMPTY
        begin, end = found, found + needed
    yield begin, end, Reason.CHARGING


def _is_due(person: Person, vendor: Vendor, day: int) -> bool:
    """True on days on which the battery asks for its charge; daily for watches that last a day."""
    cycle = max(vendor.battery_days * (1.0 - RECHARGE_AT), 1.0)
    return math.floor(day / cycle + person.charge_phase) > math.floor((day - 1) / cycle + person.charge_phase)
