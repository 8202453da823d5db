"""From a norm to an estimate with its resamples: find the sample, choose people and days, apply the statistic."""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.realism.minutes import MINUTE_QUANTITIES, NEEDS_EVENTS
from simulator.realism.norms import Norm, choose_people, contrast, group, state
from simulator.realism.observing import EPOCH_COLUMNS, QUANTILES, WINDOW_MINUTES, Observations
from simulator.realism.quantities import (
    PERSON_QUANTITIES,
    POOLED,
    Keys,
    bout_sample,
    day_sample,
    resting_hr,
    sketch,
)
from simulator.realism.statistics import (
    Counts,
    NotComputableError,
    Rows,
    Sample,
    adjusted_difference,
    lag1_of_days,
    mean,
    mode_hour,
    person_means,
    person_spread,
    quantile,
    reducer,
    sample,
    sd,
    slope,
    spearman,
    standardised_difference,
)
from simulator.realism.windows import gap_errors, standardised_windows

MIN_PEOPLE: Final = 5  # below which nothing is said of a population
MIN_DAYS: Final = 5  # of a person, for their spread from day to day
ENTROPY_BIN_MS: Final = 8.0  # of rr_entropy and rr_diff_entropy (simulator.signals)

_HERE: Final = {  # quantity of minutes -> (the values it is made of, their state unless the norm names one)
    name: (name, "any") for name in MINUTE_QUANTITIES
} | {
    "hr_minus_rhr": ("hr", "any"),
    "rmssd_5min_rest": ("rmssd_5min_rest", "still"),
    "sdnn_5min_rest": ("sdnn_5min_rest", "still"),
    "sdnn_5min_awake_sedentary": ("sdnn_5min", "still"),
    "sdnn_5min_sleep": ("sdnn_5min", "sleep"),
    "pnn30": ("pnn30", "still"),
    "shannon_entropy_rr": ("shannon_entropy_rr", "still"),
    "shannon_entropy_rr_diff": ("shannon_entropy_rr_diff", "still"),
    "wrist_scl": ("wrist_scl", "awake"),
    "cadence_in_purposeful_walking": ("cadence", "walking"),
    "cadence_in_running": ("cadence", "running"),
}
_ALWAYS: Final = (("hr", "sleep"), ("hr", "awake"), ("rmssd", "still"), ("rmssd_5min_rest", "still"))
_LOG_AVERAGED: Final = frozenset({"rmssd_5min_rest", "sdnn_5min_rest"})  # "take logs before averaging across people"
_HOURS: Final = frozenset({"bedtime", "social_jetlag"})  # in hours here, in hours or minutes there

_SLOPES: Final = {  # quantity -> (of what, on what, factor)
    "midsleep_shift_per_decade": ("age", "midsleep_on_free_days_corrected", 10.0),
}

_WHY_NOT: Final = (
    (r"task_accuracy", "needs classifiers, which are trained elsewhere"),
    (r"mims|enmo|acceleration|mg$", "recordings hold no such measure of acceleration"),
    (r"alcohol|sleep_(hr|rmssd)_first|nocturnal_hr", "alcohol is not recorded"),
    (r"nrem|deep|rem_|light_sleep|awake_share|awake_or_restless|wake_after", "events hold no sleep stages"),
    (r"pulse|fever", "no clinic, cycle or fever is recorded"),
    (r"self_reported_sleep|prevalence|symptoms|disorder", "no such questionnaire or measurement"),
    (r"time_constant|drop_first|drift|time_to_stable|_vo2r", "needs heart rate by the second or a known load"),
    (r"_met|energy_cost", "energy is not recorded"),
)


@dataclass(frozen=True, slots=True)
class Estimate:
    """A statistic and how it came about.

    Attributes:
        rows: As observed, then by resample.
        people: How many it rests on.
        notes: Remarks for the reader.
    """

    rows: Rows
    people: int
    notes: tuple[str, ...]

    def interval(self, statistic: str) -> tuple[float, float]:
        """95 % interval of the resamples.

        A share of which nobody was seen has resamples without spread; its end is then the largest share that would
        show nobody among ``people`` once in 20 times (the rule of three), and likewise for a share of everybody.
        """
        resampled = self.rows[1:][np.isfinite(self.rows[1:])]
        low, high = np.quantile(resampled, [0.025, 0.975]) if len(resampled) else (self.rows[0], self.rows[0])
        if statistic == "share" and low == high == 0:
            high = 1 - 0.05 ** (1 / self.people)
        if statistic == "share" and low == high == 1:
            low = 0.05 ** (1 / self.people)
        return float(low), float(high)


@dataclass(slots=True)
class Estimator:
    """Computes norms on one set of observations.

    Attributes:
        seen: The observations.
        counts: Resamples of its people, from ``resampled_people``.
    """

    seen: Observations
    counts: Counts
    _windows: NDArray[np.float64] | None = field(default=None, init=False)
    _people: int = field(default=0, init=False)  # of the sample looked at last

    def estimate(self, norm: Norm) -> Estimate:
        """The norm's statistic.

        Raises:
            NotComputableError: With the reason, if this dataset cannot tell.
        """
        keys, notes = dict(norm.stratum), list[str]()
        if norm.quantity.startswith("cohort_share_"):
            return Estimate(self._share_of_cohort(norm, keys), self._people, ())
        keep = choose_people(keys, self.seen, notes)
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample that draws nobody is NaN, and left out
            found = self._found(norm, keys, keep, notes)
        if keys:
            key, value = next(iter(keys.items()))
            raise NotComputableError(f"stratum {f'{key}={value}' if value else key} is not known for {norm.quantity}")
        scale = 60.0 if norm.quantity in _HOURS and norm.unit.startswith("min") else 1.0
        return Estimate(found * scale, self._people, tuple(notes))

    def _found(self, norm: Norm, keys: Keys, keep: NDArray[np.bool_], notes: list[str]) -> Rows:
        """The statistic, by the kind of quantity that the norm is about; takes what it understands out of ``keys``."""
        if norm.quantity.startswith("correlation:"):
            return self._correlation(norm, keys, keep)
        if norm.quantity in _SLOPES:
            return self._slope(norm, keep)
        if match := re.fullmatch(r"baseline_(interpolation|extrapolation)_(mse|mae)", norm.quantity):
            return self._baseline(match[1] == "interpolation", match[2], keys, keep)
        if norm.quantity == "sdnn_over_rmssd":
            return self._ratio_of_medians("sdnn_5min_rest", "rmssd_5min_rest", keys, keep)
        if norm.quantity in _HERE or norm.quantity.startswith("wrist_scl_below_"):
            return self._of_minutes(norm, keys, keep)
        return self._of_days_or_people(norm, keys, keep, notes)

    # ------------------------------------------------------------------------------------------ days and people

    def _of_days_or_people(self, norm: Norm, keys: Keys, keep: NDArray[np.bool_], notes: list[str]) -> Rows:
        values, pooled = self._values(norm, keys)
        values = self._on_days(values.of_people(keep), keys, norm.quantity)
        if norm.quantity == "sleep_minutes_per_night":
            if not re.search(r"^sd_|lag1|difference|within", norm.statistic):
                raise NotComputableError("events hold the period of sleep, not the wake inside it")
            notes.append("period of sleep, with the wake inside it")
        if norm.quantity == "wear_hours_Sunday_over_weekday":
            keys["contrast"] = "Sunday/weekday"
        if "contrast" in keys:
            return self._contrast(norm, values, keys)
        return self._statistic(norm.statistic, values, pooled=pooled)

    def _values(self, norm: Norm, keys: Keys) -> tuple[Sample, bool]:
        """The quantity's values, and whether its plain statistics pool them."""
        quantity = {"wear_hours_Sunday_over_weekday": "hours_per_day_with_hr"}.get(norm.quantity, norm.quantity)
        bouts = bout_sample(quantity, self.seen, keys)
        if bouts is not None:
            return bouts, True
        days = day_sample(quantity, self.seen, keys)
        if days is not None:
            return days, quantity in POOLED
        if quantity in PERSON_QUANTITIES:
            return PERSON_QUANTITIES[quantity](self.seen), False
        raise NotComputableError(
            next((why for pattern, why in _WHY_NOT if re.search(pattern, quantity)), "recordings do not tell it")
        )

    def _on_days(self, values: Sample, keys: Keys, quantity: str) -> Sample:
        """Only the days of a stratum."""
        if not len(values.row):
            return values
        day = keys.pop("day", "all")
        if day != "all":
            values = values.where(self._is_day(day, quantity)[values.row])
        if match := re.fullmatch(r"ge(\d+)h", keys.get("wear", "")):
            del keys["wear"]
            values = values.where((self.seen.days["worn_hours"] >= float(match[1])).to_numpy()[values.row])
        return values

    def _is_day(self, name: str, quantity: str) -> NDArray[np.bool_]:
        """Which day rows are of a kind; a night is a weekend's if the next day is free."""
        days = self.seen.days
        if name in ("weekend", "weekday"):
            weekend = days["weekend"].to_numpy(dtype=np.bool_)
            if quantity in ("bedtime", "share_asleep_before_midnight"):
                weekend = (days["evening_weekend"] == 1.0).to_numpy()
            return weekend if name == "weekend" else ~weekend
        names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
        if name in names:
            return np.asarray(days["weekday"] == names.index(name), dtype=np.bool_)
        raise NotComputableError(f"recordings do not tell who or when is {name!r}")

    def _statistic(self, name: str, values: Sample, *, pooled: bool) -> Rows:
        self._enough(values)
        means = values if pooled else person_means(values)
        if match := re.fullmatch(r"(.+)_of_person_(means|shares|medians)", name):
            return reducer(match[1])(person_means(values), self.counts)
        if match := re.fullmatch(r"(.+)_of_person_days", name):
            return reducer(match[1])(values, self.counts)
        if re.fullmatch(r"sd_of_ln(_between_person)?", name):
            logs = person_means(values)
            return sd(sample(np.log(logs.values), logs.person), self.counts)
        if re.fullmatch(r"sd_within_person(_between_days)?", name):
            return quantile(self._own(values, lambda own: float(own.std(ddof=1))), self.counts, 0.5)
        if name == "cv_within_person_between_nights":
            return quantile(self._own(values, lambda own: float(own.std(ddof=1) / own.mean())), self.counts, 0.5)
        if name == "lag1_day_autocorrelation":
            if not len(values.row):
                raise NotComputableError("not a quantity of days")
            lagged = lag1_of_days(values, self.seen.days["day"].to_numpy(dtype=np.float64))
            self._enough(lagged)
            return quantile(lagged, self.counts, 0.5)
        if name == "mode_hour":
            return mode_hour(values, self.counts)
        if name == "median_share_of_hr_reserve":
            return quantile(values, self.counts, 0.5)
        plain = {"sd_between_person": "sd", "median_ratio": "median", "mean_ratio": "mean", "mean_hour": "mean"}
        plain |= {"mean_difference": "mean", "share_of_minutes": "mean", "share_rule": "mean"}
        return reducer(plain.get(name, name))(values if name == "share" else means, self.counts)

    def _own(self, values: Sample, statistic: Callable[[NDArray[np.float64]], float]) -> Sample:
        own = person_spread(values, statistic, MIN_DAYS)
        self._enough(own)
        return own

    def _enough(self, values: Sample) -> None:
        self._people = len(np.unique(values.person))
        if self._people < MIN_PEOPLE:
            raise NotComputableError(f"only {self._people} people have it, expected {MIN_PEOPLE}")

    # ------------------------------------------------------------------------------------------------ contrasts

    def _contrast(self, norm: Norm, values: Sample, keys: Keys) -> Rows:
        left, right, operator = contrast(keys.pop("contrast"))
        one = group(left, self.seen)
        if one is not None:
            other = group(right, self.seen)
            return self._between_people(norm, values, one, ~one if other is None else other, keys, operator)
        if not len(values.row):
            raise NotComputableError(f"contrast {left} with {right} is not known for {norm.quantity}")
        a = values.where(self._is_day(left, norm.quantity)[values.row])
        b = values.where(self._is_day(right, norm.quantity)[values.row])
        self._enough(a)
        self._enough(b)
        if norm.statistic == "ratio_of_means":
            return mean(a, self.counts) / mean(b, self.counts)
        return self._within_people(person_means(a), person_means(b), operator, norm.statistic)

    def _between_people(
        self,
        norm: Norm,
        values: Sample,
        one: NDArray[np.bool_],
        other: NDArray[np.bool_],
        keys: Keys,
        operator: str,
    ) -> Rows:
        means = person_means(values)
        a, b = means.of_people(one), means.of_people(other)
        self._enough(a)
        self._enough(b)
        if "adjusted" in keys:
            covariates = self._covariates(keys.pop("adjusted").split(","))
            both = means.of_people((one | other) & np.isfinite(covariates).all(axis=1))
            found = adjusted_difference(both, one, covariates, self.counts)
            if operator == "/":  # the ratio at the others' mean level
                level = mean(b, self.counts)
                return (level + found) / level
            return found
        if norm.statistic in ("hedges_g", "cohens_d"):
            return standardised_difference(a, b, self.counts)
        middle = reducer("median" if norm.statistic.startswith("median") else "mean")
        if operator == "/":
            return middle(a, self.counts) / middle(b, self.counts)
        return middle(a, self.counts) - middle(b, self.counts)

    def _covariates(self, names: Sequence[str]) -> NDArray[np.float64]:
        columns = {"age": "age_years", "bmi": "bmi_kg_m2"}
        table = []
        for name in names:
            column = columns.get(name, name)
            if column not in self.seen.people:
                raise NotComputableError(f"people.parquet has no column {column!r}")
            facts = self.seen.people[column]
            table.append(facts == "male" if name == "sex" else facts)
        return np.column_stack([np.asarray(column, dtype=np.float64) for column in table])

    def _within_people(self, a: Sample, b: Sample, operator: str, statistic: str) -> Rows:
        """Mean or median over people of each one's difference or ratio."""
        people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
        if operator == "/":
            own = sample(a.values[i] / b.values[j], people)
        else:
            own = sample(a.values[i] - b.values[j], people)
        self._enough(own)
        return reducer("median" if statistic.startswith("median") else "mean")(own, self.counts)

    # -------------------------------------------------------------------------------------------------- minutes

    def _of_minutes(self, norm: Norm, keys: Keys, keep: NDArray[np.bool_]) -> Rows:
        below = re.fullmatch(r"wrist_scl_below_([\d.]+)uS", norm.quantity)
        quantity, usual = ("wrist_scl", "awake") if below else _HERE[norm.quantity]
        if "rmssd" in keys:
            return self._at_level(norm, quantity, keys, keep)
        if "contrast" in keys:
            left, right, operator = contrast(keys.pop("contrast"))
            sides = [self._middles(quantity, state(name), norm.statistic, keep) for name in (left, right)]
            return self._within_people(sides[0], sides[1], operator, norm.statistic)
        where = state(keys.pop("state", usual))
        self._needs_events(where)
        found, shift = sketch(self.seen, quantity, where), 0.0
        if "bin" in keys:
            shift = -float(np.log(_number(keys.pop("bin").removesuffix("ms")) / ENTROPY_BIN_MS))
        people = found.people
        weight = np.repeat(found.minutes / QUANTILES, QUANTILES)
        minutes = sample(found.values.ravel() + shift, np.repeat(people, QUANTILES), weight).of_people(keep)
        self._enough(minutes)
        if below:
            minutes = sample(minutes.values < float(below[1]), minutes.person, minutes.weight)
        if norm.statistic in ("share_of_minutes", "share_rule"):
            return mean(minutes, self.counts)
        if match := re.fullmatch(r"(.+)_of_minutes", norm.statistic):
            return reducer(match[1])(minutes, self.counts)
        per_person = {
            "sd_within_person": found.sd,
            "sd_within_person_minutes": found.sd,
            "sd_of_ln_within_person": found.ln_sd,
            "lag1_minute_autocorrelation": found.lag1,
        }
        if norm.statistic in per_person:
            return quantile(sample(per_person[norm.statistic], people).of_people(keep), self.counts, 0.5)
        if norm.statistic == "sd_of_ln_between_person":
            return sd(sample(found.ln_mean, people).of_people(keep), self.counts)
        middles = self._middles(norm.quantity, where, norm.statistic, keep)
        middles = sample(middles.values + shift, middles.person)
        name = norm.statistic.replace("_of_person_medians", "").replace("_of_person_means", "")
        if quantity in _LOG_AVERAGED and name == "mean":
            return np.asarray(np.exp(mean(sample(np.log(middles.values), middles.person), self.counts)))
        return self._statistic(name, middles, pooled=False)

    def _middles(self, quantity: str, where: str, statistic: str, keep: NDArray[np.bool_]) -> Sample:
        """Each person's mean or median of a quantity in a state."""
        self._needs_events(where)
        found = sketch(self.seen, _HERE[quantity][0], where)
        if quantity in _LOG_AVERAGED:
            own = sample(np.exp(found.ln_mean), found.people)
        elif statistic.startswith("median") or "median" in statistic:
            own = sample(found.median, found.people)
        else:
            own = sample(found.mean, found.people)
        if quantity == "hr_minus_rhr":
            resting = resting_hr(self.seen)
            people, i, j = np.intersect1d(own.person, resting.person, return_indices=True)
            own = sample(own.values[i] - resting.values[j], people)
        return own.of_people(keep)

    def _needs_events(self, where: str) -> None:
        if where in NEEDS_EVENTS and not self.seen.has_events:
            raise NotComputableError("no sleep or activity is recorded, so states are unknown")

    def _ratio_of_medians(self, above: str, below: str, keys: Keys, keep: NDArray[np.bool_]) -> Rows:
        where = state(keys.pop("state", "still"))
        a, b = (self._middles(name, where, "median", keep) for name in (above, below))
        self._enough(a)
        return quantile(a, self.counts, 0.5) / quantile(b, self.counts, 0.5)

    def _at_level(self, norm: Norm, quantity: str, keys: Keys, keep: NDArray[np.bool_]) -> Rows:
        """A quantity in the epochs whose RMSSD lies within a tenth of a level."""
        level = _number(keys.pop("rmssd"))
        epochs = self._epochs(keys, keep)
        near = epochs[(epochs["rmssd"] > 0.9 * level) & (epochs["rmssd"] < 1.1 * level)]
        values = sample(near[quantity].to_numpy(np.float64), near["person"].to_numpy(np.int64))
        self._enough(values)
        return reducer(norm.statistic)(values, self.counts)

    def _epochs(self, keys: Keys, keep: NDArray[np.bool_]) -> pd.DataFrame:
        where = state(keys.pop("state", "still"))
        if where != "still":
            raise NotComputableError(f"joint RR epochs are kept at rest only, not in state {where!r}")
        epochs = self.seen.epochs
        if not len(epochs):
            raise NotComputableError("no minute at rest with enough valid beats")
        chosen: pd.DataFrame = epochs[keep[epochs["person"].to_numpy(np.int64)]]
        return chosen

    # ------------------------------------------------------------------------------------------------- relations

    def _correlation(self, norm: Norm, keys: Keys, keep: NDArray[np.bool_]) -> Rows:
        x, _, y = norm.quantity.removeprefix("correlation:").partition("~")
        if norm.statistic == "spearman_epochs":
            if x not in EPOCH_COLUMNS or y not in EPOCH_COLUMNS:
                raise NotComputableError(f"no joint epochs of {x} and {y}")
            epochs = self._epochs(keys, keep)
            a, b = (sample(epochs[name].to_numpy(np.float64), epochs["person"].to_numpy(np.int64)) for name in (x, y))
            self._enough(a)
            return spearman(a.values, b.values, a.person, self.counts)
        for name in (x, y):
            if name not in PERSON_QUANTITIES:
                raise NotComputableError(f"recordings do not tell {name}")
        a, b = (PERSON_QUANTITIES[name](self.seen).of_people(keep) for name in (x, y))
        people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
        self._enough(sample(a.values[i], people))
        return spearman(a.values[i], b.values[j], people, self.counts)

    def _slope(self, norm: Norm, keep: NDArray[np.bool_]) -> Rows:
        x_name, y_name, factor = _SLOPES[norm.quantity]
        a, b = (PERSON_QUANTITIES[name](self.seen).of_people(keep) for name in (x_name, y_name))
        people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
        self._enough(sample(a.values[i], people))
        return slope(a.values[i], b.values[j], people, self.counts) * factor

    def _share_of_cohort(self, norm: Norm, keys: Keys) -> Rows:
        key = norm.quantity.removeprefix("cohort_share_")
        if list(keys) != [key]:
            raise NotComputableError(f"stratum {keys} is not known for {norm.quantity}")
        keep = choose_people(keys, self.seen, [])
        everybody = sample(keep, np.arange(len(keep)))
        self._enough(everybody)
        return mean(everybody, self.counts)

    # ------------------------------------------------------------------------------------------------ fingerprint

    def _baseline(self, inside: bool, metric: str, keys: Keys, keep: NDArray[np.bool_]) -> Rows:
        """Error of filling a blanked gap by a simple rule, in z units, averaged over signals (norms, ``lsm_*``)."""
        method, gap = keys.pop("method", ""), int(_number(keys.pop("gap_min", "0")))
        if not 0 < gap < WINDOW_MINUTES - 2:
            raise NotComputableError(f"gap of {gap} min does not fit a window of {WINDOW_MINUTES}")
        if self._windows is None:
            self._windows = standardised_windows(self.seen.windows)
        errors = gap_errors(self._windows, gap, method, inside=inside)
        each = np.abs(errors) if metric == "mae" else errors**2
        signals = each.mean(axis=2)
        there = np.isfinite(signals)
        if not there.any():
            raise NotComputableError("no window of five hours")
        score = np.where(there, signals, 0).sum(axis=1) / np.maximum(there.sum(axis=1), 1)
        score = np.where(there.any(axis=1), score, np.nan)
        values = sample(score, self.seen.window_person).of_people(keep)
        self._enough(values)
        return mean(values, self.counts)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        raise NotComputableError(f"{text!r} is no number") from None


def wanted_minutes(norms: Sequence[Norm]) -> set[tuple[str, str]]:
    """The (quantity, state) pairs of minute values that some norms need; states that nobody knows are left out."""
    wanted = set(_ALWAYS)
    for norm in norms:
        if norm.quantity == "sdnn_over_rmssd":
            wanted |= {("sdnn_5min_rest", "still"), ("rmssd_5min_rest", "still")}
        if norm.quantity not in _HERE and not norm.quantity.startswith("wrist_scl_below_"):
            continue
        quantity, usual = _HERE.get(norm.quantity, ("wrist_scl", "awake"))
        keys = dict(norm.stratum)
        names = contrast(keys["contrast"])[:2] if "contrast" in keys else (keys.get("state", usual),)
        for name in names:
            try:
                wanted.add((quantity, state(name)))
            except NotComputableError:  # ``estimate`` says so again, with the reason
                continue
    return wanted
