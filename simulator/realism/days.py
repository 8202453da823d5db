"""What one day of a recording says: steps, heart rate, sleep and wear, one number each, NaN where it does not tell.

A night belongs to the day it ends on. Minutes asleep and stages need events of kind "stage"; a dataset without them
tells the period of sleep only.
"""

import re
from collections.abc import Callable, Collection
from typing import Final

import numpy as np
import pandas as pd

from simulator.realism.minutes import Mask, Minutes, seen, skin_temperature
from simulator.recording import Event, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY

RHR_ABOVE_SLEEP_BPM: Final = 3.5  # vendor resting heart rate over mean sleeping heart rate (norms, hr_nrem_minus_rhr)
CADENCES: Final = 241  # steps a minute told apart: from none to four a second
ACTIVE_STEPS: Final = 70  # a minute, from which Fitbit calls half of them moderate or more; computed on Fitabase [1]
ACTIVE_SHARE_OF_MAX: Final = 0.64  # of maximal heart rate, where moderate exercise begins (ACSM guidelines, 10th ed.)
STABLE_MINUTES: Final = 5  # whose lowest mean is a lowest stable heart rate; judgement after Speed et al. 2023
SDNN_WINDOW_MINUTES: Final = 5  # that the signal's SDNN is over (simulator.signals)
SDNN_LEAST_MINUTES: Final = 720  # of a day with beats, for a standard deviation over 24 h; judgement
FIRST_HOURS_MINUTES: Final = 180  # of sleep, in which alcohol shows most (Pietila et al. 2018, doi:10.2196/mental.9519)
STAGES: Final = ("awake", "light", "deep", "rem")  # labels of events of kind "stage"

# [1] Furberg et al. 2016, doi:10.5281/zenodo.53894: intensity 0-3 by steps of the minute.


def day_of(recording: Recording, states: dict[str, Mask], age_years: float) -> dict[str, float]:
    """Day-level quantities; NaN where the day does not tell."""
    heart_rate, steps = seen(recording, "heart_rate"), seen(recording, "steps")
    beats = ~np.isnan(heart_rate)
    weekday = recording.date.weekday()
    any_cell = np.delete(recording.observed, INDEX["on_wrist"], axis=0).any()  # that it is off is no data of a person
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
    day |= _cadence(steps, states) | _intensity(steps, heart_rate, states, age_years)
    day |= _heart(heart_rate, states, age_years) | {"sdnn_24h": _sdnn_24h(recording)}
    return day | _night(recording, heart_rate) | _stages(recording, heart_rate) | _naps(recording)


def cadences(steps: Minutes, awake: Mask) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """How many minutes awake have so many steps: int64 [CADENCES]; what is faster counts with the last."""
    counted = steps[awake & ~np.isnan(steps)].astype(np.int64)
    return np.bincount(np.clip(counted, 0, CADENCES - 1), minlength=CADENCES)


def _cadence(steps: Minutes, states: dict[str, Mask]) -> dict[str, float]:
    there = steps[~np.isnan(steps)]
    best = np.sort(there)[-30:]
    return {
        "any_awake": float(states["awake"].any()),
        "best_minute_cadence_per_day": float(best[-1]) if len(best) else np.nan,
        "mean_cadence_of_best_30_min": float(best.mean()) if len(best) == 30 else np.nan,
    }


def _intensity(steps: Minutes, heart_rate: Minutes, states: dict[str, Mask], age_years: float) -> dict[str, float]:
    """Minutes awake by intensity, as a band tells it: by steps, and in logged exercise by heart rate too."""
    awake = states["awake"] & ~np.isnan(steps)
    if not awake.any():
        return {}
    hard = states["exercise"] & (heart_rate >= ACTIVE_SHARE_OF_MAX * (208 - 0.7 * age_years))  # Tanaka et al. 2001
    active = awake & ((steps >= ACTIVE_STEPS) | hard)
    light = awake & (steps > 0) & ~active
    return {
        "moderate_or_vigorous_minutes": float(active.sum()),
        "lightly_active_minutes": float(light.sum()),
        "sedentary_share_of_waking_minutes": 1 - float((active | light).sum() / awake.sum()),
    }


def _sdnn_24h(recording: Recording) -> float:
    """Spread of all beats of the day, from that within five minutes and that between fives.

    The former is what SDNN tells; were the latter of single minutes, what they differ by within five would count twice.
    It is told by heart rate, which a watch has in motion too: norms are of Holter recordings, which lose none.
    """
    within, rate = seen(recording, "sdnn").astype(np.float64), seen(recording, "heart_rate").astype(np.float64)
    within, there = within[~np.isnan(within)], ~np.isnan(rate)
    if min(len(within), there.sum()) < SDNN_LEAST_MINUTES:
        return np.nan
    fives = (len(rate) // SDNN_WINDOW_MINUTES, SDNN_WINDOW_MINUTES)
    count, total = (part.reshape(fives).sum(axis=1) for part in (there, np.where(there, rate, 0.0)))
    between = 60000 * count[count > 0] / total[count > 0]  # ms
    return float(np.sqrt((within**2).mean() + between.var()))


def _lowest_stable(heart_rate: Minutes, where: Mask) -> float:
    """Lowest mean of ``STABLE_MINUTES`` minutes in a row that are there and in a state."""
    inside = np.where(where, heart_rate, np.float32(np.nan))
    means = np.lib.stride_tricks.sliding_window_view(inside, STABLE_MINUTES).mean(axis=1)
    means = means[~np.isnan(means)]
    return float(means.min()) if len(means) >= 60 else np.nan  # an hour of them, or the lowest was likely missed


def _heart(heart_rate: Minutes, states: dict[str, Mask], age_years: float) -> dict[str, float]:
    asleep = heart_rate[states["sleep"] & ~np.isnan(heart_rate)]
    there = heart_rate[~np.isnan(heart_rate)]
    sleeping = float(asleep.mean()) if len(asleep) >= 120 else np.nan  # two hours: less is a nap or a lost night
    day = {
        "sleeping_hr": sleeping,
        "resting_hr": sleeping + RHR_ABOVE_SLEEP_BPM,
        "mean_hr_24h": float(there.mean()) if len(there) >= 1200 else np.nan,
        "clock_time_of_lowest_hr": np.nan,
        "lowest_stable_hr_daytime": _lowest_stable(heart_rate, states["awake"]),
        "lowest_stable_hr_night": _lowest_stable(heart_rate, states["sleep"]),
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
    night = _main_sleep(recording)
    if night is None:
        return {}
    inside = slice(max(0, night.start_minute), night.end_minute)
    rmssd = seen(recording, "rmssd")[inside]
    rmssd = rmssd[~np.isnan(rmssd)]
    skin = skin_temperature(recording)[inside]
    first = slice(inside.start, max(inside.start, min(night.start_minute + FIRST_HOURS_MINUTES, inside.stop)))
    return {
        "sleep_period_minutes": float(night.end_minute - night.start_minute),
        "bedtime": 24 + night.start_minute / 60,
        "mid_sleep": (night.start_minute + night.end_minute) / 120,
        "evening_weekend": float((recording.date.weekday() - 1) % 7 in (4, 5)),
        "night_worn": float((~np.isnan(heart_rate[inside])).mean() >= 0.5),
        "rmssd_nightly": float(rmssd.mean()) if len(rmssd) >= 60 else np.nan,
        "nightly_skin_temperature": float(np.nanmean(skin)) if (~np.isnan(skin)).sum() >= 60 else np.nan,
        "sleep_hr_first_3h": mean_of(heart_rate[first]),
        "sleep_rmssd_first_3h": mean_of(seen(recording, "rmssd")[first]),
    }


def _main_sleep(recording: Recording) -> Event | None:
    """The longest main sleep that ends on this day."""
    nights = [e for e in recording.events if e.kind == "sleep" and e.label == "main" and 0 < e.end_minute <= 1440]
    return max(nights, key=lambda e: e.end_minute - e.start_minute, default=None)


def _stages(recording: Recording, heart_rate: Minutes) -> dict[str, float]:
    """Minutes and shares of the main sleep by stage; the share is of the whole period, with the wake inside it."""
    night = _main_sleep(recording)
    stages = [e for e in recording.events if e.kind == "stage"]
    if night is None or not stages:
        return {}
    spans = [(e.label, min(e.end_minute, night.end_minute) - max(e.start_minute, night.start_minute)) for e in stages]
    minutes = {name: sum(max(0, span) for label, span in spans if label == name) for name in STAGES}
    period = night.end_minute - night.start_minute
    if sum(minutes.values()) < 0.9 * period:  # the part before midnight was told with the day before
        return {}
    found = {"awake_in_sleep_minutes": float(minutes["awake"]), "minutes_asleep": float(period - minutes["awake"])}
    return found | {f"{name}_sleep_share": minutes[name] / period for name in STAGES}


def _naps(recording: Recording) -> dict[str, float]:
    if not any(event.kind == "sleep" for event in recording.events):
        return {}
    naps = [e for e in recording.events if e.kind == "sleep" and e.label == "nap" and 0 <= e.start_minute < 1440]
    return {"nap_hours_per_day": sum(e.end_minute - e.start_minute for e in naps) / 60, "naps": float(len(naps))}


def mean_of(minutes: Minutes) -> float:
    """Mean of the minutes that are there; NaN if none is."""
    there = minutes[~np.isnan(minutes)]
    return float(there.mean()) if len(there) else np.nan


# ------------------------------------------------------------------------------- quantities with a number in the name


def _runs(inside: Mask) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":
    """Lengths of the runs of True."""
    edges = np.diff(np.concatenate([[False], inside, [False]]).astype(np.int8))
    return np.flatnonzero(edges == -1) - np.flatnonzero(edges == 1)


def _at_least(recording: Recording, steps: str) -> Mask:
    """Minutes with at least so many steps; a missing minute has none, as in the exports that these norms rest on."""
    return np.asarray(np.nan_to_num(seen(recording, "steps")) >= float(steps), dtype=np.bool_)


def _bout_length(recording: Recording, steps: str) -> float:
    runs = _runs(_at_least(recording, steps))
    return float(runs.mean()) if len(runs) else np.nan


def _skin_rise(recording: Recording, minutes: str) -> float:
    """Skin temperature at the main sleep's onset on this day, less that some minutes before."""
    starts = [e.start_minute for e in recording.events if e.kind == "sleep" and e.label == "main"]
    onset = next((start for start in starts if int(minutes) <= start < MINUTES_PER_DAY), None)
    if onset is None:
        return np.nan
    skin = skin_temperature(recording)
    return float(skin[onset] - skin[onset - int(minutes)])


NUMBERED: Final[tuple[tuple[re.Pattern[str], Callable[[Recording, str], float]], ...]] = (
    (re.compile(r"minutes_per_day_below_(\d+)_steps"), lambda r, n: float((~_at_least(r, n)).sum())),
    (re.compile(r"bouts_per_day_of_ge(\d+)_steps_per_min"), lambda r, n: float(len(_runs(_at_least(r, n))))),
    (re.compile(r"mean_length_of_ge(\d+)_steps_per_min_bouts"), _bout_length),
    (
        re.compile(r"longest_run_below_(\d+)_steps_incl_sleep"),
        lambda r, n: float(max(_runs(~_at_least(r, n)), default=0)),
    ),
    (re.compile(r"wrist_skin_temperature_rise_before_sleep_onset_(\d+)min"), _skin_rise),
)
"""Day quantities whose name carries a number: only the numbers that norms ask for are computed."""


def numbered(recording: Recording, wanted: Collection[str]) -> dict[str, float]:
    """The wanted quantities of ``NUMBERED``, by name."""
    found = {}
    for name in wanted:
        for pattern, compute in NUMBERED:
            if match := pattern.fullmatch(name):
                found[name] = compute(recording, match[1])
    return found
