"""Statistics of realism: weighted, resampled and corrected ones equal slow ones; what is counted, and what is not."""

from types import SimpleNamespace
from typing import Any

import numpy as np
import pandas as pd
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator.randomness import stream
from simulator.realism import observing
from simulator.realism import statistics as rs
from simulator.realism.days import day_of
from simulator.realism.events import moods
from simulator.realism.minutes import states_of
from simulator.realism.quantities import day_sample
from simulator.signals import INDEX
from tests.planted import planted, whole_quantile


def repeated(s: rs.Sample, row: np.ndarray) -> np.ndarray:
    """What a weighted statistic stands for: every value as often as its person was drawn."""
    return np.repeat(s.values, row[s.person].astype(int))


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


def test_spread_of_a_days_beats_counts_no_minute_twice() -> None:
    """Levels of fives, minutes about them and beats about those: their variances add up to that of all beats."""
    recording = planted(0, 0)
    minute = np.arange(1440)
    level, about, beats = 900.0 + 100.0 * np.sin(minute // 5), 40.0 * (minute % 5 - 2) / np.sqrt(2), 30.0  # ms
    recording.values[INDEX["heart_rate"]] = 60000 / (level + about)
    recording.values[INDEX["sdnn"]] = np.hypot(beats, 40.0)
    recording.observed[:] = True
    expected = np.sqrt(level.var() + 40.0**2 + beats**2)
    found = day_of(recording, states_of(recording), 40.0)["sdnn_24h"]
    assert found == pytest.approx(expected, rel=0.003)  # counted twice: 8 % more
    recording.observed[INDEX["sdnn"], minute % 7 > 0] = False
    assert np.isnan(day_of(recording, states_of(recording), 40.0)["sdnn_24h"])


def test_neighbouring_minutes_are_alike_about_their_session_not_about_the_day() -> None:
    """White minutes about levels that differ from hour to hour: over whole days neighbours would correlate 0.99."""
    random = stream(3, "sessions")
    n = 1440 // observing.SESSION_MINUTES * observing.SESSION_MINUTES
    day = np.full(1440, np.nan, dtype=np.float32)
    levels = 10.0 * random.normal(size=n // observing.SESSION_MINUTES)
    day[:n] = np.repeat(levels, observing.SESSION_MINUTES) + random.normal(size=n)
    assert observing.SESSION_MINUTES == 55  # of the E4 recordings that the norms rest on
    assert abs(observing._lag1([day]) + 1 / 54) < 4 / np.sqrt(n)
    assert np.isnan(observing._lag1([np.full(1440, np.nan, dtype=np.float32)]))


def test_purposeful_walking_goes_on_for_five_minutes() -> None:
    recording = planted(0, 0)
    steps = recording.values[INDEX["steps"]]
    steps[:] = 0
    steps[800:804] = steps[820:825] = steps[840:846] = 100
    steps[860:866] = 59
    recording.observed[:] = True
    found = np.flatnonzero(states_of(recording)["striding"])
    np.testing.assert_array_equal(found, [*range(820, 825), *range(840, 846)])


def test_which_of_the_five_moods_stand_for_words_of_another_questionnaire() -> None:
    """Frustration is no word of LifeSnaps' list, and alert and tired are no moods of LSM-1's."""
    assert moods("TENSE_ANXIOUS") == {"stressed"}
    assert moods("HAPPY") == {"content", "excited"}
    assert moods("RESTED_RELAXED") == {"calm"}
    for word in ("ALERT", "TIRED", "SAD"):
        with pytest.raises(rs.NotComputableError, match="nothing like"):
            moods(word)


def test_days_that_miss_over_80_percent_are_left_out_as_lsm_2_does() -> None:
    days = pd.DataFrame({"person": [0, 0, 1, 1], "share_of_missing_cells": [0.2, 0.79, 0.81, 1.0], "any_cell": 1})
    seen: Any = SimpleNamespace(days=days)
    found = day_sample("share_of_missing_cells_in_a_day_window", seen, {"signals": "26", "wear": "typical"})
    assert found is not None
    np.testing.assert_array_equal(found.values, [0.2, 0.79])
