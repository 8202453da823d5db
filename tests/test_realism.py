"""Realism: planted people are found as planted, and what is not there is said."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.importing import import_folder
from simulator.realism.judging import Realism, judge
from simulator.realism.norms import picks_people, read_norms
from simulator.realism.plots import draw
from simulator.realism.remarks import read_remarks
from simulator.recording import DataError, Event, Reason, Recording
from simulator.signals import INDEX
from tests.planted import (
    AGE,
    ALTIMETER,
    DAYS,
    FEMALE,
    PEOPLE,
    RESTING,
    SCL,
    STEPS,
    WALKED,
    YOUNG,
    asleep_minutes,
    judged,
    norms_file,
    planted_people,
)

REAL = Path(__file__).parents[2] / "shared" / "realdata"


@pytest.fixture(scope="module")
def verdict(planted_dataset: Dataset) -> Realism:
    return judge(planted_dataset)


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
    ("engaged_in_sport_or_exercise_on_average_day", "age=15+", "share", 2 / 3, 1e-6),  # logged or not
    ("duration_on_days_with_exercise", "age=15+", "mean", 50.0, 1e-6),
    ("share_of_exercisers_on_a_day", "activity=Weightlifting", "share", 1 / 2, 1e-6),
    ("share_of_person_days_with_logged_activity", "activity=Weights", "share", 1 / 3, 1e-6),
    ("person_days_with_at_least_one_logged_activity", "all", "share", 1.0, 1e-6),
    ("female_share_of_participants", "activity=Running", "share", 0.516, 1e-3),  # all run alike: as the country's sexes
    ("hr", "state=seated_awake", "lag1_minute_autocorrelation", -1 / 55, 0.02),  # white, about an hour's own mean
    ("cadence_in_purposeful_walking", "all", "median", 100.0, 1e-6),
    ("days_with_a_sleep_record", "all", "mean_of_person_shares", 1.0, 1e-6),
    ("steps_per_day", "contrast=day_with_CALM-without;within_person", "mean_difference", 0.0, 1e-6),
]


def test_planted_people_are_found_as_planted(planted_dataset: Dataset, tmp_path: Path) -> None:
    """Each quantity is right, passes where its band holds it and fails where the band is far off."""
    inside = [(q, s, t, (v or 0) - max(e, 1e-6), (v or 0) + max(e, 1e-6)) for q, s, t, v, e in PLANTED]
    outside = [(q, s, t, 1e6, 2e6) for q, s, t, _, _ in PLANTED]
    rows = judged(planted_dataset, tmp_path, inside + outside)
    for row, (quantity, stratum, statistic, value, within) in zip(rows, PLANTED, strict=False):
        what = f"{quantity} [{stratum}] {statistic}: {row.simulated} {row.note}"
        assert row.simulated is not None, what
        assert row.interval is not None, what
        assert row.interval[0] - 1e-6 <= row.simulated <= row.interval[1] + 1e-6 or "max" in statistic, what
        if value is not None:
            assert row.simulated == pytest.approx(value, abs=within + 1e-6), what
            assert row.verdict == "pass", what
    assert [row.verdict for row in rows[len(PLANTED) :]] == ["fail"] * len(PLANTED)


def test_a_share_of_nobody_has_an_interval(planted_dataset: Dataset, tmp_path: Path) -> None:
    """Of 24 people, none: up to 11.7 % of people could be so, by the rule of three."""
    (row,) = judged(
        planted_dataset, tmp_path, [("share_of_logged_activity_events", "activity=Swimming", "share", 0.1, 0.2)]
    )
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
    table = verdict.table()
    assert all(row.id in table for row in verdict.rows)


def test_numbers_inside_their_band_are_counted_beside_the_intervals_that_touch_it(
    planted_dataset: Dataset, tmp_path: Path
) -> None:
    """Resting rates spread over people: an interval reaches beyond its mean, and a band just above it touches both."""
    mean = float(RESTING.mean())
    asked = [
        ("resting_hr", "all", "mean", mean - 0.2, mean + 0.2),
        ("resting_hr", "all", "mean", mean + 0.2, mean + 0.4),
        ("resting_hr", "all", "mean", mean + 50, mean + 60),
        ("mims_per_day", "all", "mean", 0, 1e6),
    ]
    found = judge(planted_dataset, norms_file(tmp_path, asked))
    assert found.tally()["FOUND"] == {"pass": 2, "fail": 1, "not_computable": 1}
    assert found.inside() == found.as_json()["inside"] == {"FOUND": 1, "RECALL": 0}
    head = found.table().splitlines()[1]
    assert head == "FOUND: 1 fail, 2 pass, 1 not computable; 1 of 3 numbers lie inside their band themselves"


def test_fingerprint_and_missingness(verdict: Realism, planted_recordings: list[Recording]) -> None:
    cells = np.stack([recording.reason for recording in planted_recordings])
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
    heart_rate = [
        pd.Series(np.where(r.observed[0], r.values[0], np.nan)) for r in planted_recordings if r.person == "p07"
    ]
    now, then = pd.concat([h[:-10] for h in heart_rate]), pd.concat([h[10:] for h in heart_rate])
    both = now.notna().to_numpy() & then.notna().to_numpy()
    expected = np.corrcoef(now.to_numpy()[both], then.to_numpy()[both])[0, 1]
    assert autocorrelation["10"] == pytest.approx(expected, abs=0.02)


def test_judging_is_repeatable_and_reports_progress(planted_dataset: Dataset, tmp_path: Path) -> None:
    norms = norms_file(tmp_path, [("resting_hr", "all", "mean", 0, 100), ("bmi", "all", "p90", 0, 100)])
    counts: list[int] = []
    some = planted_dataset.select([f"p{i:02d}" for i in range(6)])
    assert judge(some, norms).as_json() == judge(some, norms, counts.append).as_json()
    assert counts == list(range(1, 6 * DAYS + 1))


def test_rows_that_no_dataset_tells_say_why(planted_dataset: Dataset, tmp_path: Path) -> None:
    asked = {
        ("mims_per_day", "all", "mean"): "raw acceleration over a band that recordings do not keep",
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
        ("phase_of_the_moon", "all", "mean"): "recordings do not tell phase of the moon",
        ("resting_hr", "all", "lag1_day_autocorrelation"): "makers smooth their resting heart rate",
        ("steps_per_day", "cohort=world_smartphone", "mean"): "phones in pockets",
        ("share_of_answered_days_with_mood", "mood=TIRED", "share"): "hold nothing like 'TIRED'",
        ("wrist_scl", "contrast=stroop/rest", "median_ratio"): "a task given in a laboratory (stroop)",
        ("ppg_vs_ecg_hr", "state=wake", "correlation"): "no sleep stages",
        ("seated_clinic_pulse", "sex=F", "mean"): "no reading of a watch",
    }
    rows = judged(planted_dataset, tmp_path, [(*key, 0.0, 1.0) for key in asked])
    for row, reason in zip(rows, asked.values(), strict=True):
        assert row.verdict == "not_computable", row
        assert reason in row.note, row.note


def test_without_truth_events_reasons_or_facts(planted_recordings: list[Recording], tmp_path: Path) -> None:
    """What an imported folder lacks makes rows not computable; the others stay as they were."""
    bare = [replace(recording, truth=None, events=(), vendor="other") for recording in planted_recordings]
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


def test_how_far_and_why_a_row_is_missed(planted_dataset: Dataset, tmp_path: Path) -> None:
    """Half-widths from the band to the number; the sentence is shown where the row fails, and only there."""
    asked = [("age", "all", "mean", low, high) for low, high in ((0, 99), (60, 80), (20, 30), (45, 45))]
    remarks = tmp_path / "remarks.csv"
    remarks.write_text('id,sentence\nrow0,"They pass, so this is not read."\nrow1,"They are young, and we know it."\n')
    verdict = judge(planted_dataset, norms_file(tmp_path, asked), remarks=remarks)
    mean = AGE.mean()
    assert [row.verdict for row in verdict.rows] == ["pass", "fail", "fail", "pass"]
    expected = [0.0, (mean - 60) / 10, (mean - 30) / 5, (mean - 45) / 45]
    assert [row.miss for row in verdict.rows] == pytest.approx(expected)
    assert [row.remark for row in verdict.rows] == ["", "They are young, and we know it.", "", ""]
    table = verdict.table()
    assert f"{(60 - mean) / 10:.1f} half-widths below\n{'':15}They are young, and we know it.\n" in table
    assert f"{(mean - 30) / 5:.1f} half-widths above\n" in table
    assert "not read" not in table
    parsed = json.loads(json.dumps(verdict.as_json()))["rows"]
    assert parsed[1]["remark"] == "They are young, and we know it."
    assert parsed[1]["miss"] == pytest.approx((mean - 60) / 10)


def test_remarks_that_come_along_are_about_norms() -> None:
    assert set(read_remarks()) <= {norm.id for norm in read_norms()}


def test_remarks_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "remarks.csv"
    for text, message in (
        (None, "no such file of remarks"),
        ("id,words\n", "no column 'sentence'; found id, words"),
        ("id,sentence\na,\n", "line 2: id 'a' with sentence ''"),
        ("id,sentence\na,so, or so\n", "line 2: more cells than columns"),
        ("id,sentence\na,so\na,or so\n", "line 3, column 'id': 'a' stands twice"),
    ):
        if text is not None:
            path.write_text(text)
        with pytest.raises(DataError, match=message):
            read_remarks(path)


def test_people_beside_answer_for_those_who_are_not_there(
    planted_dataset: Dataset, planted_recordings: list[Recording], tmp_path: Path
) -> None:
    """The very old tell rows of the old; students tell those of students and no others; who is there is not asked."""
    some = [recording for recording in planted_recordings if recording.person < "p08"]
    for name, age in (("old", 85.0), ("students", 19.0)):
        people = planted_people().query("person < 'p08'").assign(population=name, age_years=age)
        write_dataset(tmp_path / name, some, people)
    beside = [open_dataset(tmp_path / name) for name in ("students", "old")]
    asked = [
        ("steps_per_day", "age=80+", "mean", 0, 1e6),
        ("steps_per_day", "cohort=students_fitbit", "mean", 0, 1e6),
        ("steps_per_day", "all", "mean", 0, 1e6),
        ("steps_per_day", "age=18-19", "mean", 0, 1e6),
        ("mims_per_day", "age=80+", "mean", 0, 1e6),
    ]
    rows = judge(planted_dataset, norms_file(tmp_path, asked), beside=beside).rows
    few = STEPS[:8].mean()
    assert [row.simulated for row in rows[:3]] == pytest.approx([few, few, STEPS.mean()])
    assert rows[0].note == "told by 8 people of the population old"
    assert rows[1].note.startswith("told by 8 people of the population students")
    assert rows[2].note == ""
    assert rows[3].note == "only 0 people have it, expected 5"
    assert rows[4].verdict == "not_computable"


def test_what_is_about_everybody_is_not_asked_of_people_beside(
    planted_dataset: Dataset, planted_recordings: list[Recording], tmp_path: Path
) -> None:
    """Nobody swims but the old beside: that tells of swimmers among the old, not of swimmers."""
    swam = Event("activity", "swimming", 900, 940)
    some = [replace(one, events=(*one.events, swam)) for one in planted_recordings if one.person < "p08"]
    people = planted_people().query("person < 'p08'").assign(population="old", age_years=85.0)
    write_dataset(tmp_path / "old", some, people)
    asked = [
        ("activity_bout_duration", stratum, "median", 0, 1e6)
        for stratum in ("activity=Swimming", "activity=Swimming;cohort=lifesnaps", "activity=Swimming;age=80+")
    ]
    rows = judge(planted_dataset, norms_file(tmp_path, asked), beside=[open_dataset(tmp_path / "old")]).rows
    assert [row.verdict for row in rows] == ["not_computable", "not_computable", "pass"]
    assert rows[0].note == "only 0 people have it, expected 5"
    assert rows[2].simulated == 40


def test_which_norms_are_about_some_people() -> None:
    of = {norm.id: picks_people(norm) for norm in read_norms()}
    assert all(of[name] for name in ("tmp_young_sleep", "bed_students"))
    assert not any(of[name] for name in ("demo_sex_female", "steps_ls_median", "bed_weekend", "lpa_min"))
    contrast = {norm.stratum[0][1]: of[norm.id] for norm in read_norms() if [*dict(norm.stratum)] == ["contrast"]}
    assert contrast["F-M"]
    assert contrast["hypertension-none"]
    assert not any(contrast[name] for name in ("17-20h/08-10h", "Sunday/Saturday"))


def test_plots_are_small_pictures(verdict: Realism, planted_dataset: Dataset, tmp_path: Path) -> None:
    paths = draw(verdict, planted_dataset, tmp_path / "plots")
    assert [path.stem for path in paths] == [
        *("norms", "missingness", "day", "clock", "correlation", "fingerprint", "activities")
    ]
    for path in paths:
        assert path.read_bytes().startswith(b"\x89PNG")
        assert path.stat().st_size < 300_000


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
