"""Injecting: the gaps that a watch leaves, put into anybody's complete data, for a reason and at a rate asked for.

A stand-in lives through the time of the data: a person drawn from a population, with a routine and a device. The gaps
of that life (``simulator.missingness``) fall apart into episodes: one charge, one night, one spell of a loose strap.
Episodes are taken in a random order until the rate is met and the last one is cut short, so that a higher rate with
the same seed hides all that a lower one does, and lengths, clock times and channels that go missing together are those
of watches. Where one life has too few gaps a second stand-in adds theirs, and so on; what more than ``MOST_LIVES``
cannot fill is refused.

    from simulator.injecting import inject
    spoilt = inject(table, "natural", rate=0.3, seed=1)
    spoilt.values, spoilt.mask, spoilt.reasons
"""

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.missingness import FAILURES_PER_YEAR, find_gaps
from simulator.noise import time_key, white
from simulator.population import POPULATIONS, Person
from simulator.randomness import stream
from simulator.recording import DataError, Reason, runs_of
from simulator.routine import Routine, live_through
from simulator.scenarios import CAUSES, SCENARIOS, Scenario
from simulator.sensors import found_share
from simulator.signals import INDEX, MINUTES_PER_DAY, NAMES, SIGNALS, Sensor
from simulator.vendors import VENDORS, Vendor

Progress = Callable[[int, int, int], object]
"""Told how many people, of how many, have had which of their stand-ins."""

MOST_LIVES: Final = 12
"""Stand-ins whose gaps are laid over each other before a rate is refused."""
TOLERANCE: Final = 0.01
"""Share of cells by which the rate met may differ from the rate asked."""
_ROW_OF_SENSOR: Final = {
    "PPG": "heart_rate",
    "ACC": "steps",
    "EDA": "scl",
    "TEMP": "skin_temperature",
    "ALT": "altimeter_sd",
}
_ABSENCE: Final = frozenset({Reason.SENSOR_ABSENT})
_MONDAY: Final = date(2024, 3, 4)
_OUTDOORS_CELSIUS: Final = 18.0  # degC; rooms and beds are warmer: judgement
_STILL_G, _ARM_G, _STEP_G = 0.005, 0.020, 0.0021  # g: asleep, per unit of arm motion, per step a minute (norms acc_sd)


@dataclass(frozen=True, slots=True, eq=False)
class Injected:
    """Data with gaps, and what was done to them.

    Attributes:
        values: As given, floating, NaN where hidden; a table keeps its index and its other columns.
        mask: True where a cell was hidden; an array like the values, or a table of the signals alone.
        reasons: uint8 of ``Reason``, 0 where nothing was hidden; laid out as ``mask``.
        asked: The rate asked for; NaN where a severity was.
        met: Share of the cells that were there which are hidden now.
        by_cause: The same by reason, in the order of ``Reason``.
    """

    values: Any
    mask: Any
    reasons: Any
    asked: float
    met: float
    by_cause: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class Asked:
    """What is asked of an injection, looked at; fields as ``inject`` has them.

    Raises:
        ValueError: If one is out of its range.
    """

    scenario: Scenario
    rate: float | None = None
    severity: float | None = None
    seed: int = 0
    step_minutes: int = 1
    progress: Progress | None = None

    def __post_init__(self) -> None:
        rate, severity, step_minutes = self.rate, self.severity, self.step_minutes
        if rate is not None and severity is not None:
            raise ValueError(f"{rate=} and {severity=} exclude each other")
        if rate is not None and not 0.0 < rate < 1.0:
            raise ValueError(f"{rate=} is not in (0, 1)")
        if severity is not None and not 0.0 < severity <= 1.0:
            raise ValueError(f"{severity=} is not in (0, 1]")
        if not isinstance(step_minutes, int | np.integer):
            raise ValueError(f"{step_minutes=} is not a whole number of minutes")
        if not 1 <= step_minutes <= MINUTES_PER_DAY or MINUTES_PER_DAY % step_minutes:
            raise ValueError(f"{step_minutes=} does not divide a day of {MINUTES_PER_DAY} minutes")


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """One stretch of one person's data: float64 [rows, signals], and when its first row was."""

    values: NDArray[np.float64]
    first_day: date
    first_minute: int


def inject(
    values: Any,
    scenario: str | Scenario = "natural",
    *,
    rate: float | None = None,
    severity: float | None = None,
    seed: int = 0,
    signals: Sequence[str] | Mapping[Any, str] | None = None,
    start: datetime | str | Sequence[datetime | str] | None = None,
    step_minutes: int = 1,
    progress: Progress | None = None,
) -> Injected:
    """Hide cells of complete data as a watch would have missed them.

    Args:
        values: NumPy [rows, signals] (one person) or [people, rows, signals]; or a pandas table with a row a minute:
            of one person, with timestamps as its index, or of several, with columns "person" and "timestamp". Cells
            that are NaN already are missing already: they neither count nor change.
        scenario: A key of ``SCENARIOS`` (a scenario or a single cause), or one of your own.
        rate: Share of the cells that are there to hide, in (0, 1); met within one point or refused.
        severity: In place of a rate: share of the stand-in's episodes that happen, in (0, 1]; 1, the default, is the
            life as it is.
        seed: Decides everything that is random.
        signals: What the columns are: names of the 26 signals, or of a sensor ("PPG", "ACC", "EDA", "TEMP", "ALT") for
            any other quantity of it. A sequence for NumPy; for a table, a mapping from column to name, for columns
            that are not called like a signal.
        start: Local time of the first row of an array, or each person's; None: a Monday's midnight, or, for less than
            a day of rows, a random minute for each person.
        step_minutes: Minutes from row to row.
        progress: Told of every stand-in's life.

    Returns:
        The data with gaps, the mask, and the reasons. Steps among the signals tell when the wearer moved; nights and
        habits are the stand-in's.

    Raises:
        DataError: If the data are laid out otherwise, or the rate cannot be met; the message says how far it goes.
        ValueError: If an argument is out of its range.

    >>> import numpy as np
    >>> spoilt = inject(np.full((7 * 1440, 2), 70.0), "charging", rate=0.05, seed=1, signals=["heart_rate", "scl"])
    >>> round(spoilt.met, 3), list(spoilt.by_cause), bool(spoilt.mask.any(axis=1).sum() > 60)
    (0.05, ['charging'], True)
    """
    asked = Asked(_scenario(scenario), rate, severity, seed, step_minutes, progress)
    if isinstance(values, pd.DataFrame):
        return _inject_table(values, asked, signals)
    cells = _numbers(values, "values")
    names = _array_signals(cells, signals)
    samples = list(_array_samples(cells, start, step_minutes, seed))
    hidden, reasons, met = _hide(samples, names, asked)
    mask, why = np.stack(hidden).reshape(cells.shape), np.stack(reasons).reshape(cells.shape)
    spoilt = np.where(mask, np.nan, cells)
    return _injected(spoilt, mask, why, rate, met, [s.values for s in samples], reasons)


def _scenario(scenario: str | Scenario) -> Scenario:
    if isinstance(scenario, Scenario):
        return scenario
    if scenario not in SCENARIOS:
        raise ValueError(f"{scenario=} is none of {', '.join(SCENARIOS)}")
    return SCENARIOS[scenario]


def _injected(
    values: Any,
    mask: Any,
    reasons: Any,
    rate: float | None,
    met: float,
    before: list[NDArray[np.float64]],
    codes: list[NDArray[np.uint8]],
) -> Injected:
    there = sum(int(np.isfinite(each).sum()) for each in before)
    counts = np.sum([np.bincount(each.ravel(), minlength=len(Reason)) for each in codes], axis=0)
    shares = {reason.name.lower(): float(counts[reason] / there) for reason in CAUSES if counts[reason]}
    return Injected(values, mask, reasons, math.nan if rate is None else rate, met, shares)


# ------------------------------------------------------------------------------------------------ what comes in


def _numbers(values: Any, what: str) -> NDArray[np.float64]:
    """Numbers as float64, a missing one as NaN; nothing else is taken for a number, dates neither.

    Raises:
        DataError: If they are none.
    """
    if getattr(getattr(values, "dtype", None), "kind", "f") in "mMc":
        raise DataError(f"{what}: {values.dtype}, expected numbers")
    try:
        if isinstance(values, pd.Series):
            return values.to_numpy(dtype=np.float64, na_value=np.nan)
        return np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise DataError(f"{what}: {error}; expected numbers") from error


def _rows_of(names: Sequence[str]) -> list[int]:
    """The place among the 26 signals that each column's gaps follow."""
    for name in names:
        if name not in INDEX and name not in _ROW_OF_SENSOR:
            known = f"{', '.join(NAMES)}; {', '.join(_ROW_OF_SENSOR)}"
            raise DataError(f"column {name!r} is neither a signal nor a sensor; say with signals= which it is: {known}")
    return [INDEX[_ROW_OF_SENSOR.get(name, name)] for name in names]


def _array_signals(values: NDArray[np.float64], signals: Sequence[str] | Mapping[Any, str] | None) -> list[str]:
    shape = values.shape
    if len(shape) not in (2, 3) or 0 in shape:
        raise DataError(f"values have shape {shape}, expected [rows, signals] or [people, rows, signals]")
    if isinstance(signals, Mapping):
        raise DataError("signals= of an array is a sequence of names, one a column")
    names = list(signals) if signals is not None else list(NAMES)
    if len(names) != shape[-1]:
        raise DataError(f"values have {shape[-1]} columns, signals= names {len(names)}")
    return names


def _array_samples(
    values: NDArray[np.float64],
    start: datetime | str | Sequence[datetime | str] | None,
    step_minutes: int,
    seed: int,
) -> Iterator[_Sample]:
    stack = values if values.ndim == 3 else values[None]
    starts = [start] * len(stack) if start is None or isinstance(start, str | datetime) else list(start)
    if len(starts) != len(stack):
        raise DataError(f"values hold {len(stack)} people, start= names the first rows of {len(starts)}")
    for i, (each, at) in enumerate(zip(stack, starts, strict=True)):
        if at is not None:
            began = time_of(at)
            yield _Sample(each, began.date(), began.hour * 60 + began.minute)
        elif len(each) * step_minutes < MINUTES_PER_DAY:
            yield _Sample(each, _MONDAY, int(stream(seed, "inject", "clock", i).integers(MINUTES_PER_DAY)))
        else:
            yield _Sample(each, _MONDAY, 0)


def time_of(start: datetime | str) -> pd.Timestamp:
    """The local time that a word stands for.

    Raises:
        ValueError: If it stands for none.
    """
    try:
        time = pd.Timestamp(start)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{start=} is no date and time such as 2024-03-04 07:45") from error
    if pd.isna(time):
        raise ValueError(f"{start=} is no date and time such as 2024-03-04 07:45")
    return time


def _inject_table(table: pd.DataFrame, asked: Asked, signals: Sequence[str] | Mapping[Any, str] | None) -> Injected:
    if signals is not None and not isinstance(signals, Mapping):
        raise DataError("signals= of a table is a mapping from its columns to names")
    called: dict[Any, str] = dict(signals or {})
    missing = [str(column) for column in called if column not in table.columns]
    if missing:
        raise DataError(f"signals= names columns that the table does not have: {', '.join(missing)}")
    columns = [column for column in table.columns if column in called or column in INDEX]
    if not columns:
        raise DataError(f"no column of {', '.join(map(str, table.columns))} is a signal; say with signals= which are")
    twice = next((column for column in columns if columns.count(column) > 1), None)
    if twice is not None:
        raise DataError(f"column {twice!r} stands twice")
    pieces = _pieces(table, asked.step_minutes)
    cells = np.column_stack([_numbers(table[column], f"column {column!r}") for column in columns])
    samples = [_Sample(cells[rows], began.date(), began.hour * 60 + began.minute) for rows, began in pieces]
    names = [called.get(column, column) for column in columns]
    hidden, codes, met = _hide(samples, names, asked)
    mask, why = np.zeros(cells.shape, dtype=np.bool_), np.zeros(cells.shape, dtype=np.uint8)
    for (rows, _), each, code in zip(pieces, hidden, codes, strict=True):
        mask[rows], why[rows] = each, code
    spoilt = table.copy()
    spoilt[columns] = np.where(mask, np.nan, cells)
    hides, causes = (pd.DataFrame(part, index=table.index, columns=columns) for part in (mask, why))
    return _injected(spoilt, hides, causes, asked.rate, met, [s.values for s in samples], codes)


def _pieces(table: pd.DataFrame, step_minutes: int) -> list[tuple[NDArray[np.intp], pd.Timestamp]]:
    """The rows of each person with the time of the first; every row on time."""
    if {"person", "timestamp"} <= set(table.columns):
        times = pd.DatetimeIndex(table["timestamp"])
        groups = [np.asarray(rows) for rows in table.groupby("person", sort=False).indices.values()]
    elif isinstance(table.index, pd.DatetimeIndex):
        times, groups = table.index, [np.arange(len(table))]
    else:
        raise DataError("the table has neither timestamps as its index nor columns 'person' and 'timestamp'")
    if not len(table):
        raise DataError("the table has no rows")
    if times.hasnans:
        raise DataError(f"row {int(np.argmax(times.isna()))}: no timestamp")
    if "person" in table.columns and sum(map(len, groups)) < len(table):
        raise DataError(f"row {int(np.argmax(table['person'].isna()))}: no person")
    step = pd.Timedelta(minutes=step_minutes)
    for rows in groups:
        off = np.flatnonzero(np.diff(times[rows].to_numpy()) != step.to_timedelta64())
        if len(off):
            a, b = times[rows[off[0]]], times[rows[off[0] + 1]]
            raise DataError(
                f"row {rows[off[0] + 1]}: {b} follows {a}, expected {step_minutes} min later; put in lost rows"
            )
    return [(rows, times[rows[0]]) for rows in groups]


# -------------------------------------------------------------------------------------------------- what goes out


def _hide(
    samples: list[_Sample], names: Sequence[str], asked: Asked
) -> tuple[list[NDArray[np.bool_]], list[NDArray[np.uint8]], float]:
    """Which cells go, and why; and which share that is."""
    scenario, rate = asked.scenario, asked.rate
    rows = _rows_of(names)
    there = [np.isfinite(sample.values) for sample in samples]
    cells = sum(int(each.sum()) for each in there)
    if not cells:
        raise DataError("no cell holds a finite value")
    orders = [np.full(sample.values.shape, np.inf) for sample in samples]  # when an episode takes it
    reasons = [np.zeros(sample.values.shape, dtype=np.uint8) for sample in samples]
    for life in range(MOST_LIVES if rate is not None else 1):
        for i, sample in enumerate(samples):
            stand_in = (asked.seed, i, life)
            order, why = _episodes(sample, rows, scenario, stand_in=stand_in, step_minutes=asked.step_minutes)
            new = (order < np.inf) & (orders[i] == np.inf)
            orders[i][new], reasons[i][new] = life + order[new], why[new]
            if asked.progress is not None:
                asked.progress(i + 1, len(samples), life + 1)
        if (
            rate is not None
            and sum(int(((o < np.inf) & t).sum()) for o, t in zip(orders, there, strict=True)) >= rate * cells
        ):
            break
    if rate is None:
        last = 1.0 if asked.severity is None else asked.severity
        hidden = [(order < last) & here for order, here in zip(orders, there, strict=True)]
    else:
        pick = _whole_sensors if scenario.causes == _ABSENCE else _first_cells
        hidden = pick(orders, there, rate * cells)
    met = sum(int(each.sum()) for each in hidden) / cells
    if rate is not None and abs(met - rate) > TOLERANCE:
        reach = sum(int(((o < np.inf) & t).sum()) for o, t in zip(orders, there, strict=True)) / cells
        kinds = ", ".join(sorted(cause.name.lower() for cause in scenario.causes))
        way = f"at most {reach:.3f}" if reach < rate else f"{met:.3f} and nothing nearer"
        raise DataError(f"{rate=} cannot be met: {kinds} in {len(samples)} x {len(samples[0].values)} rows reach {way}")
    return hidden, [np.where(h, r, np.uint8(0)).astype(np.uint8) for h, r in zip(hidden, reasons, strict=True)], met


def _first_cells(
    orders: list[NDArray[np.float64]], there: list[NDArray[np.bool_]], wanted: float
) -> list[NDArray[np.bool_]]:
    """The first cells in the order of episodes, the last episode cut at the row that comes nearest to ``wanted``."""
    queue = np.sort(np.concatenate([order[here] for order, here in zip(orders, there, strict=True)]))
    queue = queue[queue < np.inf]
    if not len(queue):
        return [np.zeros(order.shape, dtype=np.bool_) for order in orders]
    last = queue[min(math.ceil(wanted), len(queue)) - 1]
    missing = wanted - np.searchsorted(queue, last)
    hidden = []
    for order, here in zip(orders, there, strict=True):
        cells, of_last = (order < last) & here, (order == last) & here
        if of_last.any():
            ends = np.concatenate([[0], np.cumsum(of_last.sum(axis=1))])  # cells hidden if it ends before a row
            stop = int(np.argmin(np.abs(ends - missing)))
            cells[:stop] |= of_last[:stop]
        hidden.append(cells)
    return hidden


def _whole_sensors(
    orders: list[NDArray[np.float64]], there: list[NDArray[np.bool_]], wanted: float
) -> list[NDArray[np.bool_]]:
    """Sensors in their order, each wholly, leaving out those that would go beyond ``wanted`` by over the tolerance."""
    room = wanted + TOLERANCE * sum(int(here.sum()) for here in there)
    hidden = [np.zeros(order.shape, dtype=np.bool_) for order in orders]
    finite = [np.unique(order[(order < np.inf) & here]) for order, here in zip(orders, there, strict=True)]
    queue = sorted((float(turn), i) for i, turns in enumerate(finite) for turn in turns)
    for turn, i in queue:
        cells = (orders[i] == turn) & there[i]
        if cells.sum() <= room:
            room -= int(cells.sum())
            hidden[i] |= cells
    return hidden


def _episodes(
    sample: _Sample, rows: Sequence[int], scenario: Scenario, *, stand_in: tuple[int, int, int], step_minutes: int
) -> tuple[NDArray[np.float64], NDArray[np.uint8]]:
    """When, in [0, 1), each cell is taken by an episode of the stand-in's life, and why; inf: never."""
    rng = stream(stand_in[0], "inject", "episodes", *stand_in[1:])
    order = np.full(sample.values.shape, np.inf)
    lived = _lived(sample, rows, scenario, stand_in, step_minutes)
    if scenario.causes == _ABSENCE:
        for sensor in Sensor:
            columns = [i for i, row in enumerate(rows) if SIGNALS[row].sensor == sensor]
            order[:, columns] = np.where(lived[:, columns] == Reason.SENSOR_ABSENT, rng.random(), np.inf)
        return order, lived
    why = np.where(np.isin(lived, [int(cause) for cause in scenario.causes]), lived, 0).astype(np.uint8)
    for cause in sorted(scenario.causes):
        taken = why == cause
        for begin, end in runs_of(taken.any(axis=1)).tolist():
            order[begin:end][taken[begin:end]] = rng.random()
    return order, why


def _lived(
    sample: _Sample, rows: Sequence[int], scenario: Scenario, stand_in: tuple[int, int, int], step_minutes: int
) -> NDArray[np.uint8]:
    """Reasons of the stand-in's gaps at the sample's rows and signals, uint8 [rows, signals]."""
    seed, index, life = stand_in
    minutes = sample.first_minute + len(sample.values) * step_minutes
    days = -(-minutes // MINUTES_PER_DAY)
    person, vendor = _stand_in(scenario, seed, MOST_LIVES * index + life, days)
    steps = _steps(sample, rows, days, step_minutes)
    out = []
    for day, routine in enumerate(live_through(person, range(days), sample.first_day)):
        outdoors = routine.ambient_celsius < _OUTDOORS_CELSIUS
        routine.ambient_celsius[outdoors] += np.float32(scenario.air_shift_celsius)
        motion_g = _motion_g(routine, person, day, None if steps is None else steps[day]).astype(np.float32)
        water = routine.water[routine.lead_in_minutes :]
        valid = 100.0 * found_share(vendor, motion_g, water)
        valid = np.convolve(np.concatenate([np.full(4, valid[0]), valid]), np.full(5, 0.2), mode="valid")
        out.append(find_gaps(person, vendor, routine, valid.astype(np.float32), motion_g, day)[rows])
    lived = np.concatenate(out, axis=1)[:, sample.first_minute : minutes : step_minutes]
    return np.ascontiguousarray(lived.T)


def _stand_in(scenario: Scenario, seed: int, index: int, days: int) -> tuple[Person, Vendor]:
    """A person and a device, with the scenario's habits; with every sensor, unless their absence is what is wanted."""
    population = POPULATIONS[scenario.population]
    person = population.person(seed, index)
    vendor = VENDORS[scenario.vendor] if scenario.vendor else population.vendor(seed, index)
    per_year: dict[str, Any] = {name: often * 365.25 / days for name, often in scenario.per_span.items()}
    if "wear_and_tear" in per_year:
        per_year["wear_and_tear"] /= sum(FAILURES_PER_YEAR.values())
    if scenario.causes != _ABSENCE:
        vendor = replace(vendor, sensors=frozenset(Sensor))
    return replace(person, **scenario.habits, **per_year), vendor


def _steps(sample: _Sample, rows: Sequence[int], days: int, step_minutes: int) -> NDArray[np.float64] | None:
    """Steps a minute of the sample's days, [days, 1440], 0 where they do not tell; None if they are not among it."""
    if INDEX["steps"] not in rows or step_minutes > 1:
        return None
    told = np.nan_to_num(sample.values[:, list(rows).index(INDEX["steps"])])
    out = np.zeros(days * MINUTES_PER_DAY)
    out[sample.first_minute : sample.first_minute + len(told)] = np.clip(told, 0.0, 240.0)
    return out.reshape(days, MINUTES_PER_DAY)


def _motion_g(routine: Routine, person: Person, day: int, steps: NDArray[np.float64] | None) -> NDArray[np.float64]:
    """Standard deviation of wrist acceleration in g: by steps and by what the stand-in's hands do."""
    today = slice(routine.lead_in_minutes, None)
    cadence = routine.cadence[today].astype(np.float64) if steps is None else steps
    fidget = white(time_key(person.seed, person.index, "inject"), 0, day * MINUTES_PER_DAY, MINUTES_PER_DAY)
    hands = routine.arm_motion[today].astype(np.float64) * np.exp(0.5 * fidget)
    motion_g: NDArray[np.float64] = _STILL_G + _ARM_G * hands + _STEP_G * cadence
    return motion_g
