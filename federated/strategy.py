"""What is added to Flower's strategies, by wrapping: public weights, differing sensors, no empty round."""

from collections.abc import Iterable, Mapping
from typing import Final

import numpy as np
from flwr.app import Array, ArrayRecord, ConfigRecord, Message, MetricRecord
from flwr.serverapp import Grid
from flwr.serverapp.strategy import Strategy
from numpy.typing import NDArray

from federated.parameters import Theta

THETA = "theta"


class FederationError(RuntimeError):
    """A round that cannot be used: the message says who failed and why."""


class RefusedError(FederationError):
    """A round that makers refused for what they were given: a spent budget, other terms, unusable data."""


# The three words that a maker's error may say; details stay in ``errors.log`` of its site.
BUDGET: Final = "has no budget left"
REFUSED: Final = "refused"
FAILED: Final = "failed"


class MakerAverage(Strategy):
    """Average the makers' models over the entries that each maker's sensors can touch.

    ``inner`` decides who takes part; the average is ours: weights are public constants, an entry that a maker cannot
    touch is averaged over the others, the sum runs in float64 in the order of maker numbers (so the order of replies is
    irrelevant), and a round with too few replies is an error, not an empty model.

    Args:
        inner: A Flower strategy that configures the rounds.
        weights: Public weight of each maker by number.
        touchable: bool [parameters] of each maker by number.
        least_makers: Fewest replies that make a round.
        first_round: Absolute number of this start's first round.
    """

    def __init__(
        self,
        inner: Strategy,
        weights: Mapping[int, float],
        touchable: Mapping[int, NDArray[np.bool_]],
        least_makers: int,
        first_round: int,
    ) -> None:
        self._inner = inner
        self._weights = weights
        self._touchable = touchable
        self._least = least_makers
        self._first_round = first_round
        self._theta: Theta | None = None
        self.failures: list[str] = []

    def configure_train(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """As ``inner``, with the round's absolute number in the config (Flower starts again from 1 after a resume)."""
        self._theta = vector(arrays)
        config["round"] = self._first_round + server_round - 1
        return self._inner.configure_train(server_round, arrays, config, grid)

    def aggregate_train(
        self, server_round: int, replies: Iterable[Message]
    ) -> tuple[ArrayRecord | None, MetricRecord | None]:
        """The averaged model.

        Raises:
            FederationError: If fewer than ``least_makers`` sent a model that can be used.
        """
        if self._theta is None:
            raise FederationError("aggregate_train was called before configure_train")
        models: dict[int, Theta] = {}
        failures = self.failures = []
        for reply in replies:
            if reply.has_error():
                failures.append(str(reply.error.reason))
                continue
            maker = int(str(reply.content.metric_records["metrics"]["maker"]))
            if maker not in self._weights or maker in models:
                failures.append(f"maker {maker} is unknown or answered twice")
                continue
            theta = vector(reply.content.array_records["arrays"])
            if theta.shape != self._theta.shape or not np.isfinite(theta).all():
                failures.append(
                    f"maker {maker} sent a vector of shape {theta.shape} that is not finite or does not fit"
                )
                continue
            models[maker] = theta
        if len(models) < self._least:
            number = self._first_round + server_round - 1
            refused = failures and all(BUDGET in failure or REFUSED in failure for failure in failures)
            said = (
                f"round {number}: {len(models)} of at least {self._least} makers answered; "
                f"{'; '.join(sorted(failures))}; see errors.log of their sites"
            )
            raise RefusedError(said) if refused else FederationError(said)
        return record(average(self._theta, models, self._weights, self._touchable)), None

    def configure_evaluate(
        self, server_round: int, arrays: ArrayRecord, config: ConfigRecord, grid: Grid
    ) -> Iterable[Message]:
        """Nobody: a maker's loss on its own people is a release, and none is planned (rule R10)."""
        return []

    def aggregate_evaluate(self, server_round: int, replies: Iterable[Message]) -> MetricRecord | None:
        """Nothing was asked."""
        return None

    def summary(self) -> None:
        """As ``inner``."""
        self._inner.summary()


def average(
    theta: Theta,
    models: Mapping[int, Theta],
    weights: Mapping[int, float],
    touchable: Mapping[int, NDArray[np.bool_]],
) -> Theta:
    """Weighted mean of ``models`` entry by entry over the makers that can touch it; ``theta`` where nobody can.

    >>> old, new = np.zeros(2, np.float32), np.ones(2, np.float32)
    >>> has = {0: np.array([True, True]), 1: np.array([True, False])}
    >>> average(old, {0: 2 * new, 1: 4 * new}, {0: 1.0, 1: 1.0}, has).tolist()
    [3.0, 2.0]
    """
    total, weight = np.zeros(theta.shape), np.zeros(theta.shape)
    for maker in sorted(models):
        share = weights[maker] * touchable[maker]
        total += share * models[maker].astype(np.float64)
        weight += share
    return np.where(weight > 0, total / np.maximum(weight, 1e-300), theta).astype(np.float32)


def record(theta: Theta) -> ArrayRecord:
    """A model vector as Flower sends it."""
    return ArrayRecord({THETA: Array(theta)})


def vector(arrays: ArrayRecord) -> Theta:
    """The model vector of a message."""
    return np.asarray(arrays[THETA].numpy(), dtype=np.float32)
