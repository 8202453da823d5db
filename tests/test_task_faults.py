"""Faults that evaluations of such models had, each planted for the length of one test: a check has to see it."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from model import contrastive
from model.autoencoder import LSM1, MaskedAutoencoder
from model.contrastive import whole
from model.evaluation import probes, scores
from model.foundation import FoundationModel
from model.windows import Batch, fill_gaps
from simulator.realism import difficulty
from tests import test_autoencoder, test_contrastive, test_discriminative, test_foundation, test_scores

Patch = pytest.MonkeyPatch


def fill_from_everything(patch: Patch) -> None:
    """LSM-1's order read literally: fill first, hide afterwards; a gap beside a hidden patch tells of it."""

    def inputs(self: Any, batch: Batch) -> tuple[torch.Tensor, torch.Tensor]:
        return self._cut(fill_gaps(batch.values, batch.observed)), self._cut(torch.ones_like(batch.observed))

    patch.setattr(MaskedAutoencoder, "inputs", inputs)


def look_at_hidden_places(patch: Patch) -> None:
    real = MaskedAutoencoder.encode
    patch.setattr(MaskedAutoencoder, "encode", lambda self, batch, *rest: real(self, whole(batch), *rest))


def split_windows(patch: Patch) -> None:
    """The same person is learnt from and asked."""
    patch.setattr(difficulty, "folds", lambda person, seed=0: np.arange(len(person)) % difficulty.FOLDS)


def split_people_for_moods(patch: Patch) -> None:
    patch.setattr(difficulty, "folds_within", difficulty.folds)


def forget_the_prior(patch: Patch) -> None:
    def plain(logits: torch.Tensor, target: torch.Tensor, _: torch.Tensor) -> torch.Tensor:
        return F.cross_entropy(logits, target, reduction="none")

    patch.setattr(probes, "balanced_softmax", plain)


def tune_the_model_itself(patch: Patch) -> None:
    patch.setattr("model.evaluation.probes.copy.deepcopy", lambda thing: thing)


def ignore_ties(patch: Patch) -> None:
    real = scores._by_score

    def untied(score: Any, positive: Any, weight: Any) -> Any:
        return real(score + 1e-9 * np.arange(len(score)), positive, weight)

    patch.setattr(scores, "_by_score", untied)


def resample_windows(patch: Patch) -> None:
    """Intervals as if every window were another person's."""
    real = scores.with_interval

    def narrow(metric: Any, predicted: Any, target: Any, weight: Any, person: Any, seed: int) -> Any:
        return real(metric, predicted, target, weight, np.arange(len(person)), seed)

    patch.setattr(test_scores, "with_interval", narrow)


def follow_at_once(patch: Patch) -> None:
    """A teacher that is the student."""
    patch.setattr(contrastive, "TEACHER_MOMENTUM", 0.0)


def no_bending(patch: Patch) -> None:
    """Short gaps get the model's level, whatever lies around them."""

    def fill(self: Any, batch: Batch) -> torch.Tensor:
        missing = self.network.places_of(~batch.observed)
        found: torch.Tensor = self.network.reconstruct(replace(batch, hidden=missing))
        return torch.where(batch.observed, batch.values, found)

    patch.setattr(FoundationModel, "_fill", fill)


def unseen(**options: Any) -> Callable[[], object]:
    @torch.no_grad()
    def check() -> None:
        shape = replace(test_autoencoder.TINY, **options)
        test_autoencoder.check_unseen(test_autoencoder.model_of(shape), 1)

    return check


def inner(test: Any) -> Any:
    """A Hypothesis test's own function, to be called with one example."""
    return test.hypothesis.inner_test


FAULTS: list[tuple[Callable[[Patch], None], Callable[[], object]]] = [
    (fill_from_everything, unseen(**LSM1 | {"window_minutes": test_autoencoder.MINUTES})),
    (look_at_hidden_places, unseen()),
    (look_at_hidden_places, unseen(decoder="full")),
    (split_windows, lambda: inner(test_discriminative.test_people_are_learnt_from_or_asked)(1, 20, "activity")),
    (split_people_for_moods, lambda: inner(test_discriminative.test_moods_are_split_within_people)(1)),
    (forget_the_prior, test_discriminative.test_balanced_softmax_keeps_rare_classes_alive),
    (
        tune_the_model_itself,
        lambda: test_discriminative.test_a_method_leaves_the_model_as_it_was_and_repeats("fine_tune"),
    ),
    (ignore_ties, lambda: inner(test_scores.test_figures_of_classes_are_scikit_learn_s)(1, 3, True, False)),
    (resample_windows, test_scores.test_the_interval_holds_the_spread_over_people_not_over_windows),
    (follow_at_once, lambda: test_contrastive.test_a_teacher_follows_slowly("dino")),
    (no_bending, test_foundation.test_a_short_gap_meets_what_lies_around_it),
]


@pytest.mark.parametrize(("fault", "check"), FAULTS, ids=lambda part: getattr(part, "__name__", ""))
def test_a_check_is_quiet_without_the_fault_and_sees_it(
    fault: Callable[[Patch], None], check: Callable[[], object]
) -> None:
    check()
    with pytest.MonkeyPatch.context() as patch:
        fault(patch)
        with pytest.raises(AssertionError):
            check()
