"""Published norms as rows, and what a row's words ask for: quantity, stratum, statistic.

A stratum is ``key=value`` pairs joined by ``;``. Keys that pick people (sex, age, bmi, ...) and days (day, wear) mean
the same for every quantity and are read here; the others belong to the quantity. So a row with another age, quantile
or weekday needs no code.
"""

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.files import read_csv
from simulator.realism.minutes import is_state
from simulator.realism.observing import Observations
from simulator.realism.statistics import NobodyError, NotComputableError
from simulator.recording import DataError
from simulator.vendors import VENDORS

NORMS: Final = Path(__file__).with_name("norms.csv")
COLUMNS: Final = (
    "id",
    "signal_or_quantity",
    "stratum",
    "statistic",
    "value",
    "unit",
    "low",
    "high",
    "source",
    "confidence",
)

_SEXES: Final = {"M": "male", "F": "female", "male": "male", "female": "female", "not_specified": "not_specified"}
_AGES: Final = {"adult": (18.0, np.inf), "young": (18.0, 36.0), "older": (60.0, np.inf)}
_BMIS: Final = {"lt25": (0.0, 25.0), "25-30": (25.0, 30.0), "ge30": (30.0, np.inf)}
_CONDITIONS: Final = {"hypertension": "hypertension", "anxiety": "anxiety", "anxiety_disorder": "anxiety"}
_NUMBERS: Final = ("age_years", "bmi_kg_m2")
_AGE_TOLERANCE_YEARS: Final = 5.0  # a norm "at 40" is held against people of 35 to 45
COHORT_POPULATIONS: Final = ("students",)  # cohorts that only people made from the population of that name express
_NOT_WEARERS: Final = {"world_smartphone": "counted by phones in pockets; nobody here carries one"}
_NOTED: Final = ("place", "active_user")  # say where a norm comes from; nothing to choose by
_DEVICES: Final = ("device", "vendor")  # pick people by what they wear, if it is one of ours; else say where from

_LABORATORY: Final = frozenset({"stroop", "interview", "hyperventilation", "public_speaking_stress", "cold_pressor"})

STATE_ALIASES: Final = {
    "sleep_all_stages": "sleep",
    "seated_awake": "still",
    "awake_still": "still",
    "still_indoor": "still",
    "rest": "still",
    "rest_5min": "still",
    "seated": "still",
    "awake_sedentary": "still",
    "all_awake": "awake",
    "wake": "awake_in_bed",  # of polysomnography, whose other states are stages of sleep
    "awake_light_activity": "light",
    "walking_flat": "walking",
    "vigorous_exercise": "vigorous",
    "worn_awake_not_exercising": "worn_awake",
    "supine": "still",
}
"""What norms call a state -> the state of ``simulator.realism.minutes`` that comes closest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Norm:
    """One row: what real people show, and the band in which simulated people should lie.

    Attributes:
        id: Stable key.
        quantity: What is measured.
        stratum: Of whom and when, as pairs; a key without "=" has the value "".
        statistic: What to compute of it.
        value: The published number.
        unit: Of value, low and high.
        low, high: Acceptance band.
        source: Where the number is from.
        confidence: FOUND or RECALL.
    """

    id: str
    quantity: str
    stratum: tuple[tuple[str, str], ...]
    statistic: str
    value: float
    unit: str
    low: float
    high: float
    source: str
    confidence: str


def read_norms(path: Path | None = None) -> list[Norm]:
    """The rows of a norms file.

    Args:
        path: CSV with the columns ``COLUMNS``; None: the norms that come with the simulator.

    Raises:
        DataError: If the file is missing, a column is missing, a number is none, or an id stands twice.
    """
    path = path or NORMS
    rows = read_csv(path, COLUMNS, "norms file")
    if not rows:
        raise DataError(f"{path}: no rows below the header")
    norms = [_norm(path, number, row) for number, row in enumerate(rows, start=2)]
    ids = [norm.id for norm in norms]
    twice = next((key for key in ids if ids.count(key) > 1), None)
    if twice is not None:
        raise DataError(f"{path}, column 'id': {twice!r} stands twice")
    return norms


def _norm(path: Path, line: int, row: dict[str, str]) -> Norm:
    numbers = {}
    for column in ("value", "low", "high"):
        try:
            numbers[column] = float(row[column])
        except ValueError:
            raise DataError(f"{path}, line {line}, column {column!r}: {row[column]!r}, expected a number") from None
        if np.isnan(numbers[column]):
            raise DataError(f"{path}, line {line}, column {column!r}: {row[column]!r}, expected a number")
    if numbers["low"] > numbers["high"]:
        raise DataError(f"{path}, line {line}: low {row['low']} is above high {row['high']}")
    pairs = [part.partition("=") for part in row["stratum"].split(";") if part and part != "all"]
    return Norm(
        id=row["id"],
        quantity=row["signal_or_quantity"],
        stratum=tuple((key, value) for key, _, value in pairs),
        statistic=row["statistic"],
        unit=row["unit"],
        source=row["source"],
        confidence=row["confidence"],
        **numbers,
    )


def state(name: str) -> str:
    """The state that a norm means.

    Raises:
        NotComputableError: If no recording tells it.
    """
    if name in _LABORATORY:
        raise NotComputableError(
            f"a task given in a laboratory ({name.replace('_', ' ')}); these people were given none"
        )
    known = "&".join(STATE_ALIASES.get(part, part) for part in name.split("&"))
    if not is_state(known):
        raise NotComputableError(f"recordings do not tell the state {name!r}")
    return known


def motion_state(keys: dict[str, str]) -> str | None:
    """The state of a stratum that names a range of acceleration; takes the key out.

    >>> motion_state({"acc_sd": "5-10mg"}), motion_state({"acc_sd<5mg": ""}), motion_state({"sex": "F"})
    ('acc_sd:0.005-0.01', 'acc_sd:0-0.005', None)
    """
    for key in keys:
        match = re.fullmatch(
            r"acc_sd(?:([<>])(\d*\.?\d+)|=(\d*\.?\d+)-(\d*\.?\d+))(m?g)", f"{key}={keys[key]}".rstrip("=")
        )
        if match is None:
            continue
        del keys[key]
        scale = 0.001 if match[5] == "mg" else 1.0
        if match[1]:
            bound = f"{float(match[2]) * scale:g}"
            return f"acc_sd:0-{bound}" if match[1] == "<" else f"acc_sd:{bound}-inf"
        return f"acc_sd:{float(match[3]) * scale:g}-{float(match[4]) * scale:g}"
    return None


def sides(text: str) -> tuple[str, str, str]:
    """Both states of a contrast of minutes and the operator; "10min_after_x/before" is the same time before x.

    >>> sides("10min_after_vigorous/before")
    ('10min_after_vigorous', '10min_before_vigorous', '/')
    """
    left, right, operator = contrast(text)
    if right == "before":
        right = left.replace("_after_", "_before_")
    return state(left), state(right), operator


def contrast(text: str) -> tuple[str, str, str]:
    """Both sides and the operator of "A-B" or "A/B".

    >>> contrast("weekend-weekday"), contrast("17-20h/08-10h")
    (('weekend', 'weekday', '-'), ('17-20h', '08-10h', '/'))
    """
    for operator in "/-":
        left, found, right = text.partition(operator)
        if found:
            return left, right, operator
    raise NotComputableError(f"contrast {text!r} has no two sides")


def span(text: str, *, inclusive: bool) -> tuple[float, float]:
    """Bounds [low, high) of "18-39", "80+" or "40".

    Args:
        text: As norms write it.
        inclusive: Whether "18-39" means up to the 40th birthday.
    """
    if match := re.fullmatch(r"(\d*\.?\d+)-(\d*\.?\d+)", text):
        return float(match[1]), float(match[2]) + (1.0 if inclusive else 0.0)
    if match := re.fullmatch(r"(\d*\.?\d+)\+", text):
        return float(match[1]), np.inf
    if re.fullmatch(r"\d*\.?\d+", text):
        return float(text) - _AGE_TOLERANCE_YEARS, float(text) + _AGE_TOLERANCE_YEARS
    raise NotComputableError(f"{text!r} is no range known here")


def choose_people(keys: dict[str, str], seen: Observations, notes: list[str]) -> NDArray[np.bool_]:
    """Who belongs to a stratum, by code; takes the keys it understands out of ``keys``.

    Raises:
        NobodyError: If the cohort is of people made from another population.
        NotComputableError: If the dataset does not know what is asked of its people.
    """
    keep = np.ones(len(seen.people), dtype=np.bool_)
    for key in list(keys):
        if key in ("sex", "age", "bmi", "group", "battery"):
            keep &= _people_of(key, keys.pop(key), seen)
        elif key == "cohort":
            cohort = keys.pop(key)
            wanted = next((name for name in COHORT_POPULATIONS if cohort.startswith(name)), None)
            if cohort in _NOT_WEARERS:
                raise NotComputableError(_NOT_WEARERS[cohort])
            if wanted is not None and seen.population != wanted:
                raise NobodyError(f"needs people of the population {wanted!r}: judge some beside these")
            if wanted is None:
                notes.append(f"everybody stands for {cohort}")
        elif key in _DEVICES and keys[key].lower() in VENDORS:
            keep &= np.asarray(_known(seen, "vendor") == keys.pop(key).lower(), dtype=np.bool_)
        elif key in _NOTED or key in _DEVICES:
            notes.append(f"norm from {key} {keys.pop(key)}")
    return keep


def _people_of(key: str, value: str, seen: Observations) -> NDArray[np.bool_]:
    if key == "sex":
        return np.asarray(_known(seen, "sex") == _SEXES.get(value, value), dtype=np.bool_)
    if key == "bmi":
        return _between(_known(seen, "bmi_kg_m2"), *(_BMIS[value] if value in _BMIS else span(value, inclusive=False)))
    if key == "battery":
        return _with_battery(value, seen)
    if value == "working":
        return np.asarray(_known(seen, "works"), dtype=np.bool_)
    bounds = _AGES[value] if value in _AGES else span(value, inclusive=True)
    return _between(_known(seen, "age_years"), *bounds)


_A_SPAN: Final = re.compile(r"\d*\.?\d+(-\d*\.?\d+|\+)")


def names_people(name: str) -> bool:
    """Whether one side of a contrast is a group of people.

    >>> names_people("F"), names_people("60+"), names_people("weekend")
    (True, True, False)
    """
    known = any(name in names for names in (_SEXES, _CONDITIONS, _AGES, _BMIS))
    return known or _A_SPAN.fullmatch(name) is not None


def picks_people(norm: Norm) -> bool:
    """Whether a norm is about some people only: by sex, age, BMI or condition, or of a cohort made on purpose.

    A cohort for which everybody stands picks nobody, nor does a share of the cohort itself.
    """
    if norm.quantity.startswith("cohort_share_"):
        return False
    return any(
        key in ("sex", "age", "bmi", "group")
        or (key == "cohort" and value.startswith(COHORT_POPULATIONS))
        or (key == "contrast" and any(names_people(side) for side in re.split("[-/]", value)))
        for key, value in norm.stratum
    )


def group(name: str, seen: Observations) -> NDArray[np.bool_]:
    """Who belongs to one side of a contrast between people, by code.

    Args:
        name: A sex, a condition, a class of age or BMI, or a range of age ("60+", "18-39").
        seen: What the dataset shows.

    Raises:
        NotComputableError: If it is no such group, or the dataset does not know what is asked of its people.
    """
    if name in _SEXES:
        return np.asarray(_known(seen, "sex") == _SEXES[name], dtype=np.bool_)
    if name in _CONDITIONS:
        return np.asarray(_known(seen, _CONDITIONS[name]), dtype=np.bool_)
    if name in _AGES:
        return _between(_known(seen, "age_years"), *_AGES[name])
    if name in _BMIS:
        return _between(_known(seen, "bmi_kg_m2"), *_BMIS[name])
    if _A_SPAN.fullmatch(name):
        return _between(_known(seen, "age_years"), *span(name, inclusive=True))
    raise NotComputableError(f"recordings do not tell who is {name!r}")


def _known(seen: Observations, column: str) -> "pd.Series[float]":
    if column not in seen.people:
        raise NotComputableError(f"people.parquet has no column {column!r}")
    known: pd.Series[float] = seen.people[column]
    if column in _NUMBERS and not pd.api.types.is_numeric_dtype(known):
        raise NotComputableError(f"people.parquet, column {column!r}: {known.dtype}, expected numbers")
    return known


def _between(values: "pd.Series[float]", low: float, high: float) -> NDArray[np.bool_]:
    return np.asarray((values >= low) & (values < high), dtype=np.bool_)


def _with_battery(value: str, seen: Observations) -> NDArray[np.bool_]:
    """People whose device lasts about that many days ("6d"), or several ("multi_day")."""
    if "vendor" not in seen.people or not seen.people["vendor"].isin(list(VENDORS)).any():
        raise NotComputableError("no device whose battery life is known")
    days = seen.people["vendor"].map({name: vendor.battery_days for name, vendor in VENDORS.items()})
    if value == "multi_day":
        return _between(days, 2.0, np.inf)
    match = re.fullmatch(r"(\d*\.?\d+)d", value)
    if match is None:
        raise NotComputableError(f"battery {value!r} is not known here")
    return _between(days, 0.75 * float(match[1]), 1.25 * float(match[1]) + 1e-9)
