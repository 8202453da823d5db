"""Labelled windows of a dataset and the discriminative tasks on them (LSM-1 sections 4.2 and C.7, LSM-2's post).

Windows lie around events that people logged, or anywhere on their days; a task takes those of its kind and asks for the
event's label or a fact about the person. What a window is and which class mixes the paper has is told in
``simulator.realism.difficulty``, which judges datasets by the same windows. Tasks about people (conditions, age, BMI)
are scored by person: what a method says of a person's windows is averaged.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.windows import WINDOW_STRIDE_MINUTES, Days, Normaliser
from simulator.activities import LOGGED_LABELS
from simulator.dataset import Dataset
from simulator.randomness import stream
from simulator.realism import difficulty
from simulator.realism.difficulty import AGE_EDGES, AGES, labelled_windows, window_features
from simulator.recording import DataError

Mix = Mapping[str, float]
LEAST_OF_A_CLASS: Final = 2  # examples, below which a class is left out of a task: one to learn from, one to be asked


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """Something to be told from windows.

    Attributes:
        name: Its name on the command line.
        kinds: Which windows: around a "bout" (a logged activity) or a "mood", or "any".
        classes: Its classes; () for a number.
        column: Of the table of people that holds the answer; None: the event's label is the answer.
        by_person: Whether answers are averaged over a person's windows and scored once a person.
        within_people: Whether each person's windows are split, instead of people.
        mixes: Shares of the classes in training and in test, by name.
    """

    name: str
    kinds: tuple[str, ...]
    classes: tuple[str, ...] = ()
    column: str | None = None
    by_person: bool = False
    within_people: bool = False
    mixes: Mapping[str, tuple[Mix, Mix]] | None = None

    @property
    def is_regression(self) -> bool:
        """Whether the answer is a number."""
        return not self.classes


def _sampled(name: str) -> dict[str, tuple[Mix, Mix]]:
    """The paper's own mix, of Tables 2(b), 13 and 19."""
    return {"sampled": (difficulty.TASKS[name].train, difficulty.TASKS[name].test)}


_NATURAL_ACTIVITIES: Final = dict(  # %, Table 19
    zip(difficulty.ACTIVITIES, (2.54, 0.02, 0.22, 0.24, 1.41, 6.65, 88.59, 0.33), strict=True)
)
_NATURAL_MOODS: Final = dict(zip(difficulty.MOODS, (29.71, 11.65, 5.52, 31.73, 21.39), strict=True))  # %, Table 19
_TASKS: Final = (
    Task(
        name="exercise",
        kinds=("bout", "mood"),
        classes=("none", "exercise"),
        mixes=_sampled("exercise_detection_2class"),
    ),
    Task(
        name="activity",
        kinds=("bout",),
        classes=difficulty.ACTIVITIES,
        mixes=_sampled("activity_8class") | {"natural": (_NATURAL_ACTIVITIES, _NATURAL_ACTIVITIES)},
    ),
    Task(name="activity20", kinds=("bout",), classes=LOGGED_LABELS),
    Task(name="sex", kinds=("bout",), classes=("female", "male"), column="sex", mixes=_sampled("sex_2class")),
    Task(name="age", kinds=("bout",), classes=AGES, column="age_years", mixes=_sampled("age_4class")),
    Task(
        name="mood",
        kinds=("mood",),
        classes=difficulty.MOODS,
        within_people=True,  # appendix C.7
        mixes=_sampled("mood_5class") | {"natural": (_NATURAL_MOODS, _NATURAL_MOODS)},
    ),
    Task(name="hypertension", kinds=("any",), classes=("no", "yes"), column="hypertension", by_person=True),
    Task(name="anxiety", kinds=("any",), classes=("no", "yes"), column="anxiety", by_person=True),
    Task(name="age_years", kinds=("any",), column="age_years", by_person=True),
    Task(name="bmi", kinds=("any",), column="bmi_kg_m2", by_person=True),
)
TASKS: Final[dict[str, Task]] = {task.name: task for task in _TASKS}
MIXES: Final = ("found", "sampled", "natural")


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """Windows of a dataset with what is known of them.

    Attributes:
        values: float32 [n, 26, minutes], z-scores, 0 where not observed.
        observed: bool [n, 26, minutes].
        slot: int64 [n], ten-minute slot of the day with which the window begins.
        features: float32 [n, 104], in the signals' units, NaN for a signal that a window lacks.
        kind: str [n]: "bout", "mood" or "any".
        label: str [n]: of the event; "" of any window.
        person: int64 [n], row of ``people``.
        people: The dataset's table of people.
    """

    values: NDArray[np.float32]
    observed: NDArray[np.bool_]
    slot: NDArray[np.int64]
    features: NDArray[np.float32]
    kind: NDArray[np.str_]
    label: NDArray[np.str_]
    person: NDArray[np.int64]
    people: pd.DataFrame

    def __len__(self) -> int:
        return len(self.person)


def gather(
    dataset: Dataset,
    normaliser: Normaliser,
    minutes: int,
    *,
    kinds: frozenset[str],
    windows_per_person: int,
    seed: int,
    progress: Callable[[], object] | None = None,
) -> Pool:
    """The labelled windows of a dataset, read once.

    Args:
        dataset: People not trained on.
        normaliser: The model's.
        minutes: Length of a window.
        kinds: Kinds of window that are wanted.
        windows_per_person: How many of kind "any", spread over a person's days.
        seed: Decides where those lie.
        progress: Called after every person-day.

    Raises:
        DataError: If there is no window at all.
    """
    code = {person: i for i, person in enumerate(dataset.people["person"])}
    of_day = dataset.index["person"].value_counts().to_dict()
    values, observed, features = (list[NDArray[Any]]() for _ in range(3))
    slots, kind_of, labels, person = list[int](), list[str](), list[str](), list[int]()
    for recording in dataset:
        cuts = [cut for cut in labelled_windows(recording, minutes) if cut[1] in kinds]
        if "any" in kinds:
            starts = Days.load([recording], normaliser).usable(minutes)[:, 1]
            wanted = -(-windows_per_person // of_day[recording.person])
            random = stream(seed, "any window", recording.person, recording.day)
            cuts += [(int(start), "any", "") for start in random.permutation(starts)[:wanted]]
        for start, kind, label in cuts:
            first = start - start % WINDOW_STRIDE_MINUTES
            span = slice(first, first + minutes)
            values.append(normaliser.apply(recording.values[:, span], recording.observed[:, span]))
            observed.append(recording.observed[:, span])
            features.append(window_features(recording.values[:, span], recording.observed[:, span]))
            slots.append(first // WINDOW_STRIDE_MINUTES)
            kind_of.append(kind)
            labels.append(label)
            person.append(code[recording.person])
        if progress is not None:
            progress()
    if not person:
        raise DataError(f"{dataset.folder}: no window of {minutes} minutes with a label and half of its cells observed")
    return Pool(
        values=np.stack(values),
        observed=np.stack(observed),
        slot=np.array(slots),
        features=np.stack(features),
        kind=np.array(kind_of),
        label=np.array(labels),
        person=np.array(person),
        people=dataset.people,
    )


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """A task's windows, split.

    Attributes:
        task: The task.
        classes: Those that are frequent enough, in the task's order; () for a number.
        rows: int64 [n], rows of the pool.
        target: float64 [n], place in ``classes``, or the number.
        tested: bool [n]; True: asked, False: learnt from.
        train_weight, test_weight: float64 [n] of mean 1 on their side, 0 on the other; bring the classes to a mix.
    """

    task: Task
    classes: tuple[str, ...]
    rows: NDArray[np.int64]
    target: NDArray[np.float64]
    tested: NDArray[np.bool_]
    train_weight: NDArray[np.float64]
    test_weight: NDArray[np.float64]


class NotEnoughError(ValueError):
    """A dataset cannot ask a task; the message says why."""


def examples(pool: Pool, task: Task, *, mix: str, seed: int) -> Examples:
    """A task's windows with answers, a fifth of the people (or of each person's windows) to be asked.

    Args:
        pool: Windows.
        task: What to tell.
        mix: "found", "sampled" as in the paper, or "natural"; "found" where the task has none of that name.
        seed: Decides who is asked.

    Raises:
        NotEnoughError: If fewer than two classes can be learnt and asked, or there are too few people.
    """
    rows, answer = _answers(pool, task)
    person = pool.person[rows]
    if len(np.unique(person)) < 2:
        raise NotEnoughError(f"{task.name}: windows of {len(np.unique(person))} people with an answer, expected 2")
    fold = difficulty.folds_within(person, seed) if task.within_people else difficulty.folds(person, seed)
    tested = fold == 0
    if task.is_regression:
        learnt, asked = (~tested).astype(np.float64), tested.astype(np.float64)
        return Examples(task, (), rows, answer.astype(np.float64), tested, learnt, asked)
    classes = [c for c in task.classes if (~tested & (answer == c)).any() and (answer == c).sum() >= LEAST_OF_A_CLASS]
    kept = np.isin(answer, classes)
    rows, answer, tested = rows[kept], answer[kept], tested[kept]
    if len(classes) < 2 or not tested.any():
        raise NotEnoughError(f"{task.name}: classes found among people to learn from: {classes}, expected 2 or more")
    target = np.array([classes.index(c) for c in answer], dtype=np.float64)
    weights = [np.zeros(len(rows)), np.zeros(len(rows))]
    for i, side in enumerate((~tested, tested)):
        weights[i][side] = 1.0
        shares = (task.mixes or {}).get(mix)
        if shares is not None:
            weights[i][side] = difficulty.mix_weights(answer[side], shares[i])
    return Examples(task, tuple(classes), rows, target, tested, weights[0], weights[1])


def _answers(pool: Pool, task: Task) -> tuple[NDArray[np.int64], NDArray[np.str_] | NDArray[np.float64]]:
    """Rows of a task's windows and what is to be told of each; those without an answer are left out."""
    rows = np.flatnonzero(np.isin(pool.kind, task.kinds))
    if task.name == "exercise":
        return rows, np.where(pool.kind[rows] == "bout", "exercise", "none")
    if task.column is None:
        known = np.isin(pool.label[rows], task.classes)
        return rows[known], pool.label[rows][known]
    if task.column not in pool.people:
        raise NotEnoughError(f"{task.name}: people.parquet has no column {task.column!r}")
    fact = pool.people[task.column].to_numpy()[pool.person[rows]]
    if task.column == "sex":
        known = np.isin(fact, task.classes)
        return rows[known], fact[known].astype(np.str_)
    number = pd.to_numeric(pd.Series(fact), errors="coerce").to_numpy(dtype=np.float64)
    known = np.isfinite(number)
    if task.classes == ("no", "yes"):
        return rows[known], np.where(number[known] > 0, "yes", "no")
    if task.classes:
        return rows[known], np.array(AGES)[np.digitize(number[known], AGE_EDGES)]
    return rows[known], number[known]


def groups(people: pd.DataFrame) -> dict[str, NDArray[np.bool_]]:
    """Groups of people by sex, age, BMI and vendor, as LSM-1's Table 2(a) and appendix C.7 cut them: bool [people]."""
    found: dict[str, NDArray[np.bool_]] = {"all": np.ones(len(people), dtype=np.bool_)}
    columns: dict[str, NDArray[np.str_]] = {}
    for name in ("sex", "vendor"):
        if name in people:
            columns[name] = people[name].to_numpy().astype(np.str_)
    for name, column, edges, words in (
        ("age", "age_years", AGE_EDGES, AGES),
        ("bmi", "bmi_kg_m2", (25, 30), ("below 25", "25-30", "from 30")),  # kg/m2, Table 2(a)
    ):
        if column in people:
            number = people[column].to_numpy(dtype=np.float64)
            columns[name] = np.where(np.isfinite(number), np.array(words)[np.digitize(number, edges)], "")
    for name, words_of in columns.items():
        for word in sorted(set(words_of.tolist()) - {""}):
            found[f"{name}: {word}"] = words_of == word
    return found
