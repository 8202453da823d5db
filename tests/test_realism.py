"""Realism: statistics equal slow ones, planted people are found as planted, and what is not there is said."""

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.importing import import_folder
from simulator.randomness import stream
from simulator.realism import statistics as rs
from simulator.realism.estimates import Estimator
from simulator.realism.judging import Realism, Row, judge
from simulator.realism.norms import COLUMNS, NORMS, Norm, contrast, read_norms
from simulator.realism.observing import Wanted, observe
from simulator.realism.plots import draw
from simulator.realism.standards import cohort_weights
from simulator.realism.windows import GapScores, PersonWindows
from simulator.recording import SHAPE, DataError, Event, Reason, Recording
from simulator.signals import INDEX, SIGNALS

REAL = Path(__file__).parents[2] / "shared" / "realdata"
PEOPLE, DAYS = 24, 9
MONDAY = date(2024, 3, 4)
LOW = np.array([signal.low for signal in SIGNALS], dtype=np.float32)[:, None]
HIGH = np.array([signal.high for signal in SIGNALS], dtype=np.float32)[:, None]


# ---------------------------------------------------------------------------------------- slow oracles of statistics


def repeated(s: rs.Sample, row: np.ndarray) -> np.ndarray:
    """What a weighted statistic stands for: every value as often as its person was drawn."""
    return np.repeat(s.values, row[s.person].astype(int))


def whole_quantile(values: np.ndarray, percent: int) -> float:
    """The middle of the two values about a rank, in whole numbers: 28 % of 25 is 7, not 7.000000000000001."""
    rank, rest = divmod(percent * len(values), 100)
    in_order = np.sort(values)
    return float(in_order[rank] if rest else (in_order[rank - 1] + in_order[rank]) / 2)


@example(seed=0, people=4, n=19, percent=28)
@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 12), st.integers(2, 60), st.integers(1, 99))
def test_weighted_statistics_equal_those_of_repeated_values(seed: int, people: int, n: int, percent: int) -> None:
    random = stream(seed, "values")
    s = rs.sample(np.round(random.normal(5, 2, n), 1), random.integers(0, people, n))
    counts = rs.resampled_people(people)[:20]
    found = {
        "mean": rs.mean(s, counts),
        "min": rs.smallest(s, counts),
        "max": rs.largest(s, counts),
        "quantile": rs.quantile(s, counts, percent / 100),
        "sd": rs.sd(s, counts),
    }
    for i, row in enumerate(counts):
        values = repeated(s, row)
        if not len(values):
            assert all(np.isnan(rows[i]) for rows in found.values())
            continue
        assert found["mean"][i] == pytest.approx(values.mean())
        assert (found["min"][i], found["max"][i]) == (values.min(), values.max())
        assert found["quantile"][i] == pytest.approx(whole_quantile(values, percent))
        assert found["sd"][i] == pytest.approx(values.std() * np.sqrt(n / (n - 1)), abs=1e-6)


def test_statistics_of_pairs_and_groups() -> None:
    random = stream(1, "pairs")
    x, person = random.normal(size=400), np.arange(400)
    y = 2 * x + random.normal(size=400)
    counts = rs.resampled_people(400)
    assert rs.spearman(x, y, person, counts)[0] == pytest.approx(pd.Series(x).corr(pd.Series(y), method="spearman"))
    assert rs.slope(x, y, person, counts)[0] == pytest.approx(np.polyfit(x, y, 1)[0])
    spread = rs.slope(x, y, person, counts)[1:].std()
    assert spread == pytest.approx(1 / np.sqrt(400), rel=0.3)  # residual SD over SD of x and root n
    group, age = random.random(400) < 0.5, random.uniform(20, 80, 400)
    values = rs.sample(3.0 * group + 0.1 * age + random.normal(size=400), person)
    adjusted = rs.adjusted_difference(values, group, age[:, None], counts[:50])
    assert abs(adjusted[0] - 3.0) < 4 * adjusted[1:].std()
    assert adjusted[1:].std() == pytest.approx(2 / np.sqrt(400), rel=0.3)
    a, b = values.of_people(group), values.of_people(~group)
    within = np.concatenate([a.values - a.values.mean(), b.values - b.values.mean()]).std()
    g = rs.standardised_difference(a, b, counts)[0]
    assert g == pytest.approx((a.values.mean() - b.values.mean()) / within, rel=0.01)


def test_correlation_of_days_is_not_biased_by_their_number() -> None:
    """Median over people of the corrected lag-1 correlation, 14 days each, against the planted one."""
    people, days, r = 1500, 14, 0.4
    random = stream(2, "days")
    x = np.zeros((people, days))
    x[:, 0] = random.normal(size=people)
    for day in range(1, days):
        x[:, day] = r * x[:, day - 1] + np.sqrt(1 - r * r) * random.normal(size=people)
    rows = np.arange(people * days)
    s = rs.sample(x.ravel(), rows // days, row=rows)
    found = rs.lag1_of_days(s, np.tile(np.arange(days, dtype=float), people)).values
    assert abs(found.mean() - r) < 0.05  # uncorrected: 0.24


# ---------------------------------------------------------------------------------------------------- planted people

RESTING = 55.0 + np.arange(PEOPLE)  # bpm
SEX = np.array(["female", "male", "female"] * (PEOPLE // 3))
AGE = 20.0 + 2.5 * np.arange(PEOPLE)
SCL = np.exp(np.linspace(-2, 1, PEOPLE))  # uS
WALKED = 40 + 2 * np.arange(PEOPLE)  # minutes at 100 steps
BEDTIME = np.where(np.arange(PEOPLE) % 2, -60, 30)  # minute; an hour later in nights before a free day
ALTIMETER = 0.05 + 0.001 * np.arange(PEOPLE)  # hPa, in walking
SLEPT_UNTIL = 420  # minute
OFF = slice(600, 660)


def bedtime(person: int, day: int) -> int:
    """Minute at which the night that ends on ``day`` begins."""
    return int(BEDTIME[person]) + 60 * ((MONDAY + timedelta(days=day)).weekday() in (5, 6))


def asleep_minutes(person: int, day: int) -> np.ndarray:
    minute = np.arange(1440)
    return ((minute >= bedtime(person, day)) & (minute < SLEPT_UNTIL)) | (minute >= 1440 + bedtime(person, day + 1))


def planted(person: int, day: int) -> Recording:
    """A day in which every number is known: asleep to 07:00, off the wrist 10-11, a walk at 13:00, a run at 17:00."""
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
    events += [Event("activity", "running", run.start, run.stop)] if day % 3 == 0 else []
    values = np.where(reason == 0, truth, np.float32(0))
    when = MONDAY + timedelta(days=day)
    return Recording(f"p{person:02d}", "fitbit-sense-2", day, when, values, reason == 0, reason, truth, tuple(events))


def planted_people() -> pd.DataFrame:
    facts = {"vendor": "fitbit-sense-2", "sex": SEX, "age_years": AGE, "bmi_kg_m2": 22.0 + np.arange(PEOPLE) % 12}
    return pd.DataFrame({"person": [f"p{i:02d}" for i in range(PEOPLE)], "hypertension": AGE > 55} | facts)


@pytest.fixture(scope="module")
def recordings() -> list[Recording]:
    return [planted(person, day) for person in range(PEOPLE) for day in range(DAYS)]


@pytest.fixture(scope="module")
def dataset(recordings: list[Recording], tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    folder = tmp_path_factory.mktemp("planted") / "ds"
    write_dataset(folder, recordings, planted_people())
    return open_dataset(folder)


@pytest.fixture(scope="module")
def verdict(dataset: Dataset) -> Realism:
    return judge(dataset)


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


STEPS = 100.0 * WALKED
YOUNG = AGE < 40
FEMALE = SEX == "female"
SLEPT = np.mean([asleep_minutes(person, day).sum() for person in range(PEOPLE) for day in range(DAYS)])
MISSING = (60 * 26 + 3 * SLEPT) / (26 * 1440)
PLANTED = [  # quantity, stratum, statistic, what it must be, within
    ("cohort_share_sex", "sex=female", "share", 2 / 3, 1e-9),
    ("cohort_share_age", "age=18-39", "share", YOUNG.mean(), 1e-9),
    ("age", "sex=F", "mean", AGE[FEMALE].mean(), 1e-6),
    ("bmi", "age=33-47", "p80", np.quantile(planted_people()["bmi_kg_m2"][(AGE >= 33) & (AGE < 48)], 0.8), 1.0),
    ("resting_hr", "all", "mean", RESTING.mean(), 0.1),
    ("resting_hr", "sex=M;age=18-59", "mean", RESTING[~FEMALE & (AGE < 60)].mean(), 0.1),
    ("resting_hr", "all", "sd_between_person", RESTING.std(ddof=1), 0.1),
    ("resting_hr", "all", "max_of_person_means", RESTING.max(), 0.2),
    ("resting_hr", "contrast=F-M", "mean_difference", RESTING[FEMALE].mean() - RESTING[~FEMALE].mean(), 0.1),
    (
        "resting_hr",
        "contrast=hypertension-none",
        "mean_difference",
        RESTING[AGE > 55].mean() - RESTING[AGE <= 55].mean(),
        0.1,
    ),
    ("hr_minus_rhr", "state=awake_sedentary", "median", 20.0, 0.1),
    ("hr_minus_rhr", "state=sleep_all_stages", "median", -3.5, 0.1),
    ("sleep_hr_over_awake_hr", "all", "mean_ratio", None, 0.0),
    ("steps_per_day", "all", "mean", STEPS.mean(), 1e-6),
    ("steps_per_day", "age=18-39", "p75_of_person_means", np.quantile(STEPS[YOUNG], 0.75), 200.0),
    ("steps_per_day", "contrast=weekend-weekday", "mean_within_person", 0.0, 1e-6),
    ("steps_per_day", "contrast=Sunday/Saturday", "ratio_of_means", 1.0, 1e-6),
    ("correlation:age~steps", "age=18+", "spearman", 1.0, 1e-6),
    ("share_of_daily_steps_in_block", "day=weekday;hours=12-15", "mean", 1.0, 1e-6),
    ("share_of_daily_steps_in_block", "day=weekend;hours=06-09", "mean", 0.0, 1e-6),
    ("best_minute_cadence_per_day", "sex=F", "median_of_person_means", 100.0, 1e-6),
    ("minutes_per_day_in_cadence_band", "cadence=100-119", "mean", WALKED.mean(), 1e-6),
    ("rmssd_nightly", "all", "median_of_person_means", 60.0, 1.0),
    ("rmssd_night_over_awake_sedentary", "all", "median_ratio", 1.5, 0.02),
    ("rr_mean_times_hr_over_60000", "state=valid_rr", "median", 1.0, 1e-4),
    ("rr80_minus_rr20_over_sdnn", "state=valid_rr", "median", 1.65, 1e-3),
    ("sdnn_over_rmssd", "state=rest_5min", "ratio_of_medians", 1.25, 0.01),
    ("wrist_scl", "state=seated_awake", "p10_of_person_medians", np.quantile(SCL, 0.1), 0.03),
    ("wrist_scl", "state=seated_awake", "sd_of_ln_between_person", np.log(SCL).std(ddof=1), 1e-3),
    ("wrist_scl_below_0.3uS", "state=awake", "share_of_minutes", (SCL < 0.3).mean(), 0.01),
    ("scl_and_temp_available", "state=sleep_or_exercise", "share_rule", None, 0.0),
    ("wrist_skin_temperature", "contrast=sleep-awake", "mean_difference", 2.5, 0.02),
    ("wrist_skin_temperature", "state=sleep;age=20-30", "mean", 34.5, 0.02),
    ("altimeter_sd_per_minute", "state=walking_flat", "median", np.median(ALTIMETER), 1e-6),
    (
        "altimeter_sd_per_minute",
        "state=walking",
        "p25_of_minutes",
        np.quantile(np.repeat(ALTIMETER, WALKED), 0.25),
        6e-4,
    ),
    ("altimeter_sd_per_minute", "state=sleep", "p95_of_minutes", 0.01, 1e-6),
    ("rr_valid_share", "state=sleep", "median_of_minutes", 0.95, 1e-6),
    ("bedtime", "all", "mean", (23.0 + 24.5) / 2 + 2 / 9, 1e-6),
    ("bedtime", "all", "sd_within_person", 60 * np.std([0] * 7 + [1] * 2, ddof=1), 1e-6),
    ("bedtime", "contrast=weekend-weekday", "mean_difference", 1.0, 1e-6),
    ("share_asleep_before_midnight", "day=weekday", "share", 0.5, 1e-6),
    ("share_asleep_before_midnight", "day=weekend", "share", 0.0, 1e-6),
    ("hours_per_day_with_hr", "cohort=anyone", "median_of_person_days", 23.0, 1e-6),
    ("share_of_days_with_ge23.5h_hr", "all", "share", 0.0, 1e-6),
    ("share_of_days_with_lt23.5h_hr", "all", "share", 1.0, 1e-6),
    ("share_of_missing_cells_in_a_day_window", "all", "mean", MISSING, 1e-6),
    ("charges_per_day", "battery=6d", "mean", 4 / 9, 1e-6),
    ("nonwear_gap_for_charging", "battery=multi_day", "median", 60.0, 1e-6),
    ("charge_starts_06-11h", "all", "share", 1.0, 1e-6),
    ("share_of_logged_activity_events", "activity=Running", "share", 3 / 12, 1e-6),
    ("share_of_person_days_with_logged_activity", "activity=Run", "share", 1 / 3, 1e-6),
    ("activity_bout_duration", "activity=Running", "median", 40.0, 1e-6),
    ("activity_step_rate", "activity=Walking", "median", 100.0, 1e-6),
    ("share_of_bout_starts_in_block", "activity=Running;hours=16-20;day=weekday", "share", 1.0, 1e-6),
    ("share_of_logged_mood_events", "mood=Calm", "share", 5 / 9, 1e-6),
    ("share_of_logged_mood_events", "mood=Calm", "median", 5 / 9, 1e-6),
    ("share_of_answered_days_with_mood", "mood=RELAXED", "share", 5 / 9, 1e-6),
    ("hr_minus_rhr", "contrast=10min_after_walking/before", "median_ratio", None, 0.0),
    ("rr_valid_share", "state=sleep;acc_sd=0.01-0.1g", "median", 0.95, 1e-6),
    ("wrist_skin_temperature_rise_before_sleep_onset", "window=10min", "mean", 2.5, 0.1),
    ("minutes_per_day_below_50_steps", "all", "mean", 1440 - WALKED.mean(), 1e-6),
    ("mean_length_of_ge50_steps_per_min_bouts", "all", "mean", WALKED.mean(), 1e-6),
    ("moderate_or_vigorous_minutes", "all", "mean", None, 0.0),
    ("ppg_hr_minus_ecg_hr", "state=sleep", "mean", 0.0, 1e-6),
    ("ppg_vs_ecg_hr", "state=awake", "correlation", 1.0, 1e-6),
    ("hr", "state=seated_awake;span=55min", "sd_within_person", 1.0, 0.1),
    ("resting_hr", "posture=seated;age=18-99", "mean", RESTING.mean() + 20 - 1.28, 0.3),
    ("share_with_7_valid_days_of_7", "all", "share", 1.0, 1e-6),
    ("steps_per_day", "contrast=day_with_CALM-without;within_person", "mean_difference", 0.0, 1e-6),
]


def test_planted_people_are_found_as_planted(dataset: Dataset, tmp_path: Path) -> None:
    """Each quantity is right, passes where its band holds it and fails where the band is far off."""
    inside = [(q, s, t, (v or 0) - max(e, 1e-6), (v or 0) + max(e, 1e-6)) for q, s, t, v, e in PLANTED]
    outside = [(q, s, t, 1e6, 2e6) for q, s, t, _, _ in PLANTED]
    rows = judged(dataset, tmp_path, inside + outside)
    for row, (quantity, stratum, statistic, value, within) in zip(rows, PLANTED, strict=False):
        what = f"{quantity} [{stratum}] {statistic}: {row.simulated} {row.note}"
        assert row.simulated is not None, what
        assert row.interval is not None, what
        assert row.interval[0] - 1e-6 <= row.simulated <= row.interval[1] + 1e-6 or "max" in statistic, what
        if value is not None:
            assert row.simulated == pytest.approx(value, abs=within + 1e-6), what
            assert row.verdict == "pass", what
    assert [row.verdict for row in rows[len(PLANTED) :]] == ["fail"] * len(PLANTED)


@pytest.fixture(scope="module")
def estimator(dataset: Dataset) -> Estimator:
    seen = observe(dataset, Wanted(minutes=frozenset({("hr", "sleep"), ("hr", "awake"), ("wrist_scl", "awake")})))
    return Estimator(seen, rs.resampled_people(PEOPLE), GapScores.of_windows(seen.windows))


def norm(quantity: str, stratum: str, statistic: str) -> Norm:
    pairs = tuple((key, value) for key, _, value in (part.partition("=") for part in stratum.split(";") if part))
    return Norm(
        id="x",
        quantity=quantity,
        stratum=pairs,
        statistic=statistic,
        value=0,
        unit="u",
        low=0,
        high=0,
        source="",
        confidence="FOUND",
    )


OF_PERSON = {  # quantity -> what each planted person has
    "resting_hr": RESTING,
    "steps_per_day": STEPS,
    "age": AGE,
    "best_minute_cadence_per_day": np.full(PEOPLE, 100.0),
    "wrist_scl": SCL,
}
STATISTICS: dict[str, Callable[[np.ndarray], float]] = {
    "mean": np.mean,
    "median": np.median,
    "sd_between_person": lambda x: np.std(x, ddof=1),
    "min": np.min,
    "max_of_person_means": np.max,
}


@settings(max_examples=60, deadline=None)
@given(
    quantity=st.sampled_from(list(OF_PERSON)),
    sex=st.sampled_from(["", "F", "M"]),
    young=st.integers(18, 70),
    years=st.integers(0, 60),
    bmi=st.sampled_from(["", "lt25", "25-30", "24-31"]),
    statistic=st.sampled_from([*STATISTICS, "p10", "p37", "p80_of_person_means"]),
)
def test_any_stratum_and_statistic_of_a_known_quantity_just_works(
    estimator: Estimator, quantity: str, sex: str, young: int, years: int, bmi: str, statistic: str
) -> None:
    """Rows that nobody wrote yet: the same as choosing the planted people by hand."""
    bmis = 22.0 + np.arange(PEOPLE) % 12
    low, high = {"": (0, 99), "lt25": (0, 25), "25-30": (25, 30), "24-31": (24, 31)}[bmi]
    chosen = (young <= AGE) & (young + years + 1 > AGE) & (bmis >= low) & (bmis < high)
    chosen &= {"": np.ones(PEOPLE, dtype=bool), "F": FEMALE, "M": ~FEMALE}[sex]
    parts = [f"age={young}-{young + years}", f"sex={sex}" if sex else "", f"bmi={bmi}" if bmi else ""]
    if quantity == "wrist_scl":
        parts.append("state=awake")
        statistic = f"{statistic.split('_of_')[0]}_of_person_medians"
        statistic = statistic.replace("sd_between_person", "sd")
    asked = norm(quantity, ";".join(part for part in parts if part), statistic)
    if chosen.sum() < 5:
        with pytest.raises(rs.NotComputableError, match="people have it, expected 5"):
            estimator.estimate(asked)
        return
    found = estimator.estimate(asked)
    values = OF_PERSON[quantity][chosen]
    plain = statistic.split("_of_")[0] if quantity == "wrist_scl" else statistic
    if plain.startswith("p"):
        expected = whole_quantile(values, int(plain[1:3]))
    else:
        expected = STATISTICS[{"sd": "sd_between_person", "max": "max_of_person_means"}.get(plain, plain)](values)
    tolerance = {"resting_hr": 0.3, "steps_per_day": 1e-6, "age": 1e-6, "wrist_scl": 1e-5}.get(quantity, 1e-6)
    assert found.rows[0] == pytest.approx(expected, abs=tolerance)
    assert found.people == chosen.sum()


@settings(max_examples=30, deadline=None)
@given(first=st.integers(0, 22), width=st.integers(1, 12), weekend=st.sampled_from(["weekday", "weekend", "all"]))
def test_any_hours_of_the_day_just_work(estimator: Estimator, first: int, width: int, weekend: str) -> None:
    """Everybody walks from 13:00; the share of steps in a block is that of the minutes in it."""
    last = min(24, first + width)
    minute = np.arange(780, 780 + WALKED.max())
    inside = (minute >= 60 * first) & (minute < 60 * last)
    expected = np.mean([inside[:walked].mean() for walked in WALKED])
    asked = norm("share_of_daily_steps_in_block", f"day={weekend};hours={first:02d}-{last:02d}", "mean")
    assert estimator.estimate(asked).rows[0] == pytest.approx(expected)


def test_people_are_reweighted_to_a_cohort(estimator: Estimator) -> None:
    """With the weights, the share of women and the mean age are the cohort's; everybody still counts."""
    people = estimator.seen.people
    weights = cohort_weights("nhanes_2011_14", people, np.ones(PEOPLE, dtype=bool))
    assert weights is not None
    assert weights.min() > 0
    assert weights.mean() == pytest.approx(1)
    assert np.average(FEMALE, weights=weights) == pytest.approx(0.52)
    assert np.average(AGE, weights=weights) == pytest.approx(47.0, abs=0.01)
    found = estimator.estimate(norm("steps_per_day", "cohort=nhanes_2011_14", "mean"))
    assert found.rows[0] == pytest.approx(np.average(STEPS, weights=weights))
    assert found.notes == ("people reweighted to nhanes_2011_14",)
    assert cohort_weights("lifesnaps", people[AGE > 40], np.ones((AGE > 40).sum(), dtype=bool)) is None  # none is 32
    assert cohort_weights("martians", people, np.ones(PEOPLE, dtype=bool)) is None


def test_a_share_of_nobody_has_an_interval(dataset: Dataset, tmp_path: Path) -> None:
    """Of 24 people, none: up to 11.7 % of people could be so, by the rule of three."""
    (row,) = judged(dataset, tmp_path, [("share_of_logged_activity_events", "activity=Swimming", "share", 0.1, 0.2)])
    assert row.simulated == 0
    assert row.interval == pytest.approx((0.0, 1 - 0.05 ** (1 / PEOPLE)))
    assert row.verdict == "pass"


def test_the_norms_that_come_along(verdict: Realism) -> None:
    norms = read_norms()
    assert len(norms) == 652
    assert [row.id for row in verdict.rows] == [norm.id for norm in norms]
    verdicts = {row.verdict for row in verdict.rows}
    assert verdicts == {"pass", "fail", "not_computable"}
    assert sum(row.verdict != "not_computable" for row in verdict.rows) > 200
    for row in verdict.rows:
        assert (row.simulated is None) == (row.interval is None) == (row.verdict == "not_computable")
        assert row.note or row.verdict != "not_computable"
        if row.interval is not None:
            touches = row.interval[0] <= row.high and row.interval[1] >= row.low
            assert (row.verdict == "pass") == touches
    parsed = json.loads(json.dumps(verdict.as_json(), allow_nan=False))
    assert {"rows", "fingerprint", "missingness"} <= set(parsed)
    assert {"id", "simulated", "interval", "low", "high", "verdict", "note"} <= set(parsed["rows"][0])
    assert sum(sum(counts.values()) for counts in verdict.tally().values()) == 652
    assert all(row.id in verdict.table() for row in verdict.rows)


def test_windows_are_those_of_lowest_rank_and_reach_over_midnight(recordings: list[Recording]) -> None:
    mine = [recording for recording in recordings if recording.person == "p03"]
    gathered = PersonWindows(each=30, days=len(mine))
    for recording in mine:
        gathered.add(recording)
    assert len(gathered.kept) == 30
    rows = np.hstack([np.where(r.observed, r.values, np.float32(np.nan)) for r in mine])
    steady = rows[INDEX["heart_rate"]]
    starts = []
    for _, window in gathered.kept:
        first = window[INDEX["heart_rate"]]
        known = int(np.flatnonzero(~np.isnan(first))[0])
        like = np.flatnonzero(steady == first[known]) - known
        places = [int(s) for s in like if np.array_equal(steady[s : s + 300], first, equal_nan=True)]
        assert len(places) == 1
        np.testing.assert_array_equal(window, rows[:, places[0] : places[0] + 300])
        starts.append(places[0])
    assert any(start % 1440 > 1140 for start in starts)
    nothing = PersonWindows(each=10, days=1)
    nothing.add(replace(mine[0], observed=np.zeros(SHAPE, dtype=np.bool_)))
    assert not nothing.kept


def test_fingerprint_and_missingness(verdict: Realism, recordings: list[Recording]) -> None:
    cells = np.stack([recording.reason for recording in recordings])
    assert verdict.missingness["share"] == pytest.approx((cells > 0).mean())
    by_signal, by_reason = verdict.missingness["by_signal"], verdict.missingness["by_reason"]
    assert isinstance(by_signal, dict)
    assert isinstance(by_reason, dict)
    assert by_signal["scl"] == pytest.approx((cells[:, INDEX["scl"]] > 0).mean())
    assert by_reason["sensor_off"] == pytest.approx((cells == Reason.SENSOR_OFF).mean())
    assert sum(by_reason.values()) == pytest.approx(verdict.missingness["share"])
    steps = verdict.fingerprint["heart_rate_by_steps"]
    assert isinstance(steps, dict)
    walking = np.average(RESTING + 20, weights=WALKED)
    assert steps["61-100"] == pytest.approx(walking, abs=0.1)
    assert steps["1-20"] is None
    assert verdict.fingerprint["stepless_share"] == pytest.approx(1 - WALKED.mean() / 1380, abs=1e-3)
    autocorrelation = verdict.fingerprint["autocorrelation"]
    assert isinstance(autocorrelation, dict)
    heart_rate = [pd.Series(np.where(r.observed[0], r.values[0], np.nan)) for r in recordings if r.person == "p07"]
    now, then = pd.concat([h[:-10] for h in heart_rate]), pd.concat([h[10:] for h in heart_rate])
    both = now.notna().to_numpy() & then.notna().to_numpy()
    expected = np.corrcoef(now.to_numpy()[both], then.to_numpy()[both])[0, 1]
    assert autocorrelation["10"] == pytest.approx(expected, abs=0.02)


def test_judging_is_repeatable_and_reports_progress(dataset: Dataset, tmp_path: Path) -> None:
    norms = norms_file(tmp_path, [("resting_hr", "all", "mean", 0, 100), ("bmi", "all", "p90", 0, 100)])
    counts: list[int] = []
    some = dataset.select([f"p{i:02d}" for i in range(6)])
    assert judge(some, norms).as_json() == judge(some, norms, counts.append).as_json()
    assert counts == list(range(1, 6 * DAYS + 1))


def test_rows_that_no_dataset_tells_say_why(dataset: Dataset, tmp_path: Path) -> None:
    asked = {
        ("mims_per_day", "all", "mean"): "no such measure of acceleration",
        ("deep_sleep_share", "all", "mean"): "no sleep stages",
        ("sleep_minutes_per_night", "all", "mean"): "no sleep stages",
        ("steps_per_day", "cohort=students_fitbit", "mean"): "needs people of the population 'students'",
        ("steps_per_day", "moon=full", "mean"): "stratum moon=full is not known",
        ("steps_per_day", "all", "kurtosity"): "statistic 'kurtosity' is not known",
        ("steps_per_day", "age=80+", "mean"): "only 0 people have it, expected 5",
        ("steps_per_day", "contrast=diabetes/none", "mean_ratio"): "do not tell who or when is 'diabetes'",
        ("height", "all", "mean"): "no column 'height_cm'",
        ("altimeter_sd_per_minute", "state=car_hilly", "median"): "do not tell the state 'car_hilly'",
        ("hr", "state=swimming", "mean"): "nobody has enough minutes of hr in state 'swimming'",
        ("share_of_logged_activity_events", "activity=Curling", "share"): "no activity 'curling'",
        ("share_of_logged_activity_events", "all", "share"): "names no activity",
        ("share_of_daily_steps_in_block", "hours=noon", "mean"): "'noon' are not two clock hours",
        ("baseline_interpolation_mse", "method=mean;gap_min=400", "value"): "does not fit a window",
        ("baseline_interpolation_mse", "method=magic;gap_min=10", "value"): "'magic' is not known",
        ("pnn30", "rmssd=low", "value"): "'low' is no number",
        ("phase_of_the_moon", "all", "mean"): "recordings do not tell it",
    }
    rows = judged(dataset, tmp_path, [(*key, 0.0, 1.0) for key in asked])
    for row, reason in zip(rows, asked.values(), strict=True):
        assert row.verdict == "not_computable", row
        assert reason in row.note, row.note


def test_without_truth_events_reasons_or_facts(recordings: list[Recording], tmp_path: Path) -> None:
    """What an imported folder lacks makes rows not computable; the others stay as they were."""
    bare = [replace(recording, truth=None, events=(), vendor="other") for recording in recordings]
    write_dataset(tmp_path / "ds", bare, planted_people()[["person"]], reasons=False)
    verdict = judge(open_dataset(tmp_path / "ds"))
    found = {row.id: row for row in verdict.rows}
    assert found["steps_fitbit_us"].simulated == pytest.approx(STEPS.mean())
    for name, reason in {
        "rhr_all_mean": "only 0 people",
        "alt_sd_sleep": "no sleep or activity is recorded",
        "demo_sex_male": "no column 'sex'",
        "charge_rate_6d": "no device whose battery life is known",
        "charge_gap": "no device",
        "gap_count": "nobody knows why minutes are missing",
        "act_lsm_Walking": "no activity is recorded",
        "bed_students": "students",
        "bed_between_adults": "no day tells bedtime",
    }.items():
        assert reason in found[name].note, (name, found[name])
    assert draw(verdict, open_dataset(tmp_path / "ds"), tmp_path / "plots")


def test_plots_are_small_pictures(verdict: Realism, dataset: Dataset, tmp_path: Path) -> None:
    paths = draw(verdict, dataset, tmp_path / "plots")
    assert [path.stem for path in paths] == [
        *("norms", "missingness", "day", "clock", "correlation", "fingerprint", "activities")
    ]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 300_000


# ------------------------------------------------------------------------------------------------------- norms files


def test_norms_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "norms.csv"
    with pytest.raises(DataError, match="no such norms file"):
        read_norms(path)
    text = NORMS.read_text()
    for change, message in (
        (("signal_or_quantity", "quantity"), "no column 'signal_or_quantity'; found id, quantity"),
        (("0.651", "about 0.65"), "line 2, column 'low': 'about 0.65', expected a number"),
        (("demo_sex_male", "demo_sex_female"), "column 'id': 'demo_sex_female' stands twice"),
    ):
        path.write_text(text.replace(*change, 1))
        with pytest.raises(DataError, match=message):
            read_norms(path)
    path.write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(DataError, match="not a CSV file"):
        read_norms(path)


def test_contrasts() -> None:
    assert contrast("F-M") == ("F", "M", "-")
    assert contrast("poor/excellent_self_rated_health")[2] == "/"
    assert contrast("day_with_TENSE-without") == ("day_with_TENSE", "without", "-")


# ---------------------------------------------------------------------------------------------------- real recordings


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not on this machine")
def test_real_steps_meet_published_steps(tmp_path: Path) -> None:
    """The check of the checker: real Fitbit people pass the norms on steps, and heart rate moves as measured."""
    import_folder(REAL / "fitabase.parquet", tmp_path / "ds", "fitabase")
    verdict = judge(open_dataset(tmp_path / "ds"))
    steps = [row for row in verdict.rows if row.id.startswith("steps") and row.verdict != "not_computable"]
    assert len(steps) >= 15
    assert [row.id for row in steps if row.verdict == "fail"] == []
    autocorrelation = verdict.fingerprint["autocorrelation"]
    assert isinstance(autocorrelation, dict)
    for lag, measured in (("1", 0.935), ("10", 0.669), ("60", 0.369)):  # README of the real recordings
        assert autocorrelation[lag] == pytest.approx(measured, abs=0.11)
