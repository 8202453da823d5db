"""From a norm's quantity to a sample of single events or gaps; what the words for activities and moods stand for.

Each function takes the observations and the stratum's remaining keys, and takes out the keys that it understands.
"""

import re
from collections.abc import Callable, Collection, Mapping
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from simulator.realism.minutes import VIGOROUS
from simulator.realism.observing import Observations
from simulator.realism.statistics import NotComputableError, Sample, person_means, sample
from simulator.recording import Reason
from simulator.routine import Activity

Keys = dict[str, str]

_LABELS: Final = {
    "walk": "walking",
    "run": "running",
    "bike": "biking",
    "swim": "swimming",
    "hike": "hiking",
    "cycling": "biking",
    "jogging": "running",
    "rowing": "rowingmachine",
    "dance": "aerobicsdance",
    "highintensityintervaltraining": "hiit",
    "strengthtraining": "strength",
}
_CAN_BE_LOGGED: Final = frozenset(activity.name.lower().replace("_", "") for activity in Activity)
_GROUPS: Final[Mapping[str, frozenset[str]]] = {  # classes of trackers and diaries -> ours that fall under them
    # Fitbit's word for training that it has no other word for
    "workout": frozenset({"strength", "weightlifting", "rowingmachine", "stairclimber", "spinning"}),
    "weights": frozenset({"strength", "weightlifting"}),
    "circuittraining": frozenset({"hiit"}),
    "aerobicworkout": frozenset({"aerobicsdance", "hiit", "martialarts"}),  # Fitbit SmartTrack: dance, cardio kickbox
    "aerobics": frozenset({"aerobicsdance"}),
    "dancing": frozenset({"aerobicsdance"}),
    "sport": frozenset({"tennis"}),  # Fitbit SmartTrack: court and field games
    "yogapilates": frozenset({"yoga", "pilates"}),
    "cardioequipment": frozenset({"elliptical", "stairclimber", "rowingmachine", "spinning"}),  # ATUS lexicon 1301
}
_STEADY: Final = frozenset({"running", "biking", "elliptical", "rowingmachine", "stairclimber", "hiking", "spinning"})
_MOODS: Final = frozenset({"content", "frustrated", "excited", "calm", "stressed"})  # LSM-1, Table 19
_MOOD_WORDS: Final[Mapping[str, frozenset[str]]] = {  # LifeSnaps' questionnaire: those of the five next to its words
    "tense": frozenset({"stressed"}),
    "tense_anxious": frozenset({"stressed"}),
    "happy": frozenset({"content", "excited"}),
    "relaxed": frozenset({"calm"}),
    "rested_relaxed": frozenset({"calm"}),
}


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


def a_range(text: str) -> tuple[float, float]:
    """Bounds [low, high) of "5-6", "lt5" or "ge9".

    >>> a_range("5-6"), a_range("lt5"), a_range("ge9")
    ((5.0, 6.0), (-inf, 5.0), (9.0, inf))

    Raises:
        NotComputableError: If it is something else.
    """
    if match := re.fullmatch(r"(\d*\.?\d+)-(\d*\.?\d+)", text):
        return float(match[1]), float(match[2])
    if match := re.fullmatch(r"(lt|ge)(\d*\.?\d+)", text):
        return (-np.inf, float(match[2])) if match[1] == "lt" else (float(match[2]), np.inf)
    raise NotComputableError(f"{text!r} is no range; known are 5-6, lt5 and ge9")


def whole_range(text: str, end: int) -> tuple[int, int]:
    """First whole number of a range and the one after its last: "60-79" holds both, "0" is itself.

    >>> whole_range("60-79", 241), whole_range("0", 241), whole_range("ge120", 241)
    ((60, 80), (0, 1), (120, 241))

    Raises:
        NotComputableError: If it is no range of whole numbers.
    """
    if re.fullmatch(r"\d+", text):
        return int(text), int(text) + 1
    low, high = a_range(text)
    last = high + 1 if "-" in text else high
    return int(max(low, 0)), int(min(last, end))


def needs_reasons(seen: Observations) -> None:
    """Refuse a dataset that does not tell why minutes are missing.

    Raises:
        NotComputableError: If so.
    """
    if not seen.has_reasons:
        raise NotComputableError("nobody knows why minutes are missing")


def bouts_of(seen: Observations, kind: str) -> pd.DataFrame:
    """Events of a kind.

    Raises:
        NotComputableError: If there is none.
    """
    bouts = seen.bouts[seen.bouts["kind"] == kind]
    if not len(bouts):
        raise NotComputableError(f"no {kind} is recorded")
    return bouts


def exercise_of(seen: Observations, labels: Collection[str] | None = None) -> pd.DataFrame:
    """Deliberate exercise, logged or not, as a diary would tell it; without one, what was logged but walks.

    Args:
        seen: What the dataset shows.
        labels: Of which one will be looked for.

    Raises:
        NotComputableError: If there is neither, or walks are looked for without a diary: walks log themselves.
    """
    done = seen.bouts[seen.bouts["kind"] == "exercise"]
    if len(done):
        return done
    if labels is not None and "walking" in labels:
        raise NotComputableError("walks log themselves, and no diary tells which were for exercise")
    logged = bouts_of(seen, "activity")
    return logged[logged["label"] != "walking"]


def activity_labels(seen: Observations, name: str) -> frozenset[str]:
    """The labels under which a dataset knows an activity; norms name some groups that hold several.

    Raises:
        NotComputableError: If nobody logged any and the simulator has no such activity.
    """
    plain = re.sub(r"[^a-z]", "", name.lower())
    labels = _GROUPS.get(plain, frozenset({_LABELS.get(plain, plain)}))
    known = labels & (_CAN_BE_LOGGED | set(seen.bouts["label"]))
    if not known:
        raise NotComputableError(f"no activity {min(labels)!r} in the recordings")
    return known


def moods(name: str) -> frozenset[str]:
    """The moods that a diary of five holds for a word of another questionnaire.

    Raises:
        NotComputableError: If none of the five comes near it.
    """
    plain = name.lower()
    if plain in _MOODS:
        return frozenset({plain})
    if plain not in _MOOD_WORDS:
        raise NotComputableError(f"a mood that people told of themselves; the five logged hold nothing like {name!r}")
    return _MOOD_WORDS[plain]


def days_with(seen: Observations, kind: str, labels: Collection[str] | None) -> NDArray[np.bool_]:
    """Day rows on which an event of a kind begins, with one of some labels (None: any)."""
    bouts = bouts_of(seen, kind)
    if labels is not None:
        bouts = bouts[bouts["label"].isin(list(labels))]
    marked = np.zeros(len(seen.days), dtype=np.bool_)
    marked[bouts["day_row"].to_numpy(dtype=np.int64)] = True
    return marked


def days_after(seen: Observations, marked: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Day rows whose person has the day before marked."""
    day, person = seen.days["day"].to_numpy(), seen.days["person"].to_numpy()
    keys = set(zip(person[marked], day[marked] + 1, strict=True))
    return np.array([key in keys for key in zip(person, day, strict=True)], dtype=np.bool_)


def _of(bouts: pd.DataFrame, values: ArrayLike, weight: ArrayLike | None = None) -> Sample:
    return sample(values, bouts["person"].to_numpy(dtype=np.int64), weight)


def _share_of_activities(seen: Observations, keys: Keys) -> Sample:
    bouts = bouts_of(seen, "activity")
    return _of(bouts, bouts["label"].isin(list(activity_labels(seen, asked(keys, "activity")))))


def _share_of_moods(seen: Observations, keys: Keys) -> Sample:
    bouts, mood = bouts_of(seen, "mood"), asked(keys, "mood").lower()
    return _of(bouts, bouts["label"] == mood)


def _bouts_of_activity(seen: Observations, keys: Keys) -> pd.DataFrame:
    bouts, name = bouts_of(seen, "activity"), asked(keys, "activity")
    return bouts if name == "all" else bouts[bouts["label"].isin(list(activity_labels(seen, name)))]


def _bout_minutes(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts_of_activity(seen, keys)
    return _of(bouts, bouts["minutes"])


def _bout_steps(seen: Observations, keys: Keys) -> Sample:
    bouts = _bouts_of_activity(seen, keys)
    return _of(bouts, bouts["step_rate"])


def _resting(seen: Observations) -> Sample:
    days = seen.days[["person", "resting_hr"]].dropna()
    return person_means(sample(days["resting_hr"].to_numpy(dtype=np.float64), days["person"].to_numpy()))


def _highest(seen: Observations) -> Sample:
    if "age_years" not in seen.people:
        raise NotComputableError("people.parquet has no column 'age_years'")
    age = seen.people["age_years"].to_numpy(dtype=np.float64)
    return sample(208 - 0.7 * age, np.arange(len(age)))


def _bout_reserve(seen: Observations, keys: Keys) -> Sample:
    """Mean heart rate of a bout as a share of the reserve between resting and maximal (208 - 0.7 age) heart rate."""
    bouts, resting = _bouts_of_activity(seen, keys), _resting(seen)
    highest = _highest(seen)  # Tanaka et al. 2001
    low = bouts["person"].map(dict(zip(resting.person, resting.values, strict=True)))
    high = bouts["person"].map(dict(zip(highest.person, highest.values, strict=True)))
    return _of(bouts, (bouts["heart_rate"] - low) / (high - low))


def _after_hard_effort(seen: Observations, keys: Keys) -> Sample:
    bouts = bouts_of(seen, "activity")
    hard = bouts[bouts["label"].isin(list(VIGOROUS))]
    return _of(hard, hard["hr_drop_first_minute"])


def _drift(seen: Observations, keys: Keys) -> Sample:
    """Rise over half an hour of one exercise that goes on evenly; "vigorous" picks what is as hard as running."""
    bouts = bouts_of(seen, "activity")
    bouts = bouts[bouts["label"].isin(list(_STEADY))]
    if keys.pop("intensity", "any") == "vigorous":
        bouts = bouts[bouts["label"].isin(list(VIGOROUS))]
    return _of(bouts, bouts["hr_drift"])


def _starts_in_block(seen: Observations, keys: Keys) -> Sample:
    bouts, day = _bouts_of_activity(seen, keys), keys.pop("day", "all")
    if day != "all":
        bouts = bouts[bouts["weekend"].astype(bool) == (day == "weekend")]
    return _of(bouts, in_hours(bouts["hour"], *hours(asked(keys, "hours"))))


def in_hours(hour: "pd.Series[float]", first: float, last: float) -> "pd.Series[float]":
    """1 where a clock hour lies in [first, last), which may run over midnight."""
    inside = (hour >= first) & (hour < last) if first < last else (hour >= first) | (hour < last)
    return inside.astype(np.float64)


def _female_share(seen: Observations, keys: Keys) -> Sample:
    """1 for a woman, 0 for a man, of those who do it on a day."""
    labels = activity_labels(seen, asked(keys, "activity"))
    bouts = exercise_of(seen, labels)
    if "sex" not in seen.people:
        raise NotComputableError("people.parquet has no column 'sex'")
    days = bouts[bouts["label"].isin(list(labels))].drop_duplicates("day_row")
    female = seen.people["sex"].to_numpy()[days["person"].to_numpy(dtype=np.int64)] == "female"
    return _of(days, female.astype(np.float64))


def _naps(seen: Observations) -> pd.DataFrame:
    naps = bouts_of(seen, "sleep")
    naps = naps[naps["label"] == "nap"]
    if not len(naps):
        raise NotComputableError("no nap is recorded")
    return naps


def _nap_time(seen: Observations, keys: Keys) -> Sample:
    naps = _naps(seen)
    first, last = hours(asked(keys, "hours"))
    middle = naps["hour"] + naps["minutes"] / 120
    return _of(naps, in_hours(middle % 24, first, last), naps["minutes"])


def _nap_start(seen: Observations, keys: Keys) -> Sample:
    return _of(_naps(seen), _naps(seen)["hour"])


def _charge_minutes(seen: Observations, keys: Keys) -> Sample:
    needs_reasons(seen)
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
    "hr_drop_first_minute_after_hard_effort": _after_hard_effort,
    "hr_drift_over_30min_steady_exercise": _drift,
}
"""Values of single events and gaps, by the names that norms use."""


def bout_sample(quantity: str, seen: Observations, keys: Keys) -> Sample | None:
    """Values of single events or gaps, or None if the quantity is not one of them.

    Raises:
        NotComputableError: If the dataset does not tell it.
    """
    if match := re.fullmatch(r"charge_starts_(\d\d)-(\d\d)h", quantity):
        needs_reasons(seen)
        gaps = seen.gaps[(seen.gaps["reason"] == Reason.CHARGING) & ~seen.gaps["from_midnight"].astype(bool)]
        return _of(gaps, in_hours(gaps["hour"], float(match[1]), float(match[2])))
    if quantity not in BOUT_QUANTITIES:
        return None
    return BOUT_QUANTITIES[quantity](seen, keys)
