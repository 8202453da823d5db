"""The discriminative tasks: probes, fine-tuning and plain classifiers on the same windows, with intervals over people.

People (or, for moods, each person's windows) are split 80/20; nobody is learnt from and asked, and whom the model was
pretrained on is not in the dataset that is given here. Each figure stands for everybody asked and for every group of
sex, age, BMI and vendor.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from sklearn.metrics import confusion_matrix

from model.autoencoder import MaskedAutoencoder
from model.evaluation.embeddings import Embedded
from model.evaluation.labels import TASKS, Examples, NotEnoughError, Pool, examples, gather, groups
from model.evaluation.probes import NEURAL, ProbePlan, few_shot, fit, keep_means, mean_embeddings
from model.evaluation.scores import OF_CLASSES, OF_NUMBERS, with_interval
from model.windows import Normaliser
from simulator.dataset import Dataset
from simulator.recording import DataError

SHOTS: Final = (5, 10, 15, 20)  # LSM-1 Table 11
LEAST_PEOPLE_OF_A_GROUP: Final = 5  # asked, below which a group has no line; judgement


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table.

    Attributes:
        task: Name of the task.
        method: Who answered.
        shots: Examples of each class that were learnt from; None: all.
        mix: Class mix that figures are weighted to.
        metric: accuracy, map, f1, auroc; correlation, mae.
        group: "all", or a group of people.
        value: The figure.
        interval: 95 % bootstrap interval over people; None where one stands behind it.
        n: Windows asked, or people if the task is about people.
        people: People asked.
    """

    task: str
    method: str
    shots: int | None
    mix: str
    metric: str
    group: str
    value: float
    interval: tuple[float, float] | None
    n: int
    people: int

    def as_json(self) -> dict[str, object]:
        """Plain values for a record."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Confusion:
    """Who is taken for whom, by a method that learnt from all examples (LSM-1, Fig. 7).

    Attributes:
        task: Name of the task.
        method: Who answered.
        mix: Class mix that counts are weighted to.
        classes: Its classes.
        counts: Weighted number of examples of each true class (row) by the class that was told (column).
    """

    task: str
    method: str
    mix: str
    classes: tuple[str, ...]
    counts: tuple[tuple[float, ...], ...]

    def as_json(self) -> dict[str, object]:
        """Plain values for a record."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Table:
    """What was found.

    Attributes:
        rows: By task, method, number of shots, metric and group.
        left_out: A sentence for each task that the dataset cannot ask.
        confusions: By task with classes and method.
        embedded: The tasks' windows as the frozen encoder sees them, if that was asked for.
    """

    rows: tuple[Row, ...]
    left_out: tuple[str, ...]
    confusions: tuple[Confusion, ...] = ()
    embedded: tuple[Embedded, ...] = ()

    def text(self) -> str:
        """Figures of everybody as text: a line a task and method, a column a metric."""
        whole = {(r.task, r.method, r.shots, r.metric): r for r in self.rows if r.group == "all"}
        lines = []
        for metrics in (OF_CLASSES, OF_NUMBERS):
            table = list(dict.fromkeys(key[:3] for key in whole if key[3] in metrics))
            if table:
                lines.append(f"{'':<46}" + "".join(f"{metric:>24}" for metric in metrics))
            for task, method, shots in table:
                name = f"{task}, {method.replace('_', ' ')}" + (f", {shots} shots" if shots else "")
                cells = (_cell(whole.get((task, method, shots, metric))) for metric in metrics)
                lines.append(f"{name:<46}" + "".join(f"{cell:>24}" for cell in cells))
        return "\n".join([*lines, *self.left_out])


def _cell(row: Row | None) -> str:
    if row is None:
        return "-"
    return f"{row.value:.3f}" + (f" ({row.interval[0]:.2f} to {row.interval[1]:.2f})" if row.interval else "")


def evaluate(
    network: MaskedAutoencoder,
    normaliser: Normaliser,
    dataset: Dataset,
    *,
    tasks: Sequence[str],
    methods: Sequence[str],
    shots: Sequence[int | None] = (None,),
    mix: str = "sampled",
    windows_per_person: int = 8,
    plan: ProbePlan | Callable[[str, str], ProbePlan] | None = None,
    seed: int,
    pool: Pool | None = None,
    keep_embeddings: bool = False,
    progress: Callable[[str], None] | None = None,
) -> Table:
    """Score methods on tasks.

    Args:
        network: The pretrained model.
        normaliser: Its constants.
        dataset: People it was not trained on; some are learnt from here, the others asked.
        tasks: Names in ``TASKS``.
        methods: Names in ``probes.METHODS``.
        shots: Examples of each class for the neural methods of tasks with classes; None: all there are.
        mix: "found", "sampled" or "natural"; see ``labels.examples``.
        windows_per_person: Of tasks about people.
        plan: Settings of the neural methods, the same for all or a function of task and method; the paper's by default.
        seed: Of splits, windows and weights.
        pool: The dataset's labelled windows, where they were gathered before.
        keep_embeddings: Give the embeddings of tasks with classes back, too.
        progress: Told every task and method before it is done.

    Raises:
        DataError: If the dataset can ask none of the tasks.
    """
    wanted = [TASKS[name] for name in tasks]
    if pool is None:
        pool = gather(
            dataset,
            normaliser,
            network.architecture.window_minutes,
            kinds=frozenset(kind for task in wanted for kind in task.kinds),
            windows_per_person=windows_per_person,
            seed=seed,
        )
    means = keep_means(network, pool, seed) if "linear_probe" in methods else None
    rows: list[Row] = []
    confusions: list[Confusion] = []
    embedded: list[Embedded] = []
    left_out: list[str] = []
    for task in wanted:
        try:
            asked = examples(pool, task, mix=mix, seed=seed)
        except NotEnoughError as why:
            left_out.append(str(why))
            continue
        named = mix if mix in (task.mixes or {}) else "found"
        if keep_embeddings and not task.is_regression:
            embedded.append(_embedded(network, pool, asked))
        for method in methods:
            few = method in NEURAL and not task.is_regression
            for shot in dict.fromkeys(shots if few else (None,)):
                if progress is not None:
                    progress(f"{task.name}, {method}" + (f", {shot} shots" if shot else ""))
                learnt = np.flatnonzero(~asked.tested) if shot is None else few_shot(asked, shot, seed)
                settings = plan(task.name, method) if callable(plan) else plan
                predict = fit(method, network, pool, asked, learnt, seed=seed, plan=settings, means=means)
                predicted = predict(asked.rows[asked.tested])
                rows += _rows(pool, asked, predicted, method, shot, named, seed)
                if shot is None and not task.is_regression:
                    confusions.append(_confusion(pool, asked, predicted, method, named))
    if not rows:
        raise DataError(f"{dataset.folder}: " + "; ".join(left_out))
    return Table(tuple(rows), tuple(left_out), tuple(confusions), tuple(embedded))


def _rows(
    pool: Pool,
    asked: Examples,
    predicted: NDArray[np.float64],
    method: str,
    shots: int | None,
    mix: str,
    seed: int,
) -> Iterator[Row]:
    """Every metric of every group of the people asked."""
    predicted, target, weight, person = _asked(pool, asked, predicted)
    metrics = OF_NUMBERS if asked.task.is_regression else OF_CLASSES
    for group, members in groups(pool.people).items():
        inside = members[person]
        people = len(np.unique(person[inside]))
        if group != "all" and people < LEAST_PEOPLE_OF_A_GROUP:
            continue
        for name, metric in metrics.items():
            value, interval = with_interval(
                metric, predicted[inside], target[inside], weight[inside], person[inside], seed
            )
            if np.isfinite(value):
                yield Row(
                    task=asked.task.name,
                    method=method,
                    shots=shots,
                    mix=mix,
                    metric=name,
                    group=group,
                    value=value,
                    interval=interval,
                    n=int(inside.sum()),
                    people=people,
                )


def _confusion(pool: Pool, asked: Examples, predicted: NDArray[np.float64], method: str, mix: str) -> Confusion:
    """The largest share of each example asked, against the truth."""
    predicted, target, weight, _ = _asked(pool, asked, predicted)
    places = np.arange(len(asked.classes))
    counts = confusion_matrix(target.astype(np.int64), predicted.argmax(axis=1), labels=places, sample_weight=weight)
    return Confusion(asked.task.name, method, mix, asked.classes, tuple(tuple(map(float, row)) for row in counts))


def _embedded(network: MaskedAutoencoder, pool: Pool, asked: Examples) -> Embedded:
    """A task's windows, those learnt from too, with the labels that LSM-1's maps have."""
    person = pool.person[asked.rows]
    labels = {"label": np.array(asked.classes)[asked.target.astype(np.int64)]}
    labels["person"] = pool.people["person"].to_numpy().astype(np.str_)[person]
    for name in ("sex", "age"):
        label = np.full(len(person), "", dtype="<U32")
        for group, members in groups(pool.people).items():
            if group.startswith(f"{name}: "):
                label[members[person]] = group.removeprefix(f"{name}: ")
        if (label != "").any() and name != asked.task.name:
            labels[name] = label
    return Embedded(asked.task.name, mean_embeddings(network, pool, asked.rows), labels)


def _asked(
    pool: Pool, asked: Examples, predicted: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Answers, truth, weight and person of what is scored: windows, or people if the task is about them."""
    person = pool.person[asked.rows[asked.tested]]
    target, weight = asked.target[asked.tested], asked.test_weight[asked.tested]
    if asked.task.by_person:
        return _by_person(predicted, target, weight, person)
    return predicted, target, weight, person


def _by_person(
    predicted: NDArray[np.float64], target: NDArray[np.float64], weight: NDArray[np.float64], person: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Answers averaged over each person's windows; what is asked is the same in all of them."""
    people, first, of = np.unique(person, return_index=True, return_inverse=True)
    total = np.zeros((len(people), *predicted.shape[1:]))
    np.add.at(total, of, predicted)
    count = np.bincount(of).reshape(-1, *(1,) * (predicted.ndim - 1))
    return total / count, target[first], weight[first], people
