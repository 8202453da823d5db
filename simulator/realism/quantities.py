"""From a norm's quantity to a sample: whose values they are, of persons, days, bouts or gaps.

Each function takes the observations and the stratum's remaining keys, takes out the keys that it understands, and
returns values with the code of the person each belongs to. Quantities of single minutes are in
``simulator.realism.minutes``.
"""

import re
from collections.abc import Callable, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simulator.realism.observing import Observations, Sketch
from simulator.realism.statistics import NotComputableError, Sample, person_means, sample
from simulator.recording import Reason
from simulator.routine import Activity

Keys = dict[str, str]

WORN_HOURS: Final = 20.0  # a day counts as worn, for steps and 24-hour heart rate (norms)
FULL_DAY_HOURS: Final = 23.0
_NIGHT_HOURS: Final = (23.0, 6.0)  # between which an overnight charger charges
_LABELS: Final = {
    "walk": "walking",
    "run": "running",
    "bike": "biking",
    "swim": "swimming",
    "strengthtraining": "strength",
    "spinning": "spinning",
}
_CAN_BE_LOGGED: Final = frozenset(activity.name.lower() for activity in Activity)


def asked(keys: Keys, name: str) -> str:
    """Take a key that a quantity cannot do without.

    Raises:
        NotComputableError: If the norm does not name it.
    """
    if name not in keys:
        raise NotComputableError(f"the norm names no {name}")
    return keys.pop(name)


def hours(text: str) -> tuple[int, int]:
    """Whole clock hours of "06-09".

    Raises:
        NotComputableError: If it is something else.
    """
    match = re.fullmatch(r"(\d\d?)-(\d\d?)", text)
    if match is None:
        raise NotComputableError(f"hours {text!r} are not two clock hours")
    return int(match[1]), int(match[2])


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


def _plain(column: str, *, worn: bool = False) -> Callable[[Observations, Keys], Sample]:
    def of(seen: Observations, keys: Keys) -> Sample:
        return _days(seen, _column(seen, column), seen.days["worn_hours"] >= WORN_HOURS if worn else None)

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
    return _days(seen, _column(seen, f"cadence_{keys.pop('cadence', '')}"), seen.days["worn_hours"] >= WORN_HOURS)


def _steps_in_block(seen: Observations, keys: Keys) -> Sample:
    first, last = hours(asked(keys, "hours"))
    total = seen.hourly_steps.sum(axis=1)
    share = seen.hourly_steps[:, first:last].sum(axis=1) / np.where(total > 0, total, np.nan)
    return _days(seen, share, seen.days["worn_hours"] >= WORN_HOURS)


def _scl_share(seen: Observations, keys: Keys) -> Sample:
    least = FULL_DAY_HOURS if keys.pop("wear", "") == "full_day" else 0.0
    keep = (seen.days["has_scl"] > 0) & (seen.days["worn_hours"] >= least)
    return _days(seen, _column(seen, "scl_available_share_of_24h"), keep)


def _missing_cells(seen: Observations, keys: Keys) -> Sample:
    keys.pop("signals", None)
    keys.pop("wear", None)
    return _days(seen, _column(seen, "share_of_missing_cells"), seen.days["any_cell"] > 0)


def _gaps_a_day(seen: Observations, keys: Keys) -> Sample:
    _needs_reasons(seen)
    return _days(seen, _column(seen, "gaps_begun"), seen.days["any_cell"] > 0)


def _logged(seen: Observations, label: str | None) -> NDArray[np.bool_]:
    """Days on which an activity (None: any; "sport": any but walking) was logged while the watch was worn."""
    bouts = _bouts(seen, "activity")
    if label == "sport":
        bouts = bouts[bouts["label"] != "walking"]
    elif label is not None:
        bouts = bouts[bouts["label"] == label]
    marked = np.zeros(len(seen.days), dtype=np.bool_)
    marked[bouts.loc[bouts["worn"], "day_row"].to_numpy(dtype=np.int64)] = True
    return marked


def _day_with_activity(seen: Observations, keys: Keys) -> Sample:
    label = activity_label(seen, asked(keys, "activity")) if "activity" in keys else None
    return _days(seen, _logged(seen, label).astype(np.float64), seen.days["hours_per_day_with_hr"] > 0)


def _day_with_sport(seen: Observations, keys: Keys) -> Sample:
    return _days(seen, _logged(seen, "sport").astype(np.float64), seen.days["hours_per_day_with_hr"] > 0)


def _sport_day_with(seen: Observations, keys: Keys) -> Sample:
    wanted = _logged(seen, activity_label(seen, asked(keys, "activity")))
    return _days(seen, np.where(_logged(seen, "sport"), wanted.astype(np.float64), np.nan))


def _sport_minutes(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts(seen, "activity")
    minutes = bouts[(bouts["label"] != "walking") & bouts["worn"]].groupby("day_row")["minutes"].sum()
    return _days(seen, minutes.reindex(range(len(seen.days))).to_numpy(dtype=np.float64))


def _activity_types(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts(seen, "activity")
    types = bouts[bouts["worn"]].groupby("day_row")["label"].nunique()
    return _days(seen, types.reindex(range(len(seen.days))).to_numpy(dtype=np.float64))


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
    "sleep_minutes_per_night": _plain("sleep_period_minutes"),
    "bedtime": _plain("bedtime"),
    "share_asleep_before_midnight": _indicator("bedtime", lambda x: x < 24, "bedtime"),
    "nap_hours_per_day": _plain("nap_hours_per_day"),
    "days_with_more_than_one_sleep_record": _indicator("naps", lambda x: x > 0, "naps"),
    "hours_per_day_with_hr": _plain("hours_per_day_with_hr"),
    "share_of_days_with_zero_missing_minutes": _indicator(
        "share_of_missing_cells", lambda x: x == 0, "hours_per_day_with_hr"
    ),
    "share_of_days_fully_unworn": _indicator("worn_hours", lambda x: x == 0, "worn_hours"),
    "worn_days_with_a_sleep_record": _indicator("night_worn", lambda x: x > 0, "hours_per_day_with_hr"),
    "share_of_missing_cells_in_a_day_window": _missing_cells,
    "scl_available_share_of_24h": _scl_share,
    "nonwear_gaps_per_worn_day": _gaps_a_day,
    "share_of_person_days_with_logged_activity": _day_with_activity,
    "person_days_with_at_least_one_logged_activity": _day_with_activity,
    "engaged_in_sport_or_exercise_on_average_day": _day_with_sport,
    "share_of_exercisers_on_a_day": _sport_day_with,
    "duration_on_days_with_exercise": _sport_minutes,
    "activity_types_per_active_day": _activity_types,
}
"""Values of person-days by the names that norms use."""

POOLED: Final = frozenset({"share_of_missing_cells_in_a_day_window"})
"""Day quantities whose plain statistics (mean, sd, min, ...) pool days instead of taking each person's mean first."""


def day_sample(quantity: str, seen: Observations, keys: Keys) -> Sample | None:
    """Values of person-days, or None if the quantity is not one of days.

    Raises:
        NotComputableError: If the dataset does not tell it.
    """
    if match := re.fullmatch(r"share_of_days_with_(ge|lt)([\d.]+)h_hr", quantity):
        hours, bound = _column(seen, "hours_per_day_with_hr"), float(match[2])
        held = (hours >= bound if match[1] == "ge" else hours < bound).astype(np.float64)
        return _days(seen, held.where(hours.notna()))
    if quantity not in DAY_QUANTITIES:
        return None
    return DAY_QUANTITIES[quantity](seen, keys)


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


def _max_hr_residual(seen: Observations) -> Sample:
    expected = _transformed(_fact("age_years")(seen), lambda age: 208 - 0.7 * age)  # Tanaka et al. 2001
    return _joined(_fact("max_hr_bpm")(seen), expected, np.subtract)


def _charges(seen: Observations) -> Sample:
    """Times put on the charger, a day; a stretch that goes on from the day before is the same time."""
    _needs_reasons(seen)
    gaps = seen.gaps[(seen.gaps["reason"] == Reason.CHARGING) & ~seen.gaps["from_midnight"].astype(bool)]
    days = np.bincount(seen.days["person"], minlength=len(seen.people))
    begun = np.bincount(gaps["person"].astype(np.int64), minlength=len(seen.people))
    return sample(begun / np.where(days > 0, days, np.nan), np.arange(len(seen.people)))


def _charges_overnight(seen: Observations) -> Sample:
    """1 for who charges mostly at night, of those who charge."""
    _needs_reasons(seen)
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
    "hrmax_residual": _max_hr_residual,
    "ln_rmssd": lambda seen: _transformed(_means("rmssd_nightly")(seen), np.log),
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
    "steps": _means("steps_per_day"),
    "rmssd": _means("rmssd_nightly"),
    "resting_hr": resting_hr,
    "peak30_cadence": _means("mean_cadence_of_best_30_min"),
}
"""One value a person, by the names that norms use for them or for one side of a correlation."""


# ------------------------------------------------------------------------------------------------- bouts and gaps


def _needs_reasons(seen: Observations) -> None:
    if not seen.has_reasons:
        raise NotComputableError("nobody knows why minutes are missing")


def _bouts(seen: Observations, kind: str) -> pd.DataFrame:
    bouts = seen.bouts[seen.bouts["kind"] == kind]
    if not len(bouts):
        raise NotComputableError(f"no {kind} is recorded")
    return bouts


def activity_label(seen: Observations, name: str) -> str:
    """The label by which a dataset knows an activity.

    Raises:
        NotComputableError: If nobody logged it and the simulator has no such activity.
    """
    plain = re.sub(r"[^a-z]", "", name.lower())
    label = _LABELS.get(plain, plain)
    if label not in _CAN_BE_LOGGED and label not in set(seen.bouts["label"]):
        raise NotComputableError(f"no activity {label!r} in the recordings")
    return label


def _of(bouts: pd.DataFrame, values: ArrayLike, weight: ArrayLike | None = None) -> Sample:
    return sample(values, bouts["person"].to_numpy(dtype=np.int64), weight)


def _share_of_activities(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts(seen, "activity")
    return _of(bouts, bouts["label"] == activity_label(seen, asked(keys, "activity")))


def _share_of_moods(seen: Observations, keys: Keys) -> Sample:
    bouts, mood = _bouts(seen, "mood"), asked(keys, "mood").lower()
    return _of(bouts, bouts["label"] == mood)


def _bouts_of_activity(seen: Observations, keys: Keys) -> pd.DataFrame:
    bouts, name = _bouts(seen, "activity"), asked(keys, "activity")
    return bouts if name == "all" else bouts[bouts["label"] == activity_label(seen, name)]


def _bout_minutes(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts_of_activity(seen, keys)
    return _of(bouts, bouts["minutes"])


def _bout_steps(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts_of_activity(seen, keys)
    return _of(bouts, bouts["step_rate"])


def _bout_reserve(seen: Observations, keys: Keys) -> Sample:
    """Mean heart rate of a bout as a share of the reserve between resting and maximal (208 - 0.7 age) heart rate."""
    bouts, resting = _bouts_of_activity(seen, keys), resting_hr(seen)
    highest = _transformed(_fact("age_years")(seen), lambda age: 208 - 0.7 * age)  # Tanaka et al. 2001
    low = bouts["person"].map(dict(zip(resting.person, resting.values, strict=True)))
    high = bouts["person"].map(dict(zip(highest.person, highest.values, strict=True)))
    return _of(bouts, (bouts["heart_rate"] - low) / (high - low))


def _starts_in_block(seen: Observations, keys: Keys) -> Sample:
    bouts, day = _bouts_of_activity(seen, keys), keys.pop("day", "all")
    if day != "all":
        bouts = bouts[bouts["weekend"].astype(bool) == (day == "weekend")]
    return _of(bouts, _hour_in(bouts["hour"], *hours(asked(keys, "hours"))))


def _hour_in(hour: "pd.Series[float]", first: float, last: float) -> "pd.Series[float]":
    """1 where a clock hour lies in [first, last), which may run over midnight."""
    inside = (hour >= first) & (hour < last) if first < last else (hour >= first) | (hour < last)
    return inside.astype(np.float64)


def _female_share(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts_of_activity(seen, keys)
    if "sex" not in seen.people:
        raise NotComputableError("people.parquet has no column 'sex'")
    people = np.unique(bouts["person"].to_numpy(dtype=np.int64))
    return sample((seen.people["sex"].to_numpy()[people] == "female").astype(np.float64), people)


def _naps(seen: Observations) -> pd.DataFrame:
    naps = _bouts(seen, "sleep")
    naps = naps[naps["label"] == "nap"]
    if not len(naps):
        raise NotComputableError("no nap is recorded")
    return naps


def _nap_time(seen: Observations, keys: Keys) -> Sample:
    naps = _naps(seen)
    first, last = hours(asked(keys, "hours"))
    middle = naps["hour"] + naps["minutes"] / 120
    return _of(naps, _hour_in(middle % 24, first, last), naps["minutes"])


def _nap_start(seen: Observations, keys: Keys) -> Sample:
    return _of(_naps(seen), _naps(seen)["hour"])


def _charge_minutes(seen: Observations, keys: Keys) -> Sample:
    _needs_reasons(seen)
    gaps = seen.gaps[seen.gaps["reason"] == Reason.CHARGING]
    return _of(gaps, gaps["minutes"])


BOUT_QUANTITIES: Final[Mapping[str, Callable[[Observations, Keys], Sample]]] = {
    "share_of_logged_activity_events": _share_of_activities,
    "share_of_logged_mood_events": _share_of_moods,
    "activity_bout_duration": _bout_minutes,
    "activity_step_rate": _bout_steps,
    "activity_mean_intensity": _bout_reserve,
    "share_of_bout_starts_in_block": _starts_in_block,
    "female_share_of_participants": _female_share,
    "share_of_nap_time": _nap_time,
    "nap_start": _nap_start,
    "nonwear_gap_for_charging": _charge_minutes,
}
"""Values of single events and gaps, by the names that norms use."""


def bout_sample(quantity: str, seen: Observations, keys: Keys) -> Sample | None:
    """Values of single events or gaps, or None if the quantity is not one of them.

    Raises:
        NotComputableError: If the dataset does not tell it.
    """
    if match := re.fullmatch(r"charge_starts_(\d\d)-(\d\d)h", quantity):
        _needs_reasons(seen)
        gaps = seen.gaps[(seen.gaps["reason"] == Reason.CHARGING) & ~seen.gaps["from_midnight"].astype(bool)]
        return _of(gaps, _hour_in(gaps["hour"], float(match[1]), float(match[2])))
    if quantity not in BOUT_QUANTITIES:
        return None
    return BOUT_QUANTITIES[quantity](seen, keys)
