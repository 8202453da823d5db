"""Events and gaps of a recording as rows: when, how long, and what the watch saw of them."""

import itertools
from typing import Final

import numpy as np

from simulator.realism.days import mean_of
from simulator.realism.minutes import Mask, Minutes, seen
from simulator.recording import Reason, Recording
from simulator.signals import INDEX, MINUTES_PER_DAY

SETTLED_MINUTES: Final = 5  # of a bout, until heart rate has risen; judgement, three time constants
DRIFT_MINUTES: Final = 30  # over which drift is told (norms, hr_drift)
DRIFT_MEAN_MINUTES: Final = 3  # averaged at either end; judgement
BOUT_COLUMNS: Final = (
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
    "hr_drop_first_minute",
    "hr_drift",
)
GAP_COLUMNS: Final = ("person", "reason", "hour", "minutes", "from_midnight")


def bouts_of(recording: Recording, code: int, day_row: int, worn: Mask) -> list[dict[str, object]]:
    """Events that begin on this day, with what the watch saw of them."""
    rows: list[dict[str, object]] = []
    heart_rate, steps = seen(recording, "heart_rate"), seen(recording, "steps")
    for event in recording.events:
        if not 0 <= event.start_minute < MINUTES_PER_DAY:
            continue
        if event.kind in ("stage", "fault"):  # thirty a night, and told by the day already; or the watch's doing
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
                "heart_rate": mean_of(heart_rate[settled]),
                "step_rate": mean_of(steps[inside]),
                "hr_drop_first_minute": _drop(heart_rate, event.end_minute),
                "hr_drift": _drift(heart_rate, event.start_minute, event.end_minute),
            }
        )
    return rows


def _drop(heart_rate: Minutes, end: int) -> float:
    """Heart rate of the last minute of a bout, less that one minute after its end."""
    return float(heart_rate[end - 1] - heart_rate[end + 1]) if end + 1 < MINUTES_PER_DAY else np.nan


def _drift(heart_rate: Minutes, start: int, end: int) -> float:
    """Rise of heart rate over ``DRIFT_MINUTES`` of a bout, once settled; NaN if the bout is too short for it."""
    begin = start + SETTLED_MINUTES
    if begin + DRIFT_MINUTES + DRIFT_MEAN_MINUTES > min(end, MINUTES_PER_DAY):
        return np.nan
    early, late = (heart_rate[m : m + DRIFT_MEAN_MINUTES] for m in (begin, begin + DRIFT_MINUTES))
    return mean_of(late) - mean_of(early)


def gaps_of(recording: Recording, code: int) -> list[dict[str, float]]:
    """Stretches off the wrist or charging, told by the reason of missing steps; cut at midnight."""
    reason = recording.reason[INDEX["steps"]]
    edges = [0, *(np.flatnonzero(np.diff(reason)) + 1), MINUTES_PER_DAY]
    return [
        {"person": code, "reason": float(reason[a]), "hour": a / 60, "minutes": float(b - a), "from_midnight": a == 0}
        for a, b in itertools.pairwise(edges)
        if reason[a] in (Reason.CHARGING, Reason.OFF_WRIST)
    ]
