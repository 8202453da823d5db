"""What a dataset shows of its people: small summaries, gathered in one pass, from which norms are computed.

In: a ``Dataset``, read part by part; a person's minutes are held only until the last of their days has come. Out:
``Observations``: tables of people, days, bouts and gaps, sketches of minute values by state, and counts.

States are told from what a real dataset would hold too (diary events, steps), never from the simulator's own routine.
Definitions follow the reading notes of the norms: rest is five minutes without a step, a night belongs to the day it
ends on, and an evening event to the day it begins on.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.dataset import Dataset
from simulator.realism.bouts import BOUT_COLUMNS, GAP_COLUMNS, bouts_of, gaps_of
from simulator.realism.days import CADENCES, cadences, day_of, numbered
from simulator.realism.difficulty import Examples
from simulator.realism.gaps import Heard, Missingness
from simulator.realism.heart import LEAST_MINUTES, HeartSums, summary
from simulator.realism.minutes import MINUTE_QUANTITIES, Mask, Minutes, seen, skin_temperature, state_of, states_of
from simulator.realism.profiles import Profiles, ProfileSums
from simulator.realism.windows import WINDOWS_EACH, PersonWindows, no_windows
from simulator.recording import Reason, Recording
from simulator.signals import INDEX

MAX_WINDOWS: Final = 4000  # 125 MB; standard errors of the fingerprint are then near 1 %
QUANTILES: Final = 33  # of a person's minutes in a state: the pooled 5th and 95th percentile are met within 1.5 %
SESSION_MINUTES: Final = 55  # of the recordings that lag-1 norms are of (Iqbal et al. 2022, Sensors 22:8135)
EPOCHS: Final = 48  # joint RR minutes kept of a person, for correlations between epochs


MinuteKey = tuple[str, str]
"""A quantity of minutes and the state in which they are wanted."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What a set of norms needs of the minutes, so that nothing else is kept.

    Attributes:
        minutes: (quantity, state) to sketch, from ``MINUTE_QUANTITIES`` and the states of ``minutes``.
        spans: (quantity, state, minutes): spread within stretches of so many minutes.
        pairs: (quantity, quantity, state): joint moments, for correlations and slopes.
        days: Day quantities of ``days.NUMBERED``.
        difficulty: Whether windows for the tasks are kept.
    """

    minutes: frozenset[MinuteKey] = frozenset()
    spans: frozenset[tuple[str, str, int]] = frozenset()
    pairs: frozenset[tuple[str, str, str]] = frozenset()
    days: frozenset[str] = frozenset()
    difficulty: bool = False


@dataclass(frozen=True, slots=True)
class Sketch:
    """Minutes of one quantity in one state: per person moments, and quantiles that stand for the minutes.

    Attributes:
        people: Codes of the people with enough minutes.
        mean, sd, median, ln_mean, ln_sd: One value each; the ln ones are NaN if a value is not positive.
        lag1: Correlation of consecutive minutes of the state, within stretches of ``SESSION_MINUTES``.
        values: [people, QUANTILES].
        minutes: Minutes each person has.
    """

    people: NDArray[np.int64]
    mean: NDArray[np.float64]
    sd: NDArray[np.float64]
    median: NDArray[np.float64]
    ln_mean: NDArray[np.float64]
    ln_sd: NDArray[np.float64]
    lag1: NDArray[np.float64]
    values: NDArray[np.float64]
    minutes: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Observations:
    """Everything that norms are computed from.

    Attributes:
        people: The dataset's people, in its order, with person-level quantities added; the row number is the code.
        population: Name of the population they were made from; empty if it is not known.
        days: One row a person-day: person code, weekday (Monday 0), weekend, and day-level quantities.
        hourly_steps: [days, 24] steps by clock hour.
        cadences: [days, CADENCES] minutes awake by their steps.
        bouts: One row an event that begins on its day, with the columns ``BOUT_COLUMNS``.
        gaps: One row a stretch off the wrist or on the charger, with the columns ``GAP_COLUMNS``.
        sketches: By (quantity, state).
        spans: By (quantity, state, minutes): people and their SD and SD of the logarithm within such stretches.
        pairs: By (x, y, state): float64 [people, 6], count, sums, squares and product of each person's minutes.
        epochs: Joint RR minutes at rest: person and a column a quantity.
        windows: float32 [windows, 26, 300], NaN where not observed.
        window_person: Whose they are.
        examples: Windows with labels, for the tasks.
        missing: Cells by device, signal, hour and reason.
        heard: Gaps of heart rate.
        heart: How heart rate moves, see ``heart.summary``.
        profiles: What plots are drawn from.
        has_sleep, has_stages, has_events: Whether any such event is recorded.
        has_truth: Whether the truth under the gaps is known.
        has_reasons: Whether gaps carry a reason other than "not recorded".
    """

    people: pd.DataFrame
    population: str
    days: pd.DataFrame
    hourly_steps: NDArray[np.float64]
    cadences: NDArray[np.uint16]
    bouts: pd.DataFrame
    gaps: pd.DataFrame
    sketches: dict[MinuteKey, Sketch]
    spans: dict[tuple[str, str, int], NDArray[np.float64]]
    pairs: dict[tuple[str, str, str], NDArray[np.float64]]
    epochs: pd.DataFrame
    windows: Minutes
    window_person: NDArray[np.int64]
    examples: Examples
    missing: Missingness
    heard: Heard
    heart: dict[str, dict[str, float | None] | float | None]
    profiles: Profiles
    has_sleep: bool
    has_stages: bool
    has_events: bool
    has_truth: bool
    has_reasons: bool


@dataclass(slots=True)
class _Pending:
    """What is held of a person until their last day has come."""

    left: int
    windows: PersonWindows
    minutes: dict[MinuteKey, list[Minutes]] = field(default_factory=dict)
    pairs: dict[tuple[str, str, str], NDArray[np.float64]] = field(default_factory=dict)
    skin: list[tuple[Minutes, Mask]] = field(default_factory=list)
    rmssd_by_hour: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 24)))
    epochs: list[NDArray[np.float32]] = field(default_factory=list)
    heart: HeartSums = field(default_factory=HeartSums)
    heard: dict[int, Mask] = field(default_factory=dict)


@dataclass(slots=True)
class _Gathered:
    """Rows on their way to the tables of ``Observations``."""

    examples: Examples
    days: list[dict[str, float]] = field(default_factory=list)
    hourly_steps: list[NDArray[np.float64]] = field(default_factory=list)
    cadences: list[NDArray[np.uint16]] = field(default_factory=list)
    bouts: list[dict[str, object]] = field(default_factory=list)
    gaps: list[dict[str, float]] = field(default_factory=list)
    people: dict[int, dict[str, float]] = field(default_factory=dict)
    sketches: dict[MinuteKey, list[tuple[float, ...]]] = field(default_factory=dict)
    spans: dict[tuple[str, str, int], list[tuple[float, ...]]] = field(default_factory=dict)
    pairs: dict[tuple[str, str, str], dict[int, NDArray[np.float64]]] = field(default_factory=dict)
    epochs: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)
    windows: list[Minutes] = field(default_factory=list)
    window_person: list[int] = field(default_factory=list)
    missing: Missingness = field(default_factory=Missingness)
    heard: Heard = field(default_factory=Heard)
    heart: list[HeartSums] = field(default_factory=list)
    profiles: ProfileSums = field(default_factory=ProfileSums)
    kinds: set[str] = field(default_factory=set)


EPOCH_COLUMNS: Final = ("hr", "rmssd", "sdnn", "pnn30", "shannon_entropy_rr", "shannon_entropy_rr_diff")
_EPOCH_SIGNALS: Final = [INDEX[n] for n in ("heart_rate", "rmssd", "sdnn", "pnn30", "rr_entropy", "rr_diff_entropy")]


def observe(dataset: Dataset, wanted: Wanted, progress: Callable[[int], None] | None = None) -> Observations:
    """Read a dataset once and keep what norms need.

    Args:
        dataset: Whatever it holds: truth, events and reasons are used if there, and missed in silence if not.
        wanted: What to keep of the minutes.
        progress: Called with the number of person-days read so far.
    """
    codes = {person: code for code, person in enumerate(dataset.people["person"])}
    days = {codes[person]: int(n) for person, n in dataset.index["person"].value_counts().items()}
    each = int(np.clip(MAX_WINDOWS // max(1, len(days)), 1, WINDOWS_EACH))
    pending = {code: _Pending(left=n, windows=PersonWindows(each=each, days=n)) for code, n in days.items()}
    gathered = _Gathered(examples=Examples.of(dataset.people if wanted.difficulty else None))
    age = dataset.people["age_years"].to_numpy() if "age_years" in dataset.people else np.full(len(codes), np.nan)
    for recording in dataset:
        code = codes[recording.person]
        person = pending[code]
        gathered.kinds |= {event.kind for event in recording.events}
        _take_day(gathered, person, recording, code, float(age[code]), wanted)
        person.windows.add(recording)
        gathered.examples.add(recording, code)
        gathered.profiles.add(recording, code)
        person.left -= 1
        if person.left == 0:
            _take_person(gathered, pending.pop(code), code, wanted)
        if progress is not None:
            progress(len(gathered.days))
    return _tables(dataset, gathered)


def _take_day(
    gathered: _Gathered, person: _Pending, recording: Recording, code: int, age: float, wanted: Wanted
) -> None:
    states = states_of(recording)
    _take_minutes(person, recording, states, wanted)
    person.skin.append((skin_temperature(recording), states["sleep"]))
    rmssd = seen(recording, "rmssd").reshape(24, 60)
    person.rmssd_by_hour += [(~np.isnan(rmssd)).sum(axis=1), np.nansum(rmssd, axis=1)]
    person.heart.add(seen(recording, "heart_rate"), seen(recording, "steps"))
    rest = np.flatnonzero(states["still"] & states["valid_rr"])
    if len(rest):
        person.epochs.append(recording.values[_EPOCH_SIGNALS][:, rest[:: max(1, len(rest) // EPOCHS)]])
    day_row = len(gathered.days)
    day = day_of(recording, states, age) | numbered(recording, wanted.days) | {"person": code}
    gathered.days.append(day)
    gathered.hourly_steps.append(np.nansum(seen(recording, "steps").reshape(24, 60), axis=1, dtype=np.float64))
    gathered.cadences.append(cadences(seen(recording, "steps"), states["awake"]).astype(np.uint16))
    gathered.bouts += bouts_of(recording, code, day_row, states["worn"])
    gaps = gaps_of(recording, code)
    day["gaps_begun"] = float(sum(not gap["from_midnight"] for gap in gaps))
    gathered.gaps += gaps
    gathered.missing.add(recording)
    person.heard[recording.day] = recording.observed[INDEX["heart_rate"]]


def _take_minutes(person: _Pending, recording: Recording, states: dict[str, Mask], wanted: Wanted) -> None:
    quantities: dict[str, Minutes] = {}

    def inside(quantity: str, state: str) -> Minutes:
        if quantity not in quantities:
            quantities[quantity] = MINUTE_QUANTITIES[quantity](recording)
        if state not in states:
            states[state] = state_of(state, states, recording)
        # a NaN between stretches keeps the last minute of one and the first of the next apart
        return np.where(states[state], quantities[quantity], np.float32(np.nan))

    for key in wanted.minutes | {(quantity, state) for quantity, state, _ in wanted.spans}:
        stretch = inside(*key)
        if not np.isnan(stretch).all():
            person.minutes.setdefault(key, []).append(stretch)
    for x, y, state in wanted.pairs:
        a, b = inside(x, state).astype(np.float64), inside(y, state).astype(np.float64)
        both = ~np.isnan(a) & ~np.isnan(b)
        a, b = a[both], b[both]
        sums = np.array([len(a), a.sum(), b.sum(), a @ a, b @ b, a @ b])
        person.pairs[x, y, state] = person.pairs.get((x, y, state), np.zeros(6)) + sums


def _take_person(gathered: _Gathered, person: _Pending, code: int, wanted: Wanted) -> None:
    for key, days in person.minutes.items():
        row = _sketch_row(days)
        if row is not None:
            gathered.sketches.setdefault(key, []).append((code, *row))
    for span in wanted.spans:
        spread = _span_row(person.minutes.get(span[:2], []), span[2])
        if spread is not None:
            gathered.spans.setdefault(span, []).append((code, *spread))
    for pair, sums in person.pairs.items():
        gathered.pairs.setdefault(pair, {})[code] = sums
    settling = {"time_to_stable_hr_after_activity": person.heart.settling_minutes()}
    gathered.people[code] = _daily_rhythm(person) | settling
    gathered.heart.append(person.heart)
    gathered.heard.add(person.heard)
    for _, window in person.windows.kept:
        gathered.windows.append(window)
        gathered.window_person.append(code)
    if person.epochs:
        joint = np.concatenate(person.epochs, axis=1)
        gathered.epochs.append((code, joint[:, :: max(1, joint.shape[1] // EPOCHS)]))


def _sketch_row(days: list[Minutes]) -> tuple[float, ...] | None:
    everything = np.concatenate(days).astype(np.float64)
    values = np.sort(everything[~np.isnan(everything)])
    if len(values) < LEAST_MINUTES:
        return None
    logs = np.log(values) if values[0] > 0 else np.full(1, np.nan)
    lag1 = _lag1(days)
    levels = values[((np.arange(QUANTILES) + 0.5) / QUANTILES * len(values)).astype(np.int64)]
    moments = (values.mean(), values.std(ddof=1), np.median(values), logs.mean(), logs.std(), lag1)
    return (*(float(m) for m in moments), float(len(values)), *(float(level) for level in levels))


def _lag1(days: list[Minutes]) -> float:
    """Correlation of consecutive minutes within stretches of ``SESSION_MINUTES``, each about its own mean.

    The norms of it are of recordings that long: over days, slow change would count as likeness of neighbours.
    """
    cut = _stretches(days, SESSION_MINUTES)
    if not len(cut):
        return float("nan")
    there = ~np.isnan(cut)
    away = np.where(there, cut - (np.where(there, cut, 0).sum(axis=1) / there.sum(axis=1))[:, None], 0)
    now, then = away[:, :-1], away[:, 1:]
    both = there[:, :-1] & there[:, 1:]
    now, then = now[both], then[both]
    spread = (now @ now) * (then @ then)
    return float(now @ then / np.sqrt(spread)) if len(now) >= LEAST_MINUTES and spread > 0 else float("nan")


def _stretches(days: list[Minutes], minutes: int) -> NDArray[np.float64]:
    """float64 [n, minutes], the stretches of the clock that are at least half there, NaN where not."""
    cut = np.concatenate([day[: len(day) // minutes * minutes].reshape(-1, minutes) for day in days]).astype(np.float64)
    there: NDArray[np.float64] = cut[(~np.isnan(cut)).mean(axis=1) >= 0.5]
    return there


def _span_row(days: list[Minutes], minutes: int) -> tuple[float, float] | None:
    """Spread within stretches of ``minutes``, pooled over those at least half there; of values and their logarithms."""
    if not days:
        return None
    cut = _stretches(days, minutes)
    if not len(cut):
        return None
    logs = np.log(cut) if np.nanmin(cut) > 0 else np.full_like(cut, np.nan)
    plain, of_logs = (float(np.sqrt(np.mean(_variances(table)))) for table in (cut, logs))
    return plain, of_logs


def _variances(table: NDArray[np.float64]) -> NDArray[np.float64]:
    there = ~np.isnan(table)
    count = np.maximum(there.sum(axis=1), 2)
    level = np.where(there, table, 0).sum(axis=1) / count
    found: NDArray[np.float64] = np.where(there, (table - level[:, None]) ** 2, 0).sum(axis=1) / (count - 1)
    return np.where(there.any(axis=1), found, np.nan)


def _daily_rhythm(person: _Pending) -> dict[str, float]:
    """A cosine of 24 h through the hourly means of skin temperature, and the hour of greatest RMSSD."""
    found: dict[str, float] = {}
    hours = np.concatenate([skin.reshape(24, 60) for skin, _ in person.skin]).astype(np.float64)
    there = (~np.isnan(hours)).sum(axis=1) >= 30
    if there.reshape(-1, 24).any(axis=0).all():  # every hour of the clock was seen at least once
        means = np.array([np.nanmean(row) for row in hours[there]])
        angle = 2 * np.pi * (np.tile(np.arange(24), len(person.skin))[there] + 0.5) / 24
        design = np.stack([np.ones_like(angle), np.cos(angle), np.sin(angle)], axis=1)
        mesor, c, s = np.linalg.lstsq(design, means)[0]
        found["wrist_skin_temperature_mesor"] = float(mesor)
        found["wrist_skin_temperature_cosine_amplitude"] = float(np.hypot(c, s))
        found["wrist_skin_temperature_acrophase"] = float(np.arctan2(s, c) % (2 * np.pi) * 24 / (2 * np.pi))
    count, total = person.rmssd_by_hour
    if (count >= 30).all():
        found["rmssd_hour_of_peak"] = float(np.argmax(total / count))
    return found


def _tables(dataset: Dataset, gathered: _Gathered) -> Observations:
    people = dataset.people.reset_index(drop=True).copy()
    for name in sorted({name for row in gathered.people.values() for name in row}):
        people[name] = [gathered.people.get(code, {}).get(name, np.nan) for code in range(len(people))]
    epochs = [
        pd.DataFrame(dict(zip(EPOCH_COLUMNS, joint, strict=True))).assign(person=code)
        for code, joint in gathered.epochs
    ]
    nobody_knows = (Reason.OBSERVED, Reason.SENSOR_ABSENT, Reason.NOT_RECORDED, Reason.OUT_OF_RANGE)
    days = pd.DataFrame(gathered.days)
    beats = days.groupby("person")["hours_per_day_with_hr"].transform("sum")
    days["hours_per_day_with_hr"] = days["hours_per_day_with_hr"].where(beats > 0)  # others' devices have none
    windows = np.stack(gathered.windows) if gathered.windows else no_windows()
    return Observations(
        people=people,
        population=_population(dataset),
        days=days,
        hourly_steps=np.array(gathered.hourly_steps).reshape(-1, 24),
        cadences=np.array(gathered.cadences, dtype=np.uint16).reshape(-1, CADENCES),
        bouts=pd.DataFrame(gathered.bouts, columns=list(BOUT_COLUMNS)),
        gaps=pd.DataFrame(gathered.gaps, columns=list(GAP_COLUMNS)),
        sketches={key: _sketch(rows) for key, rows in gathered.sketches.items()},
        spans={key: np.array(rows) for key, rows in gathered.spans.items()},
        pairs={key: _by_person(sums, len(people)) for key, sums in gathered.pairs.items()},
        epochs=pd.concat(epochs) if epochs else pd.DataFrame(columns=[*EPOCH_COLUMNS, "person"]),
        windows=windows,
        window_person=np.array(gathered.window_person, dtype=np.int64),
        examples=gathered.examples,
        missing=gathered.missing,
        heard=gathered.heard,
        heart=summary(gathered.heart),
        profiles=gathered.profiles.profiles(windows),
        has_sleep="sleep" in gathered.kinds,
        has_stages="stage" in gathered.kinds,
        has_events=bool(gathered.kinds),
        has_truth=dataset.has_truth,
        has_reasons=bool(np.delete(gathered.missing.by_signal(), nobody_knows, axis=1).sum()),
    )


def _by_person(sums: dict[int, NDArray[np.float64]], people: int) -> NDArray[np.float64]:
    table = np.zeros((people, 6))
    for code, row in sums.items():
        table[code] = row
    return table


def _population(dataset: Dataset) -> str:
    """From the people's table, or from how the dataset says it was made."""
    if "population" in dataset.people:
        names = dataset.people["population"].unique()
        return str(names[0]) if len(names) == 1 else ""
    made = dataset.manifest.made_by.get("population", "")
    return str(made.get("name", "")) if isinstance(made, dict) else str(made)


def _sketch(rows: list[tuple[float, ...]]) -> Sketch:
    table = np.array(rows, dtype=np.float64)
    people, mean, sd, median, ln_mean, ln_sd, lag1, minutes = table[:, :8].T
    return Sketch(
        people.astype(np.int64), mean, sd, median, ln_mean, ln_sd, lag1, table[:, 8:], minutes.astype(np.int64)
    )
