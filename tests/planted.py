"""Planted people: every number of theirs is known, so that realism has something to be right about."""

import csv
from collections.abc import Sequence
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd

from simulator.dataset import Dataset
from simulator.randomness import stream
from simulator.realism.judging import Row, judge
from simulator.realism.norms import COLUMNS
from simulator.recording import SHAPE, Event, Reason, Recording
from simulator.signals import INDEX, SIGNALS

PEOPLE, DAYS = 24, 9
MONDAY = date(2024, 3, 4)
LOW = np.array([signal.low for signal in SIGNALS], dtype=np.float32)[:, None]
HIGH = np.array([signal.high for signal in SIGNALS], dtype=np.float32)[:, None]
RESTING = 55.0 + np.arange(PEOPLE)  # bpm
SEX = np.array(["female", "male", "female"] * (PEOPLE // 3))
AGE = 20.0 + 2.5 * np.arange(PEOPLE)
SCL = np.exp(np.linspace(-2, 1, PEOPLE))  # uS
WALKED = 40 + 2 * np.arange(PEOPLE)  # minutes at 100 steps
BEDTIME = np.where(np.arange(PEOPLE) % 2, -60, 30)  # minute; an hour later in nights before a free day
ALTIMETER = 0.05 + 0.001 * np.arange(PEOPLE)  # hPa, in walking
SLEPT_UNTIL = 420  # minute
OFF = slice(600, 660)
STEPS = 100.0 * WALKED
YOUNG = AGE < 40
FEMALE = SEX == "female"


def bedtime(person: int, day: int) -> int:
    """Minute at which the night that ends on ``day`` begins."""
    return int(BEDTIME[person]) + 60 * ((MONDAY + timedelta(days=day)).weekday() in (5, 6))


def asleep_minutes(person: int, day: int) -> np.ndarray:
    minute = np.arange(1440)
    return ((minute >= bedtime(person, day)) & (minute < SLEPT_UNTIL)) | (minute >= 1440 + bedtime(person, day + 1))


def planted(person: int, day: int) -> Recording:
    """A day in which every number is known: asleep to 07:00, off the wrist 10-11, a walk at 13:00, a run at 17:00.

    Every third day there is the run, and on the day after it an hour of weights that nobody logs.
    """
    random = stream(5, person, day)
    truth = np.repeat(np.maximum(LOW, np.minimum(HIGH, 1.0)), 1440, axis=1).astype(np.float32)
    asleep = asleep_minutes(person, day)
    heart_rate = np.where(asleep, RESTING[person] - 3.5, RESTING[person] + 20) + random.normal(0, 1, 1440)
    run = slice(1020, 1060)
    if day % 3 == 0:
        heart_rate[run] = 150
    steps = np.zeros(1440)
    steps[780 : 780 + WALKED[person]] = 100
    rmssd = np.where(asleep, 60.0, 40.0) * np.exp(random.normal(0, 0.05, 1440))
    named = {
        "heart_rate": heart_rate,
        "steps": steps,
        "rr_valid": np.where(asleep, 95, 85),
        "rr_mean": 60000 / heart_rate,
        "rr_median": 60000 / heart_rate,
        "rr_p80": 60000 / heart_rate + 40,
        "rr_p20": 60000 / heart_rate - 42.5,
        "rmssd": rmssd,
        "sdnn": np.full(1440, 50.0),
        "scl": np.where(asleep, 9.0, SCL[person]),
        "skin_temperature": np.where(asleep, 34.5, 32.0) + random.normal(0, 0.1, 1440),
        "log_energy": np.full(1440, np.log(1500 * 0.05**2)),  # 0.05 g
        "altimeter_sd": np.where(steps > 0, ALTIMETER[person], 0.01),
    }
    for name, minutes in named.items():
        truth[INDEX[name]] = minutes
    reason = np.zeros(SHAPE, dtype=np.uint8)
    for name in ("scl", "scl_slope", "skin_temperature"):
        reason[INDEX[name], asleep] = Reason.SENSOR_OFF
    reason[:, OFF] = Reason.CHARGING if day % 2 else Reason.OFF_WRIST
    events = [
        Event("sleep", "main", bedtime(person, day), SLEPT_UNTIL),
        Event("sleep", "main", 1440 + bedtime(person, day + 1), 1440 + SLEPT_UNTIL),
        Event("activity", "walking", 780, 780 + int(WALKED[person])),
        Event("mood", ("calm", "content")[day % 2], 900, 930),
    ]
    if day % 3 == 0:
        events += [Event("activity", "running", run.start, run.stop), Event("exercise", "running", run.start, run.stop)]
    if day % 3 == 1:  # done, but not logged
        events.append(Event("exercise", "weightlifting", 1080, 1140))
    values = np.where(reason == 0, truth, np.float32(0))
    when = MONDAY + timedelta(days=day)
    return Recording(f"p{person:02d}", "fitbit-sense-2", day, when, values, reason == 0, reason, truth, tuple(events))


def planted_people() -> pd.DataFrame:
    facts = {"vendor": "fitbit-sense-2", "sex": SEX, "age_years": AGE, "bmi_kg_m2": 22.0 + np.arange(PEOPLE) % 12}
    return pd.DataFrame({"person": [f"p{i:02d}" for i in range(PEOPLE)], "hypertension": AGE > 55} | facts)


def norms_file(folder: Path, rows: Sequence[tuple[str, str, str, float, float]]) -> Path:
    """A norms file of (quantity, stratum, statistic, low, high)."""
    path = folder / "norms.csv"
    with path.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(COLUMNS)
        for i, (quantity, stratum, statistic, low, high) in enumerate(rows):
            unit = "min" if quantity == "bedtime" and statistic.startswith("sd") else "u"
            writer.writerow([f"row{i}", quantity, stratum, statistic, (low + high) / 2, unit, low, high, "us", "FOUND"])
    return path


def judged(dataset: Dataset, folder: Path, rows: Sequence[tuple[str, str, str, float, float]]) -> list[Row]:
    return list(judge(dataset, norms_file(folder, rows)).rows)


def whole_quantile(values: np.ndarray, percent: int) -> float:
    """The middle of the two values about a rank, in whole numbers: 28 % of 25 is 7, not 7.000000000000001."""
    rank, rest = divmod(percent * len(values), 100)
    in_order = np.sort(values)
    return float(in_order[rank] if rest else (in_order[rank - 1] + in_order[rank]) / 2)
