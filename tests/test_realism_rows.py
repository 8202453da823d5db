"""Rows that nobody wrote yet: other strata, quantiles, groups and gaps of what is known just work, or say why not."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cohort import Cohort
from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.population import POPULATIONS
from simulator.realism import statistics as rs
from simulator.realism.estimates import Estimator
from simulator.realism.minute_estimates import wanted
from simulator.realism.norms import NORMS, Norm, contrast, read_norms
from simulator.realism.observing import Wanted, observe
from simulator.realism.standards import cohort_weights
from simulator.realism.windows import GapScores
from simulator.recording import DataError
from tests.planted import AGE, FEMALE, PEOPLE, RESTING, SCL, STEPS, WALKED, whole_quantile


@pytest.fixture(scope="module")
def estimator(planted_dataset: Dataset) -> Estimator:
    seen = observe(
        planted_dataset, Wanted(minutes=frozenset({("hr", "sleep"), ("hr", "awake"), ("wrist_scl", "awake")}))
    )
    return Estimator(seen, rs.resampled_people(PEOPLE), GapScores.of_windows(seen.windows))


def norm(quantity: str, stratum: str, statistic: str) -> Norm:
    parts = [part.partition("=") for part in stratum.split(";") if part not in ("", "all")]
    return Norm(
        id="x",
        quantity=quantity,
        stratum=tuple((key, value) for key, _, value in parts),
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


UNSEEN = """
resting_hr | sex=M;age=20-49 | mean
resting_hr | sex=F;age=31-57;bmi=22-99 | median
resting_hr | bmi=27-33 | p90_of_person_means
resting_hr | contrast=older-young | mean_difference
resting_hr | contrast=ge30/lt25 | mean_ratio
resting_hr | contrast=50+-18-49 | mean_difference
resting_hr | contrast=hypertension-none;adjusted=age,sex,bmi | mean_difference
resting_hr | day=Monday | mean
resting_hr | device=pixel-watch-2 | mean
share_of_day_in_hr_zone | zone=70-84pct_hrmax | mean
steps_per_day | cohort=lifesnaps;wear=ge20h | p10_of_person_days
steps_per_day | wear=ge10h | p2.5_of_person_days
steps_per_day | cohort=all_of_us_fitbit | median_of_person_means
steps_per_day | contrast=Saturday/Friday | ratio_of_means
steps_per_day | contrast=Saturday-Wednesday | mean_within_person
steps_per_day | contrast=M/F | median_ratio
steps_per_day | contrast=60+/18-39 | median_ratio
steps_per_day | all | cv_within_person_between_days
steps_per_day | all | iqr_of_person_means
mean_cadence_of_best_30_min | age=35-74 | p25_of_person_means
minutes_per_day_in_cadence_band | cadence=40-59 | mean
minutes_per_day_in_cadence_band | cadence=ge60;sex=F | p75
minutes_per_day_in_cadence_band | cadence=lt20;wear=ge12h | mean
share_of_daily_steps_in_block | day=Sunday;hours=10-14 | p75_of_person_means
share_of_daily_steps_in_block | hours=22-02 | mean
rmssd_5min_rest | sex=M;age=25-74 | p25
rmssd_5min_rest | contrast=M/F | median_ratio
sdnn_5min_rest | contrast=older-young | mean_difference
rmssd_nightly | age=18-44 | p25_of_person_means
sdnn_24h | sex=F | median
correlation:bmi~resting_hr | age=25+ | spearman
correlation:sleep_minutes_per_night~steps | all | spearman_between_person
correlation:vo2max_ml_kg_min~mean_hr_24h | all | spearman
hr | state=walking | p95_of_minutes
hr | state=rem;sex=F | median
hr | contrast=walking-awake_sedentary | mean_difference
hr | contrast=F-M;state=sleep | mean_difference
rmssd | state=seated_awake | lag1_minute_autocorrelation
wrist_scl | state=walking | median_of_person_medians
wrist_scl_below_0.1uS | state=awake | share_of_minutes
wrist_skin_temperature | state=deep | p5_of_minutes
wrist_skin_temperature_rise_before_sleep_onset | window=20min | mean
rr_valid_share | state=still;acc_sd=3-30mg | p25_of_minutes
pnn30 | rmssd=30 | value
shannon_entropy_rr | state=seated;bin=10ms | median
sleep_minutes_per_night | contrast=weekend-weekday;sex=F | mean_within_person
sleep_minutes_per_night | all | sd_within_person_between_nights
share_of_people_by_mean_sleep | sleep=ge7h | share
bedtime | day=weekday | p90_of_person_means
share_of_nap_time | hours=11-13;age=18+ | median
share_of_logged_activity_events | activity=Running;sex=F | share
share_of_person_days_with_logged_activity | activity=Walk;day=weekend | share
activity_bout_duration | activity=Walking;age=18-59 | p90
activity_mean_intensity | activity=all | median_share_of_hr_reserve
share_of_logged_mood_events | mood=Excited | share
sleep_minutes_per_night | contrast=day_with_HAPPY-without;within_person | mean_difference
hours_per_day_with_hr | cohort=lifesnaps | p25_of_person_days
share_of_days_with_ge12.5h_hr | day=weekend | share
share_with_4_valid_days_of_6 | all | share
share_of_missing_cells_in_a_day_window | signals=26 | p90
charge_starts_22-06h | all | share
baseline_interpolation_mse | method=linear;gap_min=25 | value
baseline_interpolation_mse | method=linear;gap_min=20;signal=heart_rate | value
baseline_interpolation_mse | method=linear/mean;gap_min=45 | value
baseline_extrapolation_mae | method=nearest;gap_min=15;sex=F | value
height | age=18-60 | p95
cohort_share_age | age=25-44 | share
hypertension_self_reported_diagnosis | age=45+ | share
vo2max_ml_kg_min | sex=F | median
"""
ASKED = [tuple(part.strip() for part in line.split("|")) for line in UNSEEN.strip().splitlines()]
BETWEEN_STATES = (
    ("hr", "contrast=walking-still", "mean_difference"),
    ("hr", "contrast=still-walking", "mean_difference"),
)


@pytest.fixture(scope="module")
def lives(tmp_path_factory: pytest.TempPathFactory) -> Estimator:
    """Simulated people, observed for the rows that nobody wrote yet."""
    cohort = Cohort(population=POPULATIONS["lsm1"], people=64, days=6, seed=2)
    folder = tmp_path_factory.mktemp("lives") / "ds"
    write_dataset(folder, iter(cohort), cohort.people_table())
    seen = observe(open_dataset(folder), wanted([norm(*row) for row in (*ASKED, *BETWEEN_STATES)]))
    return Estimator(seen, rs.resampled_people(64), GapScores.of_windows(seen.windows))


@pytest.mark.parametrize("row", ASKED, ids=[" ".join(row) for row in ASKED])
def test_unseen_rows_of_known_quantities_just_work(lives: Estimator, row: tuple[str, str, str]) -> None:
    found = lives.estimate(norm(*row))
    low, high = found.interval(row[2])
    assert np.isfinite([found.rows[0], low, high]).all()
    assert low <= high
    spread = max(high - low, 1e-9)
    assert low - spread <= found.rows[0] <= high + spread
    assert found.people >= 5


def value_of(lives: Estimator, quantity: str, stratum: str, statistic: str) -> float:
    return float(lives.estimate(norm(quantity, stratum, statistic)).rows[0])


@pytest.mark.parametrize("of", ["person_means", "person_days"])
@pytest.mark.parametrize("quantity", ["resting_hr", "steps_per_day", "bedtime", "hours_per_day_with_hr"])
def test_quantiles_rise_with_their_share(lives: Estimator, quantity: str, of: str) -> None:
    shares = ("1", "2.5", "5", "10", "25", "50", "75", "90", "95", "97.5", "99")
    values = [value_of(lives, quantity, "all", f"p{share}_of_{of}") for share in shares]
    assert values == sorted(values)
    assert values[5] == value_of(lives, quantity, "all", f"median_of_{of}")
    assert value_of(lives, quantity, "all", f"iqr_of_{of}") == pytest.approx(values[6] - values[4])


@pytest.mark.parametrize("stratum", ["age=18+", "age=0-200", "bmi=1-199", "age=18+;bmi=10-99;day=all"])
@pytest.mark.parametrize(
    ("quantity", "statistic"),
    [("resting_hr", "mean"), ("steps_per_day", "p90_of_person_days"), ("bedtime", "sd_within_person")],
)
def test_a_stratum_of_everybody_is_none(lives: Estimator, quantity: str, statistic: str, stratum: str) -> None:
    assert value_of(lives, quantity, stratum, statistic) == value_of(lives, quantity, "all", statistic)


def test_parts_of_a_whole_sum_to_it(lives: Estimator) -> None:
    def total(quantity: str, key: str, parts: Sequence[str], statistic: str) -> float:
        return sum(value_of(lives, quantity, f"{key}={part}", statistic) for part in parts)

    hours = [f"{first:02d}-{first + 4:02d}" for first in range(2, 22, 4)] + ["22-02"]
    assert total("share_of_daily_steps_in_block", "hours", hours, "mean") == pytest.approx(1)
    zones = [f"{zone}pct_hrmax" for zone in ("below_50", "50-69", "70-84", "ge85")]
    assert total("share_of_day_in_hr_zone", "zone", zones, "mean") == pytest.approx(1)
    bands = [("0", "1-59", "ge60"), ("lt20", "20-240")]
    some, others = (total("minutes_per_day_in_cadence_band", "cadence", parts, "mean") for parts in bands)
    assert some == pytest.approx(others)
    sleep = ("lt5h", "5-6h", "6-8h", "ge8h")
    assert total("share_of_people_by_mean_sleep", "sleep", sleep, "share") == pytest.approx(1)
    moods = ("Content", "Frustrated", "Excited", "Calm", "Stressed")
    assert total("share_of_logged_mood_events", "mood", moods, "share") == pytest.approx(1)


def test_contrasts_turn_round(lives: Estimator) -> None:
    for quantity in ("resting_hr", "steps_per_day", "rmssd_5min_rest"):
        forth, back = (value_of(lives, quantity, f"contrast={of}", "mean_difference") for of in ("F-M", "M-F"))
        assert forth == pytest.approx(-back)
        over, under = (value_of(lives, quantity, f"contrast={of}", "median_ratio") for of in ("F/M", "M/F"))
        assert over == pytest.approx(1 / under)
    forth, back = (value_of(lives, *row) for row in BETWEEN_STATES)
    assert forth == pytest.approx(-back)


@settings(max_examples=12, deadline=None)
@given(gap=st.integers(2, 140), inside=st.booleans())
def test_gaps_of_any_length_hold_together(lives: Estimator, gap: int, inside: bool) -> None:
    """The end has no far side, so that a line is the nearest value; a mean square is no less than a mean squared."""
    where = "interpolation" if inside else "extrapolation"

    def error(method: str, metric: str = "mse") -> float:
        return value_of(lives, f"baseline_{where}_{metric}", f"method={method};gap_min={gap}", "value")

    assert min(error("mean"), error("nearest"), error("linear")) > 0
    assert inside or error("linear") == error("nearest")
    assert error("linear/mean") == pytest.approx(error("linear") / error("mean"))
    assert error("mean", "mae") ** 2 <= error("mean", "mse")


@pytest.mark.parametrize(
    ("row", "why"),
    [
        (("resting_hr", "contrast=F-Martians", "mean_difference"), "do not tell who is 'Martians'"),
        (("resting_hr", "sex=F", "geometric_mean"), "statistic 'geometric_mean' is not known"),
        (("resting_hr", "vendor=sundial;phase=new", "mean"), "stratum phase=new is not known"),
        (("minutes_per_day_in_cadence_band", "cadence=brisk", "mean"), "'brisk' is no range"),
        (("share_of_missing_cells_in_a_day_window", "signals=1", "mean"), "stratum signals=1 is not known"),
        (("baseline_interpolation_mse", "method=mean;gap_min=10;signal=aura", "value"), "'aura' is none of the 26"),
        (("share_of_people_by_mean_sleep", "sleep=enough", "share"), "'enoug' is no range"),
        (("correlation:resting_hr~aura", "all", "spearman"), "do not tell aura"),
        (("share_of_person_days_with_logged_activity", "activity=Treadmill", "share"), "no activity 'treadmill'"),
        (("hr", "contrast=sleep-orbit", "mean_difference"), "do not tell the state 'orbit'"),
        (("steps_per_day", "contrast=diabetes/none", "mean_ratio"), "'diabetes'"),
        (("steps_per_day", "age=1.2.3-4", "mean"), "'1.2.3-4' is no range"),
        (("steps_per_day", "age=..", "mean"), "'..' is no range"),
        (("baseline_extrapolation_mse", "method=mean;gap_min=NaN", "value"), "'NaN' is no number"),
        (("steps_per_day", "battery=1.2.3d", "mean"), "battery '1.2.3d' is not known"),
    ],
)
def test_unseen_rows_that_make_no_sense_say_why(lives: Estimator, row: tuple[str, str, str], why: str) -> None:
    with pytest.raises(rs.NotComputableError, match=why):
        lives.estimate(norm(*row))


def test_norms_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "norms.csv"
    with pytest.raises(DataError, match="no such norms file"):
        read_norms(path)
    text = NORMS.read_text()
    for change, message in (
        (("signal_or_quantity", "quantity"), "no column 'signal_or_quantity'; found id, quantity"),
        (("0.651", "about 0.65"), "line 2, column 'low': 'about 0.65', expected a number"),
        ((",FOUND", ",read,FOUND"), "line 2: more cells than columns"),
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
