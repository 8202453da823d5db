"""Scenarios: whose gaps are injected into complete data, and which of them.

A scenario is a value: a population and perhaps a device that stand-ins are drawn from, the habits that they share, and
the causes that are taken from their lives. ``simulator.injecting`` puts them into data.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from types import MappingProxyType
from typing import Any, Final

from simulator.population import POPULATIONS, Person
from simulator.recording import Reason
from simulator.vendors import VENDORS

CAUSES: Final = tuple(
    reason
    for reason in Reason
    if reason not in {Reason.OBSERVED, Reason.NOT_RECORDED, Reason.OUT_OF_RANGE, Reason.CLOCK_CHANGED}
)
"""Reasons that can be injected; imported data's other two say what nobody knows, and a clock hides no data."""
_TRAITS: Final = frozenset(f.name for f in fields(Person))


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """Whose gaps are injected, and which of them.

    Attributes:
        about: What it stands for, one line.
        causes: The reasons that are taken.
        population: Key of ``POPULATIONS`` that stand-ins are drawn from.
        vendor: Key of ``VENDORS`` that they wear; None: as the population has it. Only where SENSOR_ABSENT is the one
            cause does it matter which sensors it lacks; otherwise it has all.
        habits: Fields of ``Person`` that all of them share.
        per_span: Fields of ``Person`` that are yearly rates, by how often they shall happen in the time of the data.
        air_shift_celsius: Added to the air outdoors.
    """

    about: str
    causes: frozenset[Reason]
    population: str = "lsm2"
    vendor: str | None = None
    habits: Mapping[str, Any] = field(default_factory=dict)
    per_span: Mapping[str, float] = field(default_factory=dict)
    air_shift_celsius: float = 0.0

    def __post_init__(self) -> None:
        if not self.causes or not self.causes <= set(CAUSES):
            raise ValueError(f"Scenario.causes={set(self.causes)!r} is not a non-empty set of CAUSES")
        if Reason.SENSOR_ABSENT in self.causes and len(self.causes) > 1:
            raise ValueError("Scenario.causes has SENSOR_ABSENT beside others; inject it by itself, before them")
        if self.population not in POPULATIONS:
            raise ValueError(f"Scenario.population={self.population!r} is none of {', '.join(POPULATIONS)}")
        if self.vendor is not None and self.vendor not in VENDORS:
            raise ValueError(f"Scenario.vendor={self.vendor!r} is none of {', '.join(VENDORS)}")
        for name in (*self.habits, *self.per_span):
            if name not in _TRAITS:
                raise ValueError(f"Scenario shares {name!r}, which is none of {', '.join(sorted(_TRAITS))}")
        for name, often in self.per_span.items():
            if not 0.0 <= often < math.inf:
                raise ValueError(f"Scenario.per_span has {often!r} for {name!r}, expected a number from 0 on")
        if not math.isfinite(self.air_shift_celsius):
            raise ValueError(f"Scenario.air_shift_celsius={self.air_shift_celsius!r} is not finite")


def _only(reason: Reason, about: str, **more: Any) -> Scenario:
    return Scenario(about=about, causes=frozenset({reason}), **more)


_LIVED: Final = frozenset(CAUSES) - {Reason.SENSOR_ABSENT}
_NIGHTS: Final = {
    "worn_nights": 0.1,
    "off_wrist_per_day": 0.0,
    "off_in_water": False,
    "unworn_days": 0.0,
    "weeks_off_per_year": 0.0,
    "forgetful": 0.0,
}
_CARELESS: Final = {"forgetful": 0.5, "worn_nights": 0.6, "off_wrist_per_day": 1.5, "loose_fit": 0.10}

SCENARIOS: Final[Mapping[str, Scenario]] = MappingProxyType(
    {
        "natural": Scenario(about="all causes as the people of LSM-2's devices have them", causes=_LIVED),
        "careless": Scenario(about="all causes, worn and charged without care", causes=_LIVED, habits=_CARELESS),
        "nights_off": _only(Reason.OFF_WRIST, "taken off for nearly every night, and only then", habits=_NIGHTS),
        "daily_charger": Scenario(
            about="a battery that lasts a day",
            causes=frozenset({Reason.CHARGING, Reason.BATTERY_EMPTY, Reason.POWER_SAVING}),
            vendor="pixel-watch-2",
        ),
        "restless": Scenario(
            about="movement and a loose strap",
            causes=frozenset({Reason.MOTION, Reason.LOOSE_FIT}),
            vendor="fitbit-sense-2",
            habits={"loose_fit": 0.15, "activity_level": 1.6},
        ),
        "sparse_firmware": _only(
            Reason.SENSOR_OFF, "readings now and then, to spare the battery", vendor="apple-watch-9"
        ),
        "winter": Scenario(
            about="cold air on wrist and watch",
            causes=frozenset({Reason.TOO_COLD}),
            vendor="apple-watch-9",
            air_shift_celsius=-35.0,
        ),
        "charging": _only(Reason.CHARGING, "on the charger", vendor="pixel-watch-2"),
        "off_wrist": _only(
            Reason.OFF_WRIST, "taken off, for minutes to weeks", habits=_CARELESS | {"off_in_water": True}
        ),
        "sensor_off": _only(Reason.SENSOR_OFF, "switched off by the firmware", vendor="fitbit-sense-2"),
        "motion": _only(Reason.MOTION, "lost in movement", vendor="fitbit-sense-2"),
        "battery_empty": _only(Reason.BATTERY_EMPTY, "ran flat", vendor="pixel-watch-2", habits={"forgetful": 0.6}),
        "loose_fit": _only(Reason.LOOSE_FIT, "a strap too loose", habits={"loose_fit": 0.4}),
        "power_saving": _only(
            Reason.POWER_SAVING,
            "saving what was left of the battery",
            vendor="pixel-watch-2",
            habits={"forgetful": 0.6},
        ),
        "not_synced": _only(
            Reason.NOT_SYNCED, "no phone came in time", vendor="empatica-e4", habits={"phone_away_per_year": 13.0}
        ),
        "sensor_failed": _only(Reason.SENSOR_FAILED, "a sensor broke", per_span={"wear_and_tear": 1.5}),
        "too_cold": _only(Reason.TOO_COLD, "cold skin and cold watches", air_shift_celsius=-25.0),
        "dropped_out": _only(Reason.DROPPED_OUT, "stopped wearing it", per_span={"quits_per_year": 1.0}),
        "sensor_absent": _only(Reason.SENSOR_ABSENT, "a device without some of the sensors", population="vendors"),
    }
)
"""Named scenarios; those named like a ``Reason`` are single causes."""
