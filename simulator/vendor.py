"""Vendor: a device with its sensors, its errors, and its battery and firmware habits, as one checked value.

Firmware changes while people wear their watches: ``Vendor.updates`` says what from which date on, ``Vendor.on`` gives
the device as it is on a date. What makes up the hardware and the battery cannot change so.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from datetime import date
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final

from simulator.signals import Sensor, signals_of

_BOUNDS: Final[Mapping[str, tuple[float, float]]] = MappingProxyType(
    {
        "battery_days": (0.25, 365.0),
        "charge_minutes": (10.0, 600.0),
        "display_on_days": (0.0, 365.0),
        "display_off_days": (0.0, 365.0),
        "positioning_hours": (0.0, 200.0),
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
        "skin_tone_error": (0.0, 1.0),
        "valid_beats": (0.0, 1.0),
        "beats_dropped": (0.0, 0.5),
        "heart_rate_lingers": (0.0, 1.0),
        "step_count_factor": (0.5, 1.5),
        "skin_temperature_bias_celsius": (-5.0, 5.0),
        "temperature_step_celsius": (0.0, 1.0),
        "accelerometer_noise_g": (0.0, 0.1),
        "pressure_noise_hectopascals": (0.0, 1.0),
    }
)
"""Smallest and largest sensible value of every number in ``Vendor``, in the unit of its name."""

_ZERO_OR_A_BATTERYS: Final = ("display_on_days", "display_off_days")
"""Lives that say 0 for "as rated"; of others none is shorter than a battery's: ``battery`` counts on that."""

_OF_THE_HARDWARE: Final = frozenset(
    {
        "name",
        "sensors",
        "battery_days",
        "charge_minutes",
        "display_on_days",
        "display_off_days",
        "positioning_hours",
        "charges_on_wrist",
        "power_saving_below",
        "memory_days",
        "coldest_celsius",
        "taken_off_for_lifting",
        "updates",
        "source",
    }
)
"""What an update cannot change: a battery's charge hangs on the days before, which had the firmware of their day."""


class Lingering(StrEnum):
    """What heart rate a watch goes on reporting that has not noticed that it was taken off."""

    FROZEN = "frozen"  # its last reading, or one a little below (una-sdk issue 282)
    PHANTOM = "phantom"  # whatever its light finds on a table: plausible numbers (a Mi Band 2, miband-js issue 27)


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """New firmware.

    Attributes:
        since: First date on which it is offered; each wearer installs it some days later.
        changes: New values of ``Vendor``'s fields, those of hardware and battery apart; a copy that cannot be altered.
        source: Where these come from.
    """

    since: date
    changes: Mapping[str, Any]
    source: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "changes", MappingProxyType(dict(self.changes)))

    def __hash__(self) -> int:
        return hash((self.since, frozenset(self.changes.items()), self.source))


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One device as everywear models it; a new one is one value.

    Attributes:
        name: Key in dataset folders, for example "fitbit-sense-2".
        sensors: Hardware that delivers usable minute signals.
        battery_days: Rated life, days.
        charge_minutes: Empty to full, minutes.
        display_on_days: Life with the display always on, days; 0: as rated.
        display_off_days: Life with it dark until the wrist turns, days; 0: as rated.
        positioning_hours: Life while a workout records positions, hours; 0: it leaves that to the phone.
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
        skin_tone_error: Share by which errors of heart rate, and odds of missing a beat, grow with each Fitzpatrick
            type beyond III. The evidence is mixed: of ten studies four found less accuracy in darker skin, four none,
            two both (Koerber et al. 2022, doi:10.1007/s40615-022-01446-9); Bent et al. 2020
            (doi:10.1038/s41746-020-0226-6) found none in six devices, and 30 % more error in activity than at rest.
        heart_rate_lingers: Share of times off the wrist in which it does not notice and reports heart rate on.
        lingering: What it reports then.
        valid_beats: Share of beats found at rest, 0 to 1; motion lowers it.
        beats_dropped: Share of beat time that the median wearer's watch loses in blocks of 30 to 45 s on its way out.
        step_count_factor: Counted over true steps.
        skin_temperature_bias_celsius: Offset of the sensor's placement.
        temperature_step_celsius: Quantisation; 0 is none.
        accelerometer_noise_g: Root mean square noise of one axis, g.
        pressure_noise_hectopascals: Noise of the pressure sensor within a minute, hPa.
        updates: Firmware that came later, in order of its date.
        source: Where these come from.

    Raises:
        ValueError: If a value lies outside its bound, at first or after an update; the message names field, value and
            bound.
    """

    name: str
    sensors: frozenset[Sensor]
    battery_days: float
    charge_minutes: float
    display_on_days: float = 0.0
    display_off_days: float = 0.0
    positioning_hours: float = 0.0
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
    skin_tone_error: float = 0.04
    heart_rate_lingers: float = 0.0
    lingering: Lingering = Lingering.FROZEN
    valid_beats: float = 0.92
    beats_dropped: float = 0.0
    step_count_factor: float = 1.0
    skin_temperature_bias_celsius: float = 0.0
    temperature_step_celsius: float = 0.0
    accelerometer_noise_g: float = 0.003
    pressure_noise_hectopascals: float = 0.012
    updates: tuple[Update, ...] = ()
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
            if field in _ZERO_OR_A_BATTERYS and 0.0 < value < _BOUNDS["battery_days"][0]:
                shortest = _BOUNDS["battery_days"][0]
                raise ValueError(f"Vendor.{field}={value!r} of {self.name!r} is neither 0 nor at least {shortest:g}")
            if field.endswith(("interval_minutes", "interval_asleep_minutes")) and value != int(value):
                raise ValueError(f"Vendor.{field}={value!r} of {self.name!r} is not a whole number of minutes")
        for flag in (f.name for f in fields(self) if f.type is bool):
            if not isinstance(getattr(self, flag), bool):
                raise ValueError(f"Vendor.{flag}={getattr(self, flag)!r} of {self.name!r} is neither True nor False")
        if not isinstance(self.lingering, Lingering):
            raise ValueError(f"Vendor.lingering={self.lingering!r} of {self.name!r} is none of {', '.join(Lingering)}")
        self._check_updates()

    def _check_updates(self) -> None:
        """Refuse updates of hardware, of fields that do not exist, out of order, or to impossible values.

        Raises:
            ValueError: Naming the update's date, the field, its value and what was expected.
        """
        device, last = self, date.min
        for update in self.updates:
            where = f"Vendor.updates of {self.name!r}"
            if not isinstance(update, Update) or not isinstance(update.since, date):
                raise ValueError(f"{where} has {update!r}, expected an Update with a date")
            if update.since <= last:
                raise ValueError(f"{where} has {update.since} after {last}, expected dates in order")
            if not update.changes or not update.source.strip():
                raise ValueError(f"{where} has one of {update.since} without changes or source")
            for field in update.changes:
                if field not in _CHANGEABLE:
                    raise ValueError(f"{where} changes {field!r} on {update.since}; it can {', '.join(_CHANGEABLE)}")
            try:
                device = replace(device, updates=(), **update.changes)
            except ValueError as error:
                raise ValueError(f"{where} on {update.since}: {error}") from None
            last = update.since

    def on(self, day: date) -> "Vendor":
        """The device with all firmware that had come by ``day``, inclusive.

        >>> update = Update(since=date(2024, 5, 20), changes={"valid_beats": 0.95}, source="imagined")
        >>> band = Vendor(name="band", sensors=frozenset({Sensor.PPG}), battery_days=6.0, charge_minutes=60.0,
        ...               updates=(update,), source="imagined")
        >>> band.on(date(2024, 5, 19)) is band, band.on(date(2024, 5, 20)).valid_beats
        (True, 0.95)
        """
        if not self.updates or day < self.updates[0].since:
            return self
        changes: dict[str, Any] = {}
        for update in self.updates:
            if update.since <= day:
                changes |= update.changes
        return replace(self, updates=(), **changes)

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals this device can record, in canonical order."""
        return signals_of(self.sensors)


_CHANGEABLE: Final = tuple(f.name for f in fields(Vendor) if f.name not in _OF_THE_HARDWARE)
