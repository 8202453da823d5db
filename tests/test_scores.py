"""Figures are scikit-learn's, weights and ties included; intervals are as wide as people differ."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import pearsonr
from sklearn.metrics import accuracy_score, average_precision_score, f1_score, roc_auc_score

from model.evaluation.scores import OF_CLASSES, OF_NUMBERS, accuracy, auroc, correlation, with_interval
from simulator.randomness import stream
from tests.strategies import seeds


@settings(max_examples=40, deadline=None)
@given(seed=seeds, classes=st.integers(2, 5), ties=st.booleans(), counts=st.booleans())
def test_figures_of_classes_are_scikit_learn_s(seed: int, classes: int, ties: bool, counts: bool) -> None:
    rng = stream(seed)
    n = 60
    target = np.concatenate([np.arange(classes), rng.integers(0, classes, n - classes)])
    shares = rng.dirichlet(np.ones(classes), n)
    if ties:
        shares = np.round(shares, 1)
    weight = rng.integers(0, 4, n).astype(float) if counts else rng.random(n)
    weight[:classes] = 1.0  # every class is there
    guess = shares.argmax(axis=1)
    one_hot = target[:, None] == np.arange(classes)
    columns = range(classes)
    expected = {
        "accuracy": accuracy_score(target, guess, sample_weight=weight),
        "f1": f1_score(target, guess, sample_weight=weight, average="macro"),
        "auroc": np.mean([roc_auc_score(one_hot[:, k], shares[:, k], sample_weight=weight) for k in columns]),
        "map": np.mean([average_precision_score(one_hot[:, k], shares[:, k], sample_weight=weight) for k in columns]),
    }
    for name, metric in OF_CLASSES.items():
        both = metric(shares, target.astype(float), np.stack([weight, np.ones(n)]))
        assert both[0] == pytest.approx(expected[name], rel=1e-9), name


@settings(max_examples=20, deadline=None)
@given(seed=seeds)
def test_figures_of_numbers_are_scipy_s(seed: int) -> None:
    rng = stream(seed)
    target, noise = rng.normal(50, 10, 40), rng.normal(0, 5, 40)
    counts = rng.integers(0, 3, 40)
    repeated = np.repeat(np.arange(40), counts)
    predicted = target + noise
    expected = pearsonr(predicted[repeated], target[repeated]).statistic
    assert correlation(predicted, target, counts[None].astype(float))[0] == pytest.approx(expected, rel=1e-9)
    mae = OF_NUMBERS["mae"](predicted, target, counts[None].astype(float))[0]
    assert mae == pytest.approx(np.abs(noise[repeated]).mean(), rel=1e-9)


def test_figures_that_cannot_be_told_are_not() -> None:
    shares, one = np.full((4, 2), 0.5), np.ones((1, 4))
    assert np.isnan(auroc(shares, np.zeros(4), one)[0])  # one class only
    assert np.isnan(accuracy(shares, np.zeros(4), 0 * one)[0])
    assert np.isnan(correlation(np.full(4, 3.0), np.arange(4.0), one)[0])


def test_a_class_that_is_not_there_is_left_out_of_the_mean() -> None:
    rng = stream(3)
    shares, target = rng.dirichlet(np.ones(3), 50), rng.integers(0, 2, 50).astype(float)
    expected = np.mean([roc_auc_score(target == k, shares[:, k]) for k in range(2)])
    assert auroc(shares, target, np.ones((1, 50)))[0] == pytest.approx(expected)


def test_the_interval_holds_the_spread_over_people_not_over_windows() -> None:
    """Everybody's windows are all right or all wrong: the width is that of people, as if each had one window."""
    rng = stream(4)
    right = rng.random(80) < 0.7
    each = 25
    person = np.repeat(np.arange(80), each)
    shares = np.where(np.repeat(right, each)[:, None], [1.0, 0.0], [0.0, 1.0])
    value, interval = with_interval(accuracy, shares, np.zeros(len(person)), np.ones(len(person)), person, seed=1)
    assert value == pytest.approx(right.mean())
    assert interval is not None
    width = 2 * 1.96 * np.sqrt(right.mean() * (1 - right.mean()) / 80)
    assert interval[1] - interval[0] == pytest.approx(width, rel=0.15)
    alone = with_interval(accuracy, shares[:each], np.zeros(each), np.ones(each), person[:each], seed=1)
    assert alone[1] is None


def test_many_windows_are_worked_on_in_parts_with_the_same_result(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = stream(5)
    arguments = (rng.dirichlet(np.ones(3), 200), rng.integers(0, 3, 200).astype(float), rng.random(200))
    person = np.arange(200) % 17
    whole = with_interval(auroc, *arguments, person, seed=2)
    monkeypatch.setattr("model.evaluation.scores._AT_ONCE", 1000)
    parts = with_interval(auroc, *arguments, person, seed=2)
    assert parts[0] == pytest.approx(whole[0])
    assert parts[1] == pytest.approx(whole[1])
