"""Routine: what a person does, minute by minute; sleep, work, exercise, walks, moods.

A life is a chain of nights and waking days, each drawn from its own stream: night D ends on the morning of day D, and
waking day D runs from there to lights out of night D + 1. ``live`` cuts the calendar day, and the evening that leads
into it, out of that chain. So neighbouring days agree about the night they share, and the lead-in is what the day
before really showed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from operator import itemgetter
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.activities import Activity
from simulator.canvas import EFFORT_PER_STEP, Waking
from simulator.circumstances import circumstances, fever, life_key
from simulator.daytime import spend
from simulator.night import Night, Stage, night_times, sleep
from simulator.noise import Floats, compiled
from simulator.population import Person
from simulator.recording import Event
from simulator.signals import MINUTES_PER_DAY

__all__ = ["LEAD_IN_MINUTES", "Activity", "Routine", "Stage", "live", "live_through"]

LEAD_IN_MINUTES: Final = 180
"""Minutes of the evening before: three time constants of the slowest latent process (skin temperature, 60 min)."""
DIGESTION_MINUTES: Final = 480  # minutes after which a meal is forgotten
_DIGESTED: Final = 1.7177 * (np.exp(-np.arange(DIGESTION_MINUTES) / 60) - np.exp(-np.arange(DIGESTION_MINUTES) / 10))
"""1 at its highest, after 21 minutes; a quarter of that after two hours: judgement after postprandial heart rate."""
_STAGES: Final = tuple(stage.name.lower() for stage in Stage)
AROUSAL_MINUTES: Final = 540.0  # min, over which arousal after drinking fades: all night (Pietila 2018, hr_alcohol_*)
SOBERING_PER_MINUTE: Final = 0.15 / 60.0  # of a heavy evening's peak of 0.1 %: 0.015 % an hour (Jones 2010)


_Day = tuple[int, NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]  # start and arrays of ``Waking``
_Sleep = tuple[int, NDArray[np.uint8], NDArray[np.float32], NDArray[np.float32], float]  # and of ``Night``


@dataclass(frozen=True, slots=True, eq=False)
class Routine:
    """A stretch of a person's life: ``lead_in_minutes`` before midnight of the day, then the day's 1,440 minutes.

    The lead-in lets slow physiology (temperature, recovery, autonomic drift) arrive at midnight as it would have
    after the evening before. Every array has shape [lead_in_minutes + 1440].

    Attributes:
        lead_in_minutes: Minutes before midnight that the arrays begin with.
        stage: uint8 of ``Stage``.
        activity: uint8 of ``Activity``; REST while asleep.
        intensity: float32, demanded share of heart rate reserve in [0, 1]; 0 at rest.
        cadence: float32, steps per minute actually walked or run.
        arm_motion: float32 >= 0, how much the wrist moves beyond gait (0 still, 1 typical chores).
        upright: float32 in [0, 1], share of the minute on the feet.
        climb: float32, metres gained (signed) in the minute.
        pressure_noise: float32 >= 0, hPa of pressure spread that is not climbing (vehicle, wind).
        arousal: float32 >= 0, mental load and stress (0 calm, 1 stressed).
        ambient_celsius: float32, air temperature around the wrist.
        water: bool, wrist in water (shower, swim).
        events: What a diary would hold, minutes relative to midnight of the day.
        exercising: bool, inside an event that the watch treats as exercise.
        digesting: float32 in [0, 1], what a meal asks of the body: rises within about 20 minutes of eating, fades over
            about two hours; 1 is a large meal at its height, a snack 0.3.
        alcohol: float32 in [0, 1], blood alcohol as a share of a heavy evening's peak (about 0.1 % by volume, five
            drinks); it falls at a constant rate through the night that follows.
        alcohol_arousal: float32 in [0, 1], what drinking leaves of arousal, which outlasts the alcohol itself.
        fever: float32 in [0, 1], how ill the body is: 0 on nearly all days, 1 on a day of high fever (39.5 degC).
        nights: (lights out, getting up) of the night that ends on this day and of the next, minutes relative to
            midnight of the day, whether or not the arrays reach that far; empty if unknown.
    """

    lead_in_minutes: int
    stage: NDArray[np.uint8]
    activity: NDArray[np.uint8]
    intensity: NDArray[np.float32]
    cadence: NDArray[np.float32]
    arm_motion: NDArray[np.float32]
    upright: NDArray[np.float32]
    climb: NDArray[np.float32]
    pressure_noise: NDArray[np.float32]
    arousal: NDArray[np.float32]
    ambient_celsius: NDArray[np.float32]
    water: NDArray[np.bool_]
    exercising: NDArray[np.bool_]
    digesting: NDArray[np.float32]
    alcohol: NDArray[np.float32]
    alcohol_arousal: NDArray[np.float32]
    fever: NDArray[np.float32]
    events: tuple[Event, ...]
    nights: tuple[tuple[int, int], ...] = ()


def live(person: Person, day: int, start: date) -> Routine:
    """Day ``day`` of a person's life, with the evening before.

    A pure function of ``(person, day, weekday of start)``: no other day has to be lived first.

    Args:
        person: Who lives it.
        day: Days since ``start``; may be negative.
        start: The first day's date; only its weekday matters.

    Returns:
        The routine, with ``lead_in_minutes`` equal to ``LEAD_IN_MINUTES``.
    """
    return next(live_through(person, range(day, day + 1), start))


def live_through(person: Person, days: range, start: date) -> Iterator[Routine]:
    """Consecutive days, each equal to ``live`` of it, at half the cost: what two days share is drawn once.

    Raises:
        ValueError: If ``days`` has a step other than 1.
    """
    if days.step != 1:
        raise ValueError(f"{days=} is not a run of consecutive days")
    last: Night | None = None
    evening: Waking | None = None
    life = life_key(person)
    yesterday, today = (circumstances(person, days.start - back, start, life) for back in (1, 0))
    for day in days:
        tomorrow = circumstances(person, day + 1, start, life)
        last = last or sleep(person, day, yesterday, today, life)
        if evening is None:
            rise = night_times(person, day - 1, start).rise
            since = MINUTES_PER_DAY - LEAD_IN_MINUTES
            evening = spend(person, day - 1, yesterday, rise, last.times.bed + MINUTES_PER_DAY, life, since)
        coming = sleep(person, day + 1, today, tomorrow, life)
        waking = spend(person, day, today, last.times.rise, coming.times.bed + MINUTES_PER_DAY, life)
        feverish = fever(person, day * MINUTES_PER_DAY - LEAD_IN_MINUTES, LEAD_IN_MINUTES + MINUTES_PER_DAY, life)
        yield _compose(evening, last, waking, coming, feverish)
        evening, last, yesterday, today = waking, coming, today, tomorrow


def _compose(evening: Waking, last: Night, waking: Waking, coming: Night, feverish: NDArray[np.float32]) -> Routine:
    """The calendar day cut out of two waking stretches and two nights."""
    codes, flags, tracks = _cut(
        (evening.start - MINUTES_PER_DAY, evening.codes, evening.flags, evening.tracks),
        (waking.start, waking.codes, waking.flags, waking.tracks),
        (last.times.bed, last.stage, last.cadence, last.arm_motion, last.bed_celsius),
        (coming.times.bed + MINUTES_PER_DAY, coming.stage, coming.cadence, coming.arm_motion, coming.bed_celsius),
    )
    intensity, cadence, arm_motion, upright, climb, pressure_noise, arousal, ambient = tracks
    alcohol, alcohol_arousal = _drink(evening, waking)
    return Routine(
        lead_in_minutes=LEAD_IN_MINUTES,
        stage=codes[0],
        activity=codes[1],
        intensity=intensity,
        cadence=cadence,
        arm_motion=arm_motion,
        upright=upright,
        climb=climb,
        pressure_noise=pressure_noise,
        arousal=arousal,
        ambient_celsius=ambient,
        water=flags[0],
        exercising=flags[1],
        digesting=_digest(evening, waking),
        alcohol=alcohol,
        alcohol_arousal=alcohol_arousal,
        fever=feverish,
        events=_diary(evening, last, waking, coming),
        nights=(
            (last.times.bed, last.times.rise),
            (coming.times.bed + MINUTES_PER_DAY, coming.times.rise + MINUTES_PER_DAY),
        ),
    )


def _digest(evening: Waking, waking: Waking) -> NDArray[np.float32]:
    """``Routine.digesting`` of two waking stretches' meals."""
    meals = [(clock - MINUTES_PER_DAY, size) for clock, size in evening.meals] + list(waking.meals)
    return _digested(np.array(meals, dtype=np.float64).reshape(-1, 2), _DIGESTED)


@compiled
def _digested(meals: Floats, curve: Floats) -> NDArray[np.float32]:
    """The sum of ``curve`` after every meal (minute, size), at most 1."""
    out = np.zeros(LEAD_IN_MINUTES + MINUTES_PER_DAY, dtype=np.float32)
    for k in range(len(meals)):
        eaten = int(np.floor(meals[k, 0])) + LEAD_IN_MINUTES
        for i in range(max(eaten, 0), min(eaten + len(curve), len(out))):
            out[i] = min(out[i] + meals[k, 1] * curve[i - eaten], 1.0)
    return out


def _drink(evening: Waking, waking: Waking) -> NDArray[np.float32]:
    """``Routine.alcohol`` and ``alcohol_arousal`` of two evenings, float32 [2, minutes]."""
    out = np.zeros((2, LEAD_IN_MINUTES + MINUTES_PER_DAY), dtype=np.float32)
    for piece, shift in ((evening, -MINUTES_PER_DAY), (waking, 0)):
        if piece.drink is not None:
            _drunk(out, round(piece.drink.begin) + shift + LEAD_IN_MINUTES, piece.drink.minutes, piece.drink.dose)
    return out


@compiled
def _drunk(out: NDArray[np.float32], begin: int, minutes: float, dose: float) -> None:
    """What drinking from index ``begin`` on adds to alcohol and arousal [2, minutes]."""
    for i in range(max(begin, 0), out.shape[1]):
        rising, after = dose * (i - begin) / minutes, max(i - begin - minutes, 0.0)
        out[0, i] = max(out[0, i], min(rising, dose - SOBERING_PER_MINUTE * after))
        out[1, i] = max(out[1, i], min(rising, dose - dose * after / AROUSAL_MINUTES))


@compiled
def _cut(
    evening: _Day, waking: _Day, last: _Sleep, coming: _Sleep
) -> tuple[NDArray[np.uint8], NDArray[np.bool_], NDArray[np.float32]]:
    """Codes [2, minutes], flags [2, minutes] and tracks [8, minutes], as in ``Waking``, of the lead-in and the day."""
    minutes = LEAD_IN_MINUTES + MINUTES_PER_DAY
    codes = np.zeros((2, minutes), dtype=np.uint8)
    flags = np.zeros((2, minutes), dtype=np.bool_)
    tracks = np.zeros((8, minutes), dtype=np.float32)
    _lay_day(evening, codes, flags, tracks)
    _lay_day(waking, codes, flags, tracks)
    for start, stage, cadence, arm_motion, bed_celsius in (last, coming):
        begin, end, shift = _overlap(start, stage.size)
        for i in range(begin, end):
            codes[0, i] = stage[i + shift]
            tracks[0, i] = np.float32(EFFORT_PER_STEP) * cadence[i + shift]
            tracks[1, i] = cadence[i + shift]
            tracks[2, i] = arm_motion[i + shift]
            tracks[7, i] = bed_celsius
    return codes, flags, tracks


@compiled
def _lay_day(day: _Day, codes: NDArray[np.uint8], flags: NDArray[np.bool_], tracks: NDArray[np.float32]) -> None:
    """Copy what of a waking stretch falls into the lead-in and the day."""
    start, its_codes, its_flags, its_tracks = day
    begin, end, shift = _overlap(start, its_codes.shape[1])
    for row in range(2):
        codes[row, begin:end] = its_codes[row, begin + shift : end + shift]
        flags[row, begin:end] = its_flags[row, begin + shift : end + shift]
    for row in range(8):
        tracks[row, begin:end] = its_tracks[row, begin + shift : end + shift]


@compiled
def _overlap(start: int, length: int) -> tuple[int, int, int]:
    """Where a piece of ``length`` minutes from ``start`` (of midnight) lands: begin, end, shift to its own."""
    begin = max(start, -LEAD_IN_MINUTES)
    end = max(min(start + length, MINUTES_PER_DAY), begin)
    return begin + LEAD_IN_MINUTES, end + LEAD_IN_MINUTES, -LEAD_IN_MINUTES - start


def _diary(evening: Waking, last: Night, waking: Waking, coming: Night) -> tuple[Event, ...]:
    """The events that touch the day's 1,440 minutes, in order of their start, and all stages of the night that ends.

    A sleep belongs to the day on which it ends, so its first hours stand with that day too, though before midnight.
    """
    day = MINUTES_PER_DAY
    events = [Event("sleep", "main", last.times.onset, last.times.rise)]
    if coming.times.onset < 0:
        events.append(Event("sleep", "main", coming.times.onset + day, coming.times.rise + day))
        until_midnight = coming.spells[: np.searchsorted(coming.spells[:, 0], 0)]
        events += _staged(until_midnight, day)
    for kind, label, start, end in evening.events:
        if end > day:
            events.append(Event(kind, label, start - day, end - day))
    events += [event for event in waking.events if event.start_minute < day]
    events += _staged(last.spells, 0)
    return tuple(sorted(events, key=itemgetter(2, 3, 0)))


def _staged(spells: NDArray[np.int64], shift: int) -> list[Event]:
    """Spells of sleep stages as events, ``shift`` minutes later."""
    return [Event("stage", _STAGES[code], begin + shift, end + shift) for begin, end, code in spells.tolist()]
