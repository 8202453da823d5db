"""Minutes of one recording: the states they are in and the quantities that norms speak of.

States are told from what a real dataset would hold too (diary events, steps), never from the simulator's own routine.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr, ndtri

from simulator.recording import Event, Recording, runs_of
from simulator.signals import INDEX, MINUTES_PER_DAY

Minutes = NDArray[np.float32]
Mask = NDArray[np.bool_]

VIGOROUS: Final = frozenset(  # >= 7 MET, Compendium 2024
    {"running", "hiit", "spinning", "stairclimber", "rowingmachine", "martialarts", "swimming"}
)
SAMPLES_PER_MINUTE: Final = 1500.0  # that log_energy sums over: 25 Hz (simulator.motion)
STRIDE_MINUTES: Final = 5  # in a row, from which walking is for its own sake; judgement
RR_VALID_PERCENT: Final = 80.0  # share of valid beats above which RR statistics are held against lab norms
CLOCK_STATE: Final = re.compile(r"(\d\d)-(\d\d)h")
NEAR_STATE: Final = re.compile(r"(\d+)min_(after|before)_(\w+)")
MOTION_STATE: Final = re.compile(r"acc_sd:(\d*\.?\d+)-(\d*\.?\d+|inf)")
STATES: Final = frozenset(
    {"any", "worn", "sleep", "awake", "still", "light", "walking", "running", "swimming", "exercise", "vigorous"}
    | {"valid_rr", "worn_awake", "sleep_or_exercise", "asleep", "nrem", "deep", "rem", "awake_in_bed", "striding"}
)
NEEDS_STAGES: Final = frozenset({"asleep", "nrem", "deep", "rem", "awake_in_bed"})
NEEDS_SLEEP: Final = frozenset({"sleep", "awake", "still", "light", "walking", "striding", "worn_awake"})
NEEDS_EVENTS: Final = NEEDS_SLEEP | NEEDS_STAGES | {"running", "swimming", "exercise", "vigorous", "sleep_or_exercise"}


def seen(recording: Recording, name: str) -> Minutes:
    """A signal's minutes, NaN where not observed."""
    i = INDEX[name]
    return np.where(recording.observed[i], recording.values[i], np.float32(np.nan))


def minutes_of(events: tuple[Event, ...], kind: str, labels: Collection[str] | None = None) -> Mask:
    """Minutes of the day inside an event of a kind, and of some labels if they are named."""
    mask = np.zeros(MINUTES_PER_DAY, dtype=np.bool_)
    for event in events:
        if event.kind == kind and (labels is None or event.label in labels):
            mask[max(0, event.start_minute) : max(0, event.end_minute)] = True
    return mask


def states_of(recording: Recording) -> dict[str, Mask]:
    """Which minutes are in which state; states overlap.

    "sleep" and "awake" come from the diary; a day is taken as known if it holds a sleep. "still" is awake, out of
    exercise and without a step for five minutes; "light" is 1 to 59 steps, "walking" 60 to 139 out of other exercise;
    "striding" is walking for ``STRIDE_MINUTES`` or more without a pause; "awake_in_bed" is what polysomnography calls
    wake: awakenings inside a sleep.
    """
    steps = seen(recording, "steps")
    worn = recording.observed[INDEX["steps"]] | recording.observed[INDEX["heart_rate"]]
    sleep = minutes_of(recording.events, "sleep")
    exercise = minutes_of(recording.events, "activity")
    other = minutes_of(
        recording.events, "activity", {e.label for e in recording.events if e.label not in ("walking", "hiking")}
    )
    known = any(event.kind == "sleep" for event in recording.events)
    awake = ~sleep & known
    stepless = np.lib.stride_tricks.sliding_window_view(np.pad(steps == 0, (4, 0)), 5).all(axis=1)
    still = awake & stepless & ~exercise
    walking = awake & (steps >= 60) & (steps < 140) & ~other
    return {
        "any": np.ones(MINUTES_PER_DAY, dtype=np.bool_),
        "worn": worn,
        "sleep": sleep,
        "awake": awake,
        "still": still,
        "light": awake & (steps >= 1) & (steps < 60) & ~exercise,
        "walking": walking,
        "striding": _long_runs(walking, STRIDE_MINUTES),
        "running": minutes_of(recording.events, "activity", {"running"}),
        "swimming": minutes_of(recording.events, "activity", {"swimming"}),
        "exercise": exercise,
        "vigorous": minutes_of(recording.events, "activity", VIGOROUS),
        "valid_rr": recording.observed[INDEX["rmssd"]] & (seen(recording, "rr_valid") > RR_VALID_PERCENT),
        "worn_awake": awake & ~exercise & worn,
        "sleep_or_exercise": (sleep | exercise) & worn,
        "asleep": minutes_of(recording.events, "stage", {"light", "deep", "rem"}),
        "nrem": minutes_of(recording.events, "stage", {"light", "deep"}),
        "deep": minutes_of(recording.events, "stage", {"deep"}),
        "rem": minutes_of(recording.events, "stage", {"rem"}),
        "awake_in_bed": minutes_of(recording.events, "stage", {"awake"}),
    }


def _long_runs(inside: Mask, least: int) -> Mask:
    """Minutes inside runs of at least so many."""
    begins, ends = runs_of(inside).T
    long = ends - begins >= least
    steps = np.zeros(len(inside) + 1, dtype=np.int64)
    steps[begins[long]] += 1
    steps[ends[long]] -= 1
    return np.asarray(np.cumsum(steps[:-1]) > 0, dtype=np.bool_)


def is_state(name: str) -> bool:
    """Whether ``state_of`` knows a state; several at once are joined by "&".

    >>> is_state("still&acc_sd:0.005-0.01"), is_state("10min_after_vigorous"), is_state("on_the_moon")
    (True, True, False)
    """
    return all(
        part in STATES
        or CLOCK_STATE.fullmatch(part)
        or MOTION_STATE.fullmatch(part)
        or ((near := NEAR_STATE.fullmatch(part)) and near[3] in STATES)
        for part in name.split("&")
    )


def events_needed(name: str) -> bool:
    """Whether a state is told by sleep or activity events."""
    parts = [near[3] if (near := NEAR_STATE.fullmatch(part)) else part for part in name.split("&")]
    return any(part in NEEDS_EVENTS or CLOCK_STATE.fullmatch(part) for part in parts)


def state_of(name: str, states: Mapping[str, Mask], recording: Recording) -> Mask:
    """Minutes in a state that a norm names.

    Args:
        name: One that ``is_state``: a state of ``states_of``; awake clock hours ("17-20h"); minutes just after or
            before spells of a state ("10min_after_vigorous"); a range of the standard deviation of acceleration, in g
            ("acc_sd:0.005-0.01"); or several of them joined by "&".
        states: Of the recording.
        recording: The day.
    """
    mask = np.ones(MINUTES_PER_DAY, dtype=np.bool_)
    for part in name.split("&"):
        if clock := CLOCK_STATE.fullmatch(part):
            hour = np.arange(MINUTES_PER_DAY) // 60
            mask &= states["awake"] & (hour >= int(clock[1])) & (hour < int(clock[2]))
        elif near := NEAR_STATE.fullmatch(part):
            mask &= _near(states[near[3]], int(near[1]), after=near[2] == "after")
        elif motion := MOTION_STATE.fullmatch(part):
            sd = acceleration_sd(recording)
            mask &= (sd >= float(motion[1])) & (sd < float(motion[2]))
        else:
            mask &= states[part]
    return mask


def _near(inside: Mask, minutes: int, *, after: bool) -> Mask:
    """Minutes outside of spells that lie at most so many after their end, or before their beginning."""
    spells = inside if after else inside[::-1]
    last = np.maximum.accumulate(np.where(spells, np.arange(MINUTES_PER_DAY), -MINUTES_PER_DAY))
    since = np.arange(MINUTES_PER_DAY) - last
    near: Mask = (since > 0) & (since <= minutes)
    return near if after else near[::-1]


def acceleration_sd(recording: Recording) -> Minutes:
    """Standard deviation of high-passed acceleration in the minute (g), from its log energy."""
    sd: Minutes = np.sqrt(np.exp(seen(recording, "log_energy")) / np.float32(SAMPLES_PER_MINUTE))
    return sd


def _truth(recording: Recording, name: str) -> Minutes:
    """What was under the sensor's error; NaN throughout where nobody knows."""
    if recording.truth is None:
        return np.full(MINUTES_PER_DAY, np.nan, dtype=np.float32)
    truth: Minutes = recording.truth[INDEX[name]]
    return truth


def _pnn50(recording: Recording) -> Minutes:
    """Share of successive differences above 50 ms, from that above 30 ms, as normal differences have it."""
    share = np.clip(_at_rest(recording, "pnn30") / 100, 1e-4, 1 - 1e-4).astype(np.float64)
    return np.asarray(200 * ndtr(-50 / 30 * -ndtri(share / 2)), dtype=np.float32)


def _ln(minutes: Minutes) -> Minutes:
    logs: Minutes = np.log(np.where(minutes > 0, minutes, np.float32(np.nan)))
    return logs


def skin_temperature(recording: Recording) -> Minutes:
    """Truth where there is one: firmware hides the sleeping wrist, and norms for it come from loggers that do not."""
    if recording.truth is not None:
        truth: Minutes = recording.truth[INDEX["skin_temperature"]]
        return truth
    return seen(recording, "skin_temperature")


def _at_rest(recording: Recording, name: str) -> Minutes:
    """An RR statistic where enough beats are valid to compare it with a laboratory's."""
    return np.where(seen(recording, "rr_valid") > RR_VALID_PERCENT, seen(recording, name), np.float32(np.nan))


def _hidden_while_worn(recording: Recording, name: str) -> Minutes:
    """1 where a signal is missing though the watch is worn, 0 where it is there, NaN where the watch is off."""
    worn = recording.observed[INDEX["steps"]]
    return np.where(worn, 1.0 - recording.observed[INDEX[name]], np.nan).astype(np.float32)


def _shown_while_worn(recording: Recording, name: str) -> Minutes:
    if not recording.observed[INDEX[name]].any():  # no such sensor, or a day without it
        return np.full(MINUTES_PER_DAY, np.nan, dtype=np.float32)
    return np.float32(1) - _hidden_while_worn(recording, name)


def _over(above: Minutes, below: Minutes) -> Minutes:
    return np.where(below > 0, above / np.where(below > 0, below, np.float32(1)), np.float32(np.nan))


MINUTE_QUANTITIES: Final[dict[str, Callable[[Recording], Minutes]]] = {
    "hr": lambda r: seen(r, "heart_rate"),
    "rr_valid_share": lambda r: seen(r, "rr_valid") / np.float32(100),
    "rmssd": lambda r: seen(r, "rmssd"),
    "rmssd_5min_rest": lambda r: _at_rest(r, "rmssd"),
    "sdnn_5min_rest": lambda r: _at_rest(r, "sdnn"),
    "sdnn_5min": lambda r: seen(r, "sdnn"),
    "pnn30": lambda r: _at_rest(r, "pnn30"),
    "shannon_entropy_rr": lambda r: _at_rest(r, "rr_entropy"),
    "shannon_entropy_rr_diff": lambda r: _at_rest(r, "rr_diff_entropy"),
    "rr_mean_times_hr_over_60000": lambda r: seen(r, "rr_mean") * seen(r, "heart_rate") / np.float32(60000),
    "rr80_minus_rr20_over_sdnn": lambda r: _over(seen(r, "rr_p80") - seen(r, "rr_p20"), seen(r, "sdnn")),
    "wrist_scl": lambda r: seen(r, "scl"),
    "ln_wrist_scl": lambda r: _ln(seen(r, "scl")),
    "wrist_scl_slope": lambda r: seen(r, "scl_slope"),
    "wrist_scl_below": lambda r: seen(r, "scl"),
    "wrist_skin_temperature": skin_temperature,
    "wrist_skin_temperature_slope": lambda r: np.diff(seen(r, "skin_temperature"), prepend=np.float32(np.nan)),
    "altimeter_sd_per_minute": lambda r: seen(r, "altimeter_sd"),
    "acc_log_energy_difference": lambda r: seen(r, "log_energy"),
    "kurtosis_of_acceleration": lambda r: seen(r, "kurtosis"),
    "mean_time_between_zero_crossings": lambda r: seen(r, "zero_crossing_mean"),
    "hr_missing_while_worn": lambda r: _hidden_while_worn(r, "heart_rate"),
    "scl_and_temp_available": lambda r: _shown_while_worn(r, "scl"),
    "cadence": lambda r: seen(r, "steps"),
    "sd_of_acceleration_magnitude": acceleration_sd,
    "pnn50": _pnn50,
    "ppg_hr_minus_ecg_hr": lambda r: seen(r, "heart_rate") - _truth(r, "heart_rate"),
    "true_hr": lambda r: _truth(r, "heart_rate"),
    "rmssd_true": lambda r: _truth(r, "rmssd"),
}
"""Minute values by the names that norms use, float32 [1440], NaN where there is none."""
