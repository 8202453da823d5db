"""Against real recordings: nobody is told from themselves, a planted difference is found and named."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from simulator.cohort import Cohort
from simulator.dataset import Dataset, open_dataset, write_dataset
from simulator.importing import import_folder
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.realism.against import Windows, _auroc, compare, describe, paired, separate, shuffled
from simulator.realism.heart import HeartSums, summary
from simulator.recording import DataError

REAL = Path(__file__).parents[2] / "shared" / "realdata"


def people(seed: int, n: int = 10, each: int = 12, rough: float = 1.0, lost: float = 0.2) -> Windows:
    """Windows of a drifting heart rate that follows steps, with white noise, and gaps of ten minutes."""
    random = stream(seed, "people")
    count = n * each
    person = np.repeat(np.arange(n), each)
    steps = np.where(random.random((count, 300)) < 0.3, random.integers(5, 110, (count, 300)), 0)
    drift = np.cumsum(random.normal(0, 0.7, (count, 300)), axis=1)
    heart_rate = random.normal(70, 6, n)[person][:, None] + drift + 0.2 * steps + random.normal(0, rough, (count, 300))
    gone = np.repeat(random.random((count, 30)) < lost, 10, axis=1)
    return Windows(
        heart_rate=np.where(gone, np.nan, heart_rate).astype(np.float32),
        steps=np.where(gone, np.nan, steps).astype(np.float32),
        person=person,
        hour=np.tile(np.arange(4) * 5, count // 4),
    )


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(2, 60))
def test_the_area_is_scikit_learns(seed: int, n: int) -> None:
    random = stream(seed, "scores")
    score, label = np.round(random.random(n), 1), np.append(random.integers(0, 2, n - 2), [0, 1])
    weight = random.integers(1, 4, n).astype(float)
    assert _auroc(score, label, weight) == pytest.approx(roc_auc_score(label, score, sample_weight=weight))


def test_both_lose_the_same_minutes_and_begin_at_the_same_hour() -> None:
    ours, theirs = paired(people(1, lost=0.3), people(2, n=5, lost=0.1), seed=1)
    assert len(ours) == len(theirs) <= 60
    np.testing.assert_array_equal(ours.hour, theirs.hour)
    for name in ("heart_rate", "steps"):
        np.testing.assert_array_equal(np.isnan(getattr(ours, name)), np.isnan(getattr(theirs, name)))
    assert len(np.unique(ours.person)) == 10  # taken in turn


def test_the_same_kind_of_people_cannot_be_told_apart() -> None:
    found = separate(people(3), people(4))
    assert abs(found.auroc - 0.5) < 0.15  # five folds of two people of either kind
    assert found.interval[0] < 0.55
    assert found.interval[1] > 0.45
    assert found.interval_of_minutes[0] < 0.55


def test_rough_heart_rate_is_found_and_named() -> None:
    found = separate(people(5, rough=3.0), people(6))
    assert found.auroc > 0.95
    assert found.interval[0] > 0.9
    assert "heart rate" in found.betrayals[0].feature
    by_name = {betrayal.feature: betrayal for betrayal in found.betrayals}
    change = by_name["change of heart rate over 1 min, median"]
    assert change.auroc > 0.95
    assert change.simulated > change.real
    assert abs(by_name["share of minutes without a step"].auroc - 0.5) < 0.15


def test_the_minutes_alone_tell_planted_faults() -> None:
    """One heart rate for everybody, every minute for itself, is told from real people's without features."""
    nobody = people(11)
    made_up = np.where(np.isnan(nobody.heart_rate), np.nan, stream(12, "nobody").normal(75, 2, nobody.heart_rate.shape))
    found = separate(replace(nobody, heart_rate=made_up.astype(np.float32)), people(10))
    assert found.auroc_of_minutes > 0.7
    assert found.interval_of_minutes[0] > 0.6
    assert found.auroc > 0.99


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_a_shuffled_window_holds_the_same_minutes(seed: int) -> None:
    windows = people(13, n=2, each=4)
    found = shuffled(windows, seed)
    for i in range(len(windows)):
        pairs = [np.stack([w.heart_rate[i], w.steps[i]], axis=1) for w in (windows, found)]
        before, after = (pair[np.lexsort(pair.T)] for pair in pairs)
        np.testing.assert_array_equal(before, after)
        np.testing.assert_array_equal(np.isnan(windows.heart_rate[i]), np.isnan(found.heart_rate[i]))


def test_heart_rate_settles_as_planted() -> None:
    """After each walk heart rate falls with a time constant of two minutes: within a tenth of it at the sixth."""
    steps, heart_rate = np.zeros(1440, dtype=np.float32), np.full(1440, 60.0, dtype=np.float32)
    for begin in range(0, 1440, 40):
        steps[begin : begin + 10], heart_rate[begin : begin + 10] = 80, 100
        heart_rate[begin + 10 : begin + 40] = 60 + 30 * np.exp(-np.arange(30) / 2)
    sums = HeartSums()
    sums.add(heart_rate, steps)
    assert sums.settling_minutes() == 6
    assert np.isnan(HeartSums().settling_minutes())


def test_features_of_a_window_that_is_known() -> None:
    heart_rate = np.tile(np.array([60.0, 70.0], dtype=np.float32), (1, 150))
    steps = np.zeros((1, 300), dtype=np.float32)
    steps[0, 100:110], steps[0, 200:230] = 50, 110
    found = describe(Windows(heart_rate=heart_rate, steps=steps, person=np.zeros(1, int), hour=np.zeros(1, int)))
    assert found["heart rate, mean"][0] == 65
    assert found["change of heart rate over 1 min, median"][0] == 10
    assert found["share of minutes at which heart rate turns"][0] == 1
    assert found["autocorrelation of heart rate at 1 min"][0] == pytest.approx(-1, abs=0.01)
    assert found["bouts of steps"][0] == 2
    assert found["minutes of a bout of steps"][0] == 20
    assert found["share of minutes without a step"][0] == pytest.approx(260 / 300)
    assert found["share of minutes with 21-60 steps"][0] == pytest.approx(10 / 300)
    assert found["steps of moving minutes, median"][0] == 110


def test_heart_rate_is_summed_by_steps_and_lag() -> None:
    random = stream(7, "heart")
    heart_rate = random.normal(70, 5, 1440).astype(np.float32)
    steps = np.repeat(np.array([0, 10, 40, 80, 120], dtype=np.float32), 288)
    heart_rate[:3] = np.nan
    sums = HeartSums()
    sums.add(heart_rate, steps)
    found = summary([sums])
    by_steps = found["heart_rate_by_steps"]
    assert isinstance(by_steps, dict)
    assert by_steps["0"] == pytest.approx(np.nanmean(heart_rate[:288]))
    assert by_steps[">100"] == pytest.approx(heart_rate[-288:].mean(), rel=1e-6)
    assert found["stepless_share"] == pytest.approx(285 / 1437)
    assert sums.autocorrelation(10) == pytest.approx(np.corrcoef(heart_rate[3:-10], heart_rate[13:])[0, 1], abs=1e-6)


def test_too_few_people_are_refused() -> None:
    with pytest.raises(DataError, match="1 real people with windows of heart rate, expected at least 2"):
        separate(people(8), people(9, n=1))


@pytest.fixture(scope="module")
def simulated(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    cohort = Cohort(population=POPULATIONS["lsm1"], people=12, days=3, seed=1)
    folder = tmp_path_factory.mktemp("against") / "ds"
    write_dataset(folder, iter(cohort), cohort.people_table())
    return open_dataset(folder)


@pytest.mark.skipif(not REAL.is_dir(), reason="the real recordings are not on this machine")
def test_simulated_people_beside_fitabase(simulated: Dataset, tmp_path: Path) -> None:
    """What everybody can hold for sure at this size: a heart that moves and answers steps about as real ones do."""
    import_folder(REAL / "fitabase.parquet", tmp_path / "ds", "fitabase")
    found = compare(simulated, open_dataset(tmp_path / "ds"))
    assert 0.4 < found.separation.auroc <= 1
    assert found.separation.people_real == 4  # with heart rate that was not filled
    for key in ("autocorrelation", "heart_rate_by_steps"):
        ours, theirs = found.simulated[key], found.real[key]
        assert isinstance(ours, dict)
        assert isinstance(theirs, dict)
        for name, value in theirs.items():
            assert ours[name] == pytest.approx(value, abs=0.15 if key == "autocorrelation" else 10), (key, name)
    assert "what separates most" in found.table()
