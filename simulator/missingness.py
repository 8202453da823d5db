"""Missingness: why a minute of a signal is missing, by the mechanisms that make real watches miss minutes.

The person decides whether the watch is worn, charged and fetched by a phone (``simulator.wearing``), and how tight
its strap is (``simulator.strap``); what is left is the device's doing. Its firmware switches skin conductance and
temperature off in sleep and exercise (LSM-1 section 3.1 [1]), reads the heart sparsely or at night only, and saves
power when the battery runs low; movement, water, cold skin and a loose strap hide the pulse; a sensor breaks. Where
several hold, the reason is the first of: sensor absent, dropped out, not synced, charging, battery empty, off the
wrist, sensor failed, power saving, a watch too cold to work, switched off, loose fit, motion or cold skin.

[1] Narayanswamy, Liu et al., ICLR 2025, arXiv:2410.13638. [2] Xu et al., "LSM-2: Learning from Incomplete Wearable
Sensor Data", arXiv:2506.05321: a mean of 49 % of a day's cells missing, no day complete; its causes are device
removal, charging, loose fitting, motion, power saving and the environment.
"""

import math
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Key, bits, compiled, lane_key, uniform, unit
from simulator.population import Person
from simulator.recording import Reason
from simulator.routine import Routine, Stage
from simulator.signals import INDEX, MINUTES_PER_DAY, RR_STATISTICS, SIGNALS, Sensor
from simulator.strap import breaks, loosened
from simulator.vendor import Vendor
from simulator.wearing import LEAD_MINUTES, handling, wear_key

RR_VALID_THRESHOLD_PERCENT: Final = 50.0  # %: intervals must cover half the window; cuts off walking (norms rrvalid_*)
AWAKE_OFF_MINUTES: Final = 30  # minutes until a watch off the wrist falls asleep: judgement; see ``find_gaps``
HEART_RATE_LOSS_G: Final = (0.12, 0.40)  # g, SD of wrist acceleration: loss begins above chores, is likeliest in a run
HEART_RATE_LOSS_SHARE: Final = 0.12  # share of spells of the strongest motion in which heart rate is lost: judgement
SWIMMING_LOSS_SHARE: Final = 0.35  # share of spells, so 0.20 of swimming minutes: 0.05 to 0.8 (norm hr_dropout_water)
SPELL_MINUTES: Final = 8  # minutes: a loss lasts up to a spell; Fitbit gaps have quartiles 2, 7 and 36 min (Fitabase)
LOOSE_SPELL_MINUTES: Final = 20  # minutes: the same of a loose strap; Fitabase has 1.1 gaps a day of 6 to 20 minutes
LOOSE_LOSS: Final = (0.40, 0.95)  # share of its spells with a loss when still, and from 0.1 g on: judgement
COLD_PULSE_CELSIUS: Final = (5.0, -15.0)  # degC of air: cold fingers and wrists begin to hide the pulse, and always do
WRIST_WARMTH_CELSIUS: Final = 10.0  # degC by which a worn watch is warmer than the air, under a sleeve; judgement
COLD_SOAK_MINUTES: Final = 20.0  # minutes, time constant with which a watch takes the air's temperature; judgement
FAILURES_PER_YEAR: Final = {  # hazard of each sensor, a year: judgement; electrodes corrode, vents clog
    Sensor.PPG: 0.010,
    Sensor.ACC: 0.002,
    Sensor.EDA: 0.030,
    Sensor.TEMP: 0.010,
    Sensor.ALT: 0.020,
}

_BY_SENSOR: Final = {sensor: np.array([i for i, s in enumerate(SIGNALS) if s.sensor == sensor]) for sensor in Sensor}

_AWAKE: Final = int(Stage.AWAKE)
_OBSERVED, _EMPTY_BATTERY = int(Reason.OBSERVED), int(Reason.BATTERY_EMPTY)  # plain numbers for compiled code
_CHARGING, _OFF_WRIST, _SAVING = int(Reason.CHARGING), int(Reason.OFF_WRIST), int(Reason.POWER_SAVING)
_SENSOR_OFF, _MOTION = int(Reason.SENSOR_OFF), int(Reason.MOTION)
_LOOSE, _COLD = int(Reason.LOOSE_FIT), int(Reason.TOO_COLD)
_ALWAYS, _PULSE, _VALID, _BEATS, _WRIST, _SWEAT, _WARMTH = range(7)  # signals that are missing together
_TOGETHER: Final = np.full(len(SIGNALS), _ALWAYS)  # the group of each signal
_TOGETHER[[INDEX[name] for name in RR_STATISTICS]] = _BEATS
_TOGETHER[[INDEX["heart_rate"], INDEX["rr_valid"], INDEX["on_wrist"]]] = _PULSE, _VALID, _WRIST
_TOGETHER[[i for i, s in enumerate(SIGNALS) if s.sensor == Sensor.EDA]] = _SWEAT
_TOGETHER[[i for i, s in enumerate(SIGNALS) if s.sensor == Sensor.TEMP]] = _WARMTH

_OPTICAL_LANE, _CONTACT_LANE, _FAILURE_LANE = 502, 506, 507  # noise sequences under the wear's key
_OF_THE_WATCH: Final = np.array(
    [Reason.DROPPED_OUT, Reason.NOT_SYNCED, Reason.CHARGING, Reason.BATTERY_EMPTY, Reason.OFF_WRIST], dtype=np.uint8
)


class Firmware(NamedTuple):
    """What a device's firmware measures when; the meaning of each is that of ``Vendor``'s field of like name."""

    skin_always: bool
    temperature_only_in_sleep: bool
    beats_awake: bool
    beats_interval_minutes: int
    beats_sleep_minutes: float
    heart_rate_interval_minutes: int
    heart_rate_interval_asleep_minutes: int
    heart_rate_in_water: bool
    coldest_celsius: float


class Setting(NamedTuple):
    """What surrounds the watch in a day's minutes, arrays [1440]; ``water`` is of a wrist under water."""

    asleep: NDArray[np.bool_]
    exercising: NDArray[np.bool_]
    water: NDArray[np.bool_]
    air_celsius: NDArray[np.float32]
    rr_valid_percent: NDArray[np.float32]
    motion_g: NDArray[np.float32]


def worn(person: Person, vendor: Vendor, routine: Routine, day: int) -> NDArray[np.bool_]:
    """True in the minutes of the day in which the watch is on the wrist and its recording survives, bool [1440]."""
    why = handling(person, vendor, routine, day, wear_key(person))[LEAD_MINUTES:]
    on_wrist: NDArray[np.bool_] = (why == Reason.OBSERVED) | (why == Reason.POWER_SAVING)
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
    key = wear_key(person)
    firmware = Firmware(
        skin_always=vendor.eda_and_temperature_in_sleep_and_exercise,
        temperature_only_in_sleep=vendor.temperature_only_in_sleep,
        beats_awake=vendor.beats_awake,
        beats_interval_minutes=vendor.beats_interval_minutes,
        beats_sleep_minutes=vendor.beats_sleep_minutes,
        heart_rate_interval_minutes=vendor.heart_rate_interval_minutes,
        heart_rate_interval_asleep_minutes=vendor.heart_rate_interval_asleep_minutes,
        heart_rate_in_water=vendor.heart_rate_in_water,
        coldest_celsius=vendor.coldest_celsius,
    )
    today = slice(routine.lead_in_minutes, None)
    setting = Setting(
        asleep=_asleep(routine),
        exercising=routine.exercising[today],
        water=routine.water[today],
        air_celsius=routine.ambient_celsius[today],
        rr_valid_percent=rr_valid_percent,
        motion_g=motion_g,
    )
    loose = loosened(person, routine, key, day)
    handled = handling(person, vendor, routine, day, key)
    groups = _groups(handled, firmware, setting, person.loose_fit, loose, key, day)
    reason = groups.take(_TOGETHER, axis=0)
    _break_sensors(reason, person.wear_and_tear, key, day)
    for sensor, rows in _BY_SENSOR.items():
        if sensor not in vendor.sensors:
            reason[rows] = Reason.SENSOR_ABSENT
    return reason


def _failure_minute(share: float, sensor: Sensor, wear_and_tear: float) -> float:
    """Minutes from the cohort's start after which the sensor delivers nothing any more."""
    per_year = FAILURES_PER_YEAR[sensor] * wear_and_tear
    return -math.log(share) / per_year * 365.25 * MINUTES_PER_DAY if per_year > 0 else math.inf


def _break_sensors(reason: NDArray[np.uint8], wear_and_tear: float, key: Key, day: int) -> None:
    """Mark what a broken sensor would have measured, in place."""
    shares = uniform(key, _FAILURE_LANE, 0, len(Sensor)).tolist()
    midnight = day * MINUTES_PER_DAY
    for sensor, share in zip(Sensor, shares, strict=True):
        begin = _failure_minute(share, sensor, wear_and_tear) - midnight
        if begin < MINUTES_PER_DAY:
            after = reason[_BY_SENSOR[sensor], max(math.ceil(begin), 0) :]
            after[~np.isin(after, _OF_THE_WATCH)] = Reason.SENSOR_FAILED
            reason[_BY_SENSOR[sensor], max(math.ceil(begin), 0) :] = after


def _asleep(routine: Routine) -> NDArray[np.bool_]:
    """True from falling asleep to getting up, awakenings included, and in naps; bool [1440]."""
    asleep: NDArray[np.bool_] = routine.stage[routine.lead_in_minutes :] != _AWAKE
    for event in routine.events:
        if event.kind == "sleep":
            asleep[max(event.start_minute, 0) : max(event.end_minute, 0)] = True
    return asleep


@compiled
def _groups(
    handled: NDArray[np.uint8],
    firmware: Firmware,
    setting: Setting,
    loose_fit: float,
    loose: NDArray[np.bool_],
    key: Key,
    day: int,
) -> NDArray[np.uint8]:
    """Reasons of each group of signals that are missing together, uint8 [7, 1440].

    A watch that is off takes all; else the weaker reasons are laid first and the stronger over them. The first
    ``AWAKE_OFF_MINUTES`` of being off, ``on_wrist`` still says so, unless the battery is empty.
    """
    n = setting.asleep.size
    groups = np.zeros((7, n), dtype=np.uint8)
    _lose_beats(groups, setting)
    _lose_pulse(groups, setting, key, day)
    if loose_fit > 0.0:
        _lose_contact(groups, setting.motion_g, loose, key, day)
        broken = breaks(loose_fit, setting.motion_g, key, day)
        for i in range(n):
            if broken[i]:
                groups[_PULSE, i] = _LOOSE
    _switch_off(groups, firmware, setting, day)
    off_minutes = AWAKE_OFF_MINUTES + 1  # since the watch was last worn
    for i in range(LEAD_MINUTES):
        off_minutes = 0 if handled[i] == _OBSERVED or handled[i] == _SAVING else off_minutes + 1
    for i in range(n):
        why = handled[LEAD_MINUTES + i]
        if why == _OBSERVED:
            off_minutes = 0
        elif why == _SAVING:
            off_minutes = 0
            for group in range(_PULSE, 7):
                groups[group, i] = why
        else:
            off_minutes += 1
            for group in range(7):
                groups[group, i] = why
            if off_minutes <= AWAKE_OFF_MINUTES and why in (_OFF_WRIST, _CHARGING):
                groups[_WRIST, i] = _OBSERVED
    return groups


@compiled
def _switch_off(groups: NDArray[np.uint8], firmware: Firmware, setting: Setting, day: int) -> None:
    """What the firmware does not measure, and what the watch cannot in the cold."""
    asleep_minutes = 0
    air = setting.air_celsius[0]
    for i in range(setting.asleep.size):
        exercising = setting.exercising[i]
        if setting.asleep[i]:
            asleep_minutes += 1
            every = firmware.heart_rate_interval_asleep_minutes
            counts_beats = firmware.beats_awake or asleep_minutes <= firmware.beats_sleep_minutes
        else:
            asleep_minutes = 0
            every = 1 if exercising else firmware.heart_rate_interval_minutes
            counts_beats = firmware.beats_awake
        if not counts_beats or (day * 1440 + i) % firmware.beats_interval_minutes != 0:
            groups[_BEATS, i] = groups[_VALID, i] = _SENSOR_OFF
        if i % every != 0 or (setting.water[i] and exercising and not firmware.heart_rate_in_water):
            groups[_PULSE, i] = _SENSOR_OFF
        skin_off = (setting.asleep[i] or exercising) and not firmware.skin_always
        if skin_off:
            groups[_SWEAT, i] = _SENSOR_OFF
        if not setting.asleep[i] if firmware.temperature_only_in_sleep else skin_off:
            groups[_WARMTH, i] = _SENSOR_OFF
        air += (setting.air_celsius[i] - air) / COLD_SOAK_MINUTES
        if air + WRIST_WARMTH_CELSIUS < firmware.coldest_celsius:
            for group in range(7):
                groups[group, i] = _COLD


@compiled
def _lose_beats(groups: NDArray[np.uint8], setting: Setting) -> None:
    """Mark the minutes in which too few beats are valid for the nine statistics."""
    for i in range(setting.asleep.size):
        if setting.rr_valid_percent[i] < RR_VALID_THRESHOLD_PERCENT:
            groups[_BEATS, i] = _MOTION


@compiled
def _lose_pulse(groups: NDArray[np.uint8], setting: Setting, key: Key, day: int) -> None:
    """Mark the minutes in which motion, water or cold skin hides the pulse: the first few of a spell."""
    low, high = HEART_RATE_LOSS_G
    warm, cold = COLD_PULSE_CELSIUS
    own = lane_key(key, _OPTICAL_LANE)
    for spell in range(MINUTES_PER_DAY // SPELL_MINUTES):
        first = spell * SPELL_MINUTES
        motion = setting.motion_g[first : first + SPELL_MINUTES].mean()
        by_motion = HEART_RATE_LOSS_SHARE * min(max((motion - low) / (high - low), 0.0), 1.0)
        if setting.water[first] and setting.exercising[first]:
            by_motion = SWIMMING_LOSS_SHARE
        by_cold = min(max((setting.air_celsius[first] - warm) / (cold - warm), 0.0), 1.0)
        if by_motion + by_cold <= 0.0:
            continue
        place = 2 * (day * (MINUTES_PER_DAY // SPELL_MINUTES) + spell)
        u = unit(bits(own, np.uint64(place)))
        if u < by_motion + by_cold:
            minutes = 1.0 + SPELL_MINUTES * unit(bits(own, np.uint64(place + 1))) ** 1.5
            for i in range(first, first + min(int(np.ceil(minutes)), SPELL_MINUTES)):
                if u < by_motion:
                    groups[_PULSE, i] = _MOTION
                else:  # no pulse, no beats
                    groups[_PULSE, i] = groups[_VALID, i] = groups[_BEATS, i] = _COLD


@compiled
def _lose_contact(
    groups: NDArray[np.uint8], motion_g: NDArray[np.float32], loose: NDArray[np.bool_], key: Key, day: int
) -> None:
    """Mark spells in which a strap that is too loose leaves optics, or electrodes and thermometer, off the skin."""
    contact = lane_key(key, _CONTACT_LANE)
    still, moving = LOOSE_LOSS
    for i in range(loose.size):
        if loose[i]:
            first = i - i % LOOSE_SPELL_MINUTES
            share = still + (moving - still) * min(motion_g[first] / 0.1, 1.0)
            spell = 3 * (day * (MINUTES_PER_DAY // LOOSE_SPELL_MINUTES) + first // LOOSE_SPELL_MINUTES)
            lasts = 1.0 + LOOSE_SPELL_MINUTES * unit(bits(contact, np.uint64(spell + 2))) ** 1.5
            groups[_BEATS, i] = _LOOSE
            if i - first < lasts and unit(bits(contact, np.uint64(spell))) < share:
                groups[_PULSE, i] = groups[_VALID, i] = _LOOSE
            if unit(bits(contact, np.uint64(spell + 1))) < share:
                groups[_SWEAT, i] = groups[_WARMTH, i] = _LOOSE
