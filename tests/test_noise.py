"""Addressed secret streams: stable, independent, unbiased, never at an edge; keys that only their owner can read."""

import math
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from privacy import noise
from privacy.noise import KEY_BYTES, KeyedStream, _encode, load_or_create_key, new_key, rehearsal_key
from privacy.plan import PrivacyError

KEY = bytes(range(32))
PARTS = st.lists(st.one_of(st.integers(-12, 12), st.text("1:si-", max_size=3)), max_size=3)


def test_draws_never_change_between_versions() -> None:
    """A retry after an upgrade has to be the same release; these three words are changed by a decision only."""
    words = [f"{word:016x}" for word in KeyedStream(KEY, "noise", 3, "encoder.weight").words(3)]
    assert words == ["9d8cea7c63c89053", "e766f9e07b14870c", "64bb65579895241c"]


def test_same_address_same_draws_and_a_stream_moves_on() -> None:
    a, b = KeyedStream(KEY, "x", 1), KeyedStream(KEY, "x", 1)
    assert np.array_equal(a.normal(5), b.normal(5))
    assert not np.isin(a.normal(5), KeyedStream(KEY, "x", 1).normal(5)).any()
    whole = KeyedStream(KEY, "x", 1).words(7)
    part = KeyedStream(KEY, "x", 1)
    assert np.array_equal(whole, np.concatenate([part.words(3), part.words(0), part.words(4)]))


def test_a_child_depends_on_its_address_alone() -> None:
    parent = KeyedStream(KEY, "x")
    parent.words(10)
    assert np.array_equal(parent.child("y", 2).words(4), KeyedStream(KEY, "x", "y", 2).words(4))
    assert parent.child("y").chance("p") == KeyedStream(KEY, "x", "y").chance("p")


@settings(deadline=None, max_examples=50)
@given(a=PARTS, b=PARTS)
def test_different_addresses_are_written_differently(a: list[str | int], b: list[str | int]) -> None:
    assert (_encode(tuple(a)) == _encode(tuple(b))) == (a == b)


@pytest.mark.parametrize("other", [("x", "1"), ("x1",), ("x", 1, ""), (1, "x"), ("x", 2)])
def test_other_addresses_and_keys_are_independent(other: tuple[str | int, ...]) -> None:
    n = 20_000
    z = KeyedStream(KEY, "x", 1).normal(n)
    for stream in (KeyedStream(KEY, *other), KeyedStream(new_key(), "x", 1)):
        assert abs(float(np.corrcoef(z, stream.normal(n))[0, 1])) < 6 / math.sqrt(n)


def test_normals_are_normal() -> None:
    z = KeyedStream(KEY, "normal").normal(200_000)
    assert stats.kstest(z, "norm").pvalue > 1e-3
    assert abs((z**2).sum() - len(z)) < 5 * math.sqrt(2 * len(z))
    assert abs(float(np.corrcoef(z[1:], z[:-1])[0, 1])) < 5 / math.sqrt(len(z))


def test_uniforms_are_uniform() -> None:
    u = KeyedStream(KEY, "uniform").uniform(200_000)
    assert stats.kstest(u, "uniform").pvalue > 1e-3
    chances = [KeyedStream(KEY).chance(f"p{i}") for i in range(5_000)]
    assert stats.kstest(chances, "uniform").pvalue > 1e-3


class Fixed(KeyedStream):
    """A stream whose words are given."""

    def __init__(self, words: list[int]) -> None:
        super().__init__(KEY)
        self.given = words

    def words(self, n: int) -> np.ndarray[Any, np.dtype[np.uint64]]:
        taken, self.given = self.given[:n], self.given[n:]
        return np.array(taken, np.uint64)


def test_the_extreme_words_stay_inside() -> None:
    edges = [0, 1, 2**64 - 1, 2**64 - 2]
    uniform = Fixed(edges).uniform(4)
    assert (uniform > 0).all()
    assert (uniform < 1).all()
    normal = Fixed(edges).normal(4)
    assert np.isfinite(normal).all()
    assert normal[0] == -normal[1] == -np.abs(normal).max()
    assert 8.2 < normal[1] < 8.5


def test_integers_redraw_what_would_be_biased() -> None:
    assert Fixed([2**64 - 1, 7, 12]).integers(10, 2).tolist() == [7, 2]  # 2**64 - 1 lies in the broken last decade
    assert Fixed([2**64 - 1]).integers(2**63, 1).tolist() == [2**63 - 1]
    assert KeyedStream(KEY).integers(1, 3).tolist() == [0, 0, 0]
    counts = np.bincount(KeyedStream(KEY, "dice").integers(6, 60_000), minlength=6)
    assert stats.chisquare(counts).pvalue > 1e-3
    for high in (0, 2**63 + 1):
        with pytest.raises(ValueError, match=r"is not in \[1, 2\*\*63\]"):
            KeyedStream(KEY).integers(high, 1)


@settings(deadline=None)
@given(population=st.integers(0, 40), n=st.integers(0, 45), seed=st.integers(0, 99))
def test_a_choice_holds_nobody_twice(population: int, n: int, seed: int) -> None:
    stream = KeyedStream(KEY, seed)
    if n > population:
        with pytest.raises(ValueError, match="is not in"):
            stream.choice(population, n)
        return
    chosen = stream.choice(population, n)
    assert len(set(chosen.tolist())) == n
    assert set(chosen.tolist()) <= set(range(population))


def test_choices_are_fair() -> None:
    stream = KeyedStream(KEY, "choice")
    counts = np.bincount(np.concatenate([stream.choice(7, 3) for _ in range(4_000)]), minlength=7)
    assert (np.abs(counts - 12_000 / 7) < 5 * math.sqrt(4_000 * 3 / 7 * 4 / 7)).all()


def test_a_generator_is_seeded_by_the_stream() -> None:
    assert KeyedStream(KEY, "a").generator().random() == KeyedStream(KEY, "a").generator().random()
    assert KeyedStream(KEY, "a").generator().random() != KeyedStream(KEY, "b").generator().random()


@pytest.mark.parametrize("make", [lambda: KeyedStream(b"short"), lambda: KeyedStream(bytes(33))])
def test_keys_of_another_length_are_refused(make: Callable[[], KeyedStream]) -> None:
    with pytest.raises(PrivacyError, match="is not 32 bytes long"):
        make()


def test_addresses_of_another_type_are_refused() -> None:
    with pytest.raises(TypeError, match="made of str and int"):
        KeyedStream(KEY, 1.5)  # type: ignore[arg-type]


def test_a_stream_never_shows_its_key() -> None:
    assert KEY.hex() not in repr(KeyedStream(KEY, "x"))
    assert repr(KEY) not in repr(KeyedStream(KEY, "x"))


def test_keys_differ() -> None:
    assert len({new_key() for _ in range(50)}) == 50
    assert rehearsal_key(1, "a") == rehearsal_key(1, "a")
    assert len({rehearsal_key(seed, vendor) for seed in (1, 2) for vendor in "ab"}) == 4


class TestKeyFile:
    def test_is_created_once_and_only_for_its_owner(self, tmp_path: Path) -> None:
        path = tmp_path / "vendor" / "noise.key"
        key = load_or_create_key(path)
        assert len(key) == KEY_BYTES
        assert path.stat().st_mode & 0o777 == 0o600
        assert load_or_create_key(path) == key
        assert os.listdir(path.parent) == ["noise.key"]  # noqa: PTH208 - no draft is left

    def test_that_others_may_read_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "noise.key"
        load_or_create_key(path)
        path.chmod(0o640)
        with pytest.raises(PrivacyError, match="640 lets others read it"):
            load_or_create_key(path)

    def test_that_is_damaged_is_refused(self, tmp_path: Path) -> None:
        path = tmp_path / "noise.key"
        path.write_bytes(b"too short")
        path.chmod(0o600)
        with pytest.raises(PrivacyError, match="holds 9 bytes"):
            load_or_create_key(path)

    def test_that_many_ask_for_at_once_is_one(self, tmp_path: Path) -> None:
        keys: list[bytes] = []
        threads = [
            threading.Thread(target=lambda: keys.append(load_or_create_key(tmp_path / "noise.key"))) for _ in range(8)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(keys) == 8
        assert len(set(keys)) == 1


@pytest.mark.parametrize("deviation", [0.0, 0.3, 1.7, 12.5])
def test_rounded_normals_have_the_exact_probabilities(deviation: float) -> None:
    n = 100_000
    draws = KeyedStream(KEY, "rounded").rounded_normal(n, deviation)
    if deviation == 0:
        assert not draws.any()
        return
    cells = np.arange(-60, 61)
    expected = n * np.diff(stats.norm.cdf(np.append(cells - 0.5, 60.5) / deviation))
    counts = np.array([(draws == k).sum() for k in cells])
    usual = expected > 8
    chi_square = float(((counts - expected)[usual] ** 2 / expected[usual]).sum())
    assert stats.chi2.sf(chi_square, usual.sum() - 1) > 1e-4
    assert counts[~usual].sum() < expected[~usual].sum() + 30


@pytest.mark.parametrize("deviation", [0.7, 2.0**20, 1.3 * 2.0**33])
def test_rounded_normals_are_the_same_by_slow_arithmetic(deviation: float, monkeypatch: pytest.MonkeyPatch) -> None:
    fast = KeyedStream(KEY, "slow").rounded_normal(150, deviation)
    normals = KeyedStream(KEY, "slow").rounded_normal(150, 2.0**40) / 2.0**40 * deviation
    assert np.abs(fast - normals).max() < 0.51, "one number of the stream at every scale"
    monkeypatch.setattr(noise, "FAR", -1.0)
    assert np.array_equal(fast, KeyedStream(KEY, "slow").rounded_normal(150, deviation))


def test_a_draw_on_the_edge_takes_further_bits() -> None:
    """Half of the mass of |Z| / deviation lies below 0.6744897..., whose tail is a quarter: 2**62 of 2**64."""
    edge = 0.5 / float(stats.norm.isf(0.25))  # rounds to 0 below the quarter and to 1 above, as far as float64 knows
    found = {noise._decided(2**62 + d, KeyedStream(KEY, "more", d), edge, 0) for d in (-(2**12), 2**12)}
    assert found == {0, 1}
    far = KeyedStream(KEY)
    assert noise._decided(0, far, 1.0, 3) >= 9, "a tail below 2**-64 is beyond 9"


def test_rounded_normals_keep_their_word() -> None:
    a, b = (KeyedStream(KEY, "x").rounded_normal(1000, 5e5) for _ in range(2))
    assert a.dtype == np.int64
    assert np.array_equal(a, b)
    with pytest.raises(ValueError, match="deviation="):
        KeyedStream(KEY, "x").rounded_normal(1, 2.0**41)
