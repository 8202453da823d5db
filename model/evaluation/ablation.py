"""How well classifiers of days do without a sensor, without a part of the day, and on a watch that they never saw.

A day is told by the mean, spread, least and greatest value of each signal in each quarter of the day
(``simulator.realism.difficulty.window_features``), NaN where nothing was recorded. A classifier with ``fit`` and
``predict`` is trained on whole days of some people and asked about days of others of which a part was removed, as in
LSM-2's ablation; or trained on everybody but the wearers of one device, and asked about them.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.model_selection import GroupKFold

from model.evaluation.metrics import COVERAGE, LEAST_PEOPLE, RESAMPLES, pair
from simulator.randomness import stream
from simulator.realism.difficulty import TREES, window_features
from simulator.recording import DataError, Recording
from simulator.signals import N_SIGNALS, SIGNALS, Sensor

PARTS: Final = {"night": (0, 360), "morning": (360, 720), "afternoon": (720, 1080), "evening": (1080, 1440)}
"""Quarters of the day, first minute and the one after the last."""
TASKS: Final = ("sex", "exercise")
"""What is told of a day: its wearer's sex (female or male), or whether an activity was logged on it."""
FOLDS: Final = 5
LEAST_WEARERS: Final = 10  # of a device, below which it is not left out by itself; judgement
_STATISTICS: Final = 4


class Classifier(Protocol):
    """What scikit-learn calls one."""

    def fit(self, features: NDArray[np.float32], labels: NDArray[np.str_]) -> Any:
        """Learn from features [days, 416], NaN where nothing was recorded, and labels [days]."""
        ...

    def predict(self, features: NDArray[np.float32]) -> Any:
        """A label for each row."""
        ...


@dataclass(frozen=True, slots=True, eq=False)
class Examples:
    """Days with a label.

    Attributes:
        features: float32 [days, 4 parts, 4 statistics, 26 signals].
        label: str [days].
        person: str [days].
        vendor: str [days], the device.
    """

    features: NDArray[np.float32]
    label: NDArray[np.str_]
    person: NDArray[np.str_]
    vendor: NDArray[np.str_]


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """How well a classifier did.

    Attributes:
        task: Key of ``TASKS``.
        classifier: Its name.
        removed: "nothing", a sensor, a part of the day, or a device.
        kind: "nothing", "sensor", "part of the day" or "device never seen".
        accuracy: Balanced: the mean over classes of the share told rightly; 0.5 is chance with two.
        interval: Its 95 % bootstrap interval over people.
        lost: Balanced accuracy of the same days with nothing removed, less ``accuracy``.
        lost_interval: Its 95 % interval over the same resampled people.
        days, people: Asked about.
    """

    task: str
    classifier: str
    removed: str
    kind: str
    accuracy: float
    interval: tuple[float, float] | None
    lost: float
    lost_interval: tuple[float, float] | None
    days: int
    people: int


def gather(recordings: Iterable[Recording], people: pd.DataFrame, task: str) -> Examples:
    """Days with their labels.

    Args:
        recordings: In any order.
        people: Table with a column ``person``, and ``sex`` if that is the task.
        task: One of ``TASKS``.

    Raises:
        DataError: If the table lacks the column, or there are not two classes.
        ValueError: If the task is unknown.
    """
    if task not in TASKS:
        raise ValueError(f"{task=} is none of {', '.join(TASKS)}")
    if task == "sex" and "sex" not in people:
        raise DataError("people.parquet has no column 'sex', which the task needs")
    sexes = dict(zip(people["person"], people["sex"], strict=True)) if task == "sex" else {}
    features, facts = [], []
    for recording in recordings:
        if task == "sex":
            label = str(sexes.get(recording.person))
        else:
            label = "some" if any(event.kind == "activity" for event in recording.events) else "none"
        if label in ("female", "male", "some", "none"):
            features.append(_features(recording))
            facts.append((label, recording.person, recording.vendor))
    if len({label for label, _, _ in facts}) < 2:
        raise DataError(f"task {task}: {len(facts)} days of one class at most, expected two classes")
    labels, persons, vendors = (np.array(column) for column in zip(*facts, strict=True))
    return Examples(np.stack(features), labels, persons, vendors)


def _features(recording: Recording) -> NDArray[np.float32]:
    """Of a day: [4 parts, 4 statistics, 26]."""
    spans = [slice(*span) for span in PARTS.values()]
    table = [window_features(recording.values[:, span], recording.observed[:, span]) for span in spans]
    return np.stack(table).reshape(len(PARTS), _STATISTICS, N_SIGNALS)


def without(features: NDArray[np.float32], removed: str) -> NDArray[np.float32]:
    """Features of the same days as if a sensor or a part of the day had not been recorded.

    Raises:
        ValueError: If it is neither.
    """
    left = features.copy()
    if removed in PARTS:
        left[:, list(PARTS).index(removed)] = np.nan
    elif removed in list(Sensor):
        left[..., [signal.sensor == removed for signal in SIGNALS]] = np.nan
    elif removed != "nothing":
        raise ValueError(f"{removed=} is none of {', '.join([*PARTS, *Sensor])}")
    return left


def ablate(make: Callable[[], Classifier], name: str, examples: Examples, task: str, seed: int) -> list[Row]:
    """Score a classifier with nothing, each sensor, each part of the day removed, and on each device never seen.

    Args:
        make: Makes an untrained classifier.
        name: Its name.
        examples: Days.
        task: For the table.
        seed: Of folds and resampled people.

    Raises:
        DataError: If there are fewer than five people, or all who have days of a class fall into one fold.
    """
    people = np.unique(examples.person)
    if len(people) < FOLDS:
        raise DataError(f"{len(people)} people, expected {FOLDS} at least")
    right: dict[str, NDArray[np.bool_]] = {}
    for trained, asked in _folds(examples, seed):
        if len(classes := np.unique(examples.label[trained])) < 2:
            raise DataError(
                f"task {task}: {len(people)} people, of whom four fifths have days of {str(classes[0])!r} alone"
            )
        fitted = make()
        fitted.fit(_flat(examples.features[trained]), examples.label[trained])
        for removed in ("nothing", *Sensor, *PARTS):
            guess = fitted.predict(_flat(without(examples.features[asked], removed)))
            right.setdefault(removed, np.zeros(len(examples.label), bool))[asked] = guess == examples.label[asked]
    everybody = np.ones(len(examples.label), bool)
    kinds = {"nothing": "nothing"} | {str(s): "sensor" for s in Sensor} | dict.fromkeys(PARTS, "part of the day")
    rows = [_row(task, name, removed, kinds[removed], examples, right, everybody, seed) for removed in right]
    for vendor in _devices(examples):
        wearers = examples.vendor == vendor
        right[vendor] = np.zeros(len(examples.label), bool)
        for trained, asked in _folds(examples, seed):
            others, theirs = trained & ~wearers, asked & wearers
            if theirs.any() and len(np.unique(examples.label[others])) > 1:
                fitted = make()
                fitted.fit(_flat(examples.features[others]), examples.label[others])
                right[vendor][theirs] = fitted.predict(_flat(examples.features[theirs])) == examples.label[theirs]
        rows.append(_row(task, name, vendor, "device never seen", examples, right, wearers, seed))
    return rows


def _devices(examples: Examples) -> Iterator[str]:
    """Devices with wearers enough, if others wear others, whose days are of both classes."""
    names = np.unique(examples.vendor).tolist()
    for vendor in names if len(names) > 1 else []:
        wearers = examples.vendor == vendor
        if len(np.unique(examples.person[wearers])) >= LEAST_WEARERS and len(np.unique(examples.label[wearers])) > 1:
            yield vendor


def _folds(examples: Examples, seed: int) -> Iterator[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """Days to train on and days to ask about, of other people; everybody is asked about once."""
    folds = GroupKFold(FOLDS, shuffle=True, random_state=seed % 2**32)
    for trained, asked in folds.split(examples.label, groups=examples.person):
        sides = np.zeros((2, len(examples.label)), bool)
        sides[0, trained], sides[1, asked] = True, True
        yield sides[0], sides[1]


def _flat(features: NDArray[np.float32]) -> NDArray[np.float32]:
    return features.reshape(len(features), -1)


def _row(
    task: str,
    name: str,
    removed: str,
    kind: str,
    examples: Examples,
    right: dict[str, NDArray[np.bool_]],
    rows: NDArray[np.bool_],
    seed: int,
) -> Row:
    people, owner = np.unique(examples.person[rows], return_inverse=True)
    classes, label = np.unique(examples.label[rows], return_inverse=True)
    count, good, whole = (np.zeros((len(people), len(classes))) for _ in range(3))
    np.add.at(count, (owner, label), 1)
    np.add.at(good, (owner, label), right[removed][rows])
    np.add.at(whole, (owner, label), right["nothing"][rows])
    rng = stream(seed, "bootstrap", len(people))
    weight = rng.multinomial(len(people), np.full(len(people), 1 / len(people)), size=RESAMPLES).astype(np.float64)
    weight = np.vstack([np.ones(len(people)), weight])  # first, everybody once
    with np.errstate(invalid="ignore"):  # a resample without one of the classes has no accuracy
        accuracy, before = ((weight @ table / (weight @ count)).mean(axis=1) for table in (good, whole))
    tail = (1 - COVERAGE) / 2
    bounds = np.full((2, 2), np.nan)
    if len(people) >= LEAST_PEOPLE:
        bounds = np.nanquantile(np.stack([accuracy[1:], before[1:] - accuracy[1:]]), [tail, 1 - tail], axis=1)
    return Row(
        task=task,
        classifier=name,
        removed=removed,
        kind=kind,
        accuracy=float(accuracy[0]),
        interval=pair(bounds[:, 0]),
        lost=float(before[0] - accuracy[0]),
        lost_interval=pair(bounds[:, 1]),
        days=int(rows.sum()),
        people=len(people),
    )


def summary(rows: Sequence[Row]) -> str:
    """The rows as text."""
    lines = [
        f"{'balanced accuracy':<18}{'classifier':<22}{'without':<28}{'accuracy (95 %)':<24}{'lost (95 %)':<24}people"
    ]
    for row in rows:
        told = [
            _told(row.accuracy, row.interval),
            "" if row.removed == "nothing" else _told(row.lost, row.lost_interval),
        ]
        what = row.removed if row.kind != "device never seen" else f"{row.removed} (unseen)"
        lines.append(f"{row.task:<18}{row.classifier:<22}{what:<28}{told[0]:<24}{told[1]:<24}{row.people}")
    return "\n".join(lines)


def _told(value: float, interval: tuple[float, float] | None) -> str:
    return f"{value:.2f}" + ("" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})")


def classifiers(seed: int) -> dict[str, Callable[[], Classifier]]:
    """Two of scikit-learn's by name; a feature that is not there becomes the mean of those that are."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.impute import SimpleImputer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def linear() -> Classifier:
        regression = LogisticRegression(C=0.01, max_iter=2000, class_weight="balanced")
        pipeline: Classifier = make_pipeline(SimpleImputer(keep_empty_features=True), StandardScaler(), regression)
        return pipeline

    def forest() -> Classifier:
        trees = RandomForestClassifier(TREES, min_samples_leaf=4, class_weight="balanced", random_state=seed)
        pipeline: Classifier = make_pipeline(SimpleImputer(keep_empty_features=True), trees)
        return pipeline

    return {"logistic regression": linear, "random forest": forest}
