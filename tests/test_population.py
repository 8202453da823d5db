"""People: addressable one by one, distributed as LSM-1's Table 2, correlated as bodies are."""

import json
import math
from dataclasses import asdict, fields, replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.stats import spearmanr

from simulator.activities import LOGGED_LABELS, OF_LABEL, SPORTS
from simulator.population import POPULATIONS, SKIN_TONE_SHARES, WORK, Person, Population
from simulator.recording import DataError
from simulator.vendors import VENDORS

SEED, N = 20240304, 3000
LSM1 = POPULATIONS["lsm1"]
seeds = st.integers(0, 2**32 - 1)
names = st.sampled_from(sorted(POPULATIONS))


@pytest.fixture(scope="module")
def people() -> list[Person]:
    return [LSM1.person(SEED, index) for index in range(N)]


def column(people: list[Person], name: str) -> NDArray[np.float64]:
    return np.array([getattr(person, name) for person in people], dtype=float)


def assert_share(found: float, expected: float, n: int) -> None:
    """Within four standard errors, and a hundredth for what the model rounds."""
    assert found == pytest.approx(expected, abs=0.01 + 4 * np.sqrt(expected * (1 - expected) / n))


@settings(max_examples=20, deadline=None)
@given(names, seeds, st.integers(0, 10**6))
def test_a_person_depends_on_nobody_else_and_lies_within_a_body(name: str, seed: int, index: int) -> None:
    population = POPULATIONS[name]
    person = population.person(seed, index)
    population.person(seed, index + 1)
    assert population.person(seed, index) == person
    assert population.person(seed, index + 1) != replace(person, index=index + 1)
    assert 18 <= person.age_years <= 95
    assert 130 < person.height_cm < 215
    assert 15 < person.bmi_kg_m2 <= 60
    assert 10 < person.vo2max_ml_kg_min <= 75
    assert 38 <= person.resting_hr_bpm < person.max_hr_bpm - 15
    assert 0 < person.worn_nights < 1
    assert person.favourite_activity in LOGGED_LABELS
    assert person.work in WORK
    assert person.works == (person.work != "none")
    assert person.charging_habit in {"evening", "morning", "overnight", "desk"}
    assert population.vendor(seed, index).name in population.vendor_shares
    json.dumps(asdict(person))


def test_sports_and_labels_agree() -> None:
    assert len(SPORTS) == 20
    assert tuple(activity.label for activity in SPORTS) == LOGGED_LABELS == tuple(OF_LABEL)
    lsm1 = {"biking", "elliptical", "hiit", "strength", "swimming", "running", "walking", "weightlifting"}
    assert set(LOGGED_LABELS[:8]) == lsm1  # Table 19


def test_marginals_are_those_of_table_2(people: list[Person]) -> None:
    age, bmi = column(people, "age_years"), column(people, "bmi_kg_m2")
    for low, high, share in ((18, 40, 0.337), (40, 60, 0.458), (60, 80, 0.196), (80, 95.01, 0.009)):
        assert_share(float(((age >= low) & (age < high)).mean()), share, N)
    for low, high, share in ((0, 25, 0.346), (25, 30, 0.321), (30, 99, 0.331)):
        assert_share(float(((bmi >= low) & (bmi < high)).mean()), share, N)
    for sex, share in (("female", 0.671), ("male", 0.326), ("not_specified", 0.003)):
        assert_share(float(np.mean([person.sex == sex for person in people])), share, N)


def test_conditions_are_as_common_as_people_report(people: list[Person]) -> None:
    hypertension, age = column(people, "hypertension"), column(people, "age_years")
    assert 0.20 < hypertension.mean() < 0.32  # 0.26 self-reported in the LSM mix
    assert (
        hypertension[age < 40].mean() < 0.5 * hypertension.mean() < hypertension.mean() < hypertension[age > 60].mean()
    )
    women = [person for person in people if person.sex == "female"]
    men = [person for person in people if person.sex == "male"]
    assert 0.17 < column(women, "anxiety").mean() < 0.30  # 0.234, National Comorbidity Survey
    assert 0.10 < column(men, "anxiety").mean() < 0.19  # 0.143


def test_bodies_meet_published_levels(people: list[Person]) -> None:
    women = [person for person in people if person.sex == "female"]
    men = [person for person in people if person.sex == "male"]
    resting = column(people, "resting_hr_bpm")
    assert 63.0 < resting.mean() < 68.0  # 65.5 bpm, Quer 2020
    assert 6.3 < resting.std() < 9.0  # 7.7
    assert 2.0 < column(women, "resting_hr_bpm").mean() - column(men, "resting_hr_bpm").mean() < 4.5  # 3.1, Fitbit 2018
    young = column(people, "age_years") < 60
    assert 29.0 < np.median(column(people, "rmssd_night_ms")[young]) < 45.0  # 36.5 ms, LifeSnaps
    assert 0.32 < np.log(column(people, "rmssd_night_ms")).std() < 0.52  # 0.40
    assert 0.65 < column(people, "worn_nights").mean() < 0.82  # 0.735


@pytest.mark.parametrize(
    ("one", "other", "low", "high"),
    [  # norms with their bands, Spearman between people
        ("rmssd_night_ms", "resting_hr_bpm", -0.75, -0.40),
        ("age_years", "activity_level", -0.35, -0.12),
        ("bmi_kg_m2", "activity_level", -0.30, -0.10),
        ("resting_hr_bpm", "activity_level", -0.50, -0.10),
        ("resting_hr_bpm", "vo2max_ml_kg_min", -0.70, -0.30),
        ("age_years", "bmi_kg_m2", 0.02, 0.20),
        ("age_years", "rmssd_night_ms", -0.80, -0.40),
    ],
)
def test_correlations_lie_in_their_bands(people: list[Person], one: str, other: str, low: float, high: float) -> None:
    rho = spearmanr(column(people, one), column(people, other)).statistic
    error = 4 / np.sqrt(N)
    assert low - error < rho < high + error


def test_hypertension_and_anxiety_cost_a_little_vagal_tone(people: list[Person]) -> None:
    """Adjusted for age by regression; the effects are small next to the spread between people."""
    age = column(people, "age_years")
    design = np.stack([np.ones(N), age, age**2, column(people, "hypertension"), column(people, "anxiety")], axis=1)
    effects = np.linalg.lstsq(design, np.log(column(people, "rmssd_night_ms")), rcond=None)[0]
    assert -0.30 < effects[3] < -0.02  # ln(ms), norms htn_lnrmssd
    assert -0.25 < effects[4] < -0.02
    on_heart = np.linalg.lstsq(design, column(people, "resting_hr_bpm"), rcond=None)[0]
    assert 0.2 < on_heart[3] < 5.0  # bpm
    assert 0.2 < on_heart[4] < 4.0  # bpm, norms anx_rhr


def test_devices_come_in_their_shares() -> None:
    for population in POPULATIONS.values():
        found = [population.vendor(SEED, index).name for index in range(1500)]
        for device, share in population.vendor_shares.items():
            assert_share(found.count(device) / len(found), share, len(found))


def test_the_populations_have_the_devices_they_are_named_for() -> None:
    assert set(LSM1.vendor_shares) == {"fitbit-sense-2", "pixel-watch-2"}
    assert {device.split("-")[0] for device in POPULATIONS["lsm2"].vendor_shares} == {"fitbit", "pixel"}
    assert len({device.split("-")[0] for device in POPULATIONS["vendors"].vendor_shares}) >= 6


def test_a_shift_moves_everybody_by_what_it_says_and_nothing_else() -> None:
    older = replace(LSM1, age_shift_years=6.0, name="older")
    livelier = replace(LSM1, activity_factor=1.5)
    fitter = replace(LSM1, fitness_shift_ml_kg_min=4.0)
    careless = replace(LSM1, worn_nights_factor=0.5, off_wrist_factor=2.0)
    later = replace(LSM1, mid_sleep_shift_hours=0.5)
    for index in range(50):
        person = LSM1.person(SEED, index)
        shifted = older.person(SEED, index)
        assert shifted.age_years == pytest.approx(min(person.age_years + 6.0, 95.0))
        assert shifted.sex == person.sex
        assert shifted.always_on_display == person.always_on_display
        assert livelier.person(SEED, index).activity_level == pytest.approx(1.5 * person.activity_level)
        assert fitter.person(SEED, index).vo2max_ml_kg_min > person.vo2max_ml_kg_min
        assert fitter.person(SEED, index).resting_hr_bpm <= person.resting_hr_bpm
        assert careless.person(SEED, index).worn_nights < person.worn_nights
        assert careless.person(SEED, index).off_wrist_per_day == pytest.approx(2.0 * person.off_wrist_per_day)
        assert later.person(SEED, index).mid_sleep_free_days_hours >= person.mid_sleep_free_days_hours


@pytest.mark.parametrize("name", sorted(POPULATIONS))
def test_a_population_survives_json(name: str) -> None:
    population = POPULATIONS[name]
    assert population.name == name
    assert Population(**json.loads(json.dumps(asdict(population)))) == population
    assert set(population.vendor_shares) <= set(VENDORS)


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("vendor_shares", {"fitbit-sense-3": 1.0}, "fitbit-sense-3"),
        ("vendor_shares", {"fitbit-sense-2": 0.4}, "sums to 1"),
        ("sex_shares", {"female": 1.5, "male": -0.5}, "sums to 1"),
        ("age_shares", {"young": 1.0}, "'young'"),
        ("age_shares", {"40-18": 1.0}, "'40-18'"),
        ("activity_factor", 0.0, "0.0"),
        ("worn_nights_factor", -1.0, "-1.0"),
        ("off_wrist_factor", float("nan"), "nan"),
        ("bmi_log_sd", -0.1, "-0.1"),
        ("age_shift_years", float("inf"), "inf"),
    ],
)
def test_an_impossible_population_is_refused(field: str, value: object, told: str) -> None:
    with pytest.raises(ValueError, match=f"Population.{field}") as caught:
        replace(LSM1, **{field: value})  # type: ignore[arg-type]
    assert told in str(caught.value)


def test_a_changed_population_survives_its_own_json() -> None:
    for population in (*POPULATIONS.values(), replace(LSM1, name="nurses", work_shares={"shift": 0.5, "night": 0.5})):
        assert Population.from_json(population.to_json()) == population
    assert Population.from_json('{"name": "fit", "fitness_shift_ml_kg_min": 5}').person(1, 1).vo2max_ml_kg_min > 20


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("{", "not JSON"),
        ("[1]", "'name'"),
        ('{"age_shift_years": 3}', "'name'"),
        ('{"name": "x", "age_shift": 3}', "'age_shift'"),
        ('{"name": "x", "age_shift_years": "three"}', "'three'"),
        ('{"name": "x", "age_shift_years": true}', "True"),
        ('{"name": "x", "sex_shares": 0.5}', "0.5"),
        ('{"name": "x", "sex_shares": {"female": "most"}}', "most"),
        ('{"name": "x", "sex_shares": {"femal": 1.0}}', "'femal'"),
        ('{"name": "x", "work_shares": {"nurse": 1.0}}', "'nurse'"),
        ('{"name": "x", "work_shares": {"night": 0.4}}', "sums to 1"),
        ('{"name": "x", "activity_factor": Infinity}', "inf is not in [0.05, 10]"),
        ('{"name": "x", "off_wrist_factor": NaN}', "nan is not in [0, 20]"),
        ('{"name": "x", "exercise_factor": 1e10}', "10000000000.0 is not in [0, 10]"),
        pytest.param('{"name": "x", "age_shift_years": 1' + 400 * "0" + "}", "is not a number", id="huge"),
        ('{"name": "x", "tilt": {"agee": 0.1}}', "'agee'"),
        ('{"name": "x", "tilt": {"age*male*bmi": 0.1}}', "product of two"),
        ('{"name": "x", "tilt": {"age": 9}}', "not in [-3, 3]"),
        ('{"name": "x", "tilt": {"age": NaN}}', "not in [-3, 3]"),
        ('{"name": " "}', "' '"),
        ('{"name": "a\\nb"}', "cannot be printed"),
        ('{"name": "\\ud800"}', "cannot be printed"),
        pytest.param(20_000 * "[", "not JSON", id="deep"),
    ],
)
def test_a_population_that_cannot_be_is_refused_in_one_line(text: str, told: str) -> None:
    with pytest.raises(DataError) as caught:
        Population.from_json(text)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_work_follows_age_or_the_population(people: list[Person]) -> None:
    age = column(people, "age_years")
    works = column(people, "works")
    assert 0.70 < works[(age > 30) & (age < 60)].mean() < 0.86
    assert works[age > 72].mean() < 0.12
    students = np.array([person.work == "student" for person in people])
    assert students[age < 23].mean() > 0.25 > 0.03 > students[age > 35].mean()
    nights = np.mean([person.work in {"shift", "night"} for person in people if person.works])
    assert 0.10 < nights < 0.20  # of workers, 0.16 outside daytime (BLS)
    assert {POPULATIONS["night-shift"].person(2, i).work for i in range(30)} == {"shift", "night"}


def test_sports_follow_sex_as_participants_do(people: list[Person]) -> None:
    female = np.array([person.sex == "female" for person in people])
    label = np.array([person.favourite_activity for person in people])
    odds = female.mean() / (1 - female.mean())
    for sport, share in (("yoga", 0.852), ("golf", 0.122)):  # American Time Use Survey, women and men equally many
        found = female[label == sport].mean() / odds
        assert found / (found + 1 - female[label == sport].mean()) == pytest.approx(share, abs=0.15)


def test_skin_tones_are_as_common_as_told_and_change_nothing_else() -> None:
    people = [LSM1.person(51, i) for i in range(3000)]
    shares = np.bincount([person.skin_tone for person in people], minlength=7)[1:] / len(people)
    for found, expected in zip(shares, SKIN_TONE_SHARES.values(), strict=True):
        assert found == pytest.approx(expected, abs=3 * np.sqrt(expected / len(people)))
    dark = replace(LSM1, skin_tone_shares={"VI": 1.0}).person(51, 3)
    assert dark == replace(people[3], skin_tone=6)


def test_people_less_attached_to_their_watch_wear_it_less_in_every_way() -> None:
    keen, slack = ([replace(LSM1, attachment_shift=a).person(52, i) for i in range(200)] for a in (0.0, -1.0))
    for habit in ("off_wrist_per_day", "unworn_days", "forgetful", "weeks_off_per_year", "quits_per_year", "loose_fit"):
        assert all(getattr(b, habit) >= getattr(a, habit) for a, b in zip(keen, slack, strict=True)), habit
        assert np.mean([getattr(b, habit) for b in slack]) > 1.2 * np.mean([getattr(a, habit) for a in keen]), habit
    assert all(b.worn_nights <= a.worn_nights for a, b in zip(keen, slack, strict=True))
    assert np.mean([b.worn_nights for b in slack]) < 0.9 * np.mean([a.worn_nights for a in keen])
    assert all(b.resting_hr_bpm == a.resting_hr_bpm for a, b in zip(keen, slack, strict=True))


def test_hearts_and_sleep_are_shifted_alone_and_a_tilt_leaves_each_person_to_itself() -> None:
    shifted = replace(LSM1, resting_hr_shift_bpm=4.0, rmssd_factor=0.8, sleep_need_shift_minutes=-20.0)
    tilted = replace(LSM1, tilt={"mid_sleep": 1.0, "age*male": -0.5})
    pairs = [(LSM1.person(SEED, i), shifted.person(SEED, i)) for i in range(30)]
    free = [  # not at a bound
        (a, b) for a, b in pairs if a.resting_hr_bpm > 38.0 and a.rmssd_night_ms > 9.0 and a.sleep_need_minutes < 560.0
    ]
    for a, b in free:
        assert b.resting_hr_bpm == pytest.approx(a.resting_hr_bpm + 4.0)
        assert b.rmssd_night_ms == pytest.approx(0.8 * a.rmssd_night_ms)
        assert b.sleep_need_minutes == pytest.approx(max(a.sleep_need_minutes - 20.0, 280.0))
        assert (b.age_years, b.activity_level, b.worn_nights) == (a.age_years, a.activity_level, a.worn_nights)
    later = [tilted.person(SEED, i) for i in range(300)]
    assert later[7] == tilted.person(SEED, 7)
    assert later[7].index == 7
    middle = np.mean([person.mid_sleep_free_days_hours for person in later])
    assert middle > np.mean([LSM1.person(SEED, i).mid_sleep_free_days_hours for i in range(300)]) + 0.6


def test_every_number_of_a_population_has_bounds() -> None:
    """A new shift without them would let a slip of the keyboard through."""
    for name in (f.name for f in fields(Population) if f.type is float):
        for far in (-1e9, 1e9, math.nan):
            change: dict[str, Any] = {name: far}
            with pytest.raises(ValueError, match=rf"Population\.{name}=.* is not in \["):
                replace(LSM1, **change)
