"""How hard are LSM-1's tasks on a dataset: logistic regression and random forest on features of five-hour windows.

Data much easier than real data are too clean; near chance they are too noisy. Narayanswamy, Liu et al.,
arXiv:2410.13638: exercise or none (2 classes), activity (8), sex (2), age (4) and mood (5), classes mixed as in Tables
2(b) and 19. People are split 80/20 (section 4.2), but for mood, which is subject dependent: each person's own windows
are (appendix C.7). Five splits stand for the one, so that everybody is tested once. The paper does not list the
features of its two baselines; here each signal gives mean, standard deviation, least and greatest value.

Windows lie around labelled events and have their event's label: "user-labeled exercise and non-exercise events", the
latter read as moods, the only other events that users label, whatever else lies in their windows. Windows chosen for
having no exercise in them would be easier to tell.

Rare classes (0.02 % of logged activities are elliptical) are not sampled up but weighted up to the paper's mix.

The paper's logistic regression falls below always naming the largest class (sex: 59.9 % with 66.5 % women; age: 28.9 %
with 39.8 % of 50 to 64), its forest does not: so the former is trained with classes of equal weight here, one against
the rest as appendix F.3 says, and the latter on the mix as it is.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.randomness import stream
from simulator.realism.statistics import NotComputableError, Sample, sample
from simulator.realism.windows import WINDOW_MINUTES
from simulator.recording import Event, Recording
from simulator.signals import MINUTES_PER_DAY

FOLDS: Final = 5  # people split 80/20, section 4.2
MOST_EXAMPLES: Final = 2500  # of a task, evenly from its classes as far as they reach; a second or two a forest
LEAST_EXAMPLES: Final = 10  # of a class, below which it is left out; judgement
LEAST_SHARE: Final = 0.9  # of the paper's mix that must be left; judgement
LEAST_OBSERVED: Final = 0.5  # of a window's cells; judgement
TREES: Final = 60

MOODS: Final = ("content", "frustrated", "excited", "calm", "stressed")
AGES: Final = ("18-34", "35-49", "50-64", "65+")  # appendix C.7
AGE_EDGES: Final = (35, 50, 65)  # first years of the later ones


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """A classification of windows.

    Attributes:
        kind: Which examples: around a "bout" (a logged activity), around a "mood", or "bout or mood".
        train, test: Share of each class.
        within_people: Whether each person's windows are split, instead of people.
    """

    kind: str
    train: Mapping[str, float]
    test: Mapping[str, float]
    within_people: bool = False


def _mix(names: tuple[str, ...], shares: tuple[float, ...]) -> dict[str, float]:
    return {name: share / sum(shares) for name, share in zip(names, shares, strict=True)}


ACTIVITIES: Final = (
    "biking",
    "elliptical",
    "hiit",
    "strength",
    "swimming",
    "running",
    "walking",
    "weightlifting",
)
TASKS: Final[Mapping[str, Task]] = {
    "exercise_detection_2class": Task(
        kind="bout or mood",
        train=_mix(("exercise", "none"), (3272, 6195)),  # Table 2(b)
        test=_mix(("exercise", "none"), (671, 1329)),
    ),
    "activity_8class": Task(
        kind="bout",
        train=_mix(ACTIVITIES, (8.29, 1.06, 2.31, 1.59, 16.23, 12.94, 52.93, 4.65)),  # Table 19
        test=_mix(ACTIVITIES, (12.63, 1.50, 3.19, 13.03, 13.52, 9.66, 43.47, 3.00)),
    ),
    "sex_2class": Task(  # Table 13; the windows of the activity task
        kind="bout", train=_mix(("female", "male"), (9181, 5022)), test=_mix(("female", "male"), (2160, 1090))
    ),
    "age_4class": Task(  # Table 13
        kind="bout", train=_mix(AGES, (1179, 5697, 5246, 2250)), test=_mix(AGES, (499, 793, 1297, 673))
    ),
    "mood_5class": Task(
        kind="mood",
        train=_mix(MOODS, (22.13, 12.95, 11.48, 21.58, 31.86)),  # Table 19
        test=_mix(MOODS, (20.62, 17.24, 10.23, 22.96, 28.95)),
        within_people=True,  # appendix C.7
    ),
}
MODELS: Final = ("logistic_regression", "random_forest")


@dataclass(slots=True)
class Examples:
    """Features of windows with what is known of them, gathered day by day; empty if nobody asked for tasks.

    Attributes:
        people: The dataset's table of people, or None.
        features: float32 [104], a window each.
        kinds: "bout" or "mood".
        labels: Label of the event.
        person: Codes.
    """

    people: pd.DataFrame | None
    features: list[NDArray[np.float32]] = field(default_factory=list)
    kinds: list[str] = field(default_factory=list)
    labels: list[str] = field(default_factory=list)
    person: list[int] = field(default_factory=list)

    @classmethod
    def of(cls, people: pd.DataFrame | None) -> "Examples":
        """None yet."""
        return cls(people=people)

    def add(self, recording: Recording, code: int) -> None:
        """Take the windows around a day's events."""
        if self.people is None:
            return
        for start, kind, label in labelled_windows(recording):
            cut = slice(start, start + WINDOW_MINUTES)
            self.features.append(window_features(recording.values[:, cut], recording.observed[:, cut]))
            self.kinds.append(kind)
            self.labels.append(label)
            self.person.append(code)


def labelled_windows(recording: Recording, minutes: int = WINDOW_MINUTES) -> Iterator[tuple[int, str, str]]:
    """Windows around a day's logged activities and moods with half of their cells there.

    Args:
        recording: The day.
        minutes: Length of a window.

    Yields:
        First minute, kind ("bout" or "mood") and the event's label.
    """
    random = stream(0, "realism", "example", recording.person, recording.day)
    for event in recording.events:
        if event.kind not in ("activity", "mood") or not 0 <= event.start_minute < MINUTES_PER_DAY:
            continue
        start = _around(event, float(random.random()), minutes)
        if recording.observed[:, start : start + minutes].mean() >= LEAST_OBSERVED:
            yield start, "bout" if event.kind == "activity" else "mood", event.label


def _around(event: Event, where: float, minutes: int = WINDOW_MINUTES) -> int:
    """Start of a window of the day that holds the event, at a random place in it; as much of it as fits."""
    first, last = event.end_minute - minutes, event.start_minute
    start = min(first, last) + where * abs(last - first)
    return int(np.clip(start, 0, MINUTES_PER_DAY - minutes))


def window_features(values: NDArray[np.float32], observed: NDArray[np.bool_]) -> NDArray[np.float32]:
    """Mean, standard deviation, least and greatest value of each signal, NaN for one that is not there.

    Args:
        values: float32 [26, minutes].
        observed: bool [26, minutes].

    Returns:
        float32 [104].
    """
    count = observed.sum(axis=1)
    there = count > 0
    below = np.where(there, count, 1)
    mean = np.where(observed, values, 0).sum(axis=1) / below
    spread = np.sqrt(np.where(observed, (values - mean[:, None]) ** 2, 0).sum(axis=1) / below)
    low, high = (np.where(observed, values, end) for end in (np.float32(np.inf), np.float32(-np.inf)))
    table = np.stack([mean, spread, low.min(axis=1), high.max(axis=1)])
    features: NDArray[np.float32] = np.where(there, table, np.nan).ravel().astype(np.float32)
    return features


def correct(examples: Examples, task: str, model: str) -> tuple[Sample, tuple[str, ...]]:
    """Whether each example was classified rightly by a model that saw other people only, or other windows of theirs.

    Args:
        examples: What ``Examples.add`` gathered.
        task: One of ``TASKS``.
        model: "logistic_regression" or "random_forest".

    Returns:
        1 or 0 for each example, weighted to the paper's test mix, and remarks.

    Raises:
        NotComputableError: If a class has too few examples, or task or model is unknown.
    """
    if task not in TASKS:
        raise NotComputableError(f"task {task!r} is not known, expected one of {', '.join(TASKS)}")
    if model not in MODELS:
        raise NotComputableError(f"model {model!r} is not known, expected one of {', '.join(MODELS)}")
    label, rows = _labelled(examples, task)
    label, rows, notes = _frequent(label, rows, TASKS[task])
    features = np.stack(examples.features)[rows]
    person = np.array(examples.person)[rows]
    fold = folds_within(person) if TASKS[task].within_people else folds(person)
    right = np.zeros(len(rows))
    for k in range(FOLDS):
        trained, tested = fold != k, fold == k
        if not tested.any() or len(np.unique(label[trained])) < 2:
            raise NotComputableError("too few people to split them 80/20")
        mix = TASKS[task].train
        equal = dict.fromkeys(mix, 1.0)
        weight = mix_weights(label[trained], equal if model == "logistic_regression" else mix)
        shares = fitted(model, features[trained], label[trained], weight)(features[tested])
        right[tested] = np.unique(label[trained])[shares.argmax(axis=1)] == label[tested]
    return sample(right, person, mix_weights(label, TASKS[task].test)), notes


def _labelled(examples: Examples, task: str) -> tuple[NDArray[np.str_], NDArray[np.int64]]:
    """The class of every example of a task, and its row; classes that the task does not have are left out."""
    kinds, labels, person = np.array(examples.kinds), np.array(examples.labels), np.array(examples.person)
    if not len(kinds) or examples.people is None:
        raise NotComputableError("no window of five hours with half of its cells there")
    rows = np.flatnonzero([kind in TASKS[task].kind.split(" or ") for kind in kinds])
    if task == "exercise_detection_2class":
        return np.where(kinds[rows] == "bout", "exercise", "none"), rows
    column = {"sex_2class": "sex", "age_4class": "age_years"}.get(task)
    if column is None:
        known = np.isin(labels[rows], list(TASKS[task].train))
        return labels[rows][known], rows[known]
    if column not in examples.people:
        raise NotComputableError(f"people.parquet has no column {column!r}")
    facts = examples.people[column].to_numpy()[person[rows]]
    if column == "sex":
        known = np.isin(facts, ["female", "male"])
        return facts[known].astype(np.str_), rows[known]
    known = np.isfinite(facts.astype(np.float64))
    return np.array(AGES)[np.digitize(facts[known].astype(np.float64), AGE_EDGES)], rows[known]


def _frequent(
    label: NDArray[np.str_], rows: NDArray[np.int64], task: Task
) -> tuple[NDArray[np.str_], NDArray[np.int64], tuple[str, ...]]:
    """At most ``MOST_EXAMPLES`` of the classes that have enough, the rare ones whole."""
    counts = {name: int((label == name).sum()) for name in task.test}
    kept = {name: count for name, count in counts.items() if count >= LEAST_EXAMPLES}
    if sum(task.test[name] for name in kept) < LEAST_SHARE or len(kept) < 2:
        rare = max((name for name in counts if name not in kept), key=lambda name: task.test[name])
        raise NotComputableError(f"only {counts[rare]} windows of class {rare!r}, expected {LEAST_EXAMPLES}")
    order = stream(0, "realism", "examples", len(rows)).permutation(len(rows))
    allowed = _allowed(kept)
    chosen = np.concatenate([order[label[order] == name][: allowed[name]] for name in kept])
    dropped = [name for name in counts if name not in kept]
    notes = (f"without {', '.join(dropped)}: too rare here",) if dropped else ()
    return label[chosen], rows[chosen], notes


def _allowed(counts: dict[str, int]) -> dict[str, int]:
    """How many of each class: as equal as can be, ``MOST_EXAMPLES`` in all."""
    left, allowed = MOST_EXAMPLES, {}
    for i, name in enumerate(sorted(counts, key=lambda name: counts[name])):
        allowed[name] = min(counts[name], left // (len(counts) - i))
        left -= allowed[name]
    return allowed


def folds(person: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """A fold a window, the same for all of a person's."""
    people = np.unique(person)
    dealt = stream(seed, "realism", "examples", "folds", len(people)).permutation(np.arange(len(people)) % FOLDS)
    fold: NDArray[np.int64] = dealt[np.searchsorted(people, person)]
    return fold


def folds_within(person: NDArray[np.int64], seed: int = 0) -> NDArray[np.int64]:
    """A fold a window: each person's windows dealt out at random, beginning at a random fold."""
    random = stream(seed, "realism", "examples", "folds within", len(person))
    fold = np.empty(len(person), dtype=np.int64)
    for code in np.unique(person):
        mine = np.flatnonzero(person == code)
        fold[random.permutation(mine)] = (np.arange(len(mine)) + random.integers(FOLDS)) % FOLDS
    return fold


def mix_weights(label: NDArray[np.str_], mix: Mapping[str, float]) -> NDArray[np.float64]:
    """Weights of mean 1 that bring the classes to a mix."""
    names, inverse, counts = np.unique(label, return_inverse=True, return_counts=True)
    weight = np.array([mix[name] for name in names])[inverse] / counts[inverse]
    scaled: NDArray[np.float64] = weight / weight.mean()
    return scaled


def fitted(
    model: str, features: NDArray[np.float32], label: NDArray[np.str_], weight: NDArray[np.float64]
) -> Callable[[NDArray[np.float32]], NDArray[np.float64]]:
    """A trained classifier: features [n, 104] -> share of each class [n, classes], classes as ``np.unique(label)`` has.

    Args:
        model: "logistic_regression", "random_forest" or "gradient_boosting".
        features: float32 [n, 104], NaN where a window has none.
        label: Class of each.
        weight: Of each.
    """
    from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
    from sklearn.linear_model import LogisticRegression

    if model == "logistic_regression":
        chosen = LogisticRegression(C=0.1, max_iter=1000, tol=1e-3)
    elif model == "random_forest":
        chosen = RandomForestClassifier(n_estimators=TREES, min_samples_leaf=2, random_state=0, n_jobs=1)
    else:
        chosen = HistGradientBoostingClassifier(
            max_iter=100, max_leaf_nodes=15, max_bins=63, early_stopping=False, random_state=0
        )
    ready = scaler(features)
    chosen.fit(ready(features), label, sample_weight=weight)
    return lambda table: np.asarray(chosen.predict_proba(ready(table)))


def scaler(features: NDArray[np.float32]) -> Callable[[NDArray[np.float32]], NDArray[np.float32]]:
    """Standardise as these features are, clipped; missing ones become the mean of those there."""
    there = ~np.isnan(features)
    count = np.maximum(there.sum(axis=0), 1)
    level = np.where(there, features, 0).sum(axis=0) / count
    spread = np.sqrt(np.where(there, (features - level) ** 2, 0).sum(axis=0) / count)

    def ready(table: NDArray[np.float32]) -> NDArray[np.float32]:
        scaled: NDArray[np.float32] = np.nan_to_num((table - level) / np.where(spread > 0, spread, 1))
        return np.clip(scaled, -8, 8).astype(np.float32)

    return ready
