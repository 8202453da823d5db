"""Daytime: how a person spends the hours between getting up and lights out.

Layers are painted over each other as a day is planned: leisure and work first, then commute, exercise, errands, walks,
a shower, perhaps a nap; ``simulator.canvas`` turns them into minutes. Shares of time follow LifeSnaps (two thirds of
waking hours sedentary, 227 min/day of light activity, 8,400 steps), logged activities and moods follow Table 19 of
LSM-1 (arXiv:2410.13638).
"""

import math
from datetime import date
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.canvas import Activity, Canvas, Place, Waking
from simulator.night import Stage, weekday_of
from simulator.population import ACTIVITY_SHARES, Person, pick
from simulator.randomness import stream

Office = tuple[float, float]
"""Begin and end of work, minutes from midnight; equal if there is none."""


class Sport(NamedTuple):
    """A class of exercise: medians from the Compendium of Physical Activities, LSM-1 figure 14 and tracker reports."""

    activity: Activity
    place: Place
    minutes: float  # median length of a bout
    effort: float  # mean share of heart rate reserve
    cadence: float  # steps a minute that the arm shows


SPORTS: Final = {
    "walking": Sport(Activity.WALKING, Place.OUTDOORS, 32.0, 0.30, 104.0),
    "running": Sport(Activity.RUNNING, Place.OUTDOORS, 34.0, 0.72, 160.0),
    "biking": Sport(Activity.BIKING, Place.OUTDOORS, 50.0, 0.56, 5.0),
    "swimming": Sport(Activity.SWIMMING, Place.POOL, 40.0, 0.55, 8.0),
    "elliptical": Sport(Activity.ELLIPTICAL, Place.GYM, 30.0, 0.57, 120.0),
    "hiit": Sport(Activity.HIIT, Place.GYM, 30.0, 0.64, 50.0),
    "strength": Sport(Activity.STRENGTH, Place.GYM, 40.0, 0.40, 18.0),
    "weightlifting": Sport(Activity.WEIGHTLIFTING, Place.GYM, 50.0, 0.37, 14.0),
}
LOGGED_WALK_MINUTES: Final = 10  # minutes: shortest walk that trackers log by themselves (Fitbit SmartTrack, 10-15)
MOODS: Final = {  # share of logged moods (LSM-1 Table 19), and what each adds to arousal (judgement, kept small)
    "content": (29.71, -0.04),
    "frustrated": (11.65, 0.22),
    "excited": (5.52, 0.22),
    "calm": (31.73, -0.10),
    "stressed": (21.39, 0.32),
}
MOODS_PER_DAY: Final = 1.0  # judgement: moods are logged about daily by those who do

CHORES_BY_HOUR: Final = np.array(  # share of leisure on the feet: most at 9-12 and 17-20 (steps by clock, LifeSnaps)
    [0.14] * 6 + [0.16, 0.21, 0.27, 0.32, 0.34, 0.31, 0.27, 0.21, 0.17, 0.20, 0.27, 0.34, 0.38, 0.33, 0.25] + [0.16] * 3
)
STRETCHES: Final = 110  # stretches of one kind of leisure or work that are drawn: far more than a day holds


def spend(person: Person, day: int, start: date, rise: int, bed: int, since: int | None = None) -> Waking:
    """The waking hours of a day.

    Args:
        person: Who spends them.
        day: Days since ``start``.
        start: The first day's date; only its weekday matters.
        rise: When the day begins, minutes from its midnight.
        bed: When the light goes out, minutes from its midnight; may be above 1440.
        since: Return only the minutes from here on; all by default. It changes none of them.
    """
    rng = stream(person.seed, person.index, day, "day")
    weekday = weekday_of(day, start)
    works = person.works and weekday < 5 and rng.random() > 0.06  # share of weekdays off: judgement
    # ln(steps) varies between days with SD 0.38 (LifeSnaps); Saturday is livelier than Sunday (ratio 0.83)
    liveliness = {5: 1.10, 6: 0.93}.get(weekday, 1.0) * math.exp(0.32 * rng.standard_normal() - 0.04)
    active = person.activity_level * liveliness
    canvas = Canvas(rise, bed)
    office = _work_hours(canvas, person, works, rng)
    _base(canvas, person, office, active, rng)
    canvas.paint(canvas.span(bed - 12, 12), Activity.REST, Place.HOME)  # winding down
    if works:
        _commute(canvas, person, office, rng)
    bout_end = _exercise(canvas, person, office, weekday, rng)
    _shower(canvas, person, bout_end, rng)
    _errands(canvas, works, active, rng)
    _walks(canvas, person, active, rng)
    _nap(canvas, person, works, rng)
    _interruptions(canvas, active, rng)
    _moods(canvas, person, works, rng)
    # the same task takes a larger share of a smaller reserve: Compendium METs over VO2max
    lightness = math.pow(32.0 / person.vo2max_ml_kg_min, 0.7)
    return canvas.trace(rise if since is None else since, rng, lightness=lightness, stepping=math.pow(active, 0.45))


def _pace(person: Person) -> float:
    """Walking cadence, steps/min: 100-110, faster for the fit and the short, slower with age (NHANES peaks)."""
    fitness = 0.35 * (person.vo2max_ml_kg_min - 32.0)
    return 106.0 + fitness - 0.25 * (person.height_cm - 167.0) - 0.45 * max(person.age_years - 65.0, 0.0)


def _work_hours(canvas: Canvas, person: Person, works: bool, rng: np.random.Generator) -> Office:
    """Begin and end of work, minutes from midnight; equal if there is none."""
    z_begin, z_hours = rng.standard_normal(2).tolist()
    if not works:
        return (0.0, 0.0)
    ready = 25.0 if person.commute_by == "home" else 40.0 + person.commute_minutes
    begin = max(60.0 * person.work_start_hours + 10.0 * z_begin, canvas.start + ready)
    return begin, begin + 505.0 + 40.0 * z_hours  # minutes with the lunch break: US ATUS 8-8.5 h on days worked


def _base(canvas: Canvas, person: Person, office: Office, active: float, rng: np.random.Generator) -> None:
    """Leisure and work: a chain of stretches that are quiet, busy with the hands, or on the feet."""
    u = rng.random(STRETCHES)
    z = rng.standard_normal((2, STRETCHES))
    minutes = np.minimum(14.0 * np.exp(0.75 * z[0]) + 1.0, 75.0).astype(np.int64)  # median 14: judgement
    n = canvas.end - canvas.start
    minutes[-1] += n
    ends = np.cumsum(minutes)
    stretches = int(np.searchsorted(ends, n)) + 1
    u, minutes, vigour = u[:stretches], minutes[:stretches], np.exp(0.45 * z[1, :stretches])
    clock = canvas.start + ends[:stretches] - minutes
    at_work = (clock >= office[0]) & (clock < office[1])
    feet = np.where(at_work, person.work_on_feet + 0.06, CHORES_BY_HOUR[clock // 60 % 24] * active**0.7)
    seated = np.where(u < feet + (1 - feet) * np.where(at_work, 0.85, 0.30), Activity.DESK, Activity.REST)
    kind = np.where(u < feet, Activity.CHORES, seated)
    canvas.activity[:] = np.repeat(kind.astype(np.uint8), minutes)[:n]
    canvas.vigour[:] = np.repeat(vigour.astype(np.float32), minutes)[:n]
    if office[1] > office[0]:
        where = canvas.span(office[0], office[1] - office[0])
        canvas.place[where] = Place.HOME if person.commute_by == "home" else Place.WORK
        canvas.load[where] = 0.12


def _commute(canvas: Canvas, person: Person, office: Office, rng: np.random.Generator) -> None:
    """To work and back, with the walk at either end."""
    if person.commute_by == "home":
        return
    delays = (1.0 + 0.15 * np.abs(rng.standard_normal(2))).tolist()
    walk = {"car": 3.0, "transit": 8.0, "walk": 0.0, "bike": 2.0}[person.commute_by]
    for begin, minutes in (
        (office[0] - person.commute_minutes * delays[0], person.commute_minutes * delays[0]),
        (office[1], person.commute_minutes * delays[1]),
    ):
        whole = canvas.span(begin, minutes)
        if person.commute_by == "walk":
            _stroll(canvas, whole, person)
        elif person.commute_by == "bike":
            canvas.paint(whole, Activity.BIKING, Place.OUTDOORS, 0.42, 3.0)
            _log(canvas, "biking", whole)
        else:
            canvas.paint(whole, Activity.VEHICLE, Place.VEHICLE)
            _stroll(canvas, canvas.span(begin, min(walk, minutes / 3)), person)
            _stroll(canvas, canvas.span(begin + minutes - min(walk, minutes / 3), min(walk, minutes / 3)), person)
        canvas.load[whole] += 0.05


def _stroll(canvas: Canvas, where: slice, person: Person, share: float = 0.95) -> None:
    """Walk outdoors at ``share`` of the person's pace; long enough walks are logged."""
    pace = share * _pace(person)
    canvas.paint(where, Activity.WALKING, Place.OUTDOORS, _walking_effort(person, pace), pace)
    if where.stop - where.start >= LOGGED_WALK_MINUTES:
        _log(canvas, "walking", where)


def _walking_effort(person: Person, pace: float) -> float:
    """Share of heart rate reserve that walking costs: 0.30 at 105 steps/min for average fitness, more for the unfit."""
    return min(0.30 * math.pow(max(pace, 0.0) / 105.0, 1.8) * math.pow(32.0 / person.vo2max_ml_kg_min, 0.7), 0.7)


def _log(canvas: Canvas, label: str, where: slice) -> None:
    if where.stop - where.start >= LOGGED_WALK_MINUTES:
        canvas.exercising[where] = True
        canvas.note("activity", label, where)


def _exercise(canvas: Canvas, person: Person, office: Office, weekday: int, rng: np.random.Generator) -> int | None:
    """Perhaps one deliberate bout; the minute at which it ended, or None."""
    u_any, u_label, u_other, u_slot, u_clock = rng.random(5).tolist()
    z_length, z_effort = rng.standard_normal(2).tolist()
    if u_any >= min(person.exercise_per_week / 7.0 * (1.15 if weekday >= 5 else 0.94), 0.95):
        return None
    label = person.favourite_activity
    if u_label > 0.85:  # share of bouts that are something else: judgement
        label = pick(ACTIVITY_SHARES, u_other)
    sport = SPORTS[label]
    length = min(max(sport.minutes * math.exp(0.38 * z_length), 10.0), 150.0)
    begin = canvas.next_free(_slot(canvas, office, weekday, length, u_slot, u_clock), length)
    if begin is None:
        return None
    where = canvas.span(begin, length)
    effort = min(max(sport.effort * (1.0 + 0.14 * z_effort), 0.12), 0.93)
    cadence = sport.cadence * _pace(person) / 106.0
    if label == "walking":
        effort = _walking_effort(person, cadence)
    canvas.paint(where, sport.activity, sport.place, effort, cadence)
    canvas.effort[where] *= _profile(sport.activity, where.stop - where.start)
    canvas.vigour[where] = 1.0
    canvas.load[where] = 0.1
    _log(canvas, label, where)
    return canvas.start + int(where.stop)


def _slot(canvas: Canvas, office: Office, weekday: int, length: float, u_slot: float, u_clock: float) -> float:
    """When a bout begins: before work, at noon or after work; on free days mostly in the morning (tracker reports)."""
    morning = canvas.start + 15.0 + 60.0 * u_clock
    if office[1] <= office[0]:  # free: mornings 0.6, afternoons 0.4
        return morning + 60.0 if u_slot < 0.6 else 840.0 + 270.0 * u_clock
    if u_slot < 0.30 and morning + length + 20.0 < office[0]:
        return morning
    if u_slot < 0.30 and canvas.start + length + 25.0 < office[0]:
        return canvas.start + 8.0
    if u_slot > 0.90 and length < 50.0 and weekday < 5:
        return 715.0 + 40.0 * u_clock
    return max(office[1] + 40.0, 990.0) + 90.0 * math.pow(u_clock, 1.5)


def _profile(activity: Activity, minutes: int) -> NDArray[np.float32]:
    """Shape of effort over a bout, mean near 1 after the first minutes, float32 [minutes]."""
    minute = np.arange(minutes, dtype=np.float32)
    shape: NDArray[np.float32] = (
        1.0 - 0.35 * np.exp(-minute / 3.0) + 0.04 * np.sin(minute / 7.0)
    )  # warming up, rolling terrain
    if activity in (Activity.HIIT, Activity.STRENGTH, Activity.WEIGHTLIFTING):
        period, swing = (4.0, 0.22) if activity == Activity.HIIT else (5.0, 0.30)  # minutes a set with its pause
        shape += np.float32(swing) * np.sign(np.sin(2.0 * np.pi * minute / period + 0.4))
    return shape


def _errands(canvas: Canvas, works: bool, active: float, rng: np.random.Generator) -> None:
    """Drive somewhere, spend time there on the feet, drive back."""
    u = rng.random((2, 4)).tolist()
    chance = 0.22 if works else 0.42
    for u_any, u_clock, u_drive, u_stay in u:
        if u_any >= chance * min(active, 1.6):
            continue
        begin = 1000.0 + 170.0 * u_clock if works else 570.0 + 540.0 * u_clock
        drive, stay = 6.0 + 18.0 * u_drive, 15.0 + 50.0 * u_stay**2
        if canvas.free(begin, 2 * drive + stay):
            canvas.paint(canvas.span(begin, drive), Activity.VEHICLE, Place.VEHICLE)
            canvas.paint(canvas.span(begin + drive, stay), Activity.CHORES, Place.SHOP)
            canvas.paint(canvas.span(begin + drive + stay, drive), Activity.VEHICLE, Place.VEHICLE)


def _walks(canvas: Canvas, person: Person, active: float, rng: np.random.Generator) -> None:
    """Perhaps a real walk, and short ones over the day; those of ten minutes and more are logged."""
    count = 1 + min(int(rng.poisson(7.0 * active**0.7)), 30)
    u_clock = rng.random(count)
    minutes = np.minimum(2.6 * active**0.3 * np.exp(0.75 * rng.standard_normal(count)), 40.0)
    share = 0.60 + 0.40 * rng.random(count)  # of the person's pace: strolls and brisk walks
    if rng.random() < 0.42 * active:  # share of days with a walk for its own sake: LifeSnaps logs 0.35 a day
        minutes[0] = min(25.0 * math.exp(0.45 * rng.standard_normal()), 100.0)
        share[0] = 0.90 + 0.12 * rng.random()
    waking = canvas.end - canvas.start
    begins = canvas.start + 25.0 + (waking - 110.0) * u_clock
    for begin, length, part in zip(begins.tolist(), minutes.tolist(), share.tolist(), strict=True):
        where = canvas.span(begin, length)
        if where.stop > where.start and not canvas.taken[where].any():
            _stroll(canvas, where, person, part)


def _shower(canvas: Canvas, person: Person, bout_end: int | None, rng: np.random.Generator) -> None:
    """One shower on most days: after exercise, in the morning or in the evening."""
    u_any, u_clock, u_length = rng.random(3).tolist()
    if u_any > 0.88 and bout_end is None:  # share of days with a shower: judgement
        return
    morning = canvas.start + 6.0 + 20.0 * u_clock
    evening = canvas.end - 75.0 + 40.0 * u_clock
    wanted = bout_end + 10.0 if bout_end is not None else evening if person.showers_in_evening else morning
    minutes = 5.0 + 7.0 * u_length  # US Water Research Foundation: mean 8
    begin = canvas.next_free(wanted, minutes)
    if begin is not None:
        canvas.paint(canvas.span(begin, minutes), Activity.CHORES, Place.SHOWER)


def _nap(canvas: Canvas, person: Person, works: bool, rng: np.random.Generator) -> None:
    """Perhaps a nap, early in the afternoon; older and free people take more."""
    u_any = rng.random()
    z_clock, z_length = rng.standard_normal(2).tolist()
    chance = 0.03 if works else 0.16 + 0.004 * max(person.age_years - 55.0, 0.0)  # a day: judgement after UK Biobank
    begin, length = 875.0 + 75.0 * z_clock, min(max(35.0 * math.exp(0.5 * z_length), 12.0), 110.0)
    if u_any < chance and canvas.free(begin - 5.0, length + 10.0):
        where = canvas.span(begin, length)
        canvas.paint(where, Activity.REST, Place.HOME)
        canvas.stage[where] = Stage.LIGHT
        canvas.vigour[where] = 0.15
        canvas.load[where] = -1.0
        canvas.note("sleep", "nap", where)


def _interruptions(canvas: Canvas, active: float, rng: np.random.Generator) -> None:
    """Getting up for a minute or three, and stairs: wherever somebody sits or potters about."""
    n = canvas.end - canvas.start
    rises = min(int(rng.poisson(30.0 * active**0.6)), 70)
    steps = rng.random(rises) * 34.0 + 12.0
    at = (rng.random(rises) * (n - 8)).astype(np.int64) + 4
    longer = rng.random(rises) < 0.5
    for minute, kept in ((at + 1, longer), (at, np.ones(rises, dtype=np.bool_))):
        kept &= (canvas.activity[minute] <= Activity.DESK) & (canvas.stage[minute] == Stage.AWAKE)
        canvas.activity[minute[kept]] = Activity.CHORES
        canvas.cadence[minute[kept]] = steps[kept]
    stairs = (rng.random(min(int(rng.poisson(6.0 * active**0.6)), 30)) * (n - 8)).astype(np.int64) + 4
    stairs = stairs[(canvas.activity[stairs] <= Activity.CHORES) & ~canvas.taken[stairs]]
    canvas.activity[stairs] = Activity.STAIRS
    canvas.cadence[stairs] = 30.0 + 40.0 * rng.random(len(stairs))


def _moods(canvas: Canvas, person: Person, works: bool, rng: np.random.Generator) -> None:
    """Moods that the diary holds, each for a while, and the day's drift of arousal."""
    count = min(int(rng.poisson(MOODS_PER_DAY)), 5)
    u = rng.random((count, 3))
    labels, shares = list(MOODS), np.array([share for share, _ in MOODS.values()])
    if person.anxiety:
        shares = shares * np.array([0.85, 1.2, 0.9, 0.8, 1.5])  # judgement
    edges = np.cumsum(shares) / shares.sum()
    for u_label, u_clock, u_length in u:
        label = labels[min(int(np.searchsorted(edges, u_label, side="right")), len(labels) - 1)]
        where = canvas.span(canvas.start + 30 + (canvas.end - canvas.start - 150) * u_clock, 25.0 + 75.0 * u_length)
        canvas.load[where] += MOODS[label][1]
        canvas.note("mood", label, where)
    n = canvas.end - canvas.start
    knots = rng.standard_normal(n // 30 + 2)  # one every 30 min
    drift = np.interp(np.arange(n), 30.0 * np.arange(len(knots)), knots)
    level = 0.16 + 0.06 * person.anxiety + 0.03 * works + 0.05 * rng.standard_normal()
    canvas.load += (level + 0.09 * drift).astype(np.float32)
