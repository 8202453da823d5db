"""Canvas: the minutes of a waking day, painted in layers, and what body and watch feel of them.

``simulator.daytime`` plans a day as strokes over a ground of leisure and work: from here to there this activity, at
this place, with this effort. ``Canvas.trace`` paints them and gives every minute its intensity, steps, arm movement,
climb, air and arousal, in one compiled pass. What an activity feels like stands in ``simulator.activities``.

What people do lasts. Stretches of rest, hand work and standing work follow each other with a memory; within them
steps come in bouts between pauses whose lengths are those of Fitbit minutes (Fitabase, Furberg et al. 2016: half of
all bouts end within a minute, one in a hundred goes on for twenty, and long bouts step faster). Arm, terrain, air and
mind each wander with time constants of their own.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.activities import CELSIUS, FEELS, PRESSURE_NOISE, Activity, Place, Shape
from simulator.noise import (
    Floats,
    Key,
    bits,
    compiled,
    high_half,
    lane_key,
    low_half,
    normal,
    normal_at,
    quantile_normal,
)
from simulator.recording import Event

Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Singles = NDArray[np.float32]

FLOOR_METRES: Final = 2.8  # metres between floors; 0.3 hPa (norm alt_floor)
EFFORT_PER_STEP: Final = 0.0023  # share of heart rate reserve a step a minute: +20 bpm at 21-60 steps (Fitabase)
STAIRS_BELOW: Final = -1.28  # standard normal below which a bout leads over a floor, one in ten: 6 to 10 floors a day
BOUT_SPREAD: Final = 1.25  # SD of ln(length of a bout of steps): Fitabase
BOUT_STEPS: Final = 12.5  # steps a minute, median of bouts of a minute: 10 where they end within it (Fitabase)
BOUT_GROWTH: Final = 0.42  # power of a bout's length in its steps a minute: 10 in one minute, 22 in five (Fitabase)
FEW_STEPS: Final = 7.0  # steps: below, what a minute shows is a few paces (Fitabase: the mode is 7, 4 % show under 5)
BOUT_STEPS_SPREAD: Final = 0.30  # SD of ln(steps a minute) between bouts of a length: Fitabase
MINUTE_STEPS_SPREAD: Final = 0.74  # SD of ln(steps) between minutes of a bout; neighbours correlate 0.56 (Fitabase)
HALTS: Final = 0.09  # share of a walk's minutes with a halt: a quarter of minutes after 80 steps show under 75
WALKS_ABOUT: Final = 20.0  # steps, from which a minute in between is one on the feet: judgement
DAWDLING: Final = 84.0  # steps a minute below which a walk halts four times as often: dogs, prams, windows; judgement
STRETCH_MINUTES: Final = 20.0  # minutes, median stretch of one kind of leisure or work; SD of ln 0.8: judgement
STRETCH_MEMORY: Final = 0.70  # correlation of neighbouring stretches: judgement after steps' autocorrelation at 1 h
LEANING: Final = 0.30  # ln(pauses) per SD of being inclined to move: spread of five-hour windows (Fitabase)
ARM_MINUTES, SLOPE_MINUTES, AIR_MINUTES, MIND_MINUTES = 9.0, 5.0, 12.0, 45.0  # time constants: judgement
# Seated hands do something in one minute and lie in the next: ln(wrist energy) of seated E4 wearers, who had tasks to
# do, has two humps and autocorrelates .25 at one minute, .13 at two, 0 at five (Stress-Predict). Hands that rest,
# before a screen or with a book, lie longer: judgement.
HANDS_BEGIN, HANDS_GO_ON = 0.38, 0.68  # probability a minute that idle hands begin, and busy ones go on
RESTING_BEGIN, RESTING_GO_ON = 0.12, 0.45  # the same of hands that rest
HANDS_BUSY, HANDS_IDLE = 1.55, 0.38  # factor on arm movement; together 1 on average where there is something to do
HANDS_SPREAD: Final = 0.50  # SD of ln(arm movement) between busy minutes: judgement
WALKING_ARM, WALKING_UP = 0.6, 0.6  # arm movement (1 is chores) and share of the minute on the feet, of a dozen steps
A_FEW_PACES: Final = 12.0  # steps in which somebody got up for good part of a minute: judgement
SEATED: Final = 0.3  # share of the minute on the feet below which an activity counts as seated

_FEELS: Final = np.array([FEELS[activity] for activity in Activity], dtype=np.float64)
_PLACES: Final = np.array([(CELSIUS[place], PRESSURE_NOISE[place]) for place in Place], dtype=np.float64)
# Arguments of the compiled code, not constants: those would outlive a change of ``activities`` in its cache.
_OUTDOORS, _POOL, _SHOWER, _HOME, _WORK = (
    int(place) for place in (Place.OUTDOORS, Place.POOL, Place.SHOWER, Place.HOME, Place.WORK)
)
_REST, _DESK, _CHORES, _STAIRS = (
    int(activity) for activity in (Activity.REST, Activity.DESK, Activity.CHORES, Activity.STAIRS)
)
_INTERVALS, _SETS, _RALLIES = int(Shape.INTERVALS), int(Shape.SETS), int(Shape.RALLIES)
_STRETCHES, _PLAY, _STEPS, _FEELINGS = 2, 3, 4, 5  # lanes of a day's noise


class Stroke(NamedTuple):
    """Some minutes spent in one way; positions are indices into the canvas."""

    begin: int
    end: int
    activity: int
    place: int
    effort: float = 0.0  # share of heart rate reserve
    cadence: float = 0.0  # steps a minute of gait
    vigour: float = 1.0  # factor on arm movement
    load: float = 0.0  # arousal, on top of what is there
    shape: int = 0  # of ``Shape``
    asleep: bool = False


class Spell(NamedTuple):
    """Some minutes in one mood; positions are indices into the canvas."""

    begin: int
    end: int
    load: float  # arousal, on top of what is there
    leaning: float  # to be on the feet, in SD; below 0 one stays where one sits
    vigour: float  # factor on arm movement


class Ground(NamedTuple):
    """What a day is like where nothing is planned.

    Attributes:
        work_begin, work_end: Minutes from midnight; equal if there is none.
        work_place: Of ``Place``.
        work_on_feet: Share of working time on the feet.
        leisure_on_feet: Share of leisure on the feet by clock hour, float64 [24].
        idleness: Share of leisure off the feet in which the hands rest too.
        lightness: How large a share of this person's reserve a light task takes, 1 for average fitness.
        stepping: Factor on steps of incidental movement, and on how soon the next ones come.
        pace: Steps a minute, beyond which nobody walks in passing.
        arousal: The day's level.
    """

    work_begin: float
    work_end: float
    work_place: int
    work_on_feet: float
    leisure_on_feet: NDArray[np.float64]
    idleness: float
    lightness: float
    stepping: float
    pace: float
    arousal: float


class Drink(NamedTuple):
    """An evening's alcohol; see ``Routine.alcohol``."""

    begin: float  # minutes from midnight of the day
    minutes: float  # for which somebody drinks
    dose: float  # at its peak, in [0, 1]


@dataclass(frozen=True, slots=True, eq=False)
class Waking:
    """The waking hours of one day, or their end.

    Attributes:
        start: First minute, from midnight of the day.
        codes: uint8 [2, n]: stage (naps), activity.
        flags: bool [2, n]: water, exercising.
        tracks: float32 [8, n]: intensity, cadence, arm motion, upright, climb, pressure noise, arousal, ambient degC.
        events: Activities, moods and naps, minutes from midnight of the day.
        meals: (minute from midnight of the day, size in [0, 1]).
        drink: The evening's alcohol, if any.
    """

    start: int
    codes: NDArray[np.uint8]
    flags: NDArray[np.bool_]
    tracks: NDArray[np.float32]
    events: tuple[Event, ...]
    meals: tuple[tuple[float, float], ...] = ()
    drink: Drink | None = None


class Canvas:
    """The minutes from getting up to lights out; positions are minutes from midnight of the day."""

    def __init__(self, start: int, end: int) -> None:
        self.start, self.end = start, end
        self.strokes: list[Stroke] = []
        self.spells: list[Spell] = []
        self.logs: list[tuple[int, int]] = []
        self.events: list[Event] = []
        self.meals: list[tuple[float, float]] = []
        self.drink: Drink | None = None
        self._taken: list[tuple[int, int]] = []  # no errand or stroll may start here

    def span(self, begin: float, minutes: float) -> tuple[int, int]:
        """Indices of ``minutes`` from ``begin``, clipped to the day."""
        n = self.end - self.start
        low = min(max(round(begin) - self.start, 0), n)
        return low, min(max(round(begin + minutes) - self.start, low), n)

    def free(self, begin: float, minutes: float) -> bool:
        """True if nothing is planned there and it lies within the day."""
        if begin < self.start or begin + minutes > self.end:
            return False
        low, high = self.span(begin, minutes)
        for first, end in self._taken:  # noqa: SIM110  (twice as fast as a generator, and asked forty times a day)
            if first < high and low < end:
                return False
        return True

    def next_free(self, begin: float, minutes: float) -> float | None:
        """First start from ``begin`` on, in steps of ten minutes over three hours, at which nothing is planned yet."""
        return next((b for b in (begin + 10.0 * step for step in range(19)) if self.free(b, minutes)), None)

    def paint(
        self,
        where: tuple[int, int],
        activity: Activity,
        place: Place,
        *,
        effort: float = 0.0,
        cadence: float = 0.0,
        vigour: float = 1.0,
        load: float = 0.0,
        shape: Shape = Shape.STEADY,
        asleep: bool = False,
    ) -> None:
        """Spend the minutes ``where`` like this."""
        if where[1] <= where[0]:
            return
        self.strokes.append(
            Stroke(*where, int(activity), int(place), effort, cadence, vigour, load, int(shape), asleep)
        )
        self._taken.append(where)

    def log(self, label: str, where: tuple[int, int]) -> None:
        """Have the watch hold the minutes ``where`` for exercise, whatever was done in them."""
        if where[1] > where[0]:
            self.logs.append(where)
            self.note("activity", label, where)

    def note(self, kind: str, label: str, where: tuple[int, int]) -> None:
        """Write the minutes ``where`` into the diary."""
        self.events.append(Event(kind, label, self.start + where[0], self.start + where[1]))

    def trace(self, since: int, key: Key, ground: Ground) -> Waking:
        """What body and watch feel from minute ``since`` on.

        Args:
            since: First minute to return, from midnight.
            key: The day's. The minutes are the same whatever ``since`` is.
            ground: What the day is like beside what is painted.
        """
        n = self.end - self.start
        first = min(max(since - self.start, 0), n)
        codes = np.zeros((2, n), dtype=np.uint8)
        flags = np.zeros((2, n), dtype=np.bool_)
        tracks = np.empty((8, n), dtype=np.float32)
        strokes, spells = _table(self.strokes, len(Stroke._fields)), _table(self.spells, len(Spell._fields))
        for begin, end in self.logs:
            flags[1, begin:end] = True
        _paint(codes, flags, tracks, self.start, strokes, spells, key, ground, _FEELS, _PLACES)
        return Waking(
            start=self.start + first,
            codes=codes[:, first:],
            flags=flags[:, first:],
            tracks=tracks[:, first:],
            events=tuple(self.events),
            meals=tuple(self.meals),
            drink=self.drink,
        )


def _table(rows: Sequence[tuple[float, ...]], columns: int) -> Floats:
    """Rows of numbers as float64 [rows, columns]; a third of the time that ``np.array`` takes."""
    return np.fromiter(chain.from_iterable(rows), np.float64, columns * len(rows)).reshape(-1, columns)


@compiled
def chances(key: Key, lane: int, n: int) -> tuple[Floats, Floats]:
    """``n`` standard normals and as many uniforms in [0, 1) that live under ``key`` in a lane."""
    normals, uniforms = np.empty(n), np.empty(n)
    own = lane_key(key, lane)
    for i in range(n):
        word = bits(own, np.uint64(i))
        normals[i] = normal(low_half(word), word)
        uniforms[i] = _high_share(bits(own, np.uint64(n + i)))
    return normals, uniforms


@compiled
def _low_share(word: np.uint64) -> float:
    """A uniform number in [0, 1) from the low half of a word."""
    return (low_half(word) >> 8) * 5.9604644775390625e-08  # 24 bits, 2**-24


@compiled
def _high_share(word: np.uint64) -> float:
    """A uniform number in [0, 1) from the high half of a word."""
    return (high_half(word) >> 8) * 5.9604644775390625e-08


@compiled
def _paint(
    codes: Codes,
    flags: Flags,
    tracks: Singles,
    start: int,
    strokes: Floats,
    spells: Floats,
    key: Key,
    ground: Ground,
    feels: Floats,
    places: Floats,
) -> None:
    """Fill ``codes``, ``flags`` and ``tracks`` (see ``Waking``); ``start`` is the first minute's clock."""
    n = codes.shape[1]
    place = np.zeros(n, dtype=np.uint8)
    vigour, demand, gait, load, leaning = np.zeros((5, n))
    _lay_ground(codes[1], place, vigour, load, leaning, start, lane_key(key, _STRETCHES), ground)
    for s in range(len(strokes)):
        _lay_stroke(codes, place, vigour, demand, gait, load, strokes[s], lane_key(key, _PLAY))
    for s in range(len(spells)):
        for i in range(int(spells[s, 0]), int(spells[s, 1])):
            load[i] += spells[s, 2]
            leaning[i] += spells[s, 3]
            vigour[i] *= spells[s, 4]
    _take_steps(codes, gait, leaning, tracks[1], lane_key(key, _STEPS), ground, feels)
    _feel(codes, flags[0], place, vigour, demand, load, tracks, start, lane_key(key, _FEELINGS), ground, feels, places)


@compiled
def _lay_ground(
    activity: Codes,
    place: Codes,
    vigour: Floats,
    load: Floats,
    leaning: Floats,
    start: int,
    key: Key,
    ground: Ground,
) -> None:
    """Leisure and work: a chain of stretches that are quiet, busy with the hands, or on the feet."""
    n = len(activity)
    i = 0
    inclined = normal_at(key, np.uint64(2 * n))  # standard normal: to be on the feet
    while i < n:
        clock = start + i
        at_work = ground.work_begin <= clock < ground.work_end
        feet = ground.work_on_feet if at_work else ground.leisure_on_feet[clock // 60 % 24]
        word, chance = bits(key, np.uint64(2 * i)), _low_share(bits(key, np.uint64(2 * i + 1)))
        inclined = STRETCH_MEMORY * inclined + np.sqrt(1.0 - STRETCH_MEMORY**2) * quantile_normal(word, 2)
        share = 1.0 / (1.0 + np.exp(1.702 * inclined))  # about uniform, low when inclined
        if share < feet:
            what = _CHORES
        elif chance < (0.12 if at_work else ground.idleness):
            what = _REST
        else:
            what = _DESK
        end = min(n, i + 1 + int(min(STRETCH_MINUTES * np.exp(0.8 * quantile_normal(word, 0)), 150.0)))
        for j, border in enumerate((ground.work_begin, ground.work_end)):  # work begins and ends on time
            if start + i < border < start + end and ground.work_begin < ground.work_end:
                end = int(border) - start + 1 - j
        end = max(end, i + 1)
        activity[i:end] = what
        vigour[i:end] = np.exp(0.45 * quantile_normal(word, 1))
        leaning[i:end] = inclined
        place[i:end] = ground.work_place if at_work else _HOME
        load[i:end] = 0.12 if at_work else 0.0
        i = end


@compiled
def _lay_stroke(
    codes: Codes,
    place: Codes,
    vigour: Floats,
    demand: Floats,
    gait: Floats,
    load: Floats,
    stroke: Floats,
    key: Key,
) -> None:
    """One stroke of the plan over whatever is there."""
    begin, end, shape = int(stroke[0]), int(stroke[1]), int(stroke[8])
    codes[0, begin:end] = 1 if stroke[9] > 0.0 else 0
    codes[1, begin:end] = np.uint8(stroke[2])
    place[begin:end] = np.uint8(stroke[3])
    demand[begin:end] = 0.0
    gait[begin:end] = stroke[5]
    gait[begin] = gait[end - 1] = 0.55 * stroke[5]  # a bout rarely begins on the minute
    vigour[begin:end] = stroke[6]
    load[begin:end] += stroke[7]
    if stroke[4] == 0.0:
        return
    play = 0.0
    for i in range(begin, end):
        minute = i - begin
        run = 1.0 - 0.35 * np.exp(-minute / 3.0) + 0.04 * np.sin(minute / 7.0)  # warming up, rolling terrain
        if shape == _INTERVALS:
            run += 0.20 if minute % 4 < 2 else -0.20
        elif shape == _SETS:
            run += 0.60 if minute % 4 == 1 else -0.20
        elif shape == _RALLIES:
            play = 0.7 * play + 0.71 * quantile_normal(bits(key, np.uint64(i)), 0)
            run += 0.15 * play
        demand[i] = stroke[4] * max(run, 0.1)


@compiled
def _take_steps(
    codes: Codes, gait: Floats, leaning: Floats, cadence: Singles, key: Key, ground: Ground, feels: Floats
) -> None:
    """Steps of each minute into ``cadence``: gait where it is planned, else bouts between pauses."""
    stepping = ground.stepping
    left = pace = 0.0  # minutes of the present bout to come, its steps a minute
    pause = 3.0
    before = 255
    for i in range(codes.shape[1]):
        what = codes[1, i]
        cadence[i] = 0.0
        still = gait[i] == 0.0 and (feels[what, 3] == 0.0 or codes[0, i] > 0)
        if still or (gait[i] == 0.0 and what == before and left <= 0.0 and pause > 1.0):
            pause -= 1.0
            left, before = 0.0, what
            continue
        word, chance = bits(key, np.uint64(2 * i)), bits(key, np.uint64(2 * i + 1))
        if gait[i] > 0.0:
            cadence[i] = _strides(gait[i], quantile_normal(word, 0), _low_share(chance), _high_share(chance))
            left, before = 0.0, what
            continue
        typical = feels[what, 4] * np.exp(feels[what, 5] * quantile_normal(word, 3) - LEANING * leaning[i]) / stepping
        if what != before and left <= 0.0:
            pause = typical * _high_share(chance)
        before = what
        if left <= 0.0:
            pause -= 1.0
            if pause > 0.0:
                continue
            left = min(feels[what, 3] * np.exp(BOUT_SPREAD * quantile_normal(word, 1)), 25.0)
            pace = BOUT_STEPS * stepping * max(left, 0.7) ** BOUT_GROWTH
            pace *= np.exp(BOUT_STEPS_SPREAD * quantile_normal(word, 2))
            if what <= _CHORES and quantile_normal(word, 4) < STAIRS_BELOW:
                codes[1, i] = _STAIRS
        steps = pace * np.exp(MINUTE_STEPS_SPREAD * quantile_normal(word, 0))
        steps = ground.pace * (1.0 - np.exp(-steps / ground.pace))  # nobody potters faster than they walk
        if steps < FEW_STEPS:  # three to eight are one walk over the room; a watch rarely counts one or two alone
            few = _high_share(chance)
            steps = 4.0 + 4.5 * few if _low_share(chance) > 0.08 else 1.0 + 2.9 * few
        cadence[i] = steps
        if codes[1, i] <= _DESK and steps > WALKS_ABOUT:
            codes[1, i] = _CHORES
        left -= 1.0
        if left <= 0.0:
            pause = 1.0 + typical


@compiled
def _strides(gait: float, z: float, halts: float, lost: float) -> float:
    """Steps of a minute of planned gait: even in a walk, but for halts; loose in play."""
    if gait <= 60.0:
        return float(gait * np.exp(min(0.4 * z, 1.0) - 0.05))
    steps = gait * min(max(0.99 + 0.05 * z, 0.7), 1.12)
    if halts < (HALTS if gait > DAWDLING else 4.0 * HALTS):
        steps *= 0.3 + 0.6 * lost
    return min(steps, 210.0)


@compiled
def _feel(
    codes: Codes,
    water: Flags,
    place: Codes,
    vigour: Floats,
    demand: Floats,
    load: Floats,
    tracks: Singles,
    start: int,
    key: Key,
    ground: Ground,
    feels: Floats,
    places: Floats,
) -> None:
    """What every minute asks of the body and shows to the watch, into ``tracks`` (see ``Waking``)."""
    keep_arm, keep_slope = np.exp(-1.0 / ARM_MINUTES), np.exp(-1.0 / SLOPE_MINUTES)
    keep_air, keep_mind = np.exp(-1.0 / AIR_MINUTES), np.exp(-1.0 / MIND_MINUTES)
    new_arm, new_slope = np.sqrt(1.0 - keep_arm**2), np.sqrt(1.0 - keep_slope**2)
    new_air, new_mind = np.sqrt(1.0 - keep_air**2), np.sqrt(1.0 - keep_mind**2)
    n = codes.shape[1]
    outdoors = 15.0 + 6.5 * normal_at(key, np.uint64(2 * n))  # degC, the day's mean: judgement, no season
    indoors = 1.2 * normal_at(key, np.uint64(2 * n + 1))  # degC: judgement
    arm = slope = air = mind = 0.0
    busy = False
    for i in range(n):
        what, where, cadence = codes[1, i], place[i], tracks[1, i]
        word, other = bits(key, np.uint64(2 * i)), bits(key, np.uint64(2 * i + 1))
        arm = keep_arm * arm + new_arm * quantile_normal(word, 0)
        slope = keep_slope * slope + new_slope * quantile_normal(word, 1)
        air = keep_air * air + new_air * quantile_normal(word, 2)
        mind = keep_mind * mind + new_mind * quantile_normal(word, 3)
        light, climb, walks = feels[what, 0], 0.0, 0.0
        if what <= _STAIRS:
            light += EFFORT_PER_STEP * min(cadence, 60.0)
        if what == _STAIRS:  # one floor or two, up or down
            climb = FLOOR_METRES if quantile_normal(other, 1) < 0.0 else -FLOOR_METRES
            climb *= 2.0 if quantile_normal(word, 1) > 0.25 else 1.0  # two in five lead over two
        elif feels[what, 6] > 0.0:
            climb = min(max(feels[what, 6] * min(max(slope, -3.0), 3.0), -15.0), 15.0)
        if what <= _DESK:
            walks = min(cadence / A_FEW_PACES, 1.0)
        fresh = quantile_normal(word, 4)
        if feels[what, 2] < SEATED and demand[i] == 0.0:
            begin, go_on = (RESTING_BEGIN, RESTING_GO_ON) if what == _REST else (HANDS_BEGIN, HANDS_GO_ON)
            busy = _high_share(other) < (go_on if busy else begin)
            hands = HANDS_BUSY * np.exp(HANDS_SPREAD * fresh + 0.3 * arm - 0.195) if busy else HANDS_IDLE
        else:
            hands = np.exp(0.50 * arm + 0.22 * fresh - 0.15)
        water[i] = where in (_POOL, _SHOWER)
        tracks[0, i] = min(max(demand[i] * (1.0 + 0.03 * arm), ground.lightness * light), 1.0)
        tracks[2, i] = (feels[what, 1] * hands + WALKING_ARM * walks) * vigour[i]
        tracks[3, i] = min(feels[what, 2] + WALKING_UP * walks, 1.0)
        tracks[4, i] = climb
        tracks[5, i] = places[where, 1] * np.exp(0.50 * air + 0.30 * quantile_normal(other, 0) - 0.17)
        tracks[6, i] = min(max(load[i] + ground.arousal + 0.09 * mind, 0.0), 1.5)
        if where == _OUTDOORS:  # warmest at 15 h
            tracks[7, i] = outdoors + 4.0 * np.sin(2.0 * np.pi * ((start + i) / 1440.0 - 0.375))
        else:
            tracks[7, i] = places[where, 0] + indoors
        if codes[0, i] > 0:  # dozing
            tracks[0, i], tracks[2, i], tracks[6, i] = 0.0, 0.15 * tracks[2, i], 0.0
