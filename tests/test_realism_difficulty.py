"""Difficulty: features are what they say, nobody is in training and test, and classes are as hard as planted."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.randomness import stream
from simulator.realism.difficulty import (
    FOLDS,
    MODELS,
    TASKS,
    Examples,
    _around,
    correct,
    folds,
    mix_weights,
    window_features,
)
from simulator.realism.statistics import NotComputableError, Sample
from simulator.recording import Event

PEOPLE = 40


def test_features_of_a_window() -> None:
    random = stream(1, "window")
    values, observed = random.normal(size=(26, 300)).astype(np.float32), random.random((26, 300)) < 0.7
    observed[4] = False
    found = window_features(values, observed).reshape(4, 26)
    for k in range(26):
        there = values[k, observed[k]]
        expected = [there.mean(), there.std(), there.min(), there.max()] if len(there) else [np.nan] * 4
        np.testing.assert_allclose(found[:, k], expected, atol=1e-5)


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 1439), st.integers(1, 200), st.floats(0, 1, exclude_max=True))
def test_the_window_holds_the_event(begin: int, minutes: int, where: float) -> None:
    start = _around(Event("activity", "walking", begin, begin + minutes), where)
    assert 0 <= start <= 1140
    assert start <= begin
    if begin + minutes <= 1440:
        assert begin + minutes <= start + 300


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32), st.integers(5, 60))
def test_people_are_split_80_to_20(seed: int, people: int) -> None:
    person = stream(seed, "whose").integers(0, people, 400)
    fold = folds(person)
    for code in np.unique(person):
        assert len(np.unique(fold[person == code])) == 1
    sizes = [len(np.unique(person[fold == k])) for k in range(FOLDS)]
    assert max(sizes) - min(sizes) <= 1


def test_weights_bring_a_mix() -> None:
    label = np.repeat(["walking", "running"], [300, 20])
    weight = mix_weights(label, {"walking": 0.6, "running": 0.4})
    assert weight.mean() == pytest.approx(1)
    assert weight[label == "running"].sum() / weight.sum() == pytest.approx(0.4)


def moods(gap: float, each: int = 12) -> Examples:
    """People's mood windows: the mean of each mood lies ``gap`` SDs away along a feature of its own."""
    random = stream(2, "moods")
    names = list(TASKS["mood_5class"].test)
    examples = Examples(people=pd.DataFrame({"person": [f"p{i}" for i in range(PEOPLE)]}))
    for person in range(PEOPLE):
        for _ in range(each):
            mood = int(random.integers(len(names)))
            features = random.normal(size=104)
            features[mood] += gap
            examples.features.append(features.astype(np.float32))
            examples.kinds.append("mood")
            examples.labels.append(names[mood])
            examples.person.append(person)
    return examples


def test_moods_are_told_by_other_windows_of_the_same_person() -> None:
    """Everybody shows moods in a way of their own: other windows of theirs tell it, other people's never do."""
    random, examples = stream(3, "moods"), moods(0.0, each=15)
    names = list(TASKS["mood_5class"].test)
    ways = random.normal(size=(PEOPLE, len(names), 104))
    for i, (person, label) in enumerate(zip(examples.person, examples.labels, strict=True)):
        examples.features[i] += 3.0 * ways[person, names.index(label)].astype(np.float32)
    assert TASKS["mood_5class"].within_people
    right, _ = correct(examples, "mood_5class", "random_forest")
    assert accuracy(right) > 0.2895 + 6 * np.sqrt(0.2 / len(right.values))


def accuracy(right: Sample) -> float:
    return float(np.average(right.values, weights=right.weight))


@pytest.mark.parametrize("model", MODELS)
def test_planted_moods_are_as_hard_as_planted(model: str) -> None:
    """Unrelated to the features: no better than always naming the commonest; far apart: nearly always right."""
    none, notes = correct(moods(0.0), "mood_5class", model)
    assert notes == ()
    assert len(none.values) == PEOPLE * 12
    assert accuracy(none) < 0.2895 + 3 * np.sqrt(0.2 / len(none.values))
    assert accuracy(correct(moods(8.0), "mood_5class", model)[0]) > 0.95


def test_missing_features_are_no_obstacle() -> None:
    examples = moods(8.0)
    for row in examples.features[::3]:
        row[50:] = np.nan
    for row in examples.features:
        row[90] = np.nan
    assert accuracy(correct(examples, "mood_5class", "logistic_regression")[0]) > 0.9


def test_what_cannot_be_told_says_why() -> None:
    examples = moods(1.0, each=1)
    for task, model, why in (
        ("activity_8class", "random_forest", "only 0 windows of class 'walking', expected 10"),
        ("sex_2class", "random_forest", "no column 'sex'"),
        ("tea_2class", "random_forest", "'tea_2class' is not known"),
        ("mood_5class", "oracle", "'oracle' is not known"),
    ):
        with pytest.raises(NotComputableError, match=why):
            correct(examples, task, model)
    with pytest.raises(NotComputableError, match="no window of five hours"):
        correct(Examples.of(None), "mood_5class", "random_forest")
