"""Daytime: how a person spends the hours between getting up and lights out.

Layers are painted over a ground of leisure and work as the day is planned: commute, exercise, meals, a shower,
errands, walks, perhaps a nap; ``simulator.canvas`` turns them into minutes. Shares of time follow LifeSnaps (two
thirds of waking hours sedentary, 227 min/day of light activity, 8,400 steps), logged activities and moods follow
Table 19 of LSM-1 (arXiv:2410.13638).
"""

import math
from collections.abc import Iterator
from statistics import NormalDist
from typing import Final, NamedTuple

import numpy as np

from simulator.activities import SPORTS, Activity, Place
from simulator.canvas import Canvas, Drink, Ground, Spell, Waking, chances
from simulator.circumstances import Circumstances, key_of
from simulator.noise import Key
from simulator.population import Person
from simulator.traits import logistic, pick

LOGGED_WALK_MINUTES: Final = 10  # minutes: shortest walk that trackers log by themselves (Fitbit SmartTrack, 10-15)
EXERCISE_WALK_MINUTES: Final = 48.0  # minutes, from which a walk for its own sake is exercise: 5 % of days (ATUS)
DAWDLES: Final = 0.30  # share of walks at no hurry, with a dog, a pram or a friend: judgement
RECKONED: Final = 12.0  # minutes, SD by which an entry by hand misses the start of what was done: judgement
FORGETS_TO_STOP: Final = 0.12  # share of tracked bouts that go on for a while after the end: judgement


class Mood(NamedTuple):
    """How a mood comes about and what it does."""

    odds: float  # before all that follows, such that logged moods come in the shares of LSM-1 Table 19
    arousal: float
    tilt: float  # change of ln(odds) per unit of spirits
    leaning: float  # to be on the feet, in SD
    vigour: float  # factor on arm movement
    at_work: float  # how much likelier than usual at work,
    waking: float  # within two hours of getting up,
    winding_down: float  # in the evening's last three,
    lively: float  # and on a day of sport, an outing or drinks


MOODS: Final = {  # all but the odds judgement
    "content": Mood(0.30, -0.03, 0.30, 0.4, 1.0, 0.6, 0.8, 1.0, 1.2),
    "frustrated": Mood(0.112, 0.24, -0.55, 1.4, 1.7, 1.5, 0.7, 0.7, 0.7),
    "excited": Mood(0.050, 0.26, 0.45, 2.0, 1.6, 0.3, 0.3, 0.8, 4.0),
    "calm": Mood(0.43, -0.14, 0.15, -1.8, 0.6, 0.25, 2.4, 2.6, 0.6),
    "stressed": Mood(0.135, 0.32, -0.55, -1.0, 1.1, 2.8, 0.6, 0.25, 0.6),
}
MOODS_A_DAY: Final = (0.62, 0.20, 0.06)  # share of days with a mood in the diary, with a second and a third: judgement
MOOD_STAYS: Final = 0.40  # share of a day's entries that repeat the mood of the day: judgement
MOOD_REACHES: Final = 100.0  # minutes, for which a mood holds before and after it is told: judgement
MOOD_LIVENS: Final = 0.22  # ln(activity) of a day per unit of its mood's tilt: 1,000 steps for happy days (LifeSnaps)
USUAL_MOOD: Final = 2.5  # factor on the odds of the mood that somebody mostly tells: judgement
DOSES: Final = ((0.28, "low"), (0.83, "moderate"), (1.0, "high"))  # of 0.9 g/kg: 0.25, 0.75 (Pietila et al. 2018)
STUDENT_WALKING: Final = 1.25  # factor on walks between classes: judgement

CHORES_BY_HOUR: Final = np.array(  # share of leisure on the feet: most at 9-12 and 17-20 (steps by clock, LifeSnaps)
    [0.10] * 6 + [0.16, 0.21, 0.27, 0.32, 0.34, 0.31, 0.29, 0.23, 0.20, 0.22, 0.27, 0.32, 0.36, 0.32, 0.22] + [0.14] * 3
)
_PLAN: Final = 1  # lane of a day's noise
_DAYS: Final = 2002  # lane of a life
_DICE: Final = 160  # normals, and as many uniforms: more than a day's plan takes


class _Dice:
    """The day's random numbers, one after another."""

    def __init__(self, normals: list[float], uniforms: list[float]) -> None:
        self._normals: Iterator[float] = iter(normals)
        self._uniforms: Iterator[float] = iter(uniforms)

    def z(self) -> float:
        """A standard normal."""
        return next(self._normals)

    def u(self) -> float:
        """A uniform in [0, 1)."""
        return next(self._uniforms)

    def count(self, mean: float, most: int) -> int:
        """A Poisson number, at most ``most``."""
        rest, term, number = self.u() - math.exp(-mean), math.exp(-mean), 0
        while rest >= 0.0 and number < most:
            number += 1
            term *= mean / number
            rest -= term
        return number


def spend(
    person: Person, day: int, today: Circumstances, rise: int, bed: int, life: Key, since: int | None = None
) -> Waking:
    """The waking hours of a day.

    Args:
        person: Who spends them.
        day: Days since the first.
        today: What the day brings.
        rise: When the day begins, minutes from its midnight.
        bed: When the light goes out, minutes from its midnight; may be above 1440.
        life: The person's ``life_key``.
        since: Return only the minutes from here on; all by default. It changes none of them.
    """
    key = key_of(life, _DAYS, day)
    normals, uniforms = chances(key, _PLAN, _DICE)
    dice = _Dice(normals.tolist(), uniforms.tolist())
    # ln(steps) varies between days with SD 0.38 (LifeSnaps); Saturday is livelier than Sunday (ratio 0.83)
    liveliness = {5: 1.08, 6: 0.90}.get(today.weekday, 1.0)
    active = (
        person.activity_level
        * liveliness
        * math.exp(0.24 * dice.z() + 0.08 * today.spirits + 0.20 * today.swing - 0.05)
    )
    active *= 1.0 - min(1.6 * today.fever, 0.85)  # judgement
    canvas = Canvas(rise, bed)
    office = _office(canvas, person, today)
    mood = mood_of_day(canvas, person, office, today, dice.u())
    active *= math.exp(MOOD_LIVENS * MOODS[mood].tilt)
    if today.works:
        _commute(canvas, person, office, dice)
    canvas.paint(canvas.span(bed - 12, 12), Activity.REST, Place.HOME)  # winding down
    bout_end = _exercise(canvas, person, office, today, dice)
    _shower(canvas, person, bout_end, dice)
    _eat(canvas, person, office, dice)
    _errands(canvas, today, active, dice)
    _go_out(canvas, today, dice)
    _walks(canvas, person, office, active, dice)
    _nap(canvas, person, today, dice)
    _moods(canvas, person, office, today, mood, dice)
    ground = Ground(
        work_begin=office[0],
        work_end=office[1],
        work_place=int(Place.HOME if person.commute_by == "home" else Place.WORK),
        work_on_feet=min(person.work_on_feet * active**0.2 + 0.04, 0.9),
        leisure_on_feet=0.76 * CHORES_BY_HOUR * (active**0.6),
        idleness=min(0.62 + 0.5 * today.fever, 0.95),
        # the same task takes a larger share of a smaller reserve: Compendium METs over VO2max
        lightness=math.pow(32.0 / person.vo2max_ml_kg_min, 0.7),
        stepping=math.pow(active, 0.4),
        pace=_pace(person),
        arousal=0.16 + 0.06 * person.anxiety + 0.03 * today.works + 0.05 * dice.z() + 0.35 * MOODS[mood].arousal,
    )
    return canvas.trace(rise if since is None else since, key, ground)


def _pace(person: Person) -> float:
    """Walking cadence, steps/min: 100-110, faster for the fit and the short, slower with age (NHANES peaks)."""
    fitness = 0.35 * (person.vo2max_ml_kg_min - 32.0)
    return 106.5 + fitness - 0.25 * (person.height_cm - 167.0) - 0.45 * max(person.age_years - 65.0, 0.0)


def _office(canvas: Canvas, person: Person, today: Circumstances) -> tuple[float, float]:
    """Begin and end of work, minutes from midnight; equal if there is none. Who oversleeps comes late."""
    begin, end = today.duty
    if end <= begin:
        return (0.0, 0.0)
    late = canvas.start + (25.0 if person.commute_by == "home" else 40.0 + person.commute_minutes) - begin
    return (begin + max(late, 0.0), max(end + (late if late > 0.0 else 0.0), begin + late + 60.0))


def _commute(canvas: Canvas, person: Person, office: tuple[float, float], dice: _Dice) -> None:
    """To work and back, with the walk at either end."""
    if person.commute_by == "home":
        return
    walk = {"car": 3.0, "transit": 11.0, "walk": 0.0, "bike": 2.0}[person.commute_by]
    for homeward in (False, True):
        minutes, noticed = person.commute_minutes * (1.0 + 0.15 * abs(dice.z())), dice.u() < walks_noticed(person)
        begin = office[1] if homeward else office[0] - minutes
        whole = canvas.span(begin, minutes)
        if person.commute_by == "walk":
            _stroll(canvas, whole, person, noticed, load=0.05)
        elif person.commute_by == "bike":
            canvas.paint(whole, Activity.BIKING, Place.OUTDOORS, effort=0.42, cadence=3.0, load=0.05)
            if noticed and whole[1] - whole[0] >= LOGGED_WALK_MINUTES:
                canvas.log(Activity.BIKING.label, whole)
        else:
            canvas.paint(whole, Activity.VEHICLE, Place.VEHICLE, load=0.05)
            feet = min(walk, minutes / 3)
            _stroll(canvas, canvas.span(begin, feet), person, noticed, load=0.05)
            _stroll(canvas, canvas.span(begin + minutes - feet, feet), person, noticed, load=0.05)


def _stroll(
    canvas: Canvas, where: tuple[int, int], person: Person, noticed: bool, share: float = 0.95, load: float = 0.0
) -> None:
    """Walk outdoors at ``share`` of the person's pace; the watch logs long enough walks that it notices."""
    pace = share * _pace(person)
    canvas.paint(
        where,
        Activity.WALKING,
        Place.OUTDOORS,
        effort=_walking_effort(person, pace),
        cadence=pace,
        load=load,
    )
    if noticed and where[1] - where[0] >= LOGGED_WALK_MINUTES:
        canvas.log(Activity.WALKING.label, where)


def _walking_effort(person: Person, pace: float) -> float:
    """Share of heart rate reserve that walking costs: 0.34 at 105 steps/min for average fitness, more for the unfit."""
    return min(0.34 * math.pow(max(pace, 0.0) / 105.0, 2.0) * math.pow(32.0 / person.vo2max_ml_kg_min, 0.7), 0.7)


def _exercise(
    canvas: Canvas, person: Person, office: tuple[float, float], today: Circumstances, dice: _Dice
) -> int | None:
    """The day's deliberate bout, if there is time for it; the minute at which it ended, or None."""
    z_length, z_effort, u_clock, u_noon = dice.z(), dice.z(), dice.u(), dice.u()
    u_logged, z_begin, z_long = dice.u(), dice.z(), dice.z()
    if today.sport is None:
        return None
    activity, sport = today.sport, SPORTS[today.sport]
    length = min(max(sport.minutes * math.exp(0.40 * z_length), 12.0), 330.0)
    begin = canvas.next_free(_slot(canvas, office, today, length, u_clock, u_noon), length)
    if begin is None:
        return None
    where = canvas.span(begin, length)
    effort = min(max(sport.effort * (1.0 + 0.14 * z_effort), 0.08), 0.93)
    cadence = sport.cadence * _pace(person) / 106.0
    if activity in (Activity.WALKING, Activity.HIKING):
        effort = max(_walking_effort(person, cadence), effort if activity == Activity.HIKING else 0.0)
    canvas.paint(
        where,
        activity,
        sport.place,
        effort=effort,
        cadence=cadence,
        load=0.1,
        shape=sport.shape,
    )
    canvas.note("exercise", activity.label, where)
    if u_logged < _noticed(sport.logged, person):
        canvas.log(activity.label, _as_told(canvas, where, sport.place, z_begin, z_long))
    return canvas.start + where[1]


def _noticed(share: float, person: Person) -> float:
    """The share of somebody's bouts that enter the diary, where people at large log ``share``."""
    return logistic(math.log(share / (1.0 - share)) + person.diligence)


def walks_noticed(person: Person) -> float:
    """The share of somebody's long enough walks that the watch logs."""
    return _noticed(SPORTS[Activity.WALKING].logged, person)


def _as_told(canvas: Canvas, where: tuple[int, int], place: Place, z_begin: float, z_long: float) -> tuple[int, int]:
    """The minutes of the diary for a bout: tracked, if not always stopped in time, or entered by hand from memory."""
    begin, end = where
    if place in (Place.GYM, Place.HOME):
        begin += round(RECKONED * z_begin)
        end = begin + max(5 * round((where[1] - where[0]) * math.exp(0.2 * z_long + 0.05) / 5.0), 10)
    elif z_long > -NormalDist().inv_cdf(FORGETS_TO_STOP):
        end += round(8.0 * abs(z_begin)) + 4
    return canvas.span(canvas.start + begin, end - begin)


def _slot(
    canvas: Canvas, office: tuple[float, float], today: Circumstances, length: float, u_clock: float, u_noon: float
) -> float:
    """When a bout begins: before work, at noon or after work; on free days in the morning or the afternoon."""
    morning = canvas.start + 15.0 + 60.0 * u_clock
    if office[1] <= office[0]:
        return morning + 45.0 if today.early else max(840.0 + 270.0 * u_clock, morning + 60.0)
    if today.early:
        return morning if morning + length + 20.0 < office[0] else canvas.start + 8.0
    if u_noon > 0.85 and length < 50.0 and office[0] < 700.0:
        return 715.0 + 40.0 * u_clock
    if office[1] > 1200.0:  # late or night shift: before it
        return max(morning + 60.0, office[0] - 300.0 + 60.0 * u_clock)
    return max(office[1] + 40.0, 960.0) + 90.0 * math.pow(u_clock, 1.5)


def _eat(canvas: Canvas, person: Person, office: tuple[float, float], dice: _Dice) -> None:
    """Three meals at the person's hours, or what the day leaves of them, and sometimes a snack."""
    habit = person.meal_shift_minutes
    works = office[1] > office[0]
    for usual, size, minutes, kept in (
        (canvas.start + 40.0, 0.50, 12.0, 0.82),  # breakfast: 15-20 % of adults skip it (NHANES)
        (735.0 + 0.5 * habit, 0.75, 25.0, 0.92),
        (1125.0 + habit, 1.0, 32.0, 0.97),
        (945.0 + habit, 0.30, 6.0, 0.35),
    ):
        z_clock, z_size, u_any = dice.z(), dice.z(), dice.u()
        clock = usual + 18.0 * z_clock
        if works and clock > office[0] and usual > 1000.0 and office[1] < 1300.0:
            clock = max(clock, office[1] + 45.0)  # dinner waits until one is home
        length = minutes * math.exp(0.3 * z_size)
        if u_any > kept or not canvas.free(clock, length):
            continue
        at_work = works and office[0] <= clock < office[1] and person.commute_by != "home"
        canvas.meals.append((clock, min(size * math.exp(0.25 * z_size), 1.0)))
        canvas.paint(canvas.span(clock, length), Activity.DESK, Place.WORK if at_work else Place.HOME, vigour=0.8)


def _errands(canvas: Canvas, today: Circumstances, active: float, dice: _Dice) -> None:
    """Drive somewhere, spend time there on the feet, drive back."""
    chance = (0.22 if today.works else 0.42) * min(active, 1.6) * (1.0 - today.fever)
    for _ in range(2):
        u_any, u_clock, u_drive, u_stay = dice.u(), dice.u(), dice.u(), dice.u()
        if u_any >= chance:
            continue
        begin = 1000.0 + 170.0 * u_clock if today.works else 570.0 + 540.0 * u_clock
        drive, stay = 6.0 + 18.0 * u_drive, 15.0 + 50.0 * u_stay**2
        if canvas.free(begin, 2 * drive + stay):
            canvas.paint(canvas.span(begin, drive), Activity.VEHICLE, Place.VEHICLE)
            canvas.paint(canvas.span(begin + drive, stay), Activity.CHORES, Place.SHOP)
            canvas.paint(canvas.span(begin + drive + stay, drive), Activity.VEHICLE, Place.VEHICLE)


def _go_out(canvas: Canvas, today: Circumstances, dice: _Dice) -> None:
    """The evening's drinks, over two hours or more."""
    u_clock, z_length = dice.u(), dice.z()
    if today.drinks <= 0.0:
        return
    minutes = (60.0 + 150.0 * today.drinks) * math.exp(0.3 * z_length)
    begin = min(max(1110.0 + 90.0 * u_clock, today.duty[1] + 60.0), canvas.end - minutes - 30.0)
    if begin > canvas.start + 240.0:
        canvas.drink = Drink(begin=begin, minutes=minutes, dose=today.drinks)
        canvas.note("alcohol", next(word for most, word in DOSES if today.drinks <= most), canvas.span(begin, minutes))


def _walks(canvas: Canvas, person: Person, office: tuple[float, float], active: float, dice: _Dice) -> None:
    """Perhaps a walk for its own sake, one in the lunch break, and short ones over the day."""
    level = active * (STUDENT_WALKING if person.work == "student" else 1.0)
    waking = canvas.end - canvas.start
    own, noon = dice.u() < 0.85 * level, dice.u() < 0.30 * level
    if own:  # share of days with a walk for its own sake: LifeSnaps logs 0.35 a day
        u_when = dice.u()
        begin = canvas.start + 45.0 + (waking - 150.0) * u_when
        if office[0] < office[1] < 1140.0:  # mostly before dinner
            begin = office[1] + 20.0 + 130.0 * u_when
        wanted = canvas.next_free(begin, 25.0)
        if wanted is not None:
            length = min(26.0 * math.exp(0.45 * dice.z()), 100.0)
            share, noticed = _gait(dice), dice.u() < walks_noticed(person)
            if canvas.free(wanted, length):
                where = canvas.span(wanted, length)
                _stroll(canvas, where, person, noticed, share)
                if length >= EXERCISE_WALK_MINUTES:
                    canvas.note("exercise", Activity.WALKING.label, where)
    if noon and office[1] > office[0]:
        begin, length = office[0] + 210.0 + 60.0 * dice.u(), 10.0 * math.exp(0.4 * dice.z())
        if canvas.free(begin, length):
            _stroll(canvas, canvas.span(begin, length), person, dice.u() < walks_noticed(person), _gait(dice))
    for _ in range(dice.count(2.2 * level**0.8, 12)):
        begin, length = canvas.start + 25.0 + (waking - 110.0) * dice.u(), 3.5 * math.exp(0.55 * dice.z())
        if canvas.free(begin, length):
            where, noticed = canvas.span(begin, min(length, 25.0)), dice.u() < walks_noticed(person)
            _stroll(canvas, where, person, noticed, 0.74 + 0.28 * dice.u())


def _gait(dice: _Dice) -> float:
    """The pace of a walk as a share of the person's own."""
    u_dawdles, u_pace = dice.u(), dice.u()
    return 0.60 + 0.25 * u_pace if u_dawdles < DAWDLES else 0.92 + 0.16 * u_pace


def _shower(canvas: Canvas, person: Person, bout_end: int | None, dice: _Dice) -> None:
    """One shower on most days: after exercise, in the morning or in the evening."""
    u_any, u_clock, u_length = dice.u(), dice.u(), dice.u()
    if u_any > 0.88 and bout_end is None:  # share of days with a shower: judgement
        return
    morning = canvas.start + 6.0 + 20.0 * u_clock
    evening = canvas.end - 75.0 + 40.0 * u_clock
    wanted = bout_end + 10.0 if bout_end is not None else evening if person.showers_in_evening else morning
    minutes = 5.0 + 7.0 * u_length  # US Water Research Foundation: mean 8
    begin = canvas.next_free(wanted, minutes)
    if begin is not None:
        canvas.paint(canvas.span(begin, minutes), Activity.CHORES, Place.SHOWER)


def _nap(canvas: Canvas, person: Person, today: Circumstances, dice: _Dice) -> None:
    """Perhaps a nap: mid-morning, after lunch, in the late afternoon, or before a night shift."""
    u_any, u_block, z_clock, z_length = dice.u(), dice.u(), dice.z(), dice.z()
    chance = person.naps * (0.45 if today.works else 1.4) + 0.5 * today.fever
    # shares of nap time by clock: 9-11 h 0.34, 13-15 h 0.14, 15-17 h 0.19, 17-19 h 0.22 (norms nap_clock_*)
    clock = 605.0 if u_block < 0.37 else 835.0 if u_block < 0.55 else 965.0 if u_block < 0.80 else 1075.0
    if today.duty[1] > 1440.0:
        chance, clock = 0.6, today.duty[0] - 220.0  # judgement: most sleep before their first night
    begin, length = clock + 30.0 * z_clock, min(max(42.0 * math.exp(0.45 * z_length), 12.0), 120.0)
    if u_any < chance and canvas.free(begin - 5.0, length + 10.0) and begin > canvas.start + 120.0:
        where = canvas.span(begin, length)
        canvas.paint(where, Activity.REST, Place.HOME, asleep=True)
        canvas.note("sleep", "nap", where)


def _moods(
    canvas: Canvas, person: Person, office: tuple[float, float], today: Circumstances, mood: str, dice: _Dice
) -> None:
    """Moods that the diary holds: often the day's own, else what person, hour and place make of it."""
    waking = canvas.end - canvas.start
    for chance in MOODS_A_DAY:
        u_any, u_label, u_clock, u_length, u_stays = dice.u(), dice.u(), dice.u(), dice.u(), dice.u()
        if u_any >= chance:
            continue
        begin = canvas.start + 30.0 + (waking - 150.0) * u_clock
        label = mood if u_stays < MOOD_STAYS else _mood(canvas, person, office, today, begin, u_label)
        where = canvas.span(begin, 25.0 + 75.0 * u_length)
        told = MOODS[label]
        holds = canvas.span(begin - MOOD_REACHES, 2.0 * MOOD_REACHES + 60.0)
        canvas.spells.append(Spell(*holds, told.arousal * person.reactivity, told.leaning, told.vigour))
        canvas.note("mood", label, where)


def mood_of_day(canvas: Canvas, person: Person, office: tuple[float, float], today: Circumstances, u: float) -> str:
    """The mood that colours a day: what would be told in the middle of its work, or of its afternoon."""
    return _mood(canvas, person, office, today, 0.5 * sum(office) if office[1] > office[0] else 900.0, u)


def _mood(
    canvas: Canvas, person: Person, office: tuple[float, float], today: Circumstances, clock: float, u: float
) -> str:
    """A mood told at minute ``clock``."""
    spirits = 0.6 * person.temper + 0.7 * today.spirits
    weights = {}
    for label, mood in MOODS.items():
        weight = mood.odds * math.exp(mood.tilt * spirits)
        if label == person.usual_mood:
            weight *= USUAL_MOOD
        if office[0] <= clock < office[1]:
            weight *= mood.at_work
        elif clock < canvas.start + 120.0:
            weight *= mood.waking
        elif clock > canvas.end - 180.0:
            weight *= mood.winding_down
        if today.sport is not None or today.drinks > 0.0:
            weight *= mood.lively
        weights[label] = weight
    return pick(weights, u)
