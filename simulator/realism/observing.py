"""What a dataset shows of its people: small summaries, gathered in one pass, from which norms are computed.

In: a ``Dataset``, read part by part; a person's minutes are held only until the last of their days has come. Out:
``Observations``: tables of people, days, bouts and gaps, sketches of minute values by state, and counts.

States are told from what a real dataset would hold too (diary events, steps), never from the simulator's own routine.
Definitions follow the reading notes of the norms: rest is five minutes without a step, a night belongs to the day it
ends on, and an evening event to the day it begins on.
"""

import itertools
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.dataset import Dataset
from simulator.randomness import stream
from simulator.realism.minutes import MINUTE_QUANTITIES, Mask, Minutes, clock_state, seen, skin_temperature, states_of
from simulator.recording import Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY, N_SIGNALS

WINDOW_MINUTES: Final = 300  # LSM-1, section 3.1
MAX_WINDOWS: Final = 1500  # 47 MB; standard errors of the fingerprint are then near 2 %
QUANTILES: Final = 33  # of a person's minutes in a state: the pooled 5th and 95th percentile are met within 1.5 %
EPOCHS: Final = 48  # joint RR minutes kept of a person, for correlations between epochs
MIN_MINUTES: Final = 20  # of a state, below which a person says nothing about it
LAGS_MINUTES: Final = (1, 10, 60)
STEP_EDGES: Final = (0, 1, 21, 61, 101, 241)  # the bins of heart rate by steps: 0, 1-20, 21-60, 61-100, above

RHR_ABOVE_SLEEP_BPM: Final = 3.5  # vendor resting heart rate over mean sleeping heart rate (norms, hr_nrem_minus_rhr)


@dataclass(frozen=True, slots=True)
class Sketch:
    """Minutes of one quantity in one state: per person moments, and quantiles that stand for the minutes.

    Attributes:
        people: Codes of the people with enough minutes.
        mean, sd, median, ln_mean, ln_sd: One value each; the ln ones are NaN if a value is not positive.
        lag1: Correlation of consecutive minutes of the state.
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
        days: One row a person-day: person code, weekday (Monday 0), weekend, and day-level quantities.
        hourly_steps: [days, 24] steps by clock hour.
        bouts: One row an event that begins on its day: person, day row, kind, label, hour, weekend, minutes, and
            for activities the mean heart rate, the mean step rate and whether the watch was worn.
        gaps: One row a stretch off the wrist or on the charger: person, reason, hour it began, minutes.
        sketches: By (quantity, state).
        epochs: Joint RR minutes at rest: person and a column a quantity.
        windows: float32 [windows, 26, 300], NaN where not observed.
        window_person: Whose they are.
        reason_cells: int64 [26, len(Reason)], cells by signal and reason.
        heart_by_steps: [5, 2], count and sum of heart rate by steps in the minute.
        autocorrelation: Of heart rate by lag in minutes, within people; the median of them, NaN if nobody has it.
        has_sleep: Whether any sleep is recorded.
        has_events: Whether any event is.
        has_reasons: Whether gaps carry a reason other than "not recorded".
    """

    people: pd.DataFrame
    days: pd.DataFrame
    hourly_steps: NDArray[np.float64]
    bouts: pd.DataFrame
    gaps: pd.DataFrame
    sketches: dict[tuple[str, str], Sketch]
    epochs: pd.DataFrame
    windows: Minutes
    window_person: NDArray[np.int64]
    reason_cells: NDArray[np.int64]
    heart_by_steps: NDArray[np.float64]
    autocorrelation: dict[int, float]
    has_sleep: bool
    has_events: bool
    has_reasons: bool


@dataclass(slots=True)
class _Pending:
    """What is held of a person until their last day has come."""

    left: int
    minutes: dict[tuple[str, str], list[Minutes]] = field(default_factory=dict)
    skin: list[tuple[Minutes, Mask]] = field(default_factory=list)
    rmssd_by_hour: NDArray[np.float64] = field(default_factory=lambda: np.zeros((2, 24)))
    epochs: list[NDArray[np.float32]] = field(default_factory=list)
    lag_sums: dict[int, NDArray[np.float64]] = field(default_factory=lambda: {lag: np.zeros(6) for lag in LAGS_MINUTES})


@dataclass(slots=True)
class _Gathered:
    """Rows on their way to the tables of ``Observations``."""

    days: list[dict[str, float]] = field(default_factory=list)
    hourly_steps: list[NDArray[np.float64]] = field(default_factory=list)
    bouts: list[dict[str, object]] = field(default_factory=list)
    gaps: list[dict[str, float]] = field(default_factory=list)
    people: dict[int, dict[str, float]] = field(default_factory=dict)
    sketches: dict[tuple[str, str], list[tuple[float, ...]]] = field(default_factory=dict)
    epochs: list[tuple[int, NDArray[np.float32]]] = field(default_factory=list)
    windows: list[Minutes] = field(default_factory=list)
    window_person: list[int] = field(default_factory=list)
    reason_cells: NDArray[np.int64] = field(default_factory=lambda: np.zeros((N_SIGNALS, len(Reason)), np.int64))
    heart_by_steps: NDArray[np.float64] = field(default_factory=lambda: np.zeros((len(STEP_EDGES) - 1, 2)))
    autocorrelation: dict[int, list[float]] = field(default_factory=lambda: {lag: [] for lag in LAGS_MINUTES})


EPOCH_COLUMNS: Final = ("hr", "rmssd", "sdnn", "pnn30", "shannon_entropy_rr", "shannon_entropy_rr_diff")
_EPOCH_SIGNALS: Final = [INDEX[n] for n in ("heart_rate", "rmssd", "sdnn", "pnn30", "rr_entropy", "rr_diff_entropy")]


def observe(
    dataset: Dataset, wanted: Collection[tuple[str, str]], progress: Callable[[int], None] | None = None
) -> Observations:
    """Read a dataset once and keep what norms need.

    Args:
        dataset: Whatever it holds: truth, events and reasons are used if there, and missed in silence if not.
        wanted: The (quantity, state) pairs of minute values to sketch, from ``MINUTE_QUANTITIES`` and ``STATES``.
        progress: Called with the number of person-days read so far.
    """
    codes = {person: code for code, person in enumerate(dataset.people["person"])}
    pending = {codes[person]: _Pending(left=int(n)) for person, n in dataset.index["person"].value_counts().items()}
    windows_each = int(np.clip(MAX_WINDOWS // max(1, len(pending)), 1, 8))
    gathered = _Gathered()
    age = dataset.people["age_years"].to_numpy() if "age_years" in dataset.people else np.full(len(codes), np.nan)
    has_sleep = False
    for recording in dataset:
        code = codes[recording.person]
        person = pending[code]
        has_sleep |= any(event.kind == "sleep" for event in recording.events)
        _take_day(gathered, person, recording, code, float(age[code]), wanted)
        _take_windows(gathered, recording, code, windows_each)
        person.left -= 1
        if person.left == 0:
            _take_person(gathered, pending.pop(code), code)
        if progress is not None:
            progress(len(gathered.days))
    return _tables(dataset, gathered, has_sleep=has_sleep)


def _take_day(
    gathered: _Gathered,
    person: _Pending,
    recording: Recording,
    code: int,
    age: float,
    wanted: Collection[tuple[str, str]],
) -> None:
    states = states_of(recording)
    quantities: dict[str, Minutes] = {}
    for quantity, state in wanted:
        if quantity not in quantities:
            quantities[quantity] = MINUTE_QUANTITIES[quantity](recording)
        if state not in states:
            states[state] = clock_state(state, states["awake"])
        # a NaN between stretches keeps the last minute of one and the first of the next apart
        stretch = np.where(states[state], quantities[quantity], np.float32(np.nan))
        if not np.isnan(stretch).all():
            person.minutes.setdefault((quantity, state), []).append(stretch)
    person.skin.append((skin_temperature(recording), states["sleep"]))
    rmssd = seen(recording, "rmssd").reshape(24, 60)
    person.rmssd_by_hour += [(~np.isnan(rmssd)).sum(axis=1), np.nansum(rmssd, axis=1)]
    for lag, sums in person.lag_sums.items():
        sums += _lag_sums(seen(recording, "heart_rate"), lag)
    rest = np.flatnonzero(states["still"] & states["valid_rr"])
    if len(rest):
        person.epochs.append(recording.values[_EPOCH_SIGNALS][:, rest[:: max(1, len(rest) // EPOCHS)]])
    day_row = len(gathered.days)
    day = day_of(recording, states, age) | {"person": code}
    gathered.days.append(day)
    gathered.hourly_steps.append(np.nansum(seen(recording, "steps").reshape(24, 60), axis=1, dtype=np.float64))
    gathered.bouts += bouts_of(recording, code, day_row, states["worn"])
    gaps = gaps_of(recording, code)
    day["gaps_begun"] = float(sum(not gap["from_midnight"] for gap in gaps))
    gathered.gaps += gaps
    _count(gathered, recording)


def day_of(recording: Recording, states: dict[str, Mask], age_years: float) -> dict[str, float]:
    """Day-level quantities; NaN where the day does not tell."""
    heart_rate, steps = seen(recording, "heart_rate"), seen(recording, "steps")
    beats = ~np.isnan(heart_rate)
    weekday = recording.date.weekday()
    any_cell = recording.observed.any()
    day: dict[str, float] = {
        "day": recording.day,
        "weekday": weekday,
        "weekend": weekday >= 5,
        "worn_hours": float(states["worn"].sum()) / 60,
        "hours_per_day_with_hr": float(beats.sum()) / 60 if any_cell else np.nan,
        "share_of_missing_cells": 1.0 - float(recording.observed.mean()),
        "any_cell": float(any_cell),
        "scl_available_share_of_24h": float(recording.observed[INDEX["scl"]].mean()),
        "has_scl": float(recording.observed[INDEX["scl"]].any()),
        "steps_per_day": float(np.nansum(steps)) if not np.isnan(steps).all() else np.nan,
    }
    day |= _cadence(steps, states) | _heart(heart_rate, states, age_years)
    return day | _night(recording, heart_rate) | _naps(recording)


def _cadence(steps: Minutes, states: dict[str, Mask]) -> dict[str, float]:
    there = steps[~np.isnan(steps)]
    awake = steps[states["awake"] & ~np.isnan(steps)]
    best = np.sort(there)[-30:]
    bands = {
        "0": (0, 1),
        "1-59": (1, 60),
        "60-79": (60, 80),
        "80-99": (80, 100),
        "100-119": (100, 120),
        "ge120": (120, 999),
    }
    counts = {f"cadence_{name}": float(((awake >= low) & (awake < high)).sum()) for name, (low, high) in bands.items()}
    if not states["awake"].any():
        counts = dict.fromkeys(counts, np.nan)
    return counts | {
        "best_minute_cadence_per_day": float(best[-1]) if len(best) else np.nan,
        "mean_cadence_of_best_30_min": float(best.mean()) if len(best) == 30 else np.nan,
    }


def _heart(heart_rate: Minutes, states: dict[str, Mask], age_years: float) -> dict[str, float]:
    asleep = heart_rate[states["sleep"] & ~np.isnan(heart_rate)]
    there = heart_rate[~np.isnan(heart_rate)]
    sleeping = float(asleep.mean()) if len(asleep) >= 120 else np.nan  # two hours: less is a nap or a lost night
    day = {
        "sleeping_hr": sleeping,
        "resting_hr": sleeping + RHR_ABOVE_SLEEP_BPM,
        "mean_hr_24h": float(there.mean()) if len(there) >= 1200 else np.nan,
        "clock_time_of_lowest_hr": np.nan,
    }
    if len(there) >= 1200:
        share = there / (220.0 - age_years)  # the zones of the norms use 220 - age
        for name, low, high in (("below_50", 0, 0.5), ("50-69", 0.5, 0.7), ("70-84", 0.7, 0.85), ("ge85", 0.85, 9)):
            day[f"zone_{name}pct_hrmax"] = float(((share >= low) & (share < high)).mean())
        filled = pd.Series(heart_rate).interpolate(limit_direction="both").rolling(30, center=True).mean()
        day["clock_time_of_lowest_hr"] = float(np.nanargmin(filled.to_numpy())) / 60
    return day


def _night(recording: Recording, heart_rate: Minutes) -> dict[str, float]:
    """The main sleep that ends on this day."""
    nights = [e for e in recording.events if e.kind == "sleep" and e.label == "main" and 0 < e.end_minute <= 1440]
    if not nights:
        return {}
    night = max(nights, key=lambda e: e.end_minute - e.start_minute)
    inside = slice(max(0, night.start_minute), night.end_minute)
    rmssd = seen(recording, "rmssd")[inside]
    rmssd = rmssd[~np.isnan(rmssd)]
    skin = skin_temperature(recording)[inside]
    return {
        "sleep_period_minutes": float(night.end_minute - night.start_minute),
        "bedtime": 24 + night.start_minute / 60,
        "mid_sleep": (night.start_minute + night.end_minute) / 120,
        "evening_weekend": float((recording.date.weekday() - 1) % 7 in (4, 5)),
        "night_worn": float((~np.isnan(heart_rate[inside])).mean() >= 0.5),
        "rmssd_nightly": float(rmssd.mean()) if len(rmssd) >= 60 else np.nan,
        "nightly_skin_temperature": float(np.nanmean(skin)) if (~np.isnan(skin)).sum() >= 60 else np.nan,
    }


def _naps(recording: Recording) -> dict[str, float]:
    if not any(event.kind == "sleep" for event in recording.events):
        return {}
    naps = [e for e in recording.events if e.kind == "sleep" and e.label == "nap" and 0 <= e.start_minute < 1440]
    return {"nap_hours_per_day": sum(e.end_minute - e.start_minute for e in naps) / 60, "naps": float(len(naps))}


def bouts_of(recording: Recording, code: int, day_row: int, worn: Mask) -> list[dict[str, object]]:
    """Events that begin on this day, with what the watch saw of them."""
    rows: list[dict[str, object]] = []
    for event in recording.events:
        if not 0 <= event.start_minute < MINUTES_PER_DAY:
            continue
        inside = slice(event.start_minute, event.end_minute)
        settled = slice(event.start_minute + 3, event.end_minute)  # the norms skip the first 3 min of a bout
        rows.append(
            {
                "person": code,
                "day_row": day_row,
                "kind": event.kind,
                "label": event.label,
                "hour": event.start_minute / 60,
                "weekend": recording.date.weekday() >= 5,
                "minutes": event.end_minute - event.start_minute,
                "worn": bool(worn[inside].mean() >= 0.5),
                "heart_rate": _mean(seen(recording, "heart_rate")[settled]),
                "step_rate": _mean(seen(recording, "steps")[inside]),
            }
        )
    return rows


def _mean(minutes: Minutes) -> float:
    there = minutes[~np.isnan(minutes)]
    return float(there.mean()) if len(there) else np.nan


def gaps_of(recording: Recording, code: int) -> list[dict[str, float]]:
    """Stretches off the wrist or charging, told by the reason of missing steps; cut at midnight."""
    reason = recording.reason[INDEX["steps"]]
    edges = [0, *(np.flatnonzero(np.diff(reason)) + 1), MINUTES_PER_DAY]
    return [
        {"person": code, "reason": float(reason[a]), "hour": a / 60, "minutes": float(b - a), "from_midnight": a == 0}
        for a, b in itertools.pairwise(edges)
        if reason[a] in (Reason.CHARGING, Reason.OFF_WRIST)
    ]


def _count(gathered: _Gathered, recording: Recording) -> None:
    for reason in Reason:
        gathered.reason_cells[:, reason] += (recording.reason == reason).sum(axis=1)
    heart_rate, steps = seen(recording, "heart_rate"), seen(recording, "steps")
    both = ~np.isnan(heart_rate) & ~np.isnan(steps)
    band = np.digitize(steps[both], STEP_EDGES[1:-1])
    gathered.heart_by_steps[:, 0] += np.bincount(band, minlength=len(STEP_EDGES) - 1)
    gathered.heart_by_steps[:, 1] += np.bincount(band, heart_rate[both], minlength=len(STEP_EDGES) - 1)


def _lag_sums(minutes: Minutes, lag: int) -> NDArray[np.float64]:
    """Count, sums, squares and product of minutes ``lag`` apart that are both there."""
    now, then = minutes[:-lag].astype(np.float64), minutes[lag:].astype(np.float64)
    both = ~np.isnan(now) & ~np.isnan(then)
    now, then = now[both], then[both]
    return np.array([len(now), now.sum(), then.sum(), now @ now, then @ then, now @ then])


def correlation_of(sums: NDArray[np.float64]) -> float:
    """Pearson's correlation from ``_lag_sums``; NaN if undefined."""
    n, x, y, xx, yy, xy = sums
    if n < MIN_MINUTES:
        return float("nan")
    spread = (xx - x * x / n) * (yy - y * y / n)
    return float((xy - x * y / n) / np.sqrt(spread)) if spread > 0 else float("nan")


def _take_windows(gathered: _Gathered, recording: Recording, code: int, wanted: int) -> None:
    """Up to ``wanted`` five-hour windows a person, at random times of their first days, worn for at least half."""
    if gathered.window_person.count(code) >= wanted:
        return
    start = int(stream(0, "realism", "window", recording.person, recording.day).integers(1441 - WINDOW_MINUTES))
    cut = slice(start, start + WINDOW_MINUTES)
    if recording.observed[INDEX["heart_rate"], cut].mean() >= 0.5:
        gathered.windows.append(np.where(recording.observed[:, cut], recording.values[:, cut], np.float32(np.nan)))
        gathered.window_person.append(code)


def _take_person(gathered: _Gathered, person: _Pending, code: int) -> None:
    for key, days in person.minutes.items():
        row = _sketch_row(days)
        if row is not None:
            gathered.sketches.setdefault(key, []).append((code, *row))
    gathered.people[code] = _daily_rhythm(person)
    for lag, sums in person.lag_sums.items():
        gathered.autocorrelation[lag].append(correlation_of(sums))
    if person.epochs:
        joint = np.concatenate(person.epochs, axis=1)
        gathered.epochs.append((code, joint[:, :: max(1, joint.shape[1] // EPOCHS)]))


def _sketch_row(days: list[Minutes]) -> tuple[float, ...] | None:
    everything = np.concatenate(days).astype(np.float64)
    values = everything[~np.isnan(everything)]
    if len(values) < MIN_MINUTES:
        return None
    logs = np.log(values) if values.min() > 0 else np.full(1, np.nan)
    lag1 = correlation_of(sum(_lag_sums(day, 1) for day in days))  # type: ignore[arg-type]
    levels = np.quantile(values, (np.arange(QUANTILES) + 0.5) / QUANTILES)
    moments = (values.mean(), values.std(ddof=1), np.median(values), logs.mean(), logs.std(), lag1)
    return (*(float(m) for m in moments), float(len(values)), *(float(level) for level in levels))


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


def _tables(dataset: Dataset, gathered: _Gathered, *, has_sleep: bool) -> Observations:
    people = dataset.people.reset_index(drop=True).copy()
    for name in sorted({name for row in gathered.people.values() for name in row}):
        people[name] = [gathered.people.get(code, {}).get(name, np.nan) for code in range(len(people))]
    epochs = [
        pd.DataFrame(dict(zip(EPOCH_COLUMNS, joint, strict=True))).assign(person=code)
        for code, joint in gathered.epochs
    ]
    bout_columns = [
        "person",
        "day_row",
        "kind",
        "label",
        "hour",
        "weekend",
        "minutes",
        "worn",
        "heart_rate",
        "step_rate",
    ]
    windows = np.stack(gathered.windows) if gathered.windows else np.zeros((0, N_SIGNALS, WINDOW_MINUTES), np.float32)
    nobody_knows = (Reason.OBSERVED, Reason.SENSOR_ABSENT, Reason.NOT_RECORDED, Reason.OUT_OF_RANGE)
    days = pd.DataFrame(gathered.days)
    beats = days.groupby("person")["hours_per_day_with_hr"].transform("sum")
    days["hours_per_day_with_hr"] = days["hours_per_day_with_hr"].where(beats > 0)  # others' devices have none
    return Observations(
        people=people,
        days=days,
        hourly_steps=np.array(gathered.hourly_steps).reshape(-1, 24),
        bouts=pd.DataFrame(gathered.bouts, columns=bout_columns),
        gaps=pd.DataFrame(gathered.gaps, columns=["person", "reason", "hour", "minutes", "from_midnight"]),
        sketches={key: _sketch(rows) for key, rows in gathered.sketches.items()},
        epochs=pd.concat(epochs) if epochs else pd.DataFrame(columns=[*EPOCH_COLUMNS, "person"]),
        windows=windows,
        window_person=np.array(gathered.window_person, dtype=np.int64),
        reason_cells=gathered.reason_cells,
        heart_by_steps=gathered.heart_by_steps,
        autocorrelation={lag: _median(found) for lag, found in gathered.autocorrelation.items()},
        has_sleep=has_sleep,
        has_events=bool(gathered.bouts),
        has_reasons=bool(np.delete(gathered.reason_cells, nobody_knows, axis=1).sum()),
    )


def _median(values: list[float]) -> float:
    there = [value for value in values if np.isfinite(value)]
    return float(np.median(there)) if there else float("nan")


def _sketch(rows: list[tuple[float, ...]]) -> Sketch:
    table = np.array(rows, dtype=np.float64)
    people, mean, sd, median, ln_mean, ln_sd, lag1, minutes = table[:, :8].T
    return Sketch(
        people.astype(np.int64), mean, sd, median, ln_mean, ln_sd, lag1, table[:, 8:], minutes.astype(np.int64)
    )
