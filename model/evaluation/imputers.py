"""Imputers: whatever fills the gaps of days, behind one method, and a few lines for each kind of library that has one.

``impute(values, observed)`` is all that the robustness kit asks for. Simple fills, scikit-learn's imputers (chained
equations [1], nearest neighbours), PyPOTS' networks (SAITS [2], BRITS [3]) and our model come with it; ``METHODS`` has
them by name. Networks are trained when they are made, on days of other people as they are, with their own gaps.

[1] van Buuren, Groothuis-Oudshoorn, "mice", J. Stat. Softw. 45(3), 2011.
[2] Du, Cote, Liu, "SAITS: Self-attention-based imputation for time series", arXiv:2202.08516.
[3] Cao, Wang, Li, Zhou, Li, Li, "BRITS", NeurIPS 2018, arXiv:1805.10572.
"""

import contextlib
import random
import sys
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any, Final, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from model.autoencoder import MaskedAutoencoder, gather_first, take
from model.evaluation.baselines import FILLS, Fill, Known, Values
from model.windows import WINDOW_STRIDE_MINUTES, Batch, Normaliser
from simulator.randomness import stream
from simulator.recording import DataError
from simulator.signals import MINUTES_PER_DAY

CLIP_Z: Final = 5.0  # ``Normaliser.clip_z``
FIT_MINUTES: Final = 20_000  # rows that chained equations are fitted on; judgement
NEIGHBOUR_MINUTES: Final = 2_000  # rows that nearest neighbours are looked for among; time grows with them
FIT_WINDOWS: Final = 1_024  # of a network
NETWORK_MINUTES: Final = 240  # a window of it; a sixth of a day, since attention and recurrence grow with length
EPOCHS: Final = 20  # of a network's training: minutes on one core
_MODEL_BATCH: Final = 64
_SAITS: Final = {"n_layers": 1, "d_model": 64, "n_heads": 2, "d_k": 32, "d_v": 32, "d_ffn": 128}


class Imputer(Protocol):
    """Whatever fills gaps."""

    def impute(self, values: Values, observed: Known) -> Values:
        """Fill days.

        Args:
            values: float32 [days, 26, 1440], z-scores, 0 where not observed. Signals stand in the order of
                ``simulator.signals.NAMES``, minutes run from local midnight.
            observed: bool of the same shape; a signal that a device lacks is nowhere observed.

        Returns:
            The same shape, finite where not observed; what stands where something was observed is not looked at.
        """
        ...


class WindowImputer(Protocol):
    """Whatever fills windows shorter than a day."""

    def fill(self, values: Values, known: Known, asked: Known, first_minute: NDArray[np.int64]) -> Values:
        """Fill windows.

        Args:
            values: float32 [n, 26, minutes], z-scores.
            known: bool, same shape: what may be looked at.
            asked: bool, same shape: what is scored.
            first_minute: int64 [n], minute of the day with which each window begins.

        Returns:
            The same shape, finite where asked.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Learning:
    """What networks are trained on: ``values`` and ``observed`` as ``Imputer.impute`` takes them, and a seed."""

    values: Values
    observed: Known
    seed: int


@dataclass(frozen=True, slots=True)
class SimpleFill:
    """A fill of ``baselines``, which knows nothing but the signal's own day."""

    fill: Fill

    def impute(self, values: Values, observed: Known) -> Values:
        """See ``Imputer``."""
        return self.fill(values, observed)


@dataclass(frozen=True, slots=True, eq=False)
class Autoencoder:
    """Our model: what it sees of each of its windows goes in, every patch with a missing cell is predicted.

    Attributes:
        model: The network.
        own: Its constants, if they may differ from those of the z-scores that it is given.
        given: Those.
    """

    model: MaskedAutoencoder
    own: Normaliser | None = None
    given: Normaliser | None = None

    def impute(self, values: Values, observed: Known) -> Values:
        """See ``Imputer``."""
        if self.own is None or self.given is None or self.own == self.given:
            return self._impute(values, observed)
        filled = self._impute(self.own.apply(self.given.invert(values), observed), observed)
        return np.where(observed, values, self.given.apply(self.own.invert(filled), np.ones_like(observed)))

    @torch.no_grad()
    def _impute(self, values: Values, observed: Known) -> Values:
        """In the model's own z-scores."""
        self.model.eval()
        minutes = self.model.architecture.window_minutes
        filled = np.where(observed, values, np.float32(0))
        for start in _starts(minutes):
            span = slice(start, start + minutes)
            for first in range(0, len(values), _MODEL_BATCH):
                some = slice(first, first + _MODEL_BATCH)
                filled[some, :, span] = self._complete(values[some, :, span], observed[some, :, span], start)
        return filled

    def _complete(self, values: Values, observed: Known, start: int) -> Values:
        """One window of every day: a patch that is seen in part is told what is seen of it, and asked for the rest.

        One without any cell is hidden, so that a model whose gaps are filled first does not take the filling for seen.
        """
        model, device = self.model, next(self.model.parameters()).device
        batch = Batch(
            torch.from_numpy(np.ascontiguousarray(values)),
            torch.from_numpy(np.ascontiguousarray(observed)),
            torch.full((len(values),), start // WINDOW_STRIDE_MINUTES),
            torch.zeros(len(values), model.architecture.grid.places, dtype=torch.bool),
        ).to(device)
        batch = replace(batch, hidden=~model.places_of(batch.observed))
        cells, there = model.patches(batch)
        shown = model.inputs(batch)
        place, _ = gather_first(~there.all(-1))
        predicted = model.decode(model.encode(batch, *shown), place, batch.slot, model.anchors(batch, *shown))
        predicted = torch.where(take(there, place), take(cells, place), predicted.to(cells.dtype))
        whole = cells.scatter(-2, place[..., None].expand(predicted.shape), predicted)
        return np.asarray(model.windows(whole).float().cpu().numpy())


@dataclass(frozen=True, slots=True)
class ByMinute:
    """A scikit-learn imputer over rows of minutes: 26 signals and, unless ``alone``, the time of day.

    It is fitted on the very days that it fills, as is usual with these: what is hidden there stays hidden. Fitted on
    other people's days it failed in random masks (mean squared error 1.8 in place of 0.3), since watches had never
    shown it minutes with cells missing here and there.

    Attributes:
        make: Makes an unfitted transformer.
        most: Minutes it is fitted on, drawn among those in which anything was observed.
        seed: Of which minutes.
        alone: Fit every window by itself and tell it no time, as LSM-1 seems to: where all signals of a minute are
            hidden, chained equations then know no more than means, and its Table 3(a) has the same errors for both.
    """

    make: Callable[[], Any]
    most: int
    seed: int = 0
    alone: bool = False

    def impute(self, values: Values, observed: Known) -> Values:
        """See ``Imputer``."""
        return self.fill(values, observed, ~observed, np.zeros(len(values), dtype=np.int64))

    def fill(self, values: Values, known: Known, asked: Known, first_minute: NDArray[np.int64]) -> Values:
        """Fill windows of any length.

        Args:
            values: float32 [n, 26, minutes], z-scores.
            known: bool, same shape: what may be looked at.
            asked: bool, same shape: minutes without any such cell are not filled, which saves their time.
            first_minute: int64 [n], minute of the day with which each window begins.

        Returns:
            The same shape, finite; 0 where neither known nor filled.
        """
        n, signals, minutes = values.shape
        if self.alone and n > 1:
            each = (slice(i, i + 1) for i in range(n))
            return np.concatenate([self.fill(values[i], known[i], asked[i], first_minute[i]) for i in each])
        rows = _minutes(values, known, first_minute)
        used = np.flatnonzero(np.append(known.any(axis=(0, 2)), [not self.alone, not self.alone]))
        useful = np.flatnonzero(known.any(axis=1).ravel())
        chosen = stream(self.seed, "imputer", "minutes").permutation(useful)[: self.most]
        wanted = np.flatnonzero(asked.any(axis=1).ravel())
        if len(chosen) and len(wanted):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # it says that ten rounds did not converge
                transformer = self.make().fit(rows[np.ix_(chosen, used)])
                rows[np.ix_(wanted, used)] = transformer.transform(rows[np.ix_(wanted, used)])
        return np.asarray(
            np.nan_to_num(rows[:, :signals]).reshape(n, minutes, signals).transpose(0, 2, 1), dtype=np.float32
        )


@dataclass(frozen=True, slots=True, eq=False)
class ByWindow:
    """A fitted PyPOTS model over windows [windows, minutes, 26] of ``NETWORK_MINUTES``."""

    network: Any

    @classmethod
    def fitted(cls, make: Callable[..., Any], learning: Learning | None, **options: Any) -> "ByWindow":
        """Train it on at most ``FIT_WINDOWS`` windows, half of whose cells or more were observed.

        Args:
            make: A class of ``pypots.imputation``.
            learning: What it learns from.
            options: What its constructor takes beyond shape, epochs and batch size.

        Raises:
            DataError: If there is no such window.
        """
        if learning is None:
            raise DataError(f"{make.__name__} learns from other days, and there are none")
        windows = _windows(learning.values, learning.observed)
        there = np.flatnonzero(np.isfinite(windows).mean(axis=(1, 2)) >= 0.5)
        if not len(there):
            raise DataError(f"no {NETWORK_MINUTES} minutes to learn from have half of their cells, expected some")
        chosen = stream(learning.seed, "imputer", "windows").permutation(there)[:FIT_WINDOWS]
        with _quietly(learning.seed):
            network = make(
                n_steps=NETWORK_MINUTES,
                n_features=windows.shape[2],
                epochs=EPOCHS,
                batch_size=32,
                verbose=False,
                **options,
            )
            network.fit({"X": windows[chosen]})
        return cls(network)

    def impute(self, values: Values, observed: Known) -> Values:
        """See ``Imputer``."""
        with _quietly(0):
            filled = self.network.predict({"X": _windows(values, observed)})["imputation"]
        days, signals, minutes = values.shape
        return np.asarray(filled, np.float32).reshape(days, minutes, signals).transpose(0, 2, 1)


@dataclass(frozen=True, slots=True, eq=False)
class LearnedWindows:
    """A fitted PyPOTS model over windows of a length of their own, as the generative tasks cut them."""

    network: Any

    @classmethod
    def saits(cls, learning: Learning, epochs: int) -> "LearnedWindows":
        """SAITS [2] trained on windows of other people: ``learning`` holds [n, 26, minutes].

        Raises:
            DataError: If PyPOTS is not installed.
        """
        make = pypots_networks().SAITS
        cells = _cells(learning.values, learning.observed)
        with _quietly(learning.seed):
            network = make(
                n_steps=cells.shape[1],
                n_features=cells.shape[2],
                epochs=epochs,
                batch_size=32,
                verbose=False,
                **_SAITS,
            )
            network.fit({"X": cells})
        return cls(network)

    def fill(self, values: Values, known: Known, asked: Known, first_minute: NDArray[np.int64]) -> Values:
        """See ``WindowImputer``."""
        with _quietly(0):
            filled = np.asarray(self.network.predict({"X": _cells(values, known)})["imputation"], np.float32)
        return np.where(known, values, filled.transpose(0, 2, 1))


def _cells(values: Values, known: Known) -> Values:
    """Windows as PyPOTS takes them, [n, minutes, 26], NaN where not known."""
    return np.ascontiguousarray(np.where(known, values, np.float32(np.nan)).transpose(0, 2, 1))


def _starts(minutes: int) -> list[int]:
    """Where windows of a day begin: side by side, the last one moved back to end with the day."""
    starts = list(range(0, MINUTES_PER_DAY - minutes + 1, minutes))
    return starts if starts[-1] + minutes == MINUTES_PER_DAY else [*starts, MINUTES_PER_DAY - minutes]


def _minutes(values: Values, known: Known, first_minute: NDArray[np.int64]) -> NDArray[np.float64]:
    """Rows of minutes [n * minutes, 26 + 2], NaN where not known; the last two columns tell the time of day."""
    n, signals, minutes = values.shape
    angle = 2 * np.pi * (first_minute[:, None] + np.arange(minutes)).ravel() / MINUTES_PER_DAY
    cells = np.where(known, values, np.nan).transpose(0, 2, 1).reshape(n * minutes, signals)
    return np.concatenate([cells, np.stack([np.sin(angle), np.cos(angle)], axis=1)], axis=1)


def _windows(values: Values, observed: Known) -> Values:
    """Windows side by side, [days * 6, 240, 26], NaN where not observed."""
    cells = np.where(observed, values, np.float32(np.nan)).transpose(0, 2, 1)
    return np.ascontiguousarray(cells).reshape(-1, NETWORK_MINUTES, values.shape[1])


@contextlib.contextmanager
def _quietly(seed: int) -> Iterator[None]:
    """PyPOTS draws from the global generators and talks on standard output: seed them, and put everything back."""
    python, numpy = random.getstate(), np.random.get_state()  # noqa: NPY002 (theirs, not ours)
    with torch.random.fork_rng(devices=[]), contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)  # noqa: NPY002


def _same(imputer: Imputer) -> Callable[["Learning | None", int], Imputer]:
    return lambda learning, seed: imputer


def mice(seed: int = 0, *, alone: bool = False) -> ByMinute:
    """Chained equations [1], by scikit-learn; between the ends of z-scores, beyond which it now and then runs away."""
    from sklearn.experimental import enable_iterative_imputer  # noqa: F401 (makes the next name importable)
    from sklearn.impute import IterativeImputer

    options = {"random_state": seed, "keep_empty_features": True, "min_value": -CLIP_Z, "max_value": CLIP_Z}
    return ByMinute(lambda: IterativeImputer(**options), FIT_MINUTES, seed, alone)


def knn(seed: int = 0) -> ByMinute:
    """The mean of the five nearest minutes, by scikit-learn."""
    from sklearn.impute import KNNImputer

    return ByMinute(lambda: KNNImputer(keep_empty_features=True), NEIGHBOUR_MINUTES, seed)


def pypots_networks() -> Any:
    """``pypots.imputation``.

    Raises:
        DataError: If it is not installed.
    """
    try:
        with _quietly(0):
            from pypots import imputation
    except ImportError as error:
        raise DataError(f"PyPOTS is not installed ({error}); try pip install 'everywear[imputers]'") from error
    return imputation


def _saits(learning: Learning | None) -> Imputer:
    return ByWindow.fitted(pypots_networks().SAITS, learning, **_SAITS)


def _brits(learning: Learning | None) -> Imputer:
    return ByWindow.fitted(pypots_networks().BRITS, learning, rnn_hidden_size=64)


BY_MINUTE: Final[Mapping[str, Callable[[int], ByMinute]]] = MappingProxyType(
    {"mice": mice, "mice_alone": lambda seed: mice(seed, alone=True), "knn": knn}
)
"""Those that look at a minute at a time, and so can fill windows of any length; made of a seed."""

METHODS: Final[Mapping[str, Callable[[Learning | None, int], Imputer]]] = MappingProxyType(
    {name: _same(SimpleFill(fill)) for name, fill in FILLS.items()}
    | {
        "mice": lambda learning, seed: mice(seed),
        "knn": lambda learning, seed: knn(seed),
        "saits": lambda learning, seed: _saits(learning),
        "brits": lambda learning, seed: _brits(learning),
    }
)
"""By name, how an imputer is made of what it may learn from and a seed."""
LEARNED: Final = ("saits", "brits")
"""Those that learn from other people."""
