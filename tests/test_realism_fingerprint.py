"""The fingerprint: windows are filled and blanked as LSM-1 says, and the table tells smooth from rough."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.randomness import stream
from simulator.realism import statistics as rs
from simulator.realism.fingerprint import Fingerprint, fingerprint
from simulator.realism.windows import (
    READINGS,
    GapScores,
    PersonWindows,
    changes,
    filled,
    gap_errors,
    gap_places,
    standardised_windows,
)
from simulator.recording import SHAPE, Recording
from simulator.signals import INDEX, SIGNALS


@pytest.mark.parametrize("inside", [True, False])
@pytest.mark.parametrize("gap", [1, 10, 120])
def test_gap_errors_against_a_slow_fill(inside: bool, gap: int) -> None:
    windows = stream(3, "windows").normal(size=(3, 2, 300)).astype(np.float32)
    starts = gap_places(3, gap, 300, 0) if inside else np.full(3, 300 - gap)
    found = gap_errors(windows, starts, gap)
    for i in range(3):
        for k in range(2):
            hidden = np.arange(starts[i], starts[i] + gap)
            series = pd.Series(windows[i, k].astype(np.float64))
            series[hidden] = np.nan
            truth = windows[i, k, hidden]
            np.testing.assert_allclose(found["mean"][i, k], series.mean() - truth, atol=1e-5)
            linear = series.interpolate(limit_direction="both").to_numpy()[hidden]
            np.testing.assert_allclose(found["linear"][i, k], linear - truth, atol=1e-5)
            seen = np.flatnonzero(series.notna())
            distance = np.abs(seen[:, None] - hidden)
            nearest = windows[i, k, seen[distance.argmin(axis=0)]]
            np.testing.assert_allclose(found["nearest"][i, k], nearest - truth, atol=1e-6)


@pytest.mark.parametrize("gap", [10, 60, 120])
@pytest.mark.parametrize("inside", [True, False])
def test_what_trails_is_known_to_no_rule(inside: bool, gap: int) -> None:
    """Held minutes show neither the far side of a gap nor the mean of the rest; by pandas, on what is known."""
    random = stream(5, "trailing")
    windows = random.normal(size=(6, 2, 300)).astype(np.float32)
    last = random.integers(140, 300, size=(6, 2))
    windows[np.arange(300) > last[:, :, None]] = np.nan
    held = filled(windows)
    starts = gap_places(6, gap, 300, 0) if inside else np.full(6, 300 - gap)
    found = gap_errors(held, starts, gap, last)
    for i in range(6):
        for k in range(2):
            hidden = np.arange(starts[i], starts[i] + gap)
            series = pd.Series(windows[i, k].astype(np.float64))
            series[hidden] = np.nan
            truth = held[i, k, hidden]
            scored = hidden <= last[i, k]
            np.testing.assert_allclose(found["mean"][i, k], series.mean() - truth, atol=1e-5)
            linear = series.interpolate().bfill().to_numpy()[hidden]
            np.testing.assert_allclose((found["linear"][i, k] - (linear - truth))[scored], 0, atol=1e-5)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 2**32), st.integers(1, 40), st.floats(0, 1))
def test_filling_is_what_pandas_interpolates(seed: int, minutes: int, missing: float) -> None:
    random = stream(seed, "rows")
    rows = random.normal(size=(5, minutes)).astype(np.float32)
    rows[random.random(rows.shape) < missing] = np.nan
    expected = pd.DataFrame(rows.T.astype(np.float64)).interpolate().bfill().to_numpy().T
    np.testing.assert_allclose(filled(rows), expected, atol=1e-5)


def test_standardised_windows() -> None:
    """Scaled by the minutes that are there, ends held, and 0 for a signal that a window lacks (appendix F.2)."""
    windows = stream(4, "windows").normal(7, 3, size=(20, 4, 300)).astype(np.float32)
    windows[:, 1, 40:90] = np.nan
    windows[:, 2, :30] = np.nan
    windows[5, 0] = np.nan
    windows[:, 3] = np.nan
    there = ~np.isnan(windows)
    scaled = standardised_windows(windows)
    assert (scaled[5, 0] == 0).all()
    assert np.isnan(scaled[:, 3]).all()
    assert np.isfinite(scaled[:, :3]).all()
    for k in range(3):
        values = scaled[:, k][there[:, k]]
        assert values.mean() == pytest.approx(0, abs=1e-5)
        assert values.std() == pytest.approx(1, abs=1e-5)
    assert (scaled[:, 2, :30] == scaled[:, 2, 30:31]).all()


def ramps(drift: float, rough: float, n: int = 60) -> np.ndarray:
    """Windows of a random walk of so much a minute, with white noise on it, alike in all signals."""
    random = stream(6, "ramps")
    walk = np.cumsum(random.normal(0, drift, (n, len(SIGNALS), 300)), axis=2) + random.normal(
        0, 5, (n, len(SIGNALS), 1)
    )
    return np.asarray(walk + random.normal(0, rough, walk.shape), dtype=np.float32)


def table_of(windows: np.ndarray, person: np.ndarray, counts: np.ndarray) -> Fingerprint | None:
    return fingerprint(windows, GapScores.of_windows(windows), person, counts)


def test_the_fingerprint_knows_smooth_from_rough() -> None:
    """White noise is filled best by the mean (linear/mean MSE is 1.7 or so), a slow walk by a line."""
    person = np.arange(60) % 20
    counts = rs.resampled_people(20)
    white, slow = (table_of(ramps(d, r), person, counts) for d, r in ((0.0, 1.0), (0.05, 0.0)))
    assert white is not None
    assert slow is not None
    for gap in ("10", "60"):
        # between two points of variance v a line errs by v (1 + 2/3) on average, the mean by v
        assert white.linear_to_mean["interpolation"]["mse"][gap].simulated == pytest.approx(5 / 3, rel=0.1)
        assert slow.linear_to_mean["interpolation"]["mse"][gap].simulated < 0.6
    walked = slow.errors["extrapolation"]["nearest"]["mse"]
    assert walked["120"].simulated / walked["60"].simulated == pytest.approx(2, rel=0.2)  # grows with time
    assert len(slow.marks()) == 80
    for name, mark in slow.marks():
        assert mark.ratio == pytest.approx(mark.simulated / mark.paper)
        assert mark.passes == (abs(mark.ratio - 1) <= (0.07 if "/" in name else 0.15)), name
        assert mark.interval[0] <= mark.simulated <= mark.interval[1]
    assert "of 80 within tolerance" in slow.table()
    one = slow.by_signal["scl"]["extrapolation"]["mean"]["mae"]
    assert set(one) == {"10", "20", "30", "60", "120"}
    average = np.mean([slow.by_signal[s.name]["extrapolation"]["mean"]["mae"]["60"] for s in SIGNALS])
    assert average == pytest.approx(slow.errors["extrapolation"]["mean"]["mae"]["60"].simulated, rel=1e-5)
    assert table_of(ramps(0.0, 1.0)[:40], person[:40], counts) is None


def test_readings_count_what_they_say() -> None:
    """No minute after a signal's last value, nor zeros for one that is lacking; or all; or the last minute; by hand."""
    windows = stream(8, "readings").normal(size=(60, len(SIGNALS), 300)).astype(np.float32)
    windows[:, 3, 280:] = np.nan
    windows[:, 4, 295:] = np.nan
    windows[:20, 5] = np.nan
    scores = GapScores.of_windows(windows)
    z = scores.windows
    error = z[:, :, 289:290] - z[:, :, 290:]
    unscored, lacking, held, horizon = (scores.of(10, "nearest", inside=False, reading=name) for name in READINGS)
    np.testing.assert_allclose(held[1], (error**2).sum(axis=2), rtol=1e-5)
    assert (held[2] == 10).all()
    np.testing.assert_allclose(horizon[0], np.abs(error[:, :, -1]), rtol=1e-5)
    assert (horizon[2] == 1).all()
    assert (unscored[:, :, 3] == 0).all()
    assert (unscored[2, :, 4] == 5).all()
    np.testing.assert_allclose(unscored[1, :, 4], (error[:, 4, :5] ** 2).sum(axis=1), rtol=1e-5)
    np.testing.assert_allclose(np.delete(unscored, [3, 4], axis=2), np.delete(held, [3, 4], axis=2), rtol=1e-5)
    assert (unscored[2, :20, 5] == 10).all()
    assert (lacking[:, :20, 5] == 0).all()
    np.testing.assert_array_equal(lacking[:, 20:], unscored[:, 20:])
    assert (scores.of(10, "nearest", inside=False) == unscored).all()
    table = table_of(windows, np.arange(60) % 20, rs.resampled_people(20))
    assert table is not None
    found = table.errors["extrapolation"]["nearest"]["mse"]["10"].simulated
    assert found == pytest.approx(unscored[1].sum() / unscored[2].sum(), rel=1e-5)  # each cell as much as any other
    assert set(table.readings) == {"lacking", "held", "horizon"}
    for name, reading in table.readings.items():
        assert 0 <= reading.within <= 80
        assert reading.errors["interpolation"]["linear"]["mse"]["30"] > 0
        assert f"{name}: {reading.meaning}: {reading.within} of 80 within tolerance" in table.table()


def test_change_over_a_lag_is_that_of_a_slow_loop() -> None:
    windows = standardised_windows(ramps(0.3, 1.0, n=5))
    found = changes(windows, (1, 7, 120))
    for i, lag in enumerate((1, 7, 120)):
        moved = [(window[:, lag:] - window[:, :-lag]) ** 2 for window in windows]
        np.testing.assert_allclose(found[i], np.mean(moved, axis=(0, 2)), rtol=1e-4)


@pytest.fixture(scope="module")
def random_windows() -> tuple[np.ndarray, np.ndarray]:
    """Windows of simulated people at random times, and whose they are."""
    windows, person = [], []
    cohort = Cohort(population=POPULATIONS["lsm1"], people=24, days=3, seed=5)
    for code in range(24):
        mine = PersonWindows(each=10, days=3)
        for recording in cohort.of_person(code):
            mine.add(recording)
        windows += [window for _, window in mine.kept]
        person += [code] * len(mine.kept)
    return np.stack(windows), np.array(person)


@pytest.mark.parametrize("minutes", [5, 10, 30, 60])
def test_nearest_errs_alike_inside_and_at_the_end(random_windows: tuple[np.ndarray, np.ndarray], minutes: int) -> None:
    """Held and counted whole, inside twice the gap, at random times: the mean change over the same distances.

    Without the minutes that have no value of their own the end errs more, as the paper's does.
    """
    windows, person = random_windows
    scores = GapScores.of_windows(windows)

    def errors(gap: int, reading: str, *, inside: bool) -> np.ndarray:
        sums = scores.of(gap, "nearest", inside=inside, reading=reading).sum(axis=2)
        return np.array([sums[1, person == code].sum() / sums[2, person == code].sum() for code in np.unique(person)])

    inside, end = errors(2 * minutes, "held", inside=True), errors(minutes, "held", inside=False)
    moved = changes(scores.windows, range(1, minutes + 1)).mean()
    error = (end - inside).std() / np.sqrt(len(end))
    assert abs((end - inside).mean()) < 3 * error
    assert inside.mean() == pytest.approx(moved, rel=0.15)
    assert errors(minutes, "unscored", inside=False).mean() > 1.1 * errors(2 * minutes, "unscored", inside=True).mean()


def test_windows_are_those_of_lowest_rank_and_reach_over_midnight(planted_recordings: list[Recording]) -> None:
    mine = [recording for recording in planted_recordings if recording.person == "p03"]
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
