"""Vendor: a device with its sensors, its errors, and its battery and firmware habits.

``VENDORS`` maps a device's key to its facts. A new device is one more value. Sensors, battery and charging follow the
makers' specifications and the reviews named in ``source``; error sizes are orders of magnitude from wrist-PPG and
accelerometer validation studies, and differ between makers so that a model trained on one meets another.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from simulator.signals import Sensor, signals_of

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "battery_days": (0.25, 365.0),
        "charge_minutes": (10.0, 600.0),
        "memory_days": (0.5, 365.0),
        "power_saving_below": (0.0, 0.5),
        "coldest_celsius": (-40.0, 10.0),
        "heart_rate_interval_minutes": (1.0, 60.0),
        "heart_rate_interval_asleep_minutes": (1.0, 60.0),
        "beats_interval_minutes": (1.0, 1440.0),
        "beats_sleep_minutes": (1.0, 1440.0),
        "heart_rate_error_bpm": (0.0, 20.0),
        "heart_rate_motion_error_bpm": (0.0, 60.0),
        "heart_rate_step_bpm": (0.0, 10.0),
        "valid_beats": (0.0, 1.0),
        "step_count_factor": (0.5, 1.5),
        "skin_temperature_bias_celsius": (-5.0, 5.0),
        "temperature_step_celsius": (0.0, 1.0),
        "accelerometer_noise_g": (0.0, 0.1),
        "pressure_noise_hectopascals": (0.0, 1.0),
    }
)
"""Smallest and largest sensible value of every number in ``Vendor``, in the unit of its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One device as everywear models it; a new one is one value.

    Attributes:
        name: Key in dataset folders, for example "fitbit-sense-2".
        sensors: Hardware that delivers usable minute signals.
        battery_days: Rated life, days.
        charge_minutes: Empty to full, minutes.
        charges_on_wrist: True where it is charged without taking it off.
        power_saving_below: Share of battery below which optics and electrodes are switched off; 0: never.
        memory_days: Days of minutes it holds for a phone; older ones are overwritten.
        coldest_celsius: Lowest temperature of the watch at which it works, degC.
        taken_off_for_lifting: True where people take it off to grip weights, as they do with rings.
        eda_and_temperature_in_sleep_and_exercise: False where firmware switches them off then (LSM-1 section 3.1).
        temperature_only_in_sleep: True where firmware reports the minute temperature of the night only.
        beats_awake: False where beat-to-beat intervals are evaluated in sleep only.
        beats_interval_minutes: Minutes between evaluations of beat intervals; 1: every minute; more: spot readings.
        beats_sleep_minutes: Minutes from falling asleep in which beats are evaluated, where ``beats_awake`` is False.
        heart_rate_interval_minutes: Minutes between optical readings while awake outside exercise; 1 is every minute.
        heart_rate_interval_asleep_minutes: The same while asleep.
        heart_rate_in_water: False where wrist heart rate is switched off while swimming.
        heart_rate_error_bpm: Standard deviation of a still minute's heart rate error, bpm.
        heart_rate_motion_error_bpm: Added standard deviation in strong motion, bpm.
        heart_rate_step_bpm: Quantisation of heart rate, bpm; 0 is none.
        valid_beats: Share of beats found at rest, 0 to 1; motion lowers it.
        step_count_factor: Counted over true steps.
        skin_temperature_bias_celsius: Offset of the sensor's placement.
        temperature_step_celsius: Quantisation; 0 is none.
        accelerometer_noise_g: Root mean square noise of one axis, g.
        pressure_noise_hectopascals: Noise of the pressure sensor within a minute, hPa.
        source: Where these come from.

    Raises:
        ValueError: If a value lies outside its bound; the message names field, value and bound.
    """

    name: str
    sensors: frozenset[Sensor]
    battery_days: float
    charge_minutes: float
    charges_on_wrist: bool = False
    power_saving_below: float = 0.0
    memory_days: float = 7.0
    coldest_celsius: float = -10.0
    taken_off_for_lifting: bool = False
    eda_and_temperature_in_sleep_and_exercise: bool = False
    temperature_only_in_sleep: bool = False
    beats_awake: bool = True
    beats_interval_minutes: int = 1
    beats_sleep_minutes: float = 1440.0
    heart_rate_interval_minutes: int = 1
    heart_rate_interval_asleep_minutes: int = 1
    heart_rate_in_water: bool = True
    heart_rate_error_bpm: float = 1.5
    heart_rate_motion_error_bpm: float = 4.0
    heart_rate_step_bpm: float = 0.0
    valid_beats: float = 0.92
    step_count_factor: float = 1.0
    skin_temperature_bias_celsius: float = 0.0
    temperature_step_celsius: float = 0.0
    accelerometer_noise_g: float = 0.003
    pressure_noise_hectopascals: float = 0.012
    source: str

    def __post_init__(self) -> None:
        for field in ("name", "source"):
            if not getattr(self, field).strip():
                raise ValueError(f"Vendor.{field}={getattr(self, field)!r} is empty")
        if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", self.name):
            raise ValueError(f"Vendor.name={self.name!r} is not lower-case words and digits joined by '-'")
        if not self.sensors or not all(isinstance(sensor, Sensor) for sensor in self.sensors):
            raise ValueError(f"Vendor.sensors={set(self.sensors)!r} is not a non-empty set of Sensor")
        for field, (low, high) in _BOUNDS.items():
            value = getattr(self, field)
            if isinstance(value, bool) or not isinstance(value, int | float):
                raise ValueError(f"Vendor.{field}={value!r} of {self.name!r} is not a number")
            if not (math.isfinite(value) and low <= value <= high):
                raise ValueError(f"Vendor.{field}={value!r} of {self.name!r} is not in [{low:g}, {high:g}]")
            if field.endswith(("interval_minutes", "interval_asleep_minutes")) and value != int(value):
                raise ValueError(f"Vendor.{field}={value!r} of {self.name!r} is not a whole number of minutes")

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals this device can record, in canonical order."""
        return signals_of(self.sensors)


_PPG, _ACC, _EDA, _TEMP, _ALT = Sensor.PPG, Sensor.ACC, Sensor.EDA, Sensor.TEMP, Sensor.ALT
_ERRORS: Final = "error sizes: judgement after wrist-PPG validation studies"

_DEVICES: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="fitbit-sense-2",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP, _ALT}),  # LSM-1 section 3.1
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        source=f"LSM-1 section 3.1 and Table 18 (arXiv:2410.13638); Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="pixel-watch-2",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP, _ALT}),  # LSM-1 section 3.1
        battery_days=1.0,  # days with always-on display, Mezha Media Oct 2023
        charge_minutes=75.0,  # min, maker's rating; 30 min give 12 h (Mezha Media)
        power_saving_below=0.15,  # share, Battery Saver of Wear OS, recalled
        heart_rate_error_bpm=1.3,  # bpm, multi-path PPG: judgement
        valid_beats=0.94,  # share, judgement
        skin_temperature_bias_celsius=0.3,  # degC, judgement: thicker, warmer case
        source=f"LSM-1 section 3.1 and Table 18; Mezha Media and 9to5Google Oct 2023; {_ERRORS}",
    ),
    Vendor(
        name="pixel-watch-3",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP, _ALT}),  # maker's specification
        battery_days=1.25,  # days, maker's rating
        charge_minutes=70.0,  # min, maker's rating
        power_saving_below=0.15,  # share, Battery Saver of Wear OS, recalled
        heart_rate_error_bpm=1.3,  # bpm, as Pixel Watch 2
        valid_beats=0.94,  # share, as Pixel Watch 2
        skin_temperature_bias_celsius=0.3,  # degC, as Pixel Watch 2
        source=f"Google specification; {_ERRORS}",
    ),
    Vendor(
        name="pixel-watch-1",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification: no continuous EDA, no temperature
        battery_days=1.0,  # days, maker's rating
        charge_minutes=80.0,  # min, maker's rating
        power_saving_below=0.15,  # share, Battery Saver of Wear OS, recalled
        source=f"Google specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-sense-1",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # EDA by spot scan only (LifeSnaps, Yfantidou et al. 2022)
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        temperature_only_in_sleep=True,  # LifeSnaps: reported for the night
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        source=f"LifeSnaps (Yfantidou et al. 2022); Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-versa-4",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        source=f"Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-charge-6",
        sensors=frozenset({_PPG, _ACC}),  # EDA by spot scan only, no altimeter
        battery_days=7.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        source=f"Fitbit specification; DC Rainmaker; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-charge-5",
        sensors=frozenset({_PPG, _ACC}),  # EDA by spot scan only, no altimeter
        battery_days=7.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        heart_rate_error_bpm=1.8,  # bpm, judgement: narrow band
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        source=f"Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-inspire-3",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=10.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        heart_rate_error_bpm=2.0,  # bpm, judgement: small sensor
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        valid_beats=0.88,  # share, judgement
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        source=f"Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="apple-watch-9",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # maker's specification
        battery_days=0.75,  # days: 18 h, Geometric Goods
        charge_minutes=75.0,  # min, Geometric Goods
        power_saving_below=0.10,  # share, at which Low Power Mode is offered, recalled; it stops background readings
        coldest_celsius=0.0,  # degC, maker's specification
        temperature_only_in_sleep=True,  # maker's specification
        beats_interval_minutes=240,  # min, a 60 s spot reading every few hours
        heart_rate_interval_minutes=6,  # min, background reading every 5-10 min when still (Breathing Labs)
        heart_rate_interval_asleep_minutes=6,  # min, far fewer night readings than Fitbit's (Alavi et al. 2022)
        heart_rate_error_bpm=1.0,  # bpm, judgement
        heart_rate_motion_error_bpm=3.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.95,  # share, judgement
        step_count_factor=0.98,  # ratio, judgement
        skin_temperature_bias_celsius=0.4,  # degC, judgement
        source=f"Geometric Goods; Breathing Labs; Alavi et al. 2022 (Nature Medicine) ext. data fig. 4; {_ERRORS}",
    ),
    Vendor(
        name="garmin-venu-3",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification
        battery_days=14.0,  # days, maker's rating
        charge_minutes=110.0,  # min, maker's rating
        memory_days=14.0,  # days, judgement
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # RMSSD nightly in 5-min blocks (maker); no beat intervals by day
        beats_interval_minutes=5,  # min, the same
        heart_rate_error_bpm=1.8,  # bpm, judgement
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        step_count_factor=1.03,  # ratio, judgement
        pressure_noise_hectopascals=0.015,  # hPa, judgement
        source=f"Garmin specification; Fitrockr note on beat intervals; {_ERRORS}",
    ),
    Vendor(
        name="samsung-galaxy-watch-6",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # QQPlayer Oct 2023
        battery_days=1.5,  # days, Ghacks and Tech-Click July 2023: 30-40 h
        charge_minutes=85.0,  # min, recalled
        power_saving_below=0.15,  # share, recalled
        temperature_only_in_sleep=True,  # maker's specification
        heart_rate_error_bpm=2.0,  # bpm, judgement
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.90,  # share, judgement
        step_count_factor=1.02,  # ratio, judgement
        temperature_step_celsius=0.1,  # degC, judgement
        source=f"Ghacks and Tech-Click July 2023; QQPlayer Oct 2023; {_ERRORS}",
    ),
    Vendor(
        name="oura-ring-3",
        sensors=frozenset({_PPG, _ACC, _TEMP}),  # BioDataHQ 2026
        battery_days=5.5,  # days, BioDataHQ 2026: 4-7
        charge_minutes=75.0,  # min, BioDataHQ 2026: 60-90
        eda_and_temperature_in_sleep_and_exercise=True,  # temperature each minute, day and night
        taken_off_for_lifting=True,  # rings are gripped against the bar
        beats_awake=False,  # HRV at night in 5-min blocks
        beats_interval_minutes=5,  # min, the same
        heart_rate_interval_minutes=5,  # min, by day
        heart_rate_error_bpm=1.0,  # bpm, judgement: finger signal is clean
        heart_rate_motion_error_bpm=7.0,  # bpm, judgement
        valid_beats=0.97,  # share, judgement
        step_count_factor=1.10,  # ratio, judgement: hand movement is counted
        skin_temperature_bias_celsius=1.2,  # degC, judgement: finger is warmer
        source=f"BioDataHQ 2026; {_ERRORS}",
    ),
    Vendor(
        name="empatica-embraceplus",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP}),  # maker's specification
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        eda_and_temperature_in_sleep_and_exercise=True,  # research device: always on
        heart_rate_error_bpm=2.0,  # bpm, judgement
        heart_rate_motion_error_bpm=6.0,  # bpm, judgement
        valid_beats=0.80,  # share, E4 covers 77 % of beats when still (Stress-Predict, Iqbal et al. 2022)
        temperature_step_celsius=0.02,  # degC, resolution of the E4 thermopile
        source=f"Empatica specification; Stress-Predict (Iqbal et al. 2022); {_ERRORS}",
    ),
    Vendor(
        name="apple-watch-ultra-2",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # maker's specification
        battery_days=1.5,  # days: 36 h, maker's rating
        charge_minutes=90.0,  # min, maker's rating
        power_saving_below=0.10,  # share, as Series 9
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        temperature_only_in_sleep=True,  # maker's specification
        beats_interval_minutes=240,  # min, as Series 9
        heart_rate_interval_minutes=6,  # min, as Series 9
        heart_rate_interval_asleep_minutes=6,  # min, as Series 9
        heart_rate_error_bpm=1.0,  # bpm, judgement
        heart_rate_motion_error_bpm=3.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.95,  # share, judgement
        step_count_factor=0.98,  # ratio, judgement
        skin_temperature_bias_celsius=0.5,  # degC, judgement: a heavier case
        source=f"Apple specification; as Series 9 for sampling; {_ERRORS}",
    ),
    Vendor(
        name="garmin-forerunner-265",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification
        battery_days=13.0,  # days, maker's rating
        charge_minutes=90.0,  # min, maker's rating
        memory_days=14.0,  # days, judgement
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # as Venu 3
        beats_interval_minutes=5,  # min, as Venu 3
        heart_rate_in_water=False,  # wrist heart rate can be turned off while swimming (Forerunner manual)
        heart_rate_error_bpm=1.8,  # bpm, as Venu 3
        heart_rate_motion_error_bpm=4.0,  # bpm, judgement: a light case
        heart_rate_step_bpm=1.0,  # bpm, integer export
        step_count_factor=1.03,  # ratio, as Venu 3
        pressure_noise_hectopascals=0.015,  # hPa, as Venu 3
        source=f"Garmin specification and Forerunner manual; {_ERRORS}",
    ),
    Vendor(
        name="garmin-vivosmart-5",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=7.0,  # days, maker's rating
        charge_minutes=90.0,  # min, maker's rating
        memory_days=14.0,  # days, judgement
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # as Venu 3
        beats_interval_minutes=5,  # min, as Venu 3
        heart_rate_error_bpm=2.2,  # bpm, judgement: narrow band
        heart_rate_motion_error_bpm=6.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.88,  # share, judgement: small sensor
        step_count_factor=1.03,  # ratio, as Venu 3
        source=f"Garmin specification; {_ERRORS}",
    ),
    Vendor(
        name="whoop-4",
        sensors=frozenset({_PPG, _ACC, _TEMP}),  # Review Solver 2026; no altimeter, no electrodes
        battery_days=4.5,  # days, Review Solver 2026: 4-5
        charge_minutes=100.0,  # min, recalled
        charges_on_wrist=True,  # a pack slides onto the strap (Review Solver 2026)
        memory_days=14.0,  # days, maker's support page: two weeks
        temperature_only_in_sleep=True,  # reported for the night, recalled
        beats_awake=False,  # variability of the night, weighted to deep sleep
        heart_rate_error_bpm=1.5,  # bpm, judgement
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.94,  # share, judgement: tight strap
        source=f"Review Solver 2026; WHOOP support page on stored data; {_ERRORS}",
    ),
    Vendor(
        name="empatica-e4",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP}),  # maker's specification; no altimeter
        battery_days=1.3,  # days, recalled
        charge_minutes=120.0,  # min, recalled
        memory_days=2.5,  # days: 60 h of recording, recalled
        eda_and_temperature_in_sleep_and_exercise=True,  # research device: always on
        heart_rate_error_bpm=3.0,  # bpm, judgement: lag-1 correlation of its heart rate is 0.69 (Stress-Predict)
        heart_rate_motion_error_bpm=9.0,  # bpm, judgement
        valid_beats=0.77,  # share, 77 % of beats when still (Stress-Predict, Iqbal et al. 2022)
        temperature_step_celsius=0.02,  # degC, resolution of the thermopile
        accelerometer_noise_g=0.006,  # g, judgement: 8-bit steps of 1/64 g
        source=f"Empatica specification; Stress-Predict (Iqbal et al. 2022); {_ERRORS}",
    ),
    Vendor(
        name="withings-scanwatch-2",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # maker's specification
        battery_days=30.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        memory_days=5.0,  # days, recalled
        eda_and_temperature_in_sleep_and_exercise=True,  # temperature around the clock, recalled
        beats_awake=False,  # variability of the night only, recalled
        heart_rate_interval_minutes=10,  # min, by day; continuous in a workout
        heart_rate_error_bpm=2.0,  # bpm, judgement
        heart_rate_motion_error_bpm=6.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.90,  # share, judgement
        skin_temperature_bias_celsius=0.3,  # degC, judgement
        source=f"Withings specification; {_ERRORS}",
    ),
    Vendor(
        name="polar-ignite-3",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=5.0,  # days, maker's rating
        charge_minutes=60.0,  # min, maker's rating
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # nightly variability
        beats_sleep_minutes=240.0,  # min: the first four hours of sleep (maker)
        beats_interval_minutes=5,  # min, judgement: five-minute means
        heart_rate_error_bpm=1.6,  # bpm, judgement
        heart_rate_motion_error_bpm=4.5,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        source=f"Polar specification; {_ERRORS}",
    ),
    Vendor(
        name="xiaomi-band-8",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=16.0,  # days, maker's rating
        charge_minutes=60.0,  # min, maker's rating
        beats_awake=False,  # judgement
        heart_rate_interval_minutes=10,  # min, one of its settings of 1 to 30
        heart_rate_interval_asleep_minutes=10,  # min, the same
        heart_rate_error_bpm=2.5,  # bpm, judgement
        heart_rate_motion_error_bpm=7.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.85,  # share, judgement
        step_count_factor=1.04,  # ratio, judgement
        source=f"Xiaomi specification; {_ERRORS}",
    ),
    Vendor(
        name="actigraph-gt3x",
        sensors=frozenset({_ACC}),  # maker's specification: acceleration alone
        battery_days=12.0,  # days, recalled
        charge_minutes=180.0,  # min, recalled
        memory_days=60.0,  # days, judgement: read out after the study
        step_count_factor=0.95,  # ratio, judgement: slow steps at the wrist are lost
        accelerometer_noise_g=0.002,  # g, judgement
        source=f"NHANES 2011-14 (Koffman et al. 2024); ActiGraph specification; {_ERRORS}",
    ),
)

VENDORS: Final[Mapping[str, Vendor]] = MappingProxyType({vendor.name: vendor for vendor in _DEVICES})
"""Every device by its key."""
