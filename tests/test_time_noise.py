"""Noise addressed by time: exact normals, the same from wherever they are asked, on machines that cannot cache."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numba.core import caching
from scipy import stats

from simulator.noise import (
    NORMALS_PER_WORD,
    add_wander,
    bits,
    compiled,
    quantile_normal,
    scrambled,
    time_key,
    uniform,
    wander,
    white,
)

KEY = time_key(1, "test")


def test_normals_are_normal_into_the_tails() -> None:
    n = 2_000_000
    z = white(KEY, 0, 0, n)
    assert stats.kstest(z[:200_000], "norm").pvalue > 1e-3
    for bound in (1.0, 2.0, 3.0, 3.6, 3.7, 4.5):  # 3.654 is where the ziggurat's tail begins
        for side in (z > bound, z < -bound):
            expected = stats.norm.sf(bound)
            assert abs(side.mean() - expected) < 4.5 * np.sqrt(expected / n), bound
    assert abs(z.mean()) < 4.5 / np.sqrt(n)
    assert abs(z.var() - 1.0) < 4.5 * np.sqrt(2.0 / n)
    assert abs(stats.kurtosis(z)) < 4.5 * np.sqrt(24.0 / n)


def test_normals_from_the_table_are_the_quantiles_of_a_normal() -> None:
    values = np.array([quantile_normal(np.uint64(cell), 0) for cell in range(4096)], dtype=np.float64)
    exact = stats.norm.ppf((np.arange(4096) + 0.5) / 4096)
    assert np.abs(values - exact)[np.abs(exact) < 3.0].max() < 4e-4
    assert values.mean() == 0.0
    assert values.var() == pytest.approx(1.0, abs=1e-7)
    assert stats.kurtosis(values) == pytest.approx(-0.0025, abs=5e-4)
    np.testing.assert_array_equal(values, -values[::-1])


def test_the_five_normals_of_a_word_are_independent() -> None:
    n = 40_000
    words = [np.uint64(bits(KEY, np.uint64(i))) for i in range(n)]
    five = np.array([[quantile_normal(word, place) for place in range(NORMALS_PER_WORD)] for word in words])
    spread = 4.5 / np.sqrt(n)
    assert np.abs(five.mean(axis=0)).max() < spread
    assert np.abs(np.corrcoef(five.T) - np.eye(NORMALS_PER_WORD)).max() < spread
    assert np.abs(np.corrcoef(five.T**2) - np.eye(NORMALS_PER_WORD)).max() < spread
    for row in five.T:
        assert abs(np.corrcoef(row[1:], row[:-1])[0, 1]) < spread
        assert stats.kstest(row, "norm").pvalue > 1e-3


def test_neighbours_lanes_and_keys_are_independent() -> None:
    n = 200_000
    here = white(KEY, 3, 0, n)
    others = {
        "next minute": white(KEY, 3, 1, n),
        "next lane": white(KEY, 4, 0, n),
        "next key": white(time_key(2, "test"), 3, 0, n),
        "squares": white(KEY, 3, 1, n) ** 2 - 1.0,
    }
    for name, other in others.items():
        assert abs(np.corrcoef(here, other)[0, 1]) < 4.5 / np.sqrt(n), name


def test_scrambled_counters_are_random_bits() -> None:
    n = 1 << 16

    def words(key: int, other: int) -> np.ndarray:
        return np.array([scrambled(np.uint32(i), np.uint32(key), np.uint32(other)) for i in range(n)], dtype=np.uint32)

    first, second = words(123456789, 987654321), words(0xDEADBEEF, 0x12345679)
    for stream in (first, second, first ^ second, first[1:] ^ first[:-1]):
        ones = (stream[:, None] >> np.arange(32, dtype=np.uint32)) & 1
        assert np.abs(ones.mean(axis=0) - 0.5).max() < 4.5 * 0.5 / np.sqrt(n)
        pairs = np.corrcoef(ones.T)
        assert np.abs(pairs - np.eye(32)).max() < 5.0 / np.sqrt(n)
        assert stats.chisquare(np.bincount(stream >> 24, minlength=256)).pvalue > 1e-4
        assert stats.chisquare(np.bincount(stream & 255, minlength=256)).pvalue > 1e-4


def test_a_sum_of_wanders_is_their_sum() -> None:
    total = np.zeros(300, dtype=np.float32)
    add_wander(total, 2.0, KEY, 4, 8.0, -50)
    add_wander(total, 0.5, KEY, 6, 90.0, -50)
    expected = 2.0 * wander(KEY, 4, 8.0, -50, 300) + 0.5 * wander(KEY, 6, 90.0, -50, 300)
    np.testing.assert_allclose(total, expected, atol=1e-5)


def test_uniforms_fill_the_unit_interval() -> None:
    u = uniform(KEY, 1, -500_000, 1_000_000)
    assert 0.0 < u.min() < 1e-4
    assert 1.0 - 1e-4 < u.max() < 1.0
    assert stats.kstest(u[:200_000], "uniform").pvalue > 1e-3


@settings(deadline=None)
@given(start=st.integers(-(10**6), 10**6), shift=st.integers(0, 5_000), tau=st.sampled_from([1.0, 7.0, 90.0, 3000.0]))
def test_whoever_asks_for_a_minute_gets_the_same(start: int, shift: int, tau: float) -> None:
    n = shift + 20
    np.testing.assert_array_equal(white(KEY, 2, start, n)[shift:], white(KEY, 2, start + shift, 20))
    np.testing.assert_allclose(wander(KEY, 2, tau, start, n)[shift:], wander(KEY, 2, tau, start + shift, 20), atol=5e-4)


@pytest.mark.parametrize("tau", [3.0, 60.0])
def test_wander_has_unit_variance_and_exponential_memory(tau: float) -> None:
    n = 400_000
    x = wander(KEY, 5, tau, 0, n)
    error = 4.5 * np.sqrt(2.0 * tau / n)  # standard errors of an autocorrelation with n / (2 tau) independent values
    assert abs(x.var() - 1.0) < 2.0 * error
    for lag in (1, int(tau), 3 * int(tau)):
        assert abs(np.mean(x[lag:] * x[:-lag]) - np.exp(-lag / tau)) < 2.0 * error


def test_code_compiles_where_nothing_can_be_cached(monkeypatch: pytest.MonkeyPatch) -> None:
    class Nowhere:
        @classmethod
        def from_function(cls, _function: object, _path: str) -> None:
            return None

    monkeypatch.setattr(caching.CacheImpl, "_locator_classes", [Nowhere])

    def twice(x: float) -> float:
        return 2.0 * x

    assert compiled(twice)(4.0) == 8.0
