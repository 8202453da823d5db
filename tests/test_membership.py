"""The membership attack: tells members from scores that tell, and says what it could not have seen."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from federated.membership import FALSE_POSITIVE_RATE, at_false_positive_rate, attack_membership, likelihood_ratios
from simulator.randomness import stream


def test_ratios_tell_members_where_scores_do() -> None:
    rng = stream(1, "ratios")
    member = rng.random((60, 20)) < 0.5
    levels = 10 * rng.normal(size=20)  # each twin has a level of its own, which a common threshold would mistake
    ratios = likelihood_ratios(levels + 3 * member + rng.normal(size=member.shape), member)
    assert (ratios[member] > 0).mean() > 0.9
    assert (ratios[~member] < 0).mean() > 0.9


def test_a_training_does_not_learn_from_itself() -> None:
    """Scores that say nothing give ratios that say nothing."""
    rng = stream(2, "ratios")
    member = rng.random((12, 400)) < 0.5
    ratios = likelihood_ratios(rng.normal(size=member.shape), member)
    assert abs((ratios[member] > 0).mean() - (ratios[~member] > 0).mean()) < 3 * np.sqrt(0.5 / member.size)


def test_a_threshold_keeps_its_false_positive_rate() -> None:
    outside = np.arange(5000.0)
    rate, interval, false, worst, n = at_false_positive_rate(np.array([4995.5, 4997.0, 10.0, 20.0]), outside)
    assert (rate, false, n) == (0.5, 0.001, 5000)
    assert interval[0] < 0.5 < interval[1]
    assert 0.001 < worst < 0.003


def test_an_attack_says_what_it_found_and_what_it_could_have(whole: Path) -> None:
    found = attack_membership(whole, shadows=8, people=8)
    assert not found.red
    assert (found.shadows, found.twins) == (8, 8)
    assert 0 <= found.interval[0] <= found.true_positive_rate <= found.interval[1] <= 1
    assert FALSE_POSITIVE_RATE < found.limit_at_rate <= found.limit <= 1
    assert 0 < found.ceiling < 3  # some 16 people left out of eight trainings refute next to nothing
    assert replace(found, interval=(found.limit + 0.01, 1.0)).red


@pytest.mark.parametrize("few", [{"shadows": 3}, {"people": 3}])
def test_too_few_of_anything_are_refused(whole: Path, few: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 8"):
        attack_membership(whole, **few)  # type: ignore[arg-type]
