"""Telling labels from windows: probes on a frozen encoder, fine-tuning, training from scratch, and plain classifiers.

LSM-1 [1] reads its encoder in four ways: a linear probe on the mean of the patches' embeddings, a convolutional probe
(two shallow convolutions over the grid of embeddings and a linear head, appendix C.2), fine-tuning of everything with
the linear head, and the same from random weights ("supervised"). Settings are those of its Tables 16 and 17, the loss
is the balanced softmax [2]: class shares of the training set are added to the logits while training only, so that rare
classes are not drowned. Plain classifiers work on each signal's mean, spread, least and greatest value of a window.

[1] Narayanswamy, Liu et al., ICLR 2025, arXiv:2410.13638. [2] Ren et al., NeurIPS 2020, arXiv:2007.10740.
"""

import copy
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor, nn

from model.augmenting import NOISE, augment
from model.autoencoder import MaskedAutoencoder, initialise
from model.evaluation.labels import Examples, Pool
from model.training import learning_rate_at
from model.windows import Batch
from simulator.randomness import stream
from simulator.realism import difficulty

NEURAL: Final = ("linear_probe", "convolutional_probe", "fine_tune", "supervised")
PLAIN: Final = ("logistic_regression", "random_forest", "gradient_boosting")
METHODS: Final = NEURAL + PLAIN
CONVOLUTION_WIDTH: Final = 16  # with two 3x3 kernels below 0.2 % of LSM-Base's parameters (appendix C.2)
NOISY_COPIES: Final = 3  # of each window, embedded once for a frozen encoder; its noise is drawn from them
KEPT_BYTES: Final = 2**30  # of embeddings at most; beyond, windows are embedded anew at every step
PREDICT_AT_ONCE: Final = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class ProbePlan:
    """How a head, or a head and its encoder, are trained.

    Attributes:
        learning_rate: Peak.
        dropout: Before the head's last layer.
        steps: Optimiser steps.
        batch_windows: Windows a step.
        warmup_steps: Linear; then a cosine to 0.
        weight_decay: AdamW's.
        clip_norm: Bound on the gradient's norm.
    """

    learning_rate: float
    dropout: float
    steps: int = 300
    batch_windows: int = 128
    warmup_steps: int = 15
    weight_decay: float = 1e-4
    clip_norm: float = 1.0


def _plan(learning_rate: float, dropout: float, task: str) -> ProbePlan:
    steps = 400 if task == "exercise" else 300
    batch = 256 if task in ("age", "mood") else 128
    return ProbePlan(
        learning_rate=learning_rate, dropout=dropout, steps=steps, batch_windows=batch, warmup_steps=steps // 20
    )


_PAPER: Final = {  # (learning rate, dropout) of linear probe, fine-tuning (Table 16) and supervised training (Table 17)
    "exercise": ((0.5, 0.3), (5e-5, 0.3), (1e-4, 0.0)),
    "activity": ((0.5, 0.3), (5e-5, 0.3), (5e-4, 0.0)),
    "sex": ((0.05, 0.1), (5e-4, 0.3), (5e-3, 0.0)),
    "age": ((0.05, 0.1), (5e-5, 0.1), (1e-4, 0.0)),
    "mood": ((5e-3, 0.7), (5e-3, 0.1), (5e-5, 0.0)),
}
_LIKE: Final = {"activity20": "activity", "hypertension": "sex", "anxiety": "sex", "age_years": "sex", "bmi": "sex"}
"""Tasks that LSM-1 does not have, by the one whose settings they take; judgement."""
CONVOLUTION_RATE: Final = 5e-3  # the paper does not tell the convolutional probe's; judgement


def paper_plan(task: str, method: str) -> ProbePlan:
    """Tables 16 and 17 for a task of ours and a neural method.

    Table 16 calls 20 and 15 "warm-up step percent", Table 17 "warm-up steps"; they are 5 % of 400 and 300 steps.
    """
    task = _LIKE.get(task, task)
    probe, tune, scratch = _PAPER[task]
    by_method = {"linear_probe": probe, "fine_tune": tune, "supervised": scratch}
    return _plan(*by_method.get(method, (CONVOLUTION_RATE, probe[1])), task)


def balanced_softmax(logits: Tensor, target: Tensor, prior: Tensor) -> Tensor:
    """Cross entropy of softmax(logits + log prior), [n]: for training; predictions leave the prior out.

    Args:
        logits: [n, classes].
        target: int64 [n].
        prior: [classes], shares of the training set; a class of share 0 is left out of the sum.
    """
    return F.cross_entropy(logits + prior.log(), target, reduction="none")


class LinearHead(nn.Module):
    """Embeddings [n, width], standardised by those learnt from, to outputs [n, outputs]."""

    level: Tensor
    spread: Tensor

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.register_buffer("level", torch.zeros(width))
        self.register_buffer("spread", torch.ones(width))
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(width, outputs)

    def standardise(self, embeddings: Tensor) -> None:
        """Take level and spread from embeddings [n, width], as MAE's linear probe does by a batch norm."""
        self.level.copy_(embeddings.mean(0))
        self.spread.copy_(embeddings.std(0, unbiased=False).clamp(min=1e-6))

    def forward(self, embeddings: Tensor) -> Tensor:
        """[n, width] -> [n, outputs]."""
        return self.out(self.dropout((embeddings - self.level) / self.spread))  # type: ignore[no-any-return]


class ConvolutionalHead(nn.Module):
    """Grids of embeddings [n, width, rows, columns] to outputs [n, outputs]: two 3x3 convolutions, mean, linear."""

    def __init__(self, width: int, outputs: int, dropout: float) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, CONVOLUTION_WIDTH, 3, padding=1)
        self.second = nn.Conv2d(CONVOLUTION_WIDTH, CONVOLUTION_WIDTH, 3, padding=1)
        self.dropout = nn.Dropout(dropout)
        self.out = nn.Linear(CONVOLUTION_WIDTH, outputs)

    def forward(self, grid: Tensor) -> Tensor:
        """[n, width, rows, columns] -> [n, outputs]."""
        x = F.relu(self.second(F.relu(self.first(grid)))).mean((-2, -1))
        return self.out(self.dropout(x))  # type: ignore[no-any-return]


def embedding_grid(network: MaskedAutoencoder, batch: Batch) -> Tensor:
    """Each seen patch's embedding at its place, [n, width, rows, columns]; 0 where nothing was seen."""
    seen = network.encode(batch, *network.inputs(batch))
    tokens = seen.tokens[:, 1:] * seen.keep[:, 1:, None]
    grid = tokens.new_zeros(len(tokens), network.architecture.grid.places, tokens.shape[-1])
    grid = grid.scatter(1, seen.place[..., None].expand(tokens.shape), tokens)
    shape = (network.architecture.grid.rows, network.architecture.grid.columns)
    return torch.unflatten(grid.transpose(1, 2), -1, shape)


Predictor = Callable[[NDArray[np.int64]], NDArray[np.float64]]
"""Rows of the pool [n] -> shares of the classes [n, classes], or numbers [n]."""


def fit(
    method: str,
    network: MaskedAutoencoder | None,
    pool: Pool,
    examples: Examples,
    learnt: NDArray[np.int64],
    *,
    seed: int,
    plan: ProbePlan | None = None,
    means: "Kept | None" = None,
) -> Predictor:
    """Train a method on some of a task's examples.

    Args:
        method: One of ``METHODS``.
        network: The pretrained model; may be None for plain classifiers. Never changed.
        pool: Windows.
        examples: The task's.
        learnt: Which of them to learn from: int64, places in ``examples.rows``.
        seed: Of weights, batches, noise and dropout.
        plan: Settings of a neural method; the paper's by default.
        means: ``keep_means`` of this network and pool, where several linear probes share them.

    Raises:
        ValueError: If the method is unknown, or needs a network and has none.
    """
    if method in PLAIN:
        return _fit_plain(method, pool, examples, learnt)
    if method not in NEURAL:
        raise ValueError(f"{method=} is unknown, expected one of {', '.join(METHODS)}")
    if network is None:
        raise ValueError(f"{method} needs a pretrained network")
    plan = plan or paper_plan(examples.task.name, method)
    with torch.random.fork_rng(devices=[]):  # dropout has no generator of its own
        torch.manual_seed(stream(seed, "probe", method).integers(2**63))
        if method == "linear_probe":
            source: Source = means or keep_means(network, pool, seed)
        else:
            source = _source(method, network, pool, examples.rows, seed)
        return _fit_head(method, network.architecture.width, source, examples, learnt, seed, plan)


def few_shot(examples: Examples, shots: int, seed: int) -> NDArray[np.int64]:
    """``shots`` examples of each class to learn from, fewer of a class that has fewer: places in ``examples.rows``."""
    order = stream(seed, "few shot", shots).permutation(np.flatnonzero(~examples.tested))
    return np.concatenate([order[examples.target[order] == k][:shots] for k in range(len(examples.classes))])


def _fit_plain(method: str, pool: Pool, examples: Examples, learnt: NDArray[np.int64]) -> Predictor:
    features, weight = pool.features[examples.rows[learnt]], examples.train_weight[learnt]
    if examples.task.is_regression:
        predict = _regressor(method, features, examples.target[learnt], weight)
        return lambda rows: predict(pool.features[rows])
    label = examples.target[learnt].astype(np.int64).astype(np.str_)
    if method == "logistic_regression":  # equal classes, as in ``difficulty``
        weight = difficulty.mix_weights(label, dict.fromkeys(np.unique(label).tolist(), 1.0))
    classify = difficulty.fitted(method, features, label, weight)
    columns = np.unique(label).astype(np.int64)

    def shares(rows: NDArray[np.int64]) -> NDArray[np.float64]:
        found = np.zeros((len(rows), len(examples.classes)))
        found[:, columns] = classify(pool.features[rows])
        return found

    return shares


def _regressor(
    method: str, features: NDArray[np.float32], target: NDArray[np.float64], weight: NDArray[np.float64]
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """The classifiers' counterparts for numbers; a ridge stands for logistic regression."""
    from sklearn.ensemble import HistGradientBoostingRegressor, RandomForestRegressor
    from sklearn.linear_model import Ridge

    chosen = {
        "logistic_regression": Ridge(alpha=10.0),
        "random_forest": RandomForestRegressor(
            n_estimators=difficulty.TREES, min_samples_leaf=2, max_features=1 / 3, random_state=0, n_jobs=1
        ),
        "gradient_boosting": HistGradientBoostingRegressor(
            max_iter=100, max_leaf_nodes=15, max_bins=63, early_stopping=False, random_state=0
        ),
    }[method]
    ready = difficulty.scaler(features)
    chosen.fit(ready(features), target, sample_weight=weight)
    return lambda table: np.asarray(chosen.predict(ready(table)), dtype=np.float64)


class Source(Protocol):
    """Where a head gets embeddings of the pool's windows from."""

    def noisy(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Of noisy windows, to learn from."""

    def clean(self, rows: NDArray[np.int64]) -> Tensor:
        """Of windows as they are, without gradient."""

    def parameters(self) -> list[nn.Parameter]:
        """What of the encoder is trained along with the head."""


@dataclass(frozen=True, slots=True, eq=False)
class Kept:
    """A frozen encoder says the same of a window every time: embeddings of clean windows and of some noisy copies.

    Attributes:
        table: float32 [rows, 1 + copies, ...], the clean one first.
        place: int64 [windows of the pool], their row of the table.
    """

    table: Tensor
    place: NDArray[np.int64]

    @classmethod
    def of(cls, embed: Callable[[Batch], Tensor], pool: Pool, rows: NDArray[np.int64], seed: int) -> "Kept":
        """Embed these windows of the pool, once clean and ``NOISY_COPIES`` times noisy."""
        rng = stream(seed, "noisy copies")
        place = np.full(len(pool), -1)
        place[rows] = np.arange(len(rows))
        with torch.no_grad():
            copies = [_in_parts(embed, pool, rows, rng if i else None) for i in range(1 + NOISY_COPIES)]
        return cls(torch.stack(copies, dim=1), place)

    def noisy(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """Any of the copies."""
        return self.table[self.place[rows], rng.integers(self.table.shape[1], size=len(rows))]

    def clean(self, rows: NDArray[np.int64]) -> Tensor:
        """The clean ones."""
        return self.table[self.place[rows], 0]

    def parameters(self) -> list[nn.Parameter]:
        """None: it is frozen."""
        return []


@dataclass(frozen=True, slots=True, eq=False)
class Anew:
    """Embeddings made when they are asked for.

    Attributes:
        embed: Windows -> embeddings.
        pool: Windows.
        trained: What of the encoder is trained; nothing if it is frozen.
    """

    embed: Callable[[Batch], Tensor]
    pool: Pool
    trained: Sequence[nn.Parameter] = ()

    def noisy(self, rows: NDArray[np.int64], rng: np.random.Generator) -> Tensor:
        """With gradient, if anything is trained."""
        with torch.set_grad_enabled(bool(self.trained)):
            return self.embed(augment(_batch(self.pool, rows), NOISE, rng))

    @torch.no_grad()
    def clean(self, rows: NDArray[np.int64]) -> Tensor:
        """A few at a time."""
        return _in_parts(self.embed, self.pool, rows)

    def parameters(self) -> list[nn.Parameter]:
        """``trained``."""
        return list(self.trained)


def keep_means(network: MaskedAutoencoder, pool: Pool, seed: int) -> Kept:
    """Mean embeddings of all windows of a pool, for the linear probes of any number of tasks."""
    return Kept.of(_embedder(network.eval(), grid=False), pool, np.arange(len(pool)), seed)


def mean_embeddings(network: MaskedAutoencoder, pool: Pool, rows: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean embeddings of windows as they are, by the frozen encoder: float32 [n, width]."""
    with torch.no_grad():
        found = _in_parts(_embedder(network.eval(), grid=False), pool, rows)
    return np.asarray(found.float().cpu().numpy())


def _source(method: str, network: MaskedAutoencoder, pool: Pool, rows: NDArray[np.int64], seed: int) -> Source:
    """Grids of a frozen encoder, kept if they fit; or means of an encoder that is trained, of the method's own."""
    if method == "convolutional_probe":
        embed = _embedder(network.eval(), grid=True)
        size = 4 * network.architecture.width * network.architecture.grid.places * (1 + NOISY_COPIES) * len(rows)
        return Kept.of(embed, pool, rows, seed) if size <= KEPT_BYTES else Anew(embed, pool)
    if method == "fine_tune":
        own = copy.deepcopy(network).eval()
    else:
        own = MaskedAutoencoder(network.architecture, seed).to(next(network.parameters()).device).eval()
    return Anew(_embedder(own, grid=False), pool, _encoder(own))


def _embedder(network: MaskedAutoencoder, *, grid: bool) -> Callable[[Batch], Tensor]:
    """Windows with nothing hidden -> their mean embeddings, or grids of them."""
    device = next(network.parameters()).device

    def embed(batch: Batch) -> Tensor:
        nothing = torch.zeros(len(batch.slot), network.architecture.grid.places, dtype=torch.bool)
        batch = replace(batch, hidden=nothing).to(device)
        return embedding_grid(network, batch) if grid else network.embed_windows(batch)

    return embed


def _fit_head(
    method: str,
    width: int,
    source: Source,
    examples: Examples,
    learnt: NDArray[np.int64],
    seed: int,
    plan: ProbePlan,
) -> Predictor:
    """Train a head, and the encoder with it if the source says so."""
    rows, rng = examples.rows[learnt], stream(seed, "probe batches", method, examples.task.name)
    first = source.clean(rows[:1])
    head = (ConvolutionalHead if first.ndim == 4 else LinearHead)(width, max(1, len(examples.classes)), plan.dropout)
    head.to(first.device)
    _start(head, seed)
    if isinstance(head, LinearHead):
        head.standardise(source.clean(rows))
    answer, loss_of = _loss(examples, learnt, first.device)
    weight = torch.from_numpy(examples.train_weight[learnt].astype(np.float32)).to(first.device)
    trained = [*head.parameters(), *source.parameters()]
    optimiser = torch.optim.AdamW(trained, lr=plan.learning_rate, betas=(0.9, 0.95), weight_decay=plan.weight_decay)
    for step in range(plan.steps):
        for group in optimiser.param_groups:
            group["lr"] = learning_rate_at(step, plan.steps, plan.warmup_steps, plan.learning_rate)
        chosen = rng.integers(len(rows), size=plan.batch_windows)
        losses = loss_of(head(source.noisy(rows[chosen], rng)), answer[chosen])
        loss = (losses * weight[chosen]).sum() / weight[chosen].sum()
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(trained, plan.clip_norm)
        optimiser.step()
    head.eval()

    @torch.no_grad()
    def predict(asked: NDArray[np.int64]) -> NDArray[np.float64]:
        parts = np.array_split(asked, max(1, math.ceil(len(asked) / PREDICT_AT_ONCE)))
        found = torch.cat([head(source.clean(part)) for part in parts]).double().cpu()
        if examples.task.is_regression:
            level, spread = _scale(examples, learnt)
            return np.asarray(found[:, 0].numpy() * spread + level)
        shares: NDArray[np.float64] = found.softmax(-1).numpy()
        return shares

    return predict


def _encoder(network: MaskedAutoencoder) -> list[nn.Parameter]:
    """Parameters that an embedding depends on."""
    of_decoder = ("bridge", "mask_token", "decoder", "head", "blend")
    return [p for name, p in network.named_parameters() if not name.startswith(of_decoder)]


def _start(head: nn.Module, seed: int) -> None:
    """First weights of a head, from a stream of its own."""
    initialise(head, seed)
    generator = torch.Generator().manual_seed(int(stream(seed, "convolutions").integers(2**63)))
    for layer in head.modules():
        if isinstance(layer, nn.Conv2d):
            nn.init.kaiming_uniform_(layer.weight, generator=generator)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _loss(
    examples: Examples, learnt: NDArray[np.int64], device: torch.device
) -> tuple[Tensor, Callable[[Tensor, Tensor], Tensor]]:
    """Answers [learnt] as the head gives them, and the loss of outputs [n, outputs] against answers [n]: [n]."""
    if examples.task.is_regression:
        level, spread = _scale(examples, learnt)
        numbers = torch.from_numpy(((examples.target[learnt] - level) / spread).astype(np.float32)).to(device)
        return numbers, lambda out, wanted: (out[:, 0] - wanted).square()
    target = examples.target[learnt].astype(np.int64)
    share = np.bincount(target, weights=examples.train_weight[learnt], minlength=len(examples.classes))
    prior = torch.from_numpy((share / share.sum()).astype(np.float32)).to(device)
    return torch.from_numpy(target).to(device), lambda out, wanted: balanced_softmax(out, wanted, prior)


def _scale(examples: Examples, learnt: NDArray[np.int64]) -> tuple[float, float]:
    """Mean and deviation of the numbers to be told."""
    numbers = examples.target[learnt]
    spread = float(numbers.std())
    return float(numbers.mean()), spread if spread > 0 else 1.0


def _batch(pool: Pool, rows: NDArray[np.int64]) -> Batch:
    """Windows of the pool; which places a network hides of them is its own affair."""
    return Batch(
        torch.from_numpy(pool.values[rows]),
        torch.from_numpy(pool.observed[rows]),
        torch.from_numpy(pool.slot[rows]),
        torch.zeros(len(rows), 0, dtype=torch.bool),
    )


def _in_parts(
    work: Callable[[Batch], Tensor], pool: Pool, rows: NDArray[np.int64], rng: np.random.Generator | None = None
) -> Tensor:
    """``work`` on many windows, a few at a time; with a generator, on noisy ones."""
    found = []
    for part in np.array_split(rows, max(1, math.ceil(len(rows) / PREDICT_AT_ONCE))):
        batch = _batch(pool, part)
        found.append(work(batch if rng is None else augment(batch, NOISE, rng)))
    return torch.cat(found)
