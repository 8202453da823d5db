"""A person in 36 bounded numbers: what a statistic over people, or a simulator fitted to them, may count.

Each summary speaks of one person's own recordings within public days, gaps and all, and of nobody else, so adding a
person adds one row and changes none. Each has public bins: edges, or names, written down here, and one more bin for
people of whom it cannot be told ("none"), so that neither keys nor shapes depend on who is there (rules R9, R15 of
differential privacy: nothing about the data decides what is asked). Edges are sextiles of simulated people, rounded.

In: a person's recordings and what a questionnaire told. Out: ``summarise`` gives numbers, NaN where unknown; ``encode``
the bins; ``of_dataset`` and ``of_cohort`` a row a person.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from itertools import pairwise
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.cohort import Cohort
from simulator.dataset import Dataset
from simulator.noise import compiled
from simulator.recording import Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY
from simulator.vendors import VENDORS

Floats = NDArray[np.float64]
Codes = NDArray[np.uint8]
"""uint8 [people, 36]: the bin of each summary; the last bin of each is "none"."""

NONE: Final = "none"
SERIES: Final = ("heart_rate", "rmssd", "steps", "sleep_coefficient", "skin_temperature", "scl")
_HR, _RMSSD, _STEPS, _MOVING, _TEMPERATURE, _SCL = range(len(SERIES))
_ROWS: Final = np.array([INDEX[name] for name in SERIES])
_HOUR: Final = 60  # minutes
_FEW_BINS: Final = 8  # of a summary that is worth a pair
_ENOUGH_MINUTES: Final = 300  # for a statistic of a person's minutes
_WORN_MINUTES: Final = 600  # of heart rate or steps in a day that counts as worn; NHANES' 10 h
_QUIET: Final = 5.0  # sleep_coefficient of a quiet minute: 75 % of simulated minutes asleep, 5 % of still ones awake
_QUIET_WINDOW: Final = 30  # minutes to either side, over which rest is looked for
_QUIET_SHARE: Final = 0.7  # of the observed minutes in it
_SHORTEST_REST: Final = 120  # minutes of a main rest
_BRISK: Final = 100.0  # steps a minute: moderate intensity (Tudor-Locke 2018)
_WALKING: Final = 60.0  # steps a minute: purposeful (CADENCE bands)
_EXERCISE_ABOVE_RESTING: Final = 45.0  # bpm; judgement: two fifths of most adults' reserve
_EXERCISE_RUN: Final = 10  # minutes in a row


@dataclass(frozen=True, slots=True, kw_only=True)
class Summary:
    """One number about a person, and its public bins.

    Attributes:
        name: Key in tables and files.
        unit: Of the number.
        edges: Between bins, increasing; the first bin lies below ``edges[0]``, the last has no upper end.
        keys: Names in place of edges, where the number is the place of a name.
        about: How it comes about.
    """

    name: str
    unit: str
    edges: tuple[float, ...] = ()
    keys: tuple[str, ...] = ()
    about: str

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of all bins, "none" last."""
        if self.keys:
            return (*self.keys, NONE)
        ends = [f"{edge:g}" for edge in self.edges]
        inner = [f"{low} to {high}" for low, high in pairwise(ends)]
        return (f"below {ends[0]}", *inner, f"from {ends[-1]}", NONE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Period:
    """The public days that are looked at; recordings of other days do not exist for a summary.

    Attributes:
        start: First day.
        days: How many.
    """

    start: date
    days: int

    def __post_init__(self) -> None:
        if not 1 <= self.days <= 366:
            raise ValueError(f"Period.days={self.days} is not in [1, 366]")

    def place(self, day: date) -> int | None:
        """Days since the first; None outside."""
        place = (day - self.start).days
        return place if 0 <= place < self.days else None


SEXES: Final = ("female", "male")
DEVICES: Final = tuple(VENDORS)

SUMMARIES: Final[tuple[Summary, ...]] = (
    Summary(name="age", unit="years", edges=(30, 40, 50, 60, 70), about="As told."),
    Summary(name="sex", unit="", keys=SEXES, about="As told."),
    Summary(name="bmi", unit="kg/m2", edges=(22, 25, 27.5, 30, 34), about="As told."),
    Summary(name="device", unit="", keys=DEVICES, about="That of most days with a recording."),
    Summary(name="resting_hr", unit="bpm", edges=(50, 54, 58, 62, 68), about="5th percentile of heart rate."),
    Summary(name="day_hr", unit="bpm", edges=(74, 78, 82, 85, 90), about="Mean heart rate from 9 to 21 h."),
    Summary(name="hr_sd", unit="bpm", edges=(11, 11.8, 12.5, 13.3, 14.5), about="Spread of heart rate over minutes."),
    Summary(name="hr_lag1", unit="", edges=(0.9, 0.92, 0.93, 0.94, 0.95), about="Autocorrelation, one minute apart."),
    Summary(
        name="hr_amplitude",
        unit="bpm",
        edges=(8.5, 9.5, 10.5, 11.5, 13),
        about="Of a cosine through the clock's hours.",
    ),
    Summary(name="hr_acrophase", unit="h", edges=(14.6, 15, 15.4, 15.8, 16.5), about="When that cosine is highest."),
    Summary(name="hr_walking_rise", unit="bpm", edges=(19, 22, 25, 28, 33), about="Over stepless minutes of the day."),
    Summary(name="rmssd_night", unit="ms", edges=(23, 27, 32, 38, 48), about="Median of the minutes from 0 to 6 h."),
    Summary(name="steps_per_day", unit="steps", edges=(4500, 6000, 7500, 9000, 11000), about="Of days worn."),
    Summary(
        name="steps_day_sd", unit="ln", edges=(0.27, 0.33, 0.38, 0.44, 0.54), about="Of ln daily steps, days worn."
    ),
    Summary(name="brisk_minutes", unit="min/d", edges=(2, 5, 9, 13, 19), about="Minutes with 100 steps or more."),
    Summary(name="exercise_minutes", unit="min/d", edges=(2, 8, 14, 22, 35), about="10 min at 45 bpm over resting."),
    Summary(
        name="still_share", unit="", edges=(0.61, 0.65, 0.68, 0.72, 0.76), about="Stepless minutes from 9 to 21 h."
    ),
    Summary(name="steps_midpoint", unit="h", edges=(13.6, 14.4, 15, 15.7, 16.5), about="Circular mean hour of a step."),
    Summary(name="steps_stability", unit="", edges=(0.2, 0.25, 0.3, 0.35, 0.4), about="Interdaily stability, hours."),
    Summary(name="weekend_steps", unit="ln", edges=(-0.5, -0.3, -0.1, 0.1, 0.3), about="ln weekend over weekday."),
    Summary(name="rest_hours", unit="h", edges=(4.5, 5.4, 6.1, 6.9, 7.7), about="Median main rest, noon to noon."),
    Summary(name="rest_midpoint", unit="h", edges=(2, 2.8, 3.3, 3.9, 4.7), about="Median clock time of its middle."),
    Summary(name="rest_midpoint_sd", unit="h", edges=(0.5, 0.8, 1.1, 1.5, 2.5), about="Spread of it over days."),
    Summary(name="rest_weekend_shift", unit="h", edges=(-0.5, 0.1, 0.5, 1.2, 2.1), about="Later after Fri and Sat."),
    Summary(name="wear_hours", unit="h/d", edges=(8, 14, 20, 22, 23), about="Hours with heart rate, all days."),
    Summary(name="night_wear", unit="", edges=(0.05, 0.4, 0.8, 0.95, 0.999), about="Heart rate seen from 1 to 5 h."),
    Summary(name="days_worn", unit="", edges=(0.3, 0.5, 0.7, 0.9, 0.999), about="Share of days with 10 h or more."),
    Summary(name="longest_gap", unit="h", edges=(1.5, 2.5, 8, 14, 24), about="Longest time without heart rate."),
    Summary(name="rr_missing", unit="", edges=(0.4, 0.5, 0.62, 0.74, 0.9), about="RR gone where heart rate is there."),
    Summary(
        name="scl_missing", unit="", edges=(0.06, 0.22, 0.3, 0.34, 0.38), about="SCL gone where heart rate is there."
    ),
    Summary(name="temperature_missing", unit="", edges=(0.05, 0.22, 0.3, 0.36, 0.44), about="The same of temperature."),
    Summary(name="charging_minutes", unit="min/d", edges=(13, 18, 30, 50, 70), about="On the charger, if it says so."),
    Summary(name="charging_hour", unit="h", edges=(7.5, 9, 14, 20, 21.2), about="Circular mean of those minutes."),
    Summary(name="temperature", unit="degC", edges=(31.2, 31.9, 32.5, 33.1, 34), about="Mean skin temperature."),
    Summary(
        name="temperature_night", unit="degC", edges=(0.3, 0.6, 0.9, 1.3, 2.3), about="Mean 0 to 6 h less 12 to 20 h."
    ),
    Summary(name="scl", unit="ln uS", edges=(-1.4, -1, -0.5, -0.1, 0.4), about="Log of the median."),
)
"""Order is that of ``Codes``' columns."""
N_SUMMARIES: Final = len(SUMMARIES)
BINS: Final[tuple[int, ...]] = tuple(len(summary.labels) for summary in SUMMARIES)
PLACE: Final[dict[str, int]] = {summary.name: i for i, summary in enumerate(SUMMARIES)}

PAIRS: Final[tuple[tuple[str, str], ...]] = (
    ("resting_hr", "day_hr"),
    ("hr_sd", "exercise_minutes"),
    ("hr_amplitude", "hr_acrophase"),
    ("hr_amplitude", "rest_hours"),
    ("hr_amplitude", "rest_midpoint"),
    ("hr_acrophase", "steps_midpoint"),
    ("hr_acrophase", "rest_midpoint"),
    ("steps_per_day", "brisk_minutes"),
    ("steps_per_day", "still_share"),
    ("steps_day_sd", "steps_stability"),
    ("steps_day_sd", "weekend_steps"),
    ("brisk_minutes", "exercise_minutes"),
    ("brisk_minutes", "still_share"),
    ("rest_hours", "rest_midpoint"),
    ("rest_midpoint_sd", "rest_weekend_shift"),
    ("wear_hours", "night_wear"),
    ("wear_hours", "days_worn"),
    ("wear_hours", "longest_gap"),
    ("night_wear", "days_worn"),
    ("night_wear", "longest_gap"),
    ("days_worn", "longest_gap"),
    ("scl_missing", "temperature_missing"),
    ("scl_missing", "temperature"),
    ("scl_missing", "scl"),
    ("temperature_missing", "temperature"),
    ("temperature_missing", "scl"),
    ("charging_minutes", "charging_hour"),
    ("temperature", "scl"),
)
"""Those that tell most of each other (``informative_pairs``) in 480 simulated people of four populations, each summary
in three at most: chosen once, on public people. With 36 single ones they make 64 tables."""


def summarise(recordings: Iterable[Recording], told: Mapping[str, object], period: Period) -> Floats:
    """A person's summaries, float64 [36]; NaN where they cannot be told, and the place of its name for a named one.

    Args:
        recordings: The person's days, in any order; those outside the period are ignored.
        told: ``age_years``, ``sex`` and ``bmi_kg_m2``, as far as known.
        period: The public days.
    """
    series = np.full((len(SERIES), period.days * MINUTES_PER_DAY), np.nan, dtype=np.float32)
    charging = np.zeros(series.shape[1], dtype=np.bool_)
    reasons_told, devices = False, dict[str, int]()
    for recording in recordings:
        place = period.place(recording.date)
        if place is None:
            continue
        minutes = slice(place * MINUTES_PER_DAY, (place + 1) * MINUTES_PER_DAY)
        series[:, minutes] = np.where(recording.observed[_ROWS], recording.values[_ROWS], np.float32(np.nan))
        reason = recording.reason[INDEX["heart_rate"]]
        charging[minutes] = reason == np.uint8(Reason.CHARGING)
        reasons_told |= bool(np.any((reason != 0) & (reason != np.uint8(Reason.NOT_RECORDED))))
        devices[recording.vendor] = devices.get(recording.vendor, 0) + 1
    found = np.full(N_SUMMARIES, np.nan)
    for name, value in _told(told, devices):
        found[PLACE[name]] = value
    if devices:
        for part in (_of_heart, _of_steps, _of_rest, _of_wear, _of_skin):
            for name, value in part(series, period):
                found[PLACE[name]] = value
        if reasons_told:
            for name, value in _of_charges(charging, period):
                found[PLACE[name]] = value
    return found


def encode(values: Floats) -> Codes:
    """The bins of summaries [people, 36]; whatever is not finite, or no name's place, is in the last, "none"."""
    codes = np.empty(values.shape, dtype=np.uint8)
    for i, summary in enumerate(SUMMARIES):
        column, none = values[:, i], BINS[i] - 1
        if summary.keys:
            known = np.isfinite(column) & (column >= 0) & (column < none)
            codes[:, i] = np.where(known, np.where(known, column, 0), none)
        else:
            codes[:, i] = np.where(np.isfinite(column), np.searchsorted(summary.edges, column, side="right"), none)
    return codes


def of_cohort(cohort: Cohort, period: Period, progress: Callable[[int], None] | None = None) -> Codes:
    """The bins of simulated people, [people, 36], in the cohort's order; nothing is written or kept."""
    rows = np.empty((cohort.people, N_SUMMARIES))
    for i in range(cohort.people):
        person = cohort.person(i)
        told = {"age_years": person.age_years, "sex": person.sex, "bmi_kg_m2": person.bmi_kg_m2}
        rows[i] = summarise(cohort.of_person(i), told, period)
        if progress is not None:
            progress(i + 1)
    return encode(rows)


def of_dataset(dataset: Dataset, period: Period, progress: Callable[[int], None] | None = None) -> Codes:
    """The bins of a dataset's people, [people, 36], in the order of its table; in flat memory where days lie together.

    Everybody in the table has a row, also without a recording.
    """
    told: dict[str, dict[str, object]] = {
        str(row["person"]): {str(name): value for name, value in row.items()}
        for row in dataset.people.to_dict("records")
    }
    place = {person: i for i, person in enumerate(told)}
    rows = np.empty((len(told), N_SUMMARIES))
    for person in told.keys() - set(dataset.index["person"]):
        rows[place[person]] = summarise((), told[person], period)
    for person, recordings in _by_person(dataset, progress):
        rows[place[person]] = summarise(recordings, told[person], period)
    return encode(rows)


def _by_person(dataset: Dataset, progress: Callable[[int], None] | None) -> Iterator[tuple[str, list[Recording]]]:
    """Each person's recordings, as soon as all have been read."""
    left = dataset.index["person"].value_counts().to_dict()
    waiting: dict[str, list[Recording]] = {}
    for done, recording in enumerate(dataset, start=1):
        own = waiting.setdefault(recording.person, [])
        own.append(recording)
        if len(own) == left[recording.person]:
            yield recording.person, waiting.pop(recording.person)
        if progress is not None:
            progress(done)


Found = Iterator[tuple[str, float]]


def _told(told: Mapping[str, object], devices: Mapping[str, int]) -> Found:
    for name, key in (("age", "age_years"), ("bmi", "bmi_kg_m2")):
        value = told.get(key)
        if isinstance(value, int | float | np.number) and not isinstance(value, bool):
            yield name, float(value)
    if told.get("sex") in SEXES:
        yield "sex", float(SEXES.index(str(told["sex"])))
    if devices:
        device = max(sorted(devices), key=lambda name: devices[name])
        if device in DEVICES:
            yield "device", float(DEVICES.index(device))


def _clock(minutes: int) -> NDArray[np.int64]:
    """Hour of the day, 0 to 23, of so many minutes from midnight on."""
    return np.arange(minutes) % MINUTES_PER_DAY // _HOUR


def _mean(values: NDArray[np.float32], least: int) -> float:
    """Mean of what is there; NaN if fewer than ``least`` are."""
    there = values[~np.isnan(values)]
    return float(there.mean(dtype=np.float64)) if len(there) >= least else np.nan


def _of_heart(series: NDArray[np.float32], period: Period) -> Found:
    hr, rmssd, steps = series[_HR], series[_RMSSD], series[_STEPS]
    there, hour = ~np.isnan(hr), _clock(series.shape[1])
    if there.sum() < _ENOUGH_MINUTES:
        return
    by_day = (hour >= 9) & (hour < 21)
    seen = hr[there].astype(np.float64)
    resting = float(np.percentile(seen, 5))
    yield "resting_hr", resting
    yield "day_hr", _mean(hr[by_day], _ENOUGH_MINUTES)
    yield "hr_sd", float(seen.std())
    pairs = there[1:] & there[:-1]
    if pairs.sum() >= _ENOUGH_MINUTES:
        a, b = hr[1:][pairs].astype(np.float64), hr[:-1][pairs].astype(np.float64)
        spread = a.std() * b.std()
        if spread > 0:
            yield "hr_lag1", float(((a - a.mean()) * (b - b.mean())).mean() / spread)
    counts = np.bincount(hour[there], minlength=24)
    if counts.min() >= 10:
        means = np.bincount(hour[there], weights=seen, minlength=24) / counts
        wave = (means * np.exp(1j * np.pi / 12 * (np.arange(24) + 0.5))).mean() * 2
        yield "hr_amplitude", float(abs(wave))
        yield "hr_acrophase", float(np.angle(wave) * 12 / np.pi % 24)
    yield (
        "hr_walking_rise",
        _mean(hr[steps >= _WALKING], 20) - _mean(hr[(steps == 0) & by_day], _ENOUGH_MINUTES),
    )
    at_night = rmssd[(hour < 6) & ~np.isnan(rmssd)]
    if len(at_night) >= _HOUR:
        yield "rmssd_night", float(np.median(at_night))
    hard = _long_runs(hr >= resting + _EXERCISE_ABOVE_RESTING, _EXERCISE_RUN)
    worn_days = there.sum() / MINUTES_PER_DAY
    yield "exercise_minutes", hard / worn_days


def _of_steps(series: NDArray[np.float32], period: Period) -> Found:
    steps = series[_STEPS].reshape(period.days, MINUTES_PER_DAY)
    worn = (~np.isnan(steps)).sum(axis=1) >= _WORN_MINUTES
    if not worn.any():
        return
    steps = steps[worn]
    weekend = np.array([_is_weekend(period, day) for day in range(period.days)])[worn]
    daily: Floats = np.asarray(np.nansum(steps, axis=1, dtype=np.float64))
    yield "steps_per_day", float(daily.mean())
    yield "brisk_minutes", float((steps >= _BRISK).sum() / len(steps))
    if len(daily) >= 4:
        yield "steps_day_sd", float(np.log1p(daily).std(ddof=1))
    if weekend.any() and not weekend.all():
        yield "weekend_steps", float(np.log1p(daily[weekend].mean()) - np.log1p(daily[~weekend].mean()))
    by_day = steps[:, 9 * _HOUR : 21 * _HOUR]
    if (~np.isnan(by_day)).sum() >= _ENOUGH_MINUTES:
        yield "still_share", float((by_day == 0).sum() / (~np.isnan(by_day)).sum())
    hourly: Floats = np.asarray(np.nansum(steps.reshape(len(steps), 24, _HOUR), axis=2, dtype=np.float64))
    wave = (hourly.sum(axis=0) * np.exp(1j * np.pi / 12 * (np.arange(24) + 0.5))).sum()
    if abs(wave) > 0:
        yield "steps_midpoint", float(np.angle(wave) * 12 / np.pi % 24)
    if len(hourly) >= 4 and hourly.var() > 0:
        yield "steps_stability", float(hourly.mean(axis=0).var() / hourly.var())


def _of_rest(series: NDArray[np.float32], period: Period) -> Found:
    begins, ends = _main_rests(series[_MOVING], series[_STEPS], period.days)
    known = ends > begins
    if not known.any():
        return
    middle = (begins + ends)[known] / (2 * _HOUR) - 24.0 * (np.flatnonzero(known) + 1)  # h after midnight
    weekend = np.array([_is_weekend(period, night + 1) for night in np.flatnonzero(known).tolist()])
    yield "rest_hours", float(np.median((ends - begins)[known]) / _HOUR)
    yield "rest_midpoint", float(np.median(middle))
    if len(middle) >= 4:
        yield "rest_midpoint_sd", float(middle.std(ddof=1))
    if weekend.any() and not weekend.all():
        yield "rest_weekend_shift", float(np.median(middle[weekend]) - np.median(middle[~weekend]))


def _of_wear(series: NDArray[np.float32], period: Period) -> Found:
    there = ~np.isnan(series[_HR])
    total, hour = there.sum(), _clock(len(there))
    yield "wear_hours", float(total / (_HOUR * period.days))
    yield "night_wear", float(there[(hour >= 1) & (hour < 5)].mean())
    yield "days_worn", float((there.reshape(period.days, -1).sum(axis=1) >= _WORN_MINUTES).mean())
    yield "longest_gap", _longest_run(~there) / _HOUR
    if total < _ENOUGH_MINUTES:
        return
    for name, row in (("rr_missing", _RMSSD), ("scl_missing", _SCL), ("temperature_missing", _TEMPERATURE)):
        delivered = ~np.isnan(series[row])
        if delivered.any():  # of a sensor that is not there nothing is missing
            yield name, float(1.0 - (delivered & there).sum() / total)


def _of_skin(series: NDArray[np.float32], period: Period) -> Found:
    temperature, hour = series[_TEMPERATURE], _clock(series.shape[1])
    yield "temperature", _mean(temperature, _ENOUGH_MINUTES)
    by_day = temperature[(hour >= 12) & (hour < 20)]
    yield "temperature_night", _mean(temperature[hour < 6], _ENOUGH_MINUTES) - _mean(by_day, _ENOUGH_MINUTES)
    scl = series[_SCL][~np.isnan(series[_SCL])]
    if len(scl) >= _ENOUGH_MINUTES:
        yield "scl", float(np.log(max(float(np.median(scl)), 0.01)))


def _of_charges(charging: NDArray[np.bool_], period: Period) -> Found:
    yield "charging_minutes", float(charging.sum() / period.days)
    if charging.sum() >= 10:
        minute = np.flatnonzero(charging) % MINUTES_PER_DAY
        wave = np.exp(2j * np.pi * (minute + 0.5) / MINUTES_PER_DAY).sum()
        yield "charging_hour", float(np.angle(wave) * 12 / np.pi % 24)


def _is_weekend(period: Period, day: int) -> bool:
    return (period.start + timedelta(days=day)).weekday() >= 5


@compiled
def _long_runs(flag: NDArray[np.bool_], shortest: int) -> int:
    """Number of minutes in runs of True of at least ``shortest``."""
    total = run = 0
    for m in range(len(flag) + 1):
        if m < len(flag) and flag[m]:
            run += 1
        else:
            if run >= shortest:
                total += run
            run = 0
    return total


@compiled
def _longest_run(flag: NDArray[np.bool_]) -> int:
    """Length of the longest run of True."""
    longest = run = 0
    for m in range(len(flag)):
        run = run + 1 if flag[m] else 0
        longest = max(longest, run)
    return longest


@compiled
def _main_rests(
    moving: NDArray[np.float32], steps: NDArray[np.float32], days: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """The longest rest of each noon to noon: first minute and first minute after, int64 [days - 1]; equal if none.

    A minute rests if most observed minutes around it are without steps and nearly without motion.
    """
    n, half = len(moving), _QUIET_WINDOW
    quiet, seen = np.zeros(n + 1, dtype=np.int64), np.zeros(n + 1, dtype=np.int64)
    for m in range(n):
        there = moving[m] == moving[m] and steps[m] == steps[m]
        seen[m + 1] = seen[m] + there
        quiet[m + 1] = quiet[m] + (there and moving[m] <= _QUIET and steps[m] == 0)
    begins, ends = np.zeros(max(days - 1, 0), dtype=np.int64), np.zeros(max(days - 1, 0), dtype=np.int64)
    for night in range(days - 1):
        noon, run = (2 * night + 1) * MINUTES_PER_DAY // 2, 0
        for m in range(noon, noon + MINUTES_PER_DAY):
            low, high = max(m - half, 0), min(m + half + 1, n)
            around = seen[high] - seen[low]
            rests = around > half and quiet[high] - quiet[low] >= _QUIET_SHARE * around
            run = run + 1 if rests else 0
            if run >= _SHORTEST_REST and run > ends[night] - begins[night]:
                begins[night], ends[night] = m + 1 - run, m + 1
    return begins, ends


def informative_pairs(codes: Codes, n: int, each: int = 3) -> tuple[tuple[int, int], ...]:
    """The ``n`` pairs of summaries that tell most of each other; of public people, never of private ones.

    Pairs with a name of many bins are left out, being mostly noise.

    Args:
        codes: Of simulated people, [people, 36].
        n: How many pairs.
        each: In how many of them a summary may be.
    """
    few = [i for i in range(N_SUMMARIES) if BINS[i] <= _FEW_BINS]
    scores = {
        (i, j): _mutual_information(codes[:, i], codes[:, j], BINS[i], BINS[j]) for i in few for j in few if i < j
    }
    pairs, times = list[tuple[int, int]](), dict.fromkeys(few, 0)
    for i, j in sorted(scores, key=lambda pair: -scores[pair]):
        if len(pairs) < n and times[i] < each and times[j] < each:
            pairs.append((i, j))
            times[i], times[j] = times[i] + 1, times[j] + 1
    return tuple(sorted(pairs))


def _mutual_information(a: Codes, b: Codes, rows: int, columns: int) -> float:
    """In nats, less what chance gives on average (Miller 1955)."""
    counts = pd.crosstab(a, b).reindex(index=range(rows), columns=range(columns), fill_value=0).to_numpy(np.float64)
    joint = counts / counts.sum()
    apart = joint.sum(axis=1, keepdims=True) * joint.sum(axis=0, keepdims=True)
    there = joint > 0
    freedom = ((counts.sum(axis=1) > 0).sum() - 1) * ((counts.sum(axis=0) > 0).sum() - 1)
    return float((joint[there] * np.log(joint[there] / apart[there])).sum() - freedom / (2 * counts.sum()))
