"""Orders hold every signal once, and the one that sets signals apart does."""

import itertools

import numpy as np
import pandas as pd
from hypothesis import given, settings

from model.ordering import along, apart, correlations, shuffled
from simulator.randomness import stream
from simulator.signals import N_SIGNALS, NAMES
from tests.conftest import wavy_days
from tests.strategies import seeds


@settings(max_examples=10, deadline=None)
@given(seed=seeds)
def test_orders_hold_every_signal_once(seed: int) -> None:
    mixed = stream(seed).normal(size=(40, N_SIGNALS)) @ stream(seed, "mix").normal(size=(N_SIGNALS, N_SIGNALS))
    correlation = np.asarray(np.corrcoef(mixed.T))
    for order in (shuffled(seed), apart(correlation)):
        assert sorted(order) == sorted(NAMES)


def test_another_seed_is_another_order() -> None:
    assert shuffled(1) == shuffled(1) != shuffled(2) != NAMES


def test_neighbours_of_two_families_alternate() -> None:
    """Signals of one family correlate by 0.9, those of two not at all: the best order never sets kin side by side."""
    family = np.arange(N_SIGNALS) < N_SIGNALS // 2
    correlation = np.where(family[:, None] == family, 0.9, 0.0) + 0.1 * np.eye(N_SIGNALS)
    rows = [NAMES.index(name) for name in apart(correlation)]
    assert all(family[a] != family[b] for a, b in itertools.pairwise(rows))


def test_no_swap_and_no_shuffle_is_better() -> None:
    mixed = stream(5).normal(size=(60, 4)) @ stream(6).normal(size=(4, N_SIGNALS))
    size = np.abs(np.corrcoef(mixed.T))
    found = along(size, [NAMES.index(name) for name in apart(size)])
    others = [along(size, [NAMES.index(name) for name in shuffled(seed)]) for seed in range(200)]
    assert found < min(others)
    assert found < along(size, list(range(N_SIGNALS)))


def test_correlations_are_pandas_own() -> None:
    """Pairwise complete, as pandas has it."""
    days = wavy_days(3)
    days.observed[:, 5] = False
    found = correlations(zip(days.values, days.observed, strict=True))
    table = np.where(days.observed, days.values, np.nan).transpose(0, 2, 1).reshape(-1, N_SIGNALS)
    expected = pd.DataFrame(table).corr().to_numpy()
    there = np.arange(N_SIGNALS) != 5
    np.testing.assert_allclose(found[np.ix_(there, there)], expected[np.ix_(there, there)], atol=1e-5)
    assert (found[5] == 0).all()
