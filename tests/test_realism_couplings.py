"""Couplings that physiology demands, on simulated people with the truth under their gaps.

Each states a sign and a size, with where the size is from. They hold for any seed; this one has 40 people of 3 days.
"""

from collections.abc import Callable

import numpy as np
import pytest

from simulator.cohort import Cohort
from simulator.population import POPULATIONS
from simulator.realism.minutes import states_of
from simulator.realism.profiles import correlations
from simulator.recording import Recording
from simulator.signals import INDEX, NAMES

Rows = np.ndarray
PEOPLE, DAYS = 40, 3


@pytest.fixture(scope="module")
def lives() -> list[Recording]:
    cohort = Cohort(population=POPULATIONS["lsm1"], people=PEOPLE, days=DAYS, seed=3)
    return list(cohort)


@pytest.fixture(scope="module")
def table(lives: list[Recording]) -> np.ndarray:
    """Correlation of the signals, minutes of the truth pooled."""
    truth = np.stack([recording.truth for recording in lives if recording.truth is not None])
    return np.array([[np.nan if r is None else r for r in row] for row in correlations(truth)])


def truth(recording: Recording, name: str) -> np.ndarray:
    assert recording.truth is not None
    return np.asarray(recording.truth[INDEX[name]], dtype=np.float64)


def within(lives: list[Recording], one: str, other: str, state: str) -> np.ndarray:
    """Each person-day's correlation of two signals in a state, of days with an hour of it."""
    found = []
    for recording in lives:
        where = states_of(recording)[state]
        a, b = truth(recording, one)[where], truth(recording, other)[where]
        if where.sum() >= 60 and a.std() > 0 and b.std() > 0:
            found.append(np.corrcoef(a, b)[0, 1])
    return np.array(found)


def difference(lives: list[Recording], name: str, one: str, other: str) -> np.ndarray:
    """Each person's mean in one state less that in another."""
    by_person: dict[str, list[list[float]]] = {}
    for recording in lives:
        states, values = states_of(recording), truth(recording, name)
        if states[one].sum() >= 30 and states[other].sum() >= 30:
            pair = [float(values[states[one]].mean()), float(values[states[other]].mean())]
            by_person.setdefault(recording.person, []).append(pair)
    return np.array([a - b for a, b in (np.mean(pairs, axis=0) for pairs in by_person.values())])


def test_mean_interval_times_rate_is_a_minute(lives: list[Recording]) -> None:
    """RR mean (of five minutes) times heart rate is 60,000 ms within 3 % in rest, median (norms, identities)."""
    products = [
        np.median((truth(r, "rr_mean") * truth(r, "heart_rate"))[states_of(r)["still"]])
        for r in lives
        if states_of(r)["still"].sum() > 60
    ]
    assert np.median(products) == pytest.approx(60000, rel=0.03)
    assert np.quantile(np.abs(np.array(products) / 60000 - 1), 0.9) < 0.03


def test_the_middle_three_fifths_of_intervals_span_1_65_sd(lives: list[Recording]) -> None:
    """(RR80 - RR20) / SDNN is 1.68 for normal intervals; slow waves and ectopic beats bring it down (norms, 1.65)."""
    ratios = np.concatenate(
        [((truth(r, "rr_p80") - truth(r, "rr_p20")) / truth(r, "sdnn"))[states_of(r)["still"]] for r in lives]
    )
    assert 1.4 < np.median(ratios) < 1.8


def test_pnn30_is_that_of_normal_differences_of_this_rmssd(lives: list[Recording]) -> None:
    """pNN30 near 2 (1 - Phi(30 / RMSSD)): within 10 points for the median minute (norms, identities)."""
    from scipy.special import ndtr

    found, expected = [], []
    for recording in lives:
        still = states_of(recording)["still"]
        found.append(truth(recording, "pnn30")[still])
        expected.append(200 * ndtr(-30 / np.maximum(truth(recording, "rmssd")[still], 1)))
    off = np.concatenate(found) - np.concatenate(expected)
    assert abs(np.median(off)) < 10


COUPLINGS: list[tuple[str, str, str, Callable[[float], bool], str]] = [
    ("heart_rate", "steps", "awake", lambda r: r > 0.4, "real Fitbit people: .66 over all minutes"),
    ("heart_rate", "rr_mean", "awake", lambda r: r < -0.8, "one is the other's inverse, over five minutes"),
    ("heart_rate", "rmssd", "awake", lambda r: r < -0.2, "vagal withdrawal; Sacha 2014, doi:10.5603/CJ.a2013.0150"),
    ("rmssd", "pnn30", "awake", lambda r: r > 0.8, "both measure successive differences"),
    ("rmssd", "sdnn", "awake", lambda r: r > 0.3, "respiratory variation is part of all variation"),
    ("log_energy", "steps", "awake", lambda r: r > 0.3, "gait swings the arm"),
    ("log_energy", "sleep_coefficient", "awake", lambda r: r > 0.8, "both are sizes of the same movement"),
    ("log_energy", "kurtosis", "awake", lambda r: r < 0, "long movement has lighter tails than single twitches"),
    ("altimeter_sd", "steps", "awake", lambda r: r > 0, "stairs and slopes are walked"),
]


@pytest.mark.parametrize(("one", "other", "state", "holds", "why"), COUPLINGS)
def test_signals_move_together_within_a_day(
    lives: list[Recording], one: str, other: str, state: str, holds: Callable[[float], bool], why: str
) -> None:
    r = float(np.median(within(lives, one, other, state)))
    assert holds(r), f"{one} with {other} in {state}: {r:.2f}; {why}"


STATES = [
    ("heart_rate", "sleep", "awake", -30.0, -8.0, "norms, sleep_hr_over_awake_hr: a fifth lower"),
    ("heart_rate", "walking", "still", 8.0, 40.0, "brisk walking is 3.5 MET"),
    ("rmssd", "sleep", "still", 0.0, 40.0, "norms, rmssd_night_over_awake_sedentary above 1"),
    ("skin_temperature", "sleep", "awake", 0.5, 4.0, "distal vasodilation; norms, tmp_sleep_minus_wake"),
    ("log_energy", "sleep", "awake", -9.0, -2.0, "the wrist is still"),
    ("log_energy", "walking", "still", 1.5, 9.0, "gait"),
]


@pytest.mark.parametrize(("name", "one", "other", "low", "high", "why"), STATES)
def test_states_differ_as_they_must(
    lives: list[Recording], name: str, one: str, other: str, low: float, high: float, why: str
) -> None:
    """The median person's difference lies in a band, and nine in ten people have its sign."""
    apart = difference(lives, name, one, other)
    assert len(apart) >= PEOPLE / 2
    assert low < np.median(apart) < high, f"{name}, {one} - {other}: {np.median(apart):.2f}; {why}"
    sign = np.sign(low + high)
    assert (np.sign(apart) == sign).mean() > (0.6 if name == "rmssd" else 0.9), f"{name}: {why}"


def test_motion_hides_beats(lives: list[Recording]) -> None:
    """The share of valid beats, as measured, is lower in walking than at rest, for nine in ten (norms, rrvalid_*)."""
    apart = []
    for recording in lives:
        states, there = states_of(recording), recording.observed[INDEX["rr_valid"]]
        walking, still = (recording.values[INDEX["rr_valid"]][states[s] & there] for s in ("walking", "still"))
        if len(walking) >= 20 and len(still) >= 60:
            apart.append(walking.mean() - still.mean())
    assert len(apart) >= PEOPLE / 2
    assert np.median(apart) < -3
    assert (np.array(apart) < 0).mean() > 0.9


def test_skin_is_damper_after_hard_effort(lives: list[Recording]) -> None:
    """Tonic conductance 5 to 20 minutes after an exercise of 20 minutes or more, over that before it: above 1."""
    ratios = []
    for recording in lives:
        scl, heart_rate = truth(recording, "scl"), truth(recording, "heart_rate")
        for event in recording.events:
            begin, end = event.start_minute, event.end_minute
            if event.kind != "activity" or end - begin < 20 or begin < 30 or end > 1410:
                continue
            if heart_rate[begin + 5 : end].mean() > heart_rate[begin - 30 : begin].mean() + 25:
                ratios.append(scl[end + 5 : end + 20].mean() / scl[begin - 30 : begin - 5].mean())
    assert len(ratios) >= 10
    assert np.median(ratios) > 1.1


def test_the_correlation_of_signals_is_that_of_fig_10(table: np.ndarray) -> None:
    """Blocks of LSM-1's Fig. 10: RR percentiles as one, against heart rate; variability together; movement together."""
    r = {(a, b): table[NAMES.index(a), NAMES.index(b)] for a in NAMES for b in NAMES}
    levels = ("rr_p80", "rr_p20", "rr_median", "rr_mean")
    assert all(r[a, b] > 0.9 for a in levels for b in levels)
    assert all(r["heart_rate", a] < -0.8 for a in levels)
    variability = ("rmssd", "sdnn", "pnn30", "rr_entropy", "rr_diff_entropy")
    assert all(r[a, b] > 0.4 for a in variability for b in variability)
    assert r["log_energy", "sleep_coefficient"] > 0.8
    assert r["log_energy", "heart_rate"] > 0.2
    assert np.allclose(table, table.T, equal_nan=True)
    assert np.nanmax(np.abs(table)) <= 1 + 1e-6
