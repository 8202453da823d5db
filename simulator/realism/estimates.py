"""From a norm to an estimate with its resamples: choose people and days, find the sample, apply the statistic."""

import re
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.realism import difficulty
from simulator.realism.contrasts import between_people, within_people
from simulator.realism.events import bout_sample, days_after, days_with, moods
from simulator.realism.minute_estimates import is_of_minutes, of_epochs, of_minutes, ratio_of_medians
from simulator.realism.norms import Norm, choose_people, contrast, names_people
from simulator.realism.observing import Observations
from simulator.realism.quantities import POOLED, day_sample, of_person, person_sample
from simulator.realism.question import Estimate, Question, number
from simulator.realism.standards import OF_QUANTITY, cohort_weights
from simulator.realism.statistics import (
    Counts,
    NotComputableError,
    Rows,
    Sample,
    lag1_of_days,
    mean,
    mode_hour,
    person_estimates,
    person_means,
    person_spread,
    quantile,
    reducer,
    sample,
    slope,
    spearman,
)
from simulator.realism.windows import WINDOW_MINUTES, GapScores, error_of_windows
from simulator.signals import INDEX, N_SIGNALS

MIN_DAYS: Final = 5  # of a person, for their spread from day to day

_HOURS: Final = frozenset({"bedtime", "social_jetlag"})  # in hours here, in hours or minutes there
_LINES: Final = {  # quantity -> (x, y, "slope" or "intercept", factor) of a line through people
    "midsleep_shift_per_decade": ("age", "midsleep_on_free_days_corrected", "slope", 10.0),
    "hrmax_slope_per_year": ("age", "hrmax", "slope", -1.0),  # b of a - b age
    "hrmax_intercept": ("age", "hrmax", "intercept", 1.0),
}
_CALLED: Final = {"wear_hours_Sunday_over_weekday": ("hours_per_day_with_hr", "Sunday/weekday")}
_DIARY: Final = re.compile(r"day_with_(\w+)")

_WHY_NOT: Final = (
    (r"mims", "MIMS units are sums of raw acceleration over a band that recordings do not keep"),
    (r"enmo|acceleration", "recordings keep features of high-passed acceleration, not its excess over gravity"),
    (r"eda_peaks", "recordings hold a level a minute; a single response of the skin lasts seconds"),
    (r"seated_.*pulse|seated_pulse", "a pulse read once, seated in a clinic, is no reading of a watch"),
    (r"sleep_pulse|luteal", "nobody's cycle is recorded"),
    (r"fever", "body temperature is not recorded"),
    (r"prevalence_measured", "blood pressure is measured in a clinic; people say here whether they were told of it"),
    (r"self_reported|symptoms|disorder", "people's answers to this questionnaire are not recorded"),
    (r"time_constant", "seconds matter, and recordings hold minutes"),
    (r"_vo2r", "oxygen uptake is not recorded"),
    (r"_mets|energy_cost", "energy spent is measured with a mask; no watch records it"),
    (r"ambient", "the air's temperature is not recorded"),
    (r"swing|over_2y", "two years of a person are asked for"),
    (r"pressure_change", "recordings hold the spread of pressure in a minute, not its course"),
    (r"circadian", "heart rate without activity is not recorded apart"),
    (r"shower", "why a watch was off is told as off the wrist or charging, not as washing"),
)


@dataclass(slots=True)
class Estimator:
    """Computes norms on one set of observations.

    Attributes:
        seen: The observations.
        counts: Resamples of its people, from ``resampled_people``.
        scores: Of the observations' windows, standardised.
    """

    seen: Observations
    counts: Counts
    scores: GapScores

    def estimate(self, norm: Norm) -> Estimate:
        """The norm's statistic.

        Raises:
            NotComputableError: With the reason, if this dataset cannot tell.
        """
        keys, notes = dict(norm.stratum), list[str]()
        if norm.quantity.startswith("cohort_share_"):
            return self._share_of_cohort(norm, keys)
        cohort = keys.get("cohort") or OF_QUANTITY.get(norm.quantity, "")
        keep = choose_people(keys, self.seen, notes)
        asked = Question(norm=norm, seen=self.seen, counts=self.counts, keys=keys, keep=keep, notes=notes)
        if norm.quantity not in ("age", "bmi"):  # the facts that people would be reweighted by
            weights = cohort_weights(cohort, self.seen.people, keep)
            if weights is not None:
                asked.counts = (self.counts * weights).astype(np.float32)
                notes[:] = [note for note in notes if "stands for" not in note] + [f"people reweighted to {cohort}"]
        with np.errstate(divide="ignore", invalid="ignore"):  # a resample that draws nobody is NaN, and left out
            found = self._found(asked)
        if keys:
            key, value = next(iter(keys.items()))
            raise NotComputableError(f"stratum {f'{key}={value}' if value else key} is not known for {norm.quantity}")
        scale = 60.0 if norm.quantity in _HOURS and norm.unit.startswith("min") else 1.0
        return Estimate(found * scale, asked.people, tuple(notes))

    def _found(self, asked: Question) -> Rows:
        """The statistic, by the kind of quantity that the norm is about."""
        quantity = asked.norm.quantity
        if quantity.startswith("correlation:"):
            return _correlation(asked)
        if quantity in _LINES:
            return _line(asked)
        if match := re.fullmatch(r"baseline_(interpolation|extrapolation)_(mse|mae)", quantity):
            return self._baseline(asked, inside=match[1] == "interpolation", metric=match[2])
        if match := re.fullmatch(r"task_accuracy_(\w+)", quantity):
            return _accuracy(asked, match[1])
        if quantity == "sdnn_over_rmssd":
            return ratio_of_medians(asked, "sdnn_5min_rest", "rmssd_5min_rest")
        if is_of_minutes(quantity):
            return of_minutes(asked)
        return _of_days_or_people(asked)

    def _share_of_cohort(self, norm: Norm, keys: dict[str, str]) -> Estimate:
        key = norm.quantity.removeprefix("cohort_share_")
        if list(keys) != [key]:
            raise NotComputableError(f"stratum {keys} is not known for {norm.quantity}")
        keep = choose_people(keys, self.seen, [])
        asked = Question(norm=norm, seen=self.seen, counts=self.counts, keys={}, keep=keep)
        return Estimate(mean(asked.enough(sample(keep, np.arange(len(keep)))), self.counts), asked.people, ())

    def _baseline(self, asked: Question, *, inside: bool, metric: str) -> Rows:
        """Error of filling a blanked gap by a simple rule, in z units, averaged over signals (norms, ``lsm_*``)."""
        method, gap = asked.keys.pop("method", ""), int(number(asked.keys.pop("gap_min", "0")))
        signal = asked.keys.pop("signal", "")
        if signal and signal not in INDEX:
            raise NotComputableError(f"signal {signal!r} is none of the {N_SIGNALS}")
        if not 0 < gap < WINDOW_MINUTES - 2:
            raise NotComputableError(f"gap of {gap} min does not fit a window of {WINDOW_MINUTES}")
        if not len(self.seen.windows):
            raise NotComputableError("no window of five hours")
        rows = []
        for rule in method.split("/"):  # "linear/mean" is a ratio
            scores = self.scores.of(gap, rule, inside=inside)
            scores = scores[:, :, [INDEX[signal]]] if signal else scores
            values = error_of_windows(scores, metric, self.seen.window_person).of_people(asked.keep)
            rows.append(mean(asked.enough(values), asked.counts))
        return rows[0] if len(rows) == 1 else np.asarray(rows[0] / rows[1])


def _accuracy(asked: Question, model: str) -> Rows:
    if "task" not in asked.keys:
        raise NotComputableError("the norm names no task")
    right, notes = difficulty.correct(asked.seen.examples, asked.keys.pop("task"), model)
    asked.notes.extend(notes)
    return mean(asked.enough(right.of_people(asked.keep)), asked.counts)


# ---------------------------------------------------------------------------------------------------- days and people


def _of_days_or_people(asked: Question) -> Rows:
    quantity, implied = _CALLED.get(asked.norm.quantity, (asked.norm.quantity, ""))
    differs = re.search(r"^sd_|^cv_|lag1|difference|within", asked.norm.statistic) is not None
    if quantity == "sleep_minutes_per_night" and not asked.seen.has_stages and differs:
        quantity = "sleep_period_minutes_per_night"
        asked.notes.append("period of sleep, with the wake inside it")
    values, pooled = _values(asked, quantity)
    values = _on_days(asked, values.of_people(asked.keep))
    if implied:
        asked.keys["contrast"] = implied
    if "contrast" in asked.keys:
        return _contrast(asked, values)
    return _statistic(asked, values, pooled=pooled)


def _values(asked: Question, quantity: str) -> tuple[Sample, bool]:
    """The quantity's values, and whether its plain statistics pool them."""
    values = bout_sample(quantity, asked.seen, asked.keys)
    if values is not None:
        return values, True
    of_person = "posture" in asked.keys
    values = None if of_person else day_sample(quantity, asked.seen, asked.keys)
    if values is not None:
        return values, quantity in POOLED
    values = person_sample(quantity, asked.seen, asked.keys)
    if values is not None:
        return values, False
    raise NotComputableError(_why_not(quantity))


def _why_not(quantity: str) -> str:
    named = quantity.replace("_", " ")
    return next((why for pattern, why in _WHY_NOT if re.search(pattern, quantity)), f"recordings do not tell {named}")


def _on_days(asked: Question, values: Sample) -> Sample:
    """Only the days of a stratum."""
    if not len(values.row):
        return values
    day = asked.keys.pop("day", "all")
    if day != "all":
        values = values.where(_is_day(asked, day)[values.row])
    if match := re.fullmatch(r"ge(\d+)h", asked.keys.get("wear", "")):
        del asked.keys["wear"]
        values = values.where((asked.seen.days["worn_hours"] >= float(match[1])).to_numpy()[values.row])
    return values


def _is_day(asked: Question, name: str) -> NDArray[np.bool_]:
    """Which day rows are of a kind; a night is a weekend's if the next day is free."""
    days = asked.seen.days
    if name in ("weekend", "weekday"):
        weekend = days["weekend"].to_numpy(dtype=np.bool_)
        if asked.norm.quantity in ("bedtime", "share_asleep_before_midnight"):
            weekend = (days["evening_weekend"] == 1.0).to_numpy()
        return weekend if name == "weekend" else ~weekend
    names = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
    if name in names:
        return np.asarray(days["weekday"] == names.index(name), dtype=np.bool_)
    if match := _DIARY.fullmatch(name):
        return days_with(asked.seen, "mood", moods(match[1]))
    raise NotComputableError(f"recordings do not tell who or when is {name!r}")


def _statistic(asked: Question, values: Sample, *, pooled: bool) -> Rows:
    asked.enough(values)
    name, counts = asked.norm.statistic, asked.counts
    if match := re.fullmatch(r"(.+)_of_person_days", name):
        return reducer(match[1])(values, counts)
    if match := re.fullmatch(r"(sd|cv)_within_person(_between_(days|nights))?", name):
        spreads = {"sd": lambda own: own.std(ddof=1), "cv": lambda own: own.std(ddof=1) / own.mean()}
        return quantile(asked.enough(person_spread(values, spreads[match[1]], MIN_DAYS)), counts, 0.5)
    if name == "lag1_day_autocorrelation":
        if asked.norm.quantity == "resting_hr":
            raise NotComputableError(
                "makers smooth their resting heart rate over days; a value a night is not smoothed"
            )
        if not len(values.row):
            raise NotComputableError("not a quantity of days")
        lagged = lag1_of_days(values, asked.seen.days["day"].to_numpy(dtype=np.float64))
        return quantile(asked.enough(lagged), counts, 0.5)
    if name == "mode_hour":
        return mode_hour(values, counts)
    if pooled or name == "share":
        if name == "median_share_of_hr_reserve":
            name = "median"
        elif name == "median" and np.isin(values.values, (0.0, 1.0)).all():
            name = "share"  # of yes and no there is no middle; with few events a person, nor of people's shares
            asked.notes.append("share of all, in place of the median person's")
        estimate = person_estimates if "_of_person_" in name else _of_all
        return estimate(name, values, counts)
    return person_estimates(name, person_means(values), counts)


def _of_all(name: str, values: Sample, counts: Counts) -> Rows:
    """A plain statistic of all values, whoever's they are."""
    called = {"mean_hour": "mean", "mean_difference": "mean", "share_rule": "mean"}
    return reducer(called.get(name, name))(values, counts)


# ---------------------------------------------------------------------------------------------------------- contrasts


def _contrast(asked: Question, values: Sample) -> Rows:
    left, right, operator = contrast(asked.keys.pop("contrast"))
    if names_people(left):
        return between_people(asked, person_means(values), left, right, operator)
    if not len(values.row):
        raise NotComputableError(f"contrast {left} with {right} is not known for {asked.norm.quantity}")
    asked.keys.pop("within_person", None)
    if left == "alcohol":
        of_left = _after_alcohol(asked)
        of_right = ~days_after(asked.seen, days_with(asked.seen, "alcohol", None))
    else:
        of_left = _is_day(asked, left)
        of_right = _told_otherwise(asked, left) if right == "without" else _is_day(asked, right)
    a, b = values.where(of_left[values.row]), values.where(of_right[values.row])
    asked.enough(a)
    asked.enough(b)
    if asked.norm.statistic == "ratio_of_means":
        return mean(a, asked.counts) / mean(b, asked.counts)
    return within_people(asked, person_means(a), person_means(b), operator)


def _told_otherwise(asked: Question, left: str) -> NDArray[np.bool_]:
    """Days on which a mood was told, but not this one."""
    return days_with(asked.seen, "mood", None) & ~_is_day(asked, left)


def _after_alcohol(asked: Question) -> NDArray[np.bool_]:
    """Days whose night follows an evening of drinking; "binge" is the same as "high"."""
    try:
        dose = asked.keys.pop("dose", "")
        return days_after(
            asked.seen, days_with(asked.seen, "alcohol", {dose.replace("binge", "high")} if dose else None)
        )
    except NotComputableError:
        raise NotComputableError("alcohol is not recorded") from None


# ---------------------------------------------------------------------------------------------------------- relations


def _correlation(asked: Question) -> Rows:
    x, _, y = asked.norm.quantity.removeprefix("correlation:").partition("~")
    if asked.norm.statistic == "spearman_epochs":
        return of_epochs(asked, x, y)
    a, b, people = _two(asked, x, y)
    return spearman(a, b, people, asked.counts)


def _line(asked: Question) -> Rows:
    x, y, part, factor = _LINES[asked.norm.quantity]
    asked.keys.pop("equation", None)
    a, b, people = _two(asked, x, y)
    steep = slope(a, b, people, asked.counts)
    if part == "slope":
        return steep * factor
    middles = [mean(sample(values, people), asked.counts) for values in (a, b)]
    return (middles[1] - steep * middles[0]) * factor


def _of_each(asked: Question, name: str) -> Sample:
    values = of_person(name, asked.seen)
    if values is None:
        raise NotComputableError(_why_not(name))
    return values.of_people(asked.keep)


def _two(asked: Question, x: str, y: str) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64]]:
    """Two values a person, of those who have both."""
    a, b = (_of_each(asked, name) for name in (x, y))
    people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
    asked.enough(sample(a.values[i], people))
    return a.values[i], b.values[j], people
