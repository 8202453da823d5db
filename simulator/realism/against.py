"""Simulated against real recordings: can a classifier tell five hours of the one from five hours of the other?

In: two datasets that hold heart rate and steps. Out: a ``Comparison``: how well gradient boosting separates windows of
300 minutes (area under the ROC curve; 0.5: not at all), which features betray the simulation, how heart rate
correlates with itself, what it is by steps, and how long and when it is missing.

What must not give the game away is made equal first: windows begin at the same clock hours, each simulated window is
paired with a real one and both lose the minutes that either lacks, and no person is in training and test. Two
classifiers are trained: one sees the 600 minutes as they are, one the features of ``describe``. Trees are poor at
finding roughness and lags in raw minutes, so the second is the stricter judge by far. How blind the first is shows
beside it: what it reaches on the same simulated windows with the minutes of each shuffled.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from simulator.dataset import Dataset
from simulator.randomness import stream
from simulator.realism.gaps import QUANTILES, Heard
from simulator.realism.heart import HeartSums, summary
from simulator.realism.minutes import seen
from simulator.recording import DataError

WINDOW_MINUTES: Final = 300  # LSM-1, section 3.1
LEAST_SHARE: Final = 0.5  # of a pair's minutes of heart rate that must be left; judgement
LEAST_PEOPLE: Final = 2  # of either kind: one to train on, one to test
FOLDS: Final = 5
TREES: Final = 80
RESAMPLES: Final = 200
_LAGS: Final = (1, 2, 5, 10, 30, 60)
GAP_WORDS: Final = {
    "share": "share of the span",
    **{f"minutes_{q}": f"minutes, {q} % are shorter" for q in QUANTILES},
    "long_begin_in_evening": "of those over 5 h, begun from 19 to 1 h",
}
_STEP_BANDS: Final = ((0, 1), (1, 21), (21, 61), (61, 101), (101, 241))

Minutes = NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class Windows:
    """Five-hour windows of some people.

    Attributes:
        heart_rate: float32 [n, 300], bpm, NaN where missing.
        steps: float32 [n, 300], per minute, NaN where missing.
        person: [n], codes of whose they are.
        hour: [n], clock hour in which each begins.
    """

    heart_rate: Minutes
    steps: Minutes
    person: NDArray[np.int64]
    hour: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.person)

    def take(self, rows: NDArray[np.int64]) -> "Windows":
        """Some of them, in that order."""
        return Windows(
            heart_rate=self.heart_rate[rows], steps=self.steps[rows], person=self.person[rows], hour=self.hour[rows]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Betrayal:
    """A feature by which simulated windows differ from real ones.

    Attributes:
        feature: Its name in ``describe``.
        auroc: Of this feature alone: 1 if simulated windows always have more of it, 0 if always less.
        simulated, real: Means over windows.
    """

    feature: str
    auroc: float
    simulated: float
    real: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Separation:
    """How well a classifier tells simulated from real windows.

    Attributes:
        auroc: On people it was not trained on, averaged over folds; from the features of ``describe``.
        interval: 95 %, from resampling people; wide where there are few real ones.
        auroc_of_minutes: The same from the 600 minutes alone.
        interval_of_minutes: Its.
        auroc_of_shuffled: The same from the 600 minutes, those of each simulated window in random order.
        by_fold: Each fold's.
        windows: Of each kind.
        people_simulated, people_real: Behind them.
        betrayals: Features, those that separate most first.
    """

    auroc: float
    interval: tuple[float, float]
    auroc_of_minutes: float
    interval_of_minutes: tuple[float, float]
    auroc_of_shuffled: float
    by_fold: tuple[float, ...]
    windows: int
    people_simulated: int
    people_real: int
    betrayals: tuple[Betrayal, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """Simulated beside real recordings.

    Attributes:
        separation: By the classifier.
        simulated, real: ``heart.summary`` of each.
        gaps_simulated, gaps_real: ``gaps.Heard.summary`` of each.
    """

    separation: Separation
    simulated: Mapping[str, Mapping[str, float | None] | float | None]
    real: Mapping[str, Mapping[str, float | None] | float | None]
    gaps_simulated: Mapping[str, Any]
    gaps_real: Mapping[str, Any]

    def as_json(self) -> dict[str, object]:
        """All of it as JSON types."""
        return asdict(self)

    def table(self) -> str:
        """In words."""
        s = self.separation
        lines = [
            f"{s.windows} + {s.windows} windows of {s.people_simulated} simulated and {s.people_real} real people",
            f"AUROC {s.auroc_of_minutes:.2f} {_span(s.interval_of_minutes)} from the minutes as they are "
            f"({s.auroc_of_shuffled:.2f} with those of each simulated window shuffled)",
            f"AUROC {s.auroc:.2f} {_span(s.interval)} from features of roughness, lags and bouts",
            "",
            f"{'':48}{'simulated':>11}{'real':>11}",
        ]
        for key, unit in (("autocorrelation", "min"), ("heart_rate_by_steps", "steps")):
            ours, theirs = self.simulated[key], self.real[key]
            assert isinstance(ours, Mapping)
            assert isinstance(theirs, Mapping)
            name = key.replace("_", " ")
            lines += [f"{f'{name}, {at} {unit}':48}{_cell(ours[at])}{_cell(theirs[at])}" for at in ours]
        people = f"{self.gaps_simulated['people']} and {self.gaps_real['people']} people"
        lines += ["", f"{f'gaps of heart rate of {people}':48}{'simulated':>26}{'real':>26}"]
        for name, words in GAP_WORDS.items():
            lines.append(f"{words:48}{_range(self.gaps_simulated[name])}{_range(self.gaps_real[name])}")
        lines += ["", f"{'what separates most (means)':48}{'simulated':>11}{'real':>11}{'AUROC':>8}"]
        for found in s.betrayals[:12]:
            lines.append(f"{found.feature:48}{_cell(found.simulated)}{_cell(found.real)}{found.auroc:8.2f}")
        return "\n".join(lines) + "\n"


def _span(interval: tuple[float, float]) -> str:
    return f"({interval[0]:.2f} to {interval[1]:.2f})"


def _range(figure: Mapping[str, Any] | None) -> str:
    """A figure with its interval.

    >>> _range({"value": 0.3792, "interval": [0.161, 0.5]}).strip()
    '0.379 (0.161 to 0.5)'
    """
    if figure is None:
        return f"{'-':>26}"
    value, (low, high) = figure["value"], figure["interval"]
    return f"{f'{value:.3g} ({low:.3g} to {high:.3g})':>26}"


def _cell(value: float | None) -> str:
    return f"{'-' if value is None else f'{value:.3g}':>11}"


def compare(simulated: Dataset, real: Dataset, seed: int = 1) -> Comparison:
    """Hold simulated people against real ones on heart rate and steps.

    Args:
        simulated: A dataset of ours, or of any generator.
        real: Recordings of real people, for example of ``import_folder``; those without heart rate are left out.
        seed: Decides how windows are paired and people are folded.

    Raises:
        DataError: If either has fewer than two people with five-hour windows of heart rate.
    """
    (ours, our_heart, our_gaps), (theirs, their_heart, their_gaps) = read_windows(simulated), read_windows(real)
    return Comparison(
        separation=separate(ours, theirs, seed),
        simulated=our_heart,
        real=their_heart,
        gaps_simulated=our_gaps.summary(),
        gaps_real=their_gaps.summary(),
    )


def read_windows(dataset: Dataset) -> tuple[Windows, dict[str, dict[str, float | None] | float | None], Heard]:
    """Every window of a dataset that has enough heart rate, cut one after the other from midnight, and its summaries.

    Returns:
        The windows, ``heart.summary``, and the gaps of heart rate.
    """
    codes = {person: code for code, person in enumerate(dataset.people["person"])}
    sums: dict[int, HeartSums] = {}
    told: dict[int, dict[int, NDArray[np.bool_]]] = {}
    parts: list[tuple[Minutes, Minutes, int]] = []
    each = 1440 // WINDOW_MINUTES
    for recording in dataset:
        heart_rate, steps = seen(recording, "heart_rate"), seen(recording, "steps")
        code = codes[recording.person]
        told.setdefault(code, {})[recording.day] = ~np.isnan(heart_rate)
        if np.isnan(heart_rate).all():
            continue
        sums.setdefault(code, HeartSums()).add(heart_rate, steps)
        cut = (minutes[: each * WINDOW_MINUTES].reshape(each, WINDOW_MINUTES) for minutes in (heart_rate, steps))
        parts.append((*cut, code))  # type: ignore[arg-type]
    if not parts:
        raise DataError(f"{dataset.folder}: nobody has heart rate")
    windows = Windows(
        heart_rate=np.concatenate([part[0] for part in parts]),
        steps=np.concatenate([part[1] for part in parts]),
        person=np.repeat(np.array([part[2] for part in parts]), each),
        hour=np.tile(np.arange(each) * (WINDOW_MINUTES // 60), len(parts)),
    )
    enough = (~np.isnan(windows.heart_rate)).mean(axis=1) >= LEAST_SHARE
    heard = Heard()
    for days in told.values():
        heard.add(days)
    return windows.take(np.flatnonzero(enough)), summary(list(sums.values())), heard


def separate(simulated: Windows, real: Windows, seed: int = 1) -> Separation:
    """How well gradient boosting tells the two apart.

    Raises:
        DataError: If there are fewer than two people of either kind.
    """
    ours, theirs = paired(simulated, real, seed)
    for name, windows in (("simulated", ours), ("real", theirs)):
        people = len(np.unique(windows.person))
        if people < LEAST_PEOPLE:
            raise DataError(f"{people} {name} people with windows of heart rate, expected at least {LEAST_PEOPLE}")
    names, features = _features(ours, theirs)
    label = np.repeat([1, 0], [len(ours), len(theirs)])
    person = np.concatenate([ours.person, theirs.person + 1 + ours.person.max()])
    fold = _folds(person, label, seed)
    folds = np.unique(fold)

    def judged(table: NDArray[np.float32]) -> tuple[NDArray[np.float64], tuple[float, ...]]:
        score = _scores(table, label, fold, seed)
        return score, tuple(_auroc(score[fold == k], label[fold == k]) for k in folds)

    score, by_fold = judged(features)
    plain, plain_by_fold = judged(_raw(ours, theirs))
    _, shuffled_by_fold = judged(_raw(shuffled(ours, seed), theirs))
    return Separation(
        auroc=float(np.mean(by_fold)),
        interval=_interval(score, label, fold, person, seed),
        auroc_of_minutes=float(np.mean(plain_by_fold)),
        interval_of_minutes=_interval(plain, label, fold, person, seed),
        auroc_of_shuffled=float(np.mean(shuffled_by_fold)),
        by_fold=by_fold,
        windows=len(ours),
        people_simulated=len(np.unique(ours.person)),
        people_real=len(np.unique(theirs.person)),
        betrayals=_betrayals(names, features, label),
    )


def shuffled(windows: Windows, seed: int) -> Windows:
    """Each window with its minutes in random order, heart rate with its steps, gaps where they are."""
    random = stream(seed, "realism", "shuffled")
    heart_rate, steps = windows.heart_rate.copy(), windows.steps.copy()
    for row, there in enumerate(~np.isnan(heart_rate) & ~np.isnan(steps)):
        places = np.flatnonzero(there)
        order = random.permutation(places)
        heart_rate[row, places], steps[row, places] = heart_rate[row, order], steps[row, order]
    return replace(windows, heart_rate=heart_rate, steps=steps)


def paired(simulated: Windows, real: Windows, seed: int) -> tuple[Windows, Windows]:
    """Each window of the smaller set with one of the other that begins at the same hour; both lose either's gaps.

    Where the other set is larger, windows are taken from its people in turn, so that many people are seen.
    """
    random = stream(seed, "realism", "pairs")
    rows: list[tuple[NDArray[np.int64], NDArray[np.int64]]] = []
    for hour in np.intersect1d(simulated.hour, real.hour):
        ours, theirs = (_in_turn(windows, int(hour), random) for windows in (simulated, real))
        n = min(len(ours), len(theirs))
        rows.append((ours[:n], random.permutation(theirs[:n])))
    if not rows:
        raise DataError("no simulated and real window begin at the same hour")
    a = simulated.take(np.concatenate([pair[0] for pair in rows]))
    b = real.take(np.concatenate([pair[1] for pair in rows]))
    gap = {name: np.isnan(getattr(a, name)) | np.isnan(getattr(b, name)) for name in ("heart_rate", "steps")}
    left = np.flatnonzero((~gap["heart_rate"]).mean(axis=1) >= LEAST_SHARE / 2)  # of what each had, half may overlap
    blank = [
        Windows(
            heart_rate=np.where(gap["heart_rate"], np.float32(np.nan), w.heart_rate),
            steps=np.where(gap["steps"], np.float32(np.nan), w.steps),
            person=w.person,
            hour=w.hour,
        ).take(left)
        for w in (a, b)
    ]
    return blank[0], blank[1]


def _in_turn(windows: Windows, hour: int, random: np.random.Generator) -> NDArray[np.int64]:
    """Rows of the windows of an hour: a random one of each person, then a second of each, and so on."""
    rows = random.permutation(np.flatnonzero(windows.hour == hour))
    person = windows.person[rows]
    order = np.argsort(person, kind="stable")
    _, start, count = np.unique(person[order], return_index=True, return_counts=True)
    turn = np.empty(len(rows), dtype=np.int64)
    turn[order] = np.arange(len(rows)) - np.repeat(start, count)
    return rows[np.argsort(turn, kind="stable")]


def describe(windows: Windows) -> dict[str, NDArray[np.float64]]:
    """Features of each window, [n] by name; NaN where a window does not tell.

    Level and spread of heart rate, its changes from minute to minute and over ten, its correlation with itself and
    with steps; how many steps, in how many and how long bouts, and heart rate by steps.
    """
    hr, steps = windows.heart_rate.astype(np.float64), windows.steps.astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        return _of_heart_rate(hr) | _of_steps(steps) | _of_both(hr, steps)


def _mean(values: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(values)
    found: NDArray[np.float64] = np.where(there, values, 0).sum(axis=1) / there.sum(axis=1)
    return found


def _quantiles(values: NDArray[np.float64], q: tuple[float, ...]) -> list[NDArray[np.float64]]:
    """Quantiles of what is there of each row, the nearest value below."""
    in_order = np.sort(values, axis=1)  # NaN last
    count = (~np.isnan(values)).sum(axis=1)
    places = [np.clip((p * (count - 1)).astype(np.int64), 0, None) for p in q]
    return [in_order[np.arange(len(values)), place] for place in places]


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    """Pearson's correlation of rows where both are there."""
    both = ~np.isnan(x) & ~np.isnan(y)
    x, y = np.where(both, x, np.nan), np.where(both, y, np.nan)
    x, y = x - _mean(x)[:, None], y - _mean(y)[:, None]
    found: NDArray[np.float64] = _mean(x * y) / np.sqrt(_mean(x * x) * _mean(y * y))
    return np.where(both.sum(axis=1) >= WINDOW_MINUTES // 10, found, np.nan)


def _of_heart_rate(hr: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    mean = _mean(hr)
    levels = _quantiles(hr, (0.02, 0.1, 0.5, 0.9, 0.98))
    found = {"heart rate, mean": mean, "heart rate, SD": np.sqrt(_mean((hr - mean[:, None]) ** 2))}
    found |= {f"heart rate, {p}th percentile": level for p, level in zip((2, 10, 50, 90, 98), levels, strict=True)}
    found["heart rate, skewness"] = _mean((hr - mean[:, None]) ** 3) / found["heart rate, SD"] ** 3
    for lag in (1, 10):
        change = np.abs(hr[:, lag:] - hr[:, :-lag])
        middle, high, top = _quantiles(change, (0.5, 0.9, 0.99))
        found |= {f"change of heart rate over {lag} min, median": middle}
        found |= {f"change of heart rate over {lag} min, {p}th percentile": c for p, c in ((90, high), (99, top))}
    turn = np.diff(np.sign(np.diff(hr, axis=1)), axis=1)
    found["share of minutes at which heart rate turns"] = _mean(
        np.where(np.isnan(turn), np.nan, (turn != 0).astype(np.float64))
    )
    return found | {
        f"autocorrelation of heart rate at {lag} min": _correlation(hr[:, lag:], hr[:, :-lag]) for lag in _LAGS
    }


def _of_steps(steps: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    there = ~np.isnan(steps)
    moving = there & (steps > 0)
    walked = np.where(moving, steps, np.nan)
    begins = moving & ~np.pad(moving, ((0, 0), (1, 0)))[:, :-1]
    middle, high, top = _quantiles(walked, (0.5, 0.9, 1.0))
    found = {
        "steps per minute": _mean(steps),
        "share of minutes without a step": 1 - _mean(np.where(there, moving.astype(np.float64), np.nan)),
        "steps of moving minutes, median": middle,
        "steps of moving minutes, 90th percentile": high,
        "steps, greatest": top,
        "bouts of steps": begins.sum(axis=1).astype(np.float64),
        "minutes of a bout of steps": moving.sum(axis=1) / begins.sum(axis=1),
        "autocorrelation of steps at 1 min": _correlation(steps[:, 1:], steps[:, :-1]),
        "autocorrelation of steps at 10 min": _correlation(steps[:, 10:], steps[:, :-10]),
    }
    for low, end in _STEP_BANDS[1:]:
        inside = ((steps >= low) & (steps < end)).astype(np.float64)
        found[f"share of minutes with {low}-{end - 1} steps"] = _mean(np.where(there, inside, np.nan))
    return found


def _of_both(hr: NDArray[np.float64], steps: NDArray[np.float64]) -> dict[str, NDArray[np.float64]]:
    still = _mean(np.where(steps == 0, hr, np.nan))
    found = {
        "heart rate without steps, mean": still,
        "heart rate without steps, SD": np.sqrt(_mean(np.where(steps == 0, hr - still[:, None], np.nan) ** 2)),
    }
    for low, end in _STEP_BANDS[1:]:
        found[f"rise of heart rate at {low}-{end - 1} steps"] = (
            _mean(np.where((steps >= low) & (steps < end), hr, np.nan)) - still
        )
    for lag in (0, 1, 2, 5):
        later = hr[:, lag:]
        found[f"correlation of heart rate with steps {lag} min before"] = _correlation(
            later, steps[:, : steps.shape[1] - lag]
        )
    calm = np.where((steps == 0)[:, 1:] & (steps == 0)[:, :-1], np.abs(np.diff(hr, axis=1)), np.nan)
    found["change of heart rate over 1 min without steps, mean"] = _mean(calm)
    return found


def _features(ours: Windows, theirs: Windows) -> tuple[list[str], NDArray[np.float32]]:
    a, b = describe(ours), describe(theirs)
    return list(a), np.stack([np.concatenate([a[name], b[name]]) for name in a], axis=1).astype(np.float32)


def _raw(ours: Windows, theirs: Windows) -> NDArray[np.float32]:
    return np.vstack([np.hstack([w.heart_rate, w.steps]) for w in (ours, theirs)])


def _folds(person: NDArray[np.int64], label: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    """A fold a window: people of either kind dealt out at random, at most ``FOLDS`` of them."""
    random = stream(seed, "realism", "folds")
    of_kind = [np.unique(person[label == kind]) for kind in (0, 1)]
    folds = min(FOLDS, *(len(people) for people in of_kind))
    dealt = np.zeros(person.max() + 1, dtype=np.int64)
    for people in of_kind:
        dealt[random.permutation(people)] = np.arange(len(people)) % folds
    return dealt[person]


def _scores(
    features: NDArray[np.float32], label: NDArray[np.int64], fold: NDArray[np.int64], seed: int
) -> NDArray[np.float64]:
    """Probability of being simulated, by a classifier that saw other people only."""
    from sklearn.ensemble import HistGradientBoostingClassifier

    score = np.empty(len(label))
    for k in np.unique(fold):
        test = fold == k
        trees = HistGradientBoostingClassifier(max_iter=TREES, max_leaf_nodes=15, max_bins=63, random_state=seed)
        score[test] = trees.fit(features[~test], label[~test]).predict_proba(features[test])[:, 1]
    return score


def _auroc(score: NDArray[np.float64], label: NDArray[np.int64], weight: NDArray[np.float64] | None = None) -> float:
    """Area under the ROC curve: how often a window of class 1 scores above one of class 0, ties half."""
    weight = np.ones(len(label)) if weight is None else weight
    _, place = np.unique(score, return_inverse=True)
    one, none = (np.bincount(place, weight * (label == kind), minlength=place.max() + 1) for kind in (1, 0))
    if not one.sum() or not none.sum():
        return float("nan")
    below = np.cumsum(none) - none / 2
    return float((one * below).sum() / (one.sum() * none.sum()))


def _interval(
    score: NDArray[np.float64],
    label: NDArray[np.int64],
    fold: NDArray[np.int64],
    person: NDArray[np.int64],
    seed: int,
) -> tuple[float, float]:
    """95 % interval of the mean over folds, from resampling the people of either kind."""
    random = stream(seed, "realism", "against", "bootstrap")
    drawn = []
    for _ in range(RESAMPLES):
        times = np.zeros(person.max() + 1)
        for kind in (0, 1):
            people = np.unique(person[label == kind])
            times[people] = random.multinomial(len(people), np.full(len(people), 1 / len(people)))
        weight = times[person]
        folds = [_auroc(score[fold == k], label[fold == k], weight[fold == k]) for k in np.unique(fold)]
        if np.isfinite(folds).any():
            drawn.append(np.nanmean(folds))
    low, high = np.quantile(drawn, [0.025, 0.975])
    return float(low), float(high)


def _betrayals(names: list[str], features: NDArray[np.float32], label: NDArray[np.int64]) -> tuple[Betrayal, ...]:
    found = []
    for name, values in zip(names, features.T.astype(np.float64), strict=True):
        there = np.isfinite(values)
        if label[there].min(initial=1) == label[there].max(initial=0):
            continue
        kinds = [values[there & (label == kind)] for kind in (1, 0)]
        auroc = _auroc(rankdata(values[there]), label[there])
        found.append(Betrayal(feature=name, auroc=auroc, simulated=float(kinds[0].mean()), real=float(kinds[1].mean())))
    return tuple(sorted(found, key=lambda betrayal: -abs(betrayal.auroc - 0.5)))
