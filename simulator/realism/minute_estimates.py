"""Estimates of quantities of minutes: in a state, between two states, within stretches, or of one with another."""

import re
from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from simulator.realism.contrasts import between_people
from simulator.realism.days import NUMBERED
from simulator.realism.minutes import MINUTE_QUANTITIES, NEEDS_STAGES, events_needed
from simulator.realism.norms import Norm, contrast, motion_state, names_people, sides, state
from simulator.realism.observing import EPOCH_COLUMNS, QUANTILES, Observations, Wanted
from simulator.realism.quantities import resting_hr, sketch
from simulator.realism.question import Question, number
from simulator.realism.statistics import (
    NotComputableError,
    Rows,
    Sample,
    mean,
    pair_statistic,
    person_estimates,
    quantile,
    reducer,
    sample,
    sd,
    spearman,
)

ENTROPY_BIN_MS: Final = 8.0  # of rr_entropy and rr_diff_entropy (simulator.signals)

HERE: Final = {  # quantity of minutes -> (the values it is made of, their state unless the norm names one)
    name: (name, "any") for name in MINUTE_QUANTITIES
} | {
    "hr_minus_rhr": ("hr", "any"),
    "hr_during_nrem_sleep": ("hr", "nrem"),
    "nrem_hr_minus_vendor_rhr": ("hr", "nrem"),
    "rmssd_5min_rest": ("rmssd_5min_rest", "still"),
    "sdnn_5min_rest": ("sdnn_5min_rest", "still"),
    "sdnn_5min_awake_sedentary": ("sdnn_5min", "still"),
    "sdnn_5min_sleep": ("sdnn_5min", "sleep"),
    "rmssd_true_during_vigorous_exercise": ("rmssd_true", "vigorous"),
    "pnn30": ("pnn30", "still"),
    "pnn50": ("pnn50", "still"),
    "shannon_entropy_rr": ("shannon_entropy_rr", "still"),
    "shannon_entropy_rr_diff": ("shannon_entropy_rr_diff", "still"),
    "wrist_scl": ("wrist_scl", "awake"),
    "cadence_in_purposeful_walking": ("cadence", "striding"),
    "cadence_in_running": ("cadence", "running"),
}
BETWEEN: Final = {"hr_rem_minus_deep_sleep": ("hr", "rem-deep")}  # a contrast that the quantity's name holds
PAIRS: Final = {  # quantity -> (y, x, the state unless the norm names one, whether a slope or a correlation)
    "ppg_vs_ecg_hr": ("hr", "true_hr", "any", "correlation"),
    "hr_gain_per_step_rate": ("hr", "cadence", "worn_awake", "slope"),
}
_BELOW: Final = re.compile(r"wrist_scl_below_(\d*\.?\d+)uS")
_SPAN: Final = re.compile(r"(\d+)min")
_ALWAYS: Final = (("hr", "sleep"), ("hr", "awake"), ("hr", "still"), ("rmssd", "still"), ("rmssd_5min_rest", "still"))
_ABOVE_RESTING: Final = frozenset({"hr_minus_rhr", "nrem_hr_minus_vendor_rhr"})
_LOG_AVERAGED: Final = frozenset({"rmssd_5min_rest", "sdnn_5min_rest"})  # "take logs before averaging across people"
_TRUTH: Final = frozenset({"ppg_hr_minus_ecg_hr", "true_hr", "rmssd_true"})


def is_of_minutes(quantity: str) -> bool:
    """Whether ``of_minutes`` knows a quantity."""
    return quantity in HERE or quantity in BETWEEN or quantity in PAIRS or _BELOW.fullmatch(quantity) is not None


def wanted(norms: Sequence[Norm]) -> Wanted:
    """What must be kept of the minutes for some norms; what nobody knows is left out, and said when it is asked."""
    minutes, spans, pairs, days = set(_ALWAYS), set[tuple[str, str, int]](), set[tuple[str, str, str]](), set[str]()
    for norm in norms:
        keys = dict(norm.stratum)
        name = f"{norm.quantity}_{keys['window']}" if "window" in keys else norm.quantity
        if any(pattern.fullmatch(name) for pattern, _ in NUMBERED):
            days.add(name)
        if norm.quantity == "sdnn_over_rmssd":
            minutes |= {("sdnn_5min_rest", "still"), ("rmssd_5min_rest", "still")}
        try:
            if norm.quantity in PAIRS:
                y, x, usual, _ = PAIRS[norm.quantity]
                pairs.add((x, y, state(keys.get("state", usual))))
            elif is_of_minutes(norm.quantity):
                quantity, states = _asked(norm.quantity, keys)
                minutes |= {(quantity, name) for name in states}
                if match := _SPAN.fullmatch(keys.get("span", "")):
                    spans |= {(quantity, name, int(match[1])) for name in states}
        except NotComputableError:  # ``of_minutes`` says so again, with the reason
            continue
    return Wanted(
        minutes=frozenset(minutes),
        spans=frozenset(spans),
        pairs=frozenset(pairs),
        days=frozenset(days),
        difficulty=any(norm.quantity.startswith("task_") for norm in norms),
    )


def _asked(quantity: str, keys: dict[str, str]) -> tuple[str, tuple[str, ...]]:
    """The minute values of a quantity and the states in which a stratum asks for them; leaves the keys as they are."""
    keys = dict(keys)
    if quantity in BETWEEN:
        name, text = BETWEEN[quantity]
        return name, sides(text)[:2]
    name, usual = ("wrist_scl", "awake") if _BELOW.fullmatch(quantity) else HERE[quantity]
    if "contrast" in keys and not _of_groups(keys):
        return name, sides(keys["contrast"])[:2]
    return name, (_where(keys, usual),)


def _of_groups(keys: dict[str, str]) -> bool:
    """Whether the contrast of a stratum is of people, in one state, and not of two states."""
    return "contrast" in keys and names_people(contrast(keys["contrast"])[0])


def _where(keys: dict[str, str], usual: str) -> str:
    """The state that a stratum names; takes its keys out."""
    motion = motion_state(keys)
    where = state(keys.pop("state", usual))
    return where if motion is None else motion if where == "any" else f"{where}&{motion}"


def _known(seen: Observations, quantity: str, where: str) -> None:
    """Refuse a state or a quantity that the dataset cannot tell."""
    if events_needed(where) and not seen.has_events:
        raise NotComputableError("no sleep or activity is recorded, so states are unknown")
    if NEEDS_STAGES & set(where.split("&")) and not seen.has_stages:
        raise NotComputableError("events hold no sleep stages")
    if quantity in _TRUTH and not seen.has_truth:
        raise NotComputableError("no truth is kept under what the sensor measured")


def of_minutes(asked: Question) -> Rows:
    """The statistic of a quantity of minutes.

    Raises:
        NotComputableError: With the reason, if this dataset cannot tell.
    """
    quantity, keys = asked.norm.quantity, asked.keys
    if quantity in PAIRS:
        return _of_pair(asked)
    if quantity in BETWEEN:
        keys["contrast"] = BETWEEN[quantity][1]
    if "rmssd" in keys:
        return _at_level(asked, HERE[quantity][0])
    if "contrast" in keys and not _of_groups(keys):
        return _between_states(asked)
    name, usual = ("wrist_scl", "awake") if _BELOW.fullmatch(quantity) else HERE[quantity]
    where = _where(keys, usual)
    _known(asked.seen, name, where)
    if "contrast" in keys:
        left, right, operator = contrast(keys.pop("contrast"))
        return between_people(asked, _middles(asked, name, where), left, right, operator)
    if "span" in keys:
        return _within_spans(asked, name, where)
    return _in_state(asked, name, where)


def _in_state(asked: Question, name: str, where: str) -> Rows:
    found, shift, statistic = sketch(asked.seen, name, where), 0.0, asked.norm.statistic
    if "bin" in asked.keys:
        shift = -float(np.log(number(asked.keys.pop("bin").removesuffix("ms")) / ENTROPY_BIN_MS))
    weight = np.repeat(found.minutes / QUANTILES, QUANTILES)
    minutes = sample(found.values.ravel() + shift, np.repeat(found.people, QUANTILES), weight).of_people(asked.keep)
    asked.enough(minutes)
    if below := _BELOW.fullmatch(asked.norm.quantity):
        minutes = sample(minutes.values < float(below[1]), minutes.person, minutes.weight)
    if statistic in ("share_of_minutes", "share_rule"):
        return mean(minutes, asked.counts)
    if match := re.fullmatch(r"(.+)_of_minutes", statistic):
        return reducer(match[1])(minutes, asked.counts)
    per_person = {
        "sd_within_person": found.sd,
        "sd_within_person_minutes": found.sd,
        "sd_of_ln_within_person": found.ln_sd,
        "lag1_minute_autocorrelation": found.lag1,
    }
    if statistic in per_person:
        own = sample(per_person[statistic], found.people).of_people(asked.keep)
        return quantile(asked.enough(own), asked.counts, 0.5)
    if statistic == "sd_of_ln_between_person":
        return sd(asked.enough(sample(found.ln_mean, found.people).of_people(asked.keep)), asked.counts)
    middles = _middles(asked, name, where)
    middles = sample(middles.values + shift, middles.person)
    plain = statistic.replace("_of_person_medians", "").replace("_of_person_means", "")
    if name in _LOG_AVERAGED and plain == "mean":
        return np.asarray(np.exp(mean(sample(np.log(middles.values), middles.person), asked.counts)))
    return person_estimates(plain, asked.enough(middles), asked.counts)


def _between_states(asked: Question) -> Rows:
    """Mean or median over people of each one's difference or ratio."""
    name, _ = _asked(asked.norm.quantity, asked.keys)
    left, right, operator = sides(asked.keys.pop("contrast"))
    for where in (left, right):
        _known(asked.seen, name, where)
    a, b = (_middles(asked, name, where) for where in (left, right))
    people, i, j = np.intersect1d(a.person, b.person, return_indices=True)
    own = a.values[i] / b.values[j] if operator == "/" else a.values[i] - b.values[j]
    middle = "median" if asked.norm.statistic.startswith("median") else "mean"
    return reducer(middle)(asked.enough(sample(own, people)), asked.counts)


def _middles(asked: Question, name: str, where: str) -> Sample:
    """Each person's mean or median of a quantity in a state."""
    found = sketch(asked.seen, name, where)
    if name in _LOG_AVERAGED:
        own = sample(np.exp(found.ln_mean), found.people)
    elif "median" in asked.norm.statistic:
        own = sample(found.median, found.people)
    else:
        own = sample(found.mean, found.people)
    if asked.norm.quantity in _ABOVE_RESTING:
        resting = resting_hr(asked.seen)
        people, i, j = np.intersect1d(own.person, resting.person, return_indices=True)
        own = sample(own.values[i] - resting.values[j], people)
    return own.of_people(asked.keep)


def _within_spans(asked: Question, name: str, where: str) -> Rows:
    """The median person's spread within stretches of so many minutes."""
    match = _SPAN.fullmatch(asked.keys.pop("span"))
    key = (name, where, int(match[1])) if match else None
    if key is None or key not in asked.seen.spans:
        raise NotComputableError("nobody has a stretch that long")
    people, plain, of_logs = asked.seen.spans[key].T
    columns = {"sd_within_person": plain, "sd_of_ln_within_person": of_logs}
    if asked.norm.statistic not in columns:
        raise NotComputableError(f"statistic {asked.norm.statistic!r} is not known within a span")
    own = sample(columns[asked.norm.statistic], people.astype(np.int64)).of_people(asked.keep)
    return quantile(asked.enough(own), asked.counts, 0.5)


def _of_pair(asked: Question) -> Rows:
    """Correlation or slope of two quantities, minute by minute, within people, all people together."""
    y, x, usual, kind = PAIRS[asked.norm.quantity]
    where = state(asked.keys.pop("state", usual))
    for name in (x, y):
        _known(asked.seen, name, where)
    sums = asked.seen.pairs.get((x, y, where))
    if sums is None:
        raise NotComputableError(f"nobody has minutes of both in state {where!r}")
    people = np.flatnonzero(asked.keep & (sums[:, 0] > 0))
    asked.enough(sample(np.zeros(len(people)), people))
    return pair_statistic(sums[people], people, asked.counts, kind)


def ratio_of_medians(asked: Question, above: str, below: str) -> Rows:
    """The median person of one quantity over that of another, in one state."""
    where = state(asked.keys.pop("state", "still"))
    medians = []
    for name in (above, below):
        _known(asked.seen, name, where)
        found = sketch(asked.seen, name, where)
        own = sample(np.exp(found.ln_mean), found.people).of_people(asked.keep)
        medians.append(quantile(asked.enough(own), asked.counts, 0.5))
    return medians[0] / medians[1]


def _at_level(asked: Question, quantity: str) -> Rows:
    """A quantity in the epochs whose RMSSD lies within a tenth of a level."""
    level = number(asked.keys.pop("rmssd"))
    epochs = _epochs(asked)
    near = epochs[(epochs["rmssd"] > 0.9 * level) & (epochs["rmssd"] < 1.1 * level)]
    if quantity not in near:
        raise NotComputableError(f"joint RR epochs do not hold {quantity}")
    values = sample(near[quantity].to_numpy(np.float64), near["person"].to_numpy(np.int64))
    return reducer(asked.norm.statistic)(asked.enough(values), asked.counts)


def of_epochs(asked: Question, x: str, y: str) -> Rows:
    """Correlation of ranks of two RR statistics over epochs at rest."""
    if x not in EPOCH_COLUMNS or y not in EPOCH_COLUMNS:
        raise NotComputableError(f"no joint epochs of {x} and {y}")
    epochs = _epochs(asked)
    person: NDArray[np.int64] = epochs["person"].to_numpy(np.int64)
    a, b = (epochs[name].to_numpy(np.float64) for name in (x, y))
    there = np.isfinite(a) & np.isfinite(b)
    asked.enough(sample(a[there], person[there]))
    return spearman(a[there], b[there], person[there], asked.counts)


def _epochs(asked: Question) -> pd.DataFrame:
    where = state(asked.keys.pop("state", "still"))
    if where != "still":
        raise NotComputableError(f"joint RR epochs are kept at rest only, not in state {where!r}")
    epochs = asked.seen.epochs
    if not len(epochs):
        raise NotComputableError("no minute at rest with enough valid beats")
    chosen: pd.DataFrame = epochs[asked.keep[epochs["person"].to_numpy(np.int64)]]
    return chosen
