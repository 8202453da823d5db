"""From a norm's quantity to a sample of persons or days: whose values they are.

Each function takes the observations and the stratum's remaining keys, takes out the keys that it understands, and
returns values with the code of the person each belongs to. Quantities of single minutes are in
``simulator.realism.minutes``, those of single events and gaps in ``simulator.realism.events``.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simulator.realism.days import CADENCES, NUMBERED
from simulator.realism.events import (
    Keys,
    a_range,
    activity_labels,
    asked,
    bouts_of,
    days_with,
    exercise_of,
    hours,
    moods,
    needs_reasons,
    whole_range,
)
from simulator.realism.observing import Observations, Sketch
from simulator.realism.statistics import NotComputableError, Sample, person_means, sample
from simulator.recording import Reason
from simulator.signals import N_SIGNALS

WORN_HOURS: Final = 20.0  # a day counts as worn, for steps and 24-hour heart rate (norms)
FULL_DAY_HOURS: Final = 23.0
MOST_MISSING: Final = 0.8  # of a day's cells; LSM-2 leaves out days that miss more (norms mins_missing_daywindow*)
LOG_HOURS: Final = 10.0  # of heart rate, from which a day could have logged an activity (norm act_any_day)
VALID_DAYS: Final = 3  # that NHANES asks of a person before counting their valid days (norm wear_nhanes7)
_NIGHT_HOURS: Final = (23.0, 6.0)  # between which an overnight charger charges


# ------------------------------------------------------------------------------------------------------- days


def _days(seen: Observations, values: ArrayLike, keep: "pd.Series[bool] | None" = None) -> Sample:
    numbers = np.asarray(values, dtype=np.float64)
    if keep is not None:
        numbers = np.where(np.asarray(keep, dtype=np.bool_), numbers, np.nan)
    return sample(numbers, seen.days["person"].to_numpy(), row=np.arange(len(seen.days)))


def _column(seen: Observations, name: str) -> "pd.Series[float]":
    if name not in seen.days:
        raise NotComputableError(f"no day tells {name.replace('_', ' ')}")
    column: pd.Series[float] = seen.days[name]
    return column


def _worn(seen: Observations, keys: Keys) -> "pd.Series[bool] | None":
    """Days that count as worn; None where the stratum says itself how long a day must be worn."""
    return None if "wear" in keys else seen.days["worn_hours"] >= WORN_HOURS


def _plain(column: str, *, worn: bool = False) -> Callable[[Observations, Keys], Sample]:
    def of(seen: Observations, keys: Keys) -> Sample:
        return _days(seen, _column(seen, column), _worn(seen, keys) if worn else None)

    return of


def _indicator(
    column: str, holds: Callable[["pd.Series[float]"], "pd.Series[bool]"], given: str
) -> Callable[[Observations, Keys], Sample]:
    """1 on days where a column's value holds, 0 on others, of the days on which ``given`` is told."""

    def of(seen: Observations, keys: Keys) -> Sample:
        held = holds(_column(seen, column)).astype(np.float64)
        return _days(seen, held.where(_column(seen, given).notna()))

    return of


def _minus_resting(seen: Observations, keys: Keys) -> Sample:
    resting = resting_hr(seen)
    level = seen.days["person"].map(dict(zip(resting.person, resting.values, strict=True)))
    return _days(seen, _column(seen, "mean_hr_24h") - level)


def _zone(seen: Observations, keys: Keys) -> Sample:
    name = keys.pop("zone", "")
    if f"zone_{name}" not in seen.days:
        raise NotComputableError(f"no day tells the share in heart rate zone {name!r}")
    return _days(seen, seen.days[f"zone_{name}"])


def _cadence_band(seen: Observations, keys: Keys) -> Sample:
    low, high = whole_range(asked(keys, "cadence"), CADENCES)
    minutes = np.where(seen.days["any_awake"] > 0, seen.cadences[:, low:high].sum(axis=1, dtype=np.float64), np.nan)
    return _days(seen, minutes, _worn(seen, keys))


def _steps_in_block(seen: Observations, keys: Keys) -> Sample:
    first, last = hours(asked(keys, "hours"))
    total = seen.hourly_steps.sum(axis=1)
    clock = np.arange(24)
    inside = (clock >= first) & (clock < last) if first < last else (clock >= first) | (clock < last)
    share = seen.hourly_steps[:, inside].sum(axis=1) / np.where(total > 0, total, np.nan)
    return _days(seen, share, _worn(seen, keys))


def _scl_share(seen: Observations, keys: Keys) -> Sample:
    least = FULL_DAY_HOURS if keys.pop("wear", "") == "full_day" else 0.0
    keep = (seen.days["has_scl"] > 0) & (seen.days["worn_hours"] >= least)
    return _days(seen, _column(seen, "scl_available_share_of_24h"), keep)


def _worn_with_night(seen: Observations, keys: Keys) -> Sample:
    night = (_column(seen, "night_worn") > 0).astype(np.float64)
    return _days(seen, night, seen.days["hours_per_day_with_hr"] > 0)


def _with_night(seen: Observations, keys: Keys) -> Sample:
    return _days(seen, (_column(seen, "night_worn") > 0).astype(np.float64))


def _missing_cells(seen: Observations, keys: Keys) -> Sample:
    if keys.get("signals") == str(N_SIGNALS):
        del keys["signals"]
    if keys.get("wear") == "typical":
        del keys["wear"]
    shares = _column(seen, "share_of_missing_cells")
    return _days(seen, shares, (seen.days["any_cell"] > 0) & (shares <= MOST_MISSING))


def _gaps_a_day(seen: Observations, keys: Keys) -> Sample:
    needs_reasons(seen)
    return _days(seen, _column(seen, "gaps_begun"), seen.days["any_cell"] > 0)


def _marked(seen: Observations, bouts: pd.DataFrame, labels: Collection[str] | None = None) -> NDArray[np.bool_]:
    """Days on which one of some bouts begins, of some labels if they are named."""
    if labels is not None:
        bouts = bouts[bouts["label"].isin(list(labels))]
    marked = np.zeros(len(seen.days), dtype=np.bool_)
    marked[bouts["day_row"].to_numpy(dtype=np.int64)] = True
    return marked


def _day_with_activity(seen: Observations, keys: Keys) -> Sample:
    """1 on days with an activity that the watch was on for, 0 on others; habits are held against what was done."""
    labels = activity_labels(seen, asked(keys, "activity"))
    bouts = bouts_of(seen, "activity") if labels == {"walking"} else exercise_of(seen)
    marked = _marked(seen, bouts[bouts["worn"].astype(bool)], labels)
    return _days(seen, marked.astype(np.float64), seen.days["hours_per_day_with_hr"] > 0)


def _day_with_log(seen: Observations, keys: Keys) -> Sample:
    """1 on days on which the watch logged anything, 0 on others."""
    bouts = bouts_of(seen, "activity")
    marked = _marked(seen, bouts[bouts["worn"].astype(bool)])
    return _days(seen, marked.astype(np.float64), seen.days["hours_per_day_with_hr"] >= LOG_HOURS)


def _day_with_exercise(seen: Observations, keys: Keys) -> Sample:
    return _days(seen, _marked(seen, exercise_of(seen)).astype(np.float64))


def _exercise_day_with(seen: Observations, keys: Keys) -> Sample:
    labels = activity_labels(seen, asked(keys, "activity"))
    bouts = exercise_of(seen, labels)
    wanted = _marked(seen, bouts, labels).astype(np.float64)
    return _days(seen, np.where(_marked(seen, bouts), wanted, np.nan))


def _exercise_minutes(seen: Observations, keys: Keys) -> Sample:
    minutes = exercise_of(seen).groupby("day_row")["minutes"].sum()
    return _days(seen, minutes.reindex(range(len(seen.days))).to_numpy(dtype=np.float64))


def _activity_types(seen: Observations, keys: Keys) -> Sample:
    bouts = bouts_of(seen, "activity")
    types = bouts[bouts["worn"]].groupby("day_row")["label"].nunique()
    return _days(seen, types.reindex(range(len(seen.days))).to_numpy(dtype=np.float64))


def _minutes_asleep(seen: Observations, keys: Keys) -> Sample:
    return _days(seen, _staged(seen, "minutes_asleep"))


def _staged(seen: Observations, column: str) -> "pd.Series[float]":
    if not seen.has_stages:
        raise NotComputableError("events hold no sleep stages")
    return _column(seen, column)


def _of_stage(column: str) -> Callable[[Observations, Keys], Sample]:
    return lambda seen, keys: _days(seen, _staged(seen, column))


def _mood_share(seen: Observations, keys: Keys) -> Sample:
    """1 on days with a mood, 0 on other days of which a mood was told."""
    labels = moods(asked(keys, "mood"))
    told = days_with(seen, "mood", None)
    return _days(seen, np.where(told, days_with(seen, "mood", labels).astype(np.float64), np.nan))


DAY_QUANTITIES: Final[Mapping[str, Callable[[Observations, Keys], Sample]]] = {
    "steps_per_day": _plain("steps_per_day", worn=True),
    "best_minute_cadence_per_day": _plain("best_minute_cadence_per_day", worn=True),
    "highest_minute_step_count_of_day": _plain("best_minute_cadence_per_day", worn=True),
    "mean_cadence_of_best_30_min": _plain("mean_cadence_of_best_30_min", worn=True),
    "minutes_per_day_in_cadence_band": _cadence_band,
    "share_of_daily_steps_in_block": _steps_in_block,
    "resting_hr": _plain("resting_hr"),
    "nightly_resting_hr": _plain("sleeping_hr"),
    "mean_hr_24h_minus_rhr": _minus_resting,
    "share_of_day_in_hr_zone": _zone,
    "clock_time_of_lowest_hr": _plain("clock_time_of_lowest_hr"),
    "rmssd_nightly": _plain("rmssd_nightly"),
    "nightly_skin_temperature": _plain("nightly_skin_temperature"),
    "sleep_wrist_skin_temperature": _plain("nightly_skin_temperature"),
    "sleep_minutes_per_night": _minutes_asleep,
    "sleep_period_minutes_per_night": _plain("sleep_period_minutes"),
    "awake_share_of_sleep_period": _of_stage("awake_sleep_share"),
    "awake_or_restless_minutes_in_sleep_period": _of_stage("awake_in_sleep_minutes"),
    "wake_after_sleep_onset_psg": _of_stage("awake_in_sleep_minutes"),
    "deep_sleep_share": _of_stage("deep_sleep_share"),
    "rem_sleep_share": _of_stage("rem_sleep_share"),
    "light_sleep_share": _of_stage("light_sleep_share"),
    "nocturnal_hr": _plain("sleeping_hr"),
    "sleep_hr_first_3h": _plain("sleep_hr_first_3h"),
    "sleep_rmssd_first_3h": _plain("sleep_rmssd_first_3h"),
    "lowest_stable_hr_daytime": _plain("lowest_stable_hr_daytime"),
    "lowest_stable_hr_night": _plain("lowest_stable_hr_night"),
    "sdnn_24h": _plain("sdnn_24h"),
    "moderate_or_vigorous_minutes": _plain("moderate_or_vigorous_minutes", worn=True),
    "very_or_fairly_active_minutes": _plain("moderate_or_vigorous_minutes", worn=True),
    "lightly_active_minutes": _plain("lightly_active_minutes", worn=True),
    "sedentary_share_of_waking_minutes": _plain("sedentary_share_of_waking_minutes", worn=True),
    "share_of_answered_days_with_mood": _mood_share,
    "bedtime": _plain("bedtime"),
    "share_asleep_before_midnight": _indicator("bedtime", lambda x: x < 24, "bedtime"),
    "nap_hours_per_day": _plain("nap_hours_per_day"),
    "days_with_more_than_one_sleep_record": _indicator("naps", lambda x: x > 0, "naps"),
    "hours_per_day_with_hr": _plain("hours_per_day_with_hr"),
    "share_of_days_with_zero_missing_minutes": _indicator(
        "share_of_missing_cells", lambda x: x == 0, "hours_per_day_with_hr"
    ),
    "share_of_days_fully_unworn": _indicator("worn_hours", lambda x: x == 0, "worn_hours"),
    "worn_days_with_a_sleep_record": _worn_with_night,
    "days_with_a_sleep_record": _with_night,
    "share_of_missing_cells_in_a_day_window": _missing_cells,
    "scl_available_share_of_24h": _scl_share,
    "nonwear_gaps_per_worn_day": _gaps_a_day,
    "share_of_person_days_with_logged_activity": _day_with_activity,
    "person_days_with_at_least_one_logged_activity": _day_with_log,
    "engaged_in_sport_or_exercise_on_average_day": _day_with_exercise,
    "share_of_exercisers_on_a_day": _exercise_day_with,
    "duration_on_days_with_exercise": _exercise_minutes,
    "activity_types_per_active_day": _activity_types,
}
"""Values of person-days by the names that norms use."""

POOLED: Final = frozenset({"share_of_missing_cells_in_a_day_window"})
"""Day quantities whose plain statistics (mean, sd, min, ...) pool days instead of taking each person's mean first."""


_DAY_COLUMNS: Final = frozenset({"mean_hr_24h", "sleeping_hr", "mid_sleep", "worn_hours", "light_sleep_share"})
"""What is gathered of days beside that, by its own name."""


def day_sample(quantity: str, seen: Observations, keys: Keys) -> Sample | None:
    """Values of person-days, or None if the quantity is not one of days.

    Raises:
        NotComputableError: If the dataset does not tell it.
    """
    if match := re.fullmatch(r"share_of_days_with_(ge|lt)(\d*\.?\d+)h_hr", quantity):
        hours, bound = _column(seen, "hours_per_day_with_hr"), float(match[2])
        held = (hours >= bound if match[1] == "ge" else hours < bound).astype(np.float64)
        return _days(seen, held.where(hours.notna()))
    if quantity == "wrist_skin_temperature_rise_before_sleep_onset":
        quantity = f"{quantity}_{asked(keys, 'window')}"
    if any(pattern.fullmatch(quantity) for pattern, _ in NUMBERED):
        return _plain(quantity, worn=not quantity.startswith("wrist_skin"))(seen, keys)
    if quantity in DAY_QUANTITIES:
        return DAY_QUANTITIES[quantity](seen, keys)
    if quantity in _DAY_COLUMNS:
        return _plain(quantity)(seen, keys)
    return None


# ------------------------------------------------------------------------------------------------------- people


def _fact(column: str) -> Callable[[Observations], Sample]:
    def of(seen: Observations) -> Sample:
        if column not in seen.people:
            raise NotComputableError(f"people.parquet has no column {column!r}")
        return sample(seen.people[column].to_numpy(dtype=np.float64), np.arange(len(seen.people)))

    return of


def _means(quantity: str) -> Callable[[Observations], Sample]:
    return lambda seen: person_means(DAY_QUANTITIES[quantity](seen, {}))


resting_hr = _means("resting_hr")


def _transformed(s: Sample, function: Callable[[NDArray[np.float64]], NDArray[np.float64]]) -> Sample:
    return sample(function(s.values), s.person)


def _joined(
    a: Sample, b: Sample, function: Callable[[NDArray[np.float64], NDArray[np.float64]], NDArray[np.float64]]
) -> Sample:
    """A function of two values a person, for those who have both."""
    people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
    return sample(function(a.values[i], b.values[j]), people)


def sketch(seen: Observations, quantity: str, state: str) -> Sketch:
    """Minutes of a quantity in a state.

    Raises:
        NotComputableError: If nobody has enough of them.
    """
    if (quantity, state) not in seen.sketches:
        raise NotComputableError(f"nobody has enough minutes of {quantity.replace('_', ' ')} in state {state!r}")
    return seen.sketches[quantity, state]


def _state_means(seen: Observations, quantity: str, state: str) -> Sample:
    found = sketch(seen, quantity, state)
    return sample(found.mean, found.people)


def _sleep_over_awake(seen: Observations) -> Sample:
    return _joined(_state_means(seen, "hr", "sleep"), _state_means(seen, "hr", "awake"), np.divide)


def _free_and_work_nights(seen: Observations) -> tuple[Sample, Sample, Sample, Sample]:
    """Mid-sleep and length of sleep on free nights (before Saturday and Sunday) and on the others, in hours."""
    middle, length = _column(seen, "mid_sleep"), _column(seen, "sleep_period_minutes") / 60
    free = seen.days["evening_weekend"] == 1.0
    nights = [_days(seen, values, keep) for values in (middle, length) for keep in (free, ~free)]
    return tuple(person_means(night) for night in nights)  # type: ignore[return-value]


def _chronotype(seen: Observations) -> Sample:
    """Mid-sleep on free days, corrected for oversleep (Roenneberg et al. 2004, doi:10.1016/j.cub.2004.11.039)."""
    middle, _, length_free, length_work = _free_and_work_nights(seen)
    excess = _joined(length_free, length_work, lambda free, work: np.maximum(0.0, free - (5 * work + 2 * free) / 7) / 2)
    return _joined(middle, excess, np.subtract)


def _social_jetlag(seen: Observations) -> Sample:
    free, work, _, _ = _free_and_work_nights(seen)
    return _joined(free, work, lambda a, b: np.abs(a - b))


def _mean_sleep_within(seen: Observations, keys: Keys) -> Sample:
    """1 for who sleeps so many hours on average."""
    low, high = a_range(asked(keys, "sleep").removesuffix("h"))
    own = person_means(_minutes_asleep(seen, keys))
    hours_asleep = own.values / 60
    return sample((hours_asleep >= low) & (hours_asleep < high), own.person)


def _valid_days(least: int, of: int) -> Callable[[Observations], Sample]:
    """1 for who wore the watch on so many of their first days, of those who wore it on ``VALID_DAYS`` at least."""

    def valid(seen: Observations) -> Sample:
        days = seen.days.groupby("person")["worn_hours"]
        first = days.head(of).ge(WORN_HOURS).groupby(seen.days["person"]).sum()
        enough = days.size() >= of
        if not enough.any():
            raise NotComputableError(f"nobody has {of} days")
        counted = (enough & (first >= min(VALID_DAYS, least))).to_numpy(dtype=np.bool_)
        return sample((first >= least).to_numpy(dtype=np.float64)[counted], first.index.to_numpy()[counted])

    return valid


def _seated(seen: Observations) -> Sample:
    """The 10th percentile of heart rate at rest awake, the check of a resting heart rate that norms.md names."""
    found = sketch(seen, "hr", "still")
    return sample(np.quantile(found.values, 0.1, axis=1), found.people)


def _max_hr_residual(seen: Observations) -> Sample:
    expected = _transformed(_fact("age_years")(seen), lambda age: 208 - 0.7 * age)  # Tanaka et al. 2001
    return _joined(_fact("max_hr_bpm")(seen), expected, np.subtract)


def _charges(seen: Observations) -> Sample:
    """Times put on the charger, a day; a stretch that goes on from the day before is the same time."""
    needs_reasons(seen)
    gaps = seen.gaps[(seen.gaps["reason"] == Reason.CHARGING) & ~seen.gaps["from_midnight"].astype(bool)]
    days = np.bincount(seen.days["person"], minlength=len(seen.people))
    begun = np.bincount(gaps["person"].astype(np.int64), minlength=len(seen.people))
    return sample(begun / np.where(days > 0, days, np.nan), np.arange(len(seen.people)))


def _charges_overnight(seen: Observations) -> Sample:
    """1 for who charges mostly at night, of those who charge."""
    needs_reasons(seen)
    gaps = seen.gaps[seen.gaps["reason"] == Reason.CHARGING]
    start, end = gaps["hour"], gaps["hour"] + gaps["minutes"] / 60
    late, early = _NIGHT_HOURS
    night = (end.clip(upper=early) - start).clip(lower=0) + (end - start.clip(lower=late)).clip(lower=0)
    table = pd.DataFrame({"person": gaps["person"].astype(np.int64), "night": night, "all": end - start})
    total = table.groupby("person").sum()
    return sample((total["night"] >= 0.5 * total["all"]).to_numpy(dtype=np.float64), total.index.to_numpy())


PERSON_QUANTITIES: Final[Mapping[str, Callable[[Observations], Sample]]] = {
    "age": _fact("age_years"),
    "bmi": _fact("bmi_kg_m2"),
    "height": _fact("height_cm"),
    "vo2max_estimate": _fact("vo2max_ml_kg_min"),
    "hypertension_self_reported_diagnosis": _fact("hypertension"),
    "anxiety_self_reported_diagnosis": _fact("anxiety"),
    "hrmax_residual": _max_hr_residual,
    "ln_rmssd": lambda seen: _transformed(_means("rmssd_nightly")(seen), np.log),
    "high_frequency_hrv": lambda seen: _transformed(_means("rmssd_nightly")(seen), np.log),  # r .9: Kleiger et al. 2005
    "time_domain_hrv": lambda seen: _transformed(_means("rmssd_nightly")(seen), np.log),
    "sleep_hr_over_awake_hr": _sleep_over_awake,
    "night_hr_dip": lambda seen: _transformed(_sleep_over_awake(seen), lambda ratio: 1 - ratio),
    "rmssd_night_over_awake_sedentary": lambda seen: _joined(
        _means("rmssd_nightly")(seen), _state_means(seen, "rmssd", "still"), np.divide
    ),
    "rmssd_hour_of_peak": _fact("rmssd_hour_of_peak"),
    "wrist_skin_temperature_mesor": _fact("wrist_skin_temperature_mesor"),
    "wrist_skin_temperature_cosine_amplitude": _fact("wrist_skin_temperature_cosine_amplitude"),
    "wrist_skin_temperature_acrophase": lambda seen: _transformed(
        _fact("wrist_skin_temperature_acrophase")(seen), lambda hour: (hour + 12) % 24 - 12
    ),
    "midsleep_on_free_days_corrected": _chronotype,
    "social_jetlag": _social_jetlag,
    "charges_per_day": _charges,
    "users_who_charge_overnight": _charges_overnight,
    "resting_hr_seated": _seated,
    "time_to_stable_hr_after_activity": _fact("time_to_stable_hr_after_activity"),
    "hrmax": _fact("max_hr_bpm"),
    "steps": _means("steps_per_day"),
    "rmssd": _means("rmssd_nightly"),
    "resting_hr": resting_hr,
    "peak30_cadence": _means("mean_cadence_of_best_30_min"),
}
"""One value a person, by the names that norms use for them or for one side of a correlation."""


def person_sample(quantity: str, seen: Observations, keys: Keys) -> Sample | None:
    """One value a person, or None if the quantity is not one of people.

    Raises:
        NotComputableError: If the dataset does not tell it.
    """
    if match := re.fullmatch(r"share_with_(\d+)_valid_days_of_(\d+)", quantity):
        return _valid_days(int(match[1]), int(match[2]))(seen)
    if quantity == "share_of_people_by_mean_sleep":
        return _mean_sleep_within(seen, keys)
    if quantity == "resting_hr" and "posture" in keys:
        posture = keys.pop("posture")
        if posture != "seated":
            raise NotComputableError(f"recordings do not tell the posture {posture!r}")
        quantity = "resting_hr_seated"
    if quantity in PERSON_QUANTITIES:
        return PERSON_QUANTITIES[quantity](seen)
    if quantity in seen.people and pd.api.types.is_numeric_dtype(seen.people[quantity]):
        return _fact(quantity)(seen)
    return None


def of_person(quantity: str, seen: Observations) -> Sample | None:
    """One value a person of any quantity of people or days, for relations of two; None if it is neither."""
    values = person_sample(quantity, seen, {})
    if values is None:
        values = day_sample(quantity, seen, {})
    return None if values is None else person_means(values)
