"""Tilting: some people of a population made likelier than others, by their traits.

A population's shares and shifts move everybody; they cannot say that in this cohort the old walk less than age alone
explains, or that women charge at night. A tilt can: the odds of meeting somebody are multiplied by
``exp(sum of coefficient x term)``, a term being a standardised trait, or a product of two ("age", "age*walking"). It
is an exponential family over the people whom the population knows, so nobody is made up, and traits hang together in
each person as the simulator has it.

Everybody is one of ``CANDIDATES`` people drawn as if there were no tilt, chosen with these odds (sampling, importance
resampling [1]); so a person still depends on seed and index alone.

[1] Rubin, "Using the SIR algorithm to simulate posterior distributions", Bayesian Statistics 3, 1988.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from simulator.population import Person

CANDIDATES: Final = 16  # people of whom each is chosen; a tilt of 0.8 on age moves its mean by 3/4 of what is asked
STEEPEST: Final = 3.0  # largest coefficient
_FURTHEST: Final = 2.5  # standard deviations beyond which a trait is not told apart

_Trait = Callable[["Person"], float]
TRAITS: Final[dict[str, tuple[_Trait, float, float]]] = {  # of a person, what is average, and spread; LSM-1's people
    "age": (lambda one: one.age_years, 47.0, 15.0),
    "male": (lambda one: float(one.sex == "male"), 0.5, 0.5),
    "bmi": (lambda one: math.log(one.bmi_kg_m2), 3.3, 0.22),
    "walking": (lambda one: math.log(one.activity_level), -0.4, 0.55),
    "exercise": (lambda one: math.log(one.exercise_per_week + 0.1), 0.0, 0.9),
    "resting_hr": (lambda one: one.resting_hr_bpm, 65.0, 7.0),
    "rmssd": (lambda one: math.log(one.rmssd_night_ms), 3.55, 0.4),
    "mid_sleep": (lambda one: one.mid_sleep_free_days_hours, 3.8, 1.1),
    "sleep_need": (lambda one: one.sleep_need_minutes, 410.0, 48.0),
    "worn_nights": (lambda one: one.worn_nights, 0.7, 0.35),
    "off_wrist": (lambda one: math.log(one.off_wrist_per_day + 0.02), -1.3, 1.1),
    "unworn": (lambda one: math.log(one.unworn_days), -4.1, 1.4),
    "forgetful": (lambda one: math.log(one.forgetful), -3.8, 1.5),
    "charges_overnight": (lambda one: float(one.charging_habit == "overnight"), 0.2, 0.4),
    "works": (lambda one: float(one.works), 0.6, 0.5),
    "on_feet": (lambda one: one.work_on_feet, 0.2, 0.17),
    "sweat": (lambda one: math.log(one.scl_level_microsiemens), -0.36, 0.9),
    "skin": (lambda one: one.skin_temperature_offset_celsius, 0.0, 0.6),
}


def terms(names: Sequence[str], people: Sequence["Person"]) -> NDArray[np.float64]:
    """The terms of these names for each person, float64 [people, names].

    Raises:
        ValueError: If a name is no trait and no "trait*trait".
    """
    wanted = sorted({part for name in names for part in _parts(name)})
    told = {part: np.array([TRAITS[part][0](person) for person in people]) for part in wanted}
    z = {part: np.clip((told[part] - TRAITS[part][1]) / TRAITS[part][2], -_FURTHEST, _FURTHEST) for part in wanted}
    columns = [np.prod([z[part] for part in _parts(name)], axis=0) for name in names]
    return np.stack(columns, axis=1) if columns else np.zeros((len(people), 0))


def chosen(tilt: Mapping[str, float], people: Sequence["Person"], rng: np.random.Generator) -> int:
    """The place of the one who is met among these people."""
    log_odds = terms(list(tilt), people) @ np.array(list(tilt.values()))
    return int(np.argmax(log_odds + rng.gumbel(size=len(people))))


def check_tilt(tilt: Mapping[str, float]) -> None:
    """Refuse a tilt of unknown terms, or too steep to be drawn.

    Raises:
        ValueError: Naming the term.
    """
    for name, value in tilt.items():
        _parts(name)
        if not abs(value) <= STEEPEST:
            raise ValueError(
                f"Population.tilt has {name!r} at {value!r}, which is not in [-{STEEPEST:g}, {STEEPEST:g}]"
            )


def _parts(name: str) -> tuple[str, ...]:
    parts = tuple(name.split("*"))
    if len(parts) > 2 or any(part not in TRAITS for part in parts):
        raise ValueError(
            f"Population.tilt has {name!r}, which is no trait or product of two; traits: {', '.join(TRAITS)}"
        )
    return parts
