"""Canvas: the minutes of a waking day, painted in layers, and what body and watch feel of them.

``simulator.daytime`` plans a day as strokes over a ground of leisure and work: from here to there this activity, at
this place, with this effort. ``Canvas.trace`` paints them and gives every minute its intensity, steps, arm movement,
climb, air and arousal, in one compiled pass. What an activity feels like stands in ``simulator.activities``.

What people do lasts. Stretches of rest, hand work and standing work follow each other with a memory; within them
steps come in bouts between pauses whose lengths are those of Fitbit minutes (Fitabase, Furberg et al. 2016: half of
all bouts end within a minute, one in a hundred goes on for twenty, and long bouts step faster). Arm, terrain, air and
mind each wander with time constants of their own.
"""

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from simulator.activities import CELSIUS, FEELS, PRESSURE_NOISE, Activity, Place, Shape
from simulator.noise import Floats, Key, bits, compiled, high_half, lane_key, low_half, normal
from simulator.recording import Event

Codes = NDArray[np.uint8]
Flags = NDArray[np.bool_]
Singles = NDArray[np.float32]

FLOOR_METRES: Final = 2.8  # metres between floors; 0.3 hPa (norm alt_floor)
EFFORT_PER_STEP: Final = 0.0029  # share of heart rate reserve a step a minute: +20 bpm at 21-60 steps (Fitabase)
STAIRS_PER_BOUT: Final = 0.10  # share of bouts of steps that lead over a floor: 6 to 10 floors a day, judgement
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
# Seated hands do something in one minute and lie in the next: ln(wrist energy) of seated E4 wearers has two humps
# and autocorrelates .25 at one minute, .13 at two, 0 at five (Stress-Predict).
HANDS_BEGIN, HANDS_GO_ON = 0.35, 0.60  # probability a minute that idle hands begin, and busy ones go on
HANDS_BUSY, HANDS_IDLE = 1.7, 0.25  # factor on arm movement; together 1 on average
HANDS_SPREAD: Final = 0.55  # SD of ln(arm movement) between busy minutes: judgement
WALKING_ARM, WALKING_UP = 0.6, 0.6  # arm movement (1 is chores) and share of the minute on the feet, of a dozen steps
A_FEW_PACES: Final = 12.0  # steps in which somebody got up for good part of a minute: judgement
SEATED: Final = 0.3  # share of the minute on the feet below which an activity counts as seated

_FEELS: Final = np.array([FEELS[activity] for activity in Activity], dtype=np.float64)
_CELSIUS: Final = np.array([CELSIUS[place] for place in Place], dtype=np.float64)
_PRESSURE_NOISE: Final = np.array([PRESSURE_NOISE[place] for place in Place], dtype=np.float64)
_OUTDOORS, _POOL, _SHOWER, _HOME, _WORK = (
    int(place) for place in (Place.OUTDOORS, Place.POOL, Place.SHOWER, Place.HOME, Place.WORK)
)
_REST, _DESK, _CHORES, _STAIRS = (
    int(activity) for activity in (Activity.REST, Activity.DESK, Activity.CHORES, Activity.STAIRS)
)
_INTERVALS, _SETS, _RALLIES = int(Shape.INTERVALS), int(Shape.SETS), int(Shape.RALLIES)
_NORMALS, _UNIFORMS = 6, 4  # drawn a minute
_MINUTES: Final = 2  # lane of a day's noise


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
        self.strokes.append(Stroke(*where, activity, place, effort, cadence, vigour, load, shape, asleep))
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
        strokes = np.array(self.strokes, dtype=np.float64).reshape(-1, len(Stroke._fields))
        spells = np.array(self.spells, dtype=np.float64).reshape(-1, len(Spell._fields))
        for begin, end in self.logs:
            flags[1, begin:end] = True
        _paint(codes, flags, tracks, self.start, strokes, spells, *chances(key, _MINUTES, n), ground)
        return Waking(
            start=self.start + first,
            codes=codes[:, first:],
            flags=flags[:, first:],
            tracks=tracks[:, first:],
            events=tuple(self.events),
            meals=tuple(self.meals),
            drink=self.drink,
        )


@compiled
def chances(key: Key, lane: int, n: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Standard normals [n, 6] and uniforms in [0, 1) [n, 4], float32, that live under ``key`` in a lane."""
    normals = np.empty((n, _NORMALS), dtype=np.float32)
    uniforms = np.empty((n, _UNIFORMS), dtype=np.float32)
    own, counter = lane_key(key, lane), np.uint64(0)
    for i in range(n):
        for j in range(0, _NORMALS, 2):
            word = bits(own, counter)
            counter += np.uint64(1)
            normals[i, j] = normal(low_half(word), word)
            normals[i, j + 1] = normal(high_half(word), word)
        for j in range(0, _UNIFORMS, 2):
            word = bits(own, counter)
            counter += np.uint64(1)
            uniforms[i, j] = (low_half(word) >> 8) * 5.9604644775390625e-08  # 24 bits, 2**-24
            uniforms[i, j + 1] = (high_half(word) >> 8) * 5.9604644775390625e-08
    return normals, uniforms


@compiled
def _paint(
    codes: Codes,
    flags: Flags,
    tracks: Singles,
    start: int,
    strokes: Floats,
    spells: Floats,
    normals: Singles,
    uniforms: Singles,
    ground: Ground,
) -> None:
    """Fill ``codes``, ``flags`` and ``tracks`` (see ``Waking``); ``start`` is the first minute's clock."""
    n = codes.shape[1]
    place = np.zeros(n, dtype=np.uint8)
    vigour = np.ones(n)
    demand = np.zeros(n)
    gait = np.zeros(n)
    load = np.zeros(n)
    leaning = np.zeros(n)
    _lay_ground(codes[1], place, vigour, load, leaning, start, normals, uniforms, ground)
    for s in range(len(strokes)):
        _lay_stroke(codes, place, vigour, demand, gait, load, strokes[s], normals)
    for s in range(len(spells)):
        for i in range(int(spells[s, 0]), int(spells[s, 1])):
            load[i] += spells[s, 2]
            leaning[i] += spells[s, 3]
            vigour[i] *= spells[s, 4]
    _take_steps(codes, gait, leaning, tracks[1], normals, uniforms, ground)
    _feel(codes, flags[0], place, vigour, demand, load, tracks, start, normals, uniforms, ground)


@compiled
def _lay_ground(
    activity: Codes,
    place: Codes,
    vigour: Floats,
    load: Floats,
    leaning: Floats,
    start: int,
    normals: Singles,
    uniforms: Singles,
    ground: Ground,
) -> None:
    """Leisure and work: a chain of stretches that are quiet, busy with the hands, or on the feet."""
    n = len(activity)
    i = 0
    inclined = normals[0, 3] if n else 0.0  # standard normal: to be on the feet
    while i < n:
        clock = start + i
        at_work = ground.work_begin <= clock < ground.work_end
        feet = ground.work_on_feet if at_work else ground.leisure_on_feet[clock // 60 % 24]
        inclined = STRETCH_MEMORY * inclined + np.sqrt(1.0 - STRETCH_MEMORY**2) * normals[i, 2]
        share = 1.0 / (1.0 + np.exp(1.702 * inclined))  # about uniform, low when inclined
        if share < feet:
            what = _CHORES
        elif uniforms[i, 0] < (0.12 if at_work else ground.idleness):
            what = _REST
        else:
            what = _DESK
        end = min(n, i + 1 + int(min(STRETCH_MINUTES * np.exp(0.8 * normals[i, 0]), 150.0)))
        for j, border in enumerate((ground.work_begin, ground.work_end)):  # work begins and ends on time
            if start + i < border < start + end and ground.work_begin < ground.work_end:
                end = int(border) - start + 1 - j
        strength = np.exp(0.45 * normals[i, 1])
        for k in range(i, max(end, i + 1)):
            activity[k] = what
            vigour[k] = strength
            leaning[k] = inclined
            place[k] = ground.work_place if at_work else _HOME
            load[k] = 0.12 if at_work else 0.0
        i = max(end, i + 1)


@compiled
def _lay_stroke(
    codes: Codes,
    place: Codes,
    vigour: Floats,
    demand: Floats,
    gait: Floats,
    load: Floats,
    stroke: Floats,
    normals: Singles,
) -> None:
    """One stroke of the plan over whatever is there."""
    begin, end, shape = int(stroke[0]), int(stroke[1]), int(stroke[8])
    play = 0.0
    for i in range(begin, end):
        minute = i - begin
        run = 1.0 - 0.35 * np.exp(-minute / 3.0) + 0.04 * np.sin(minute / 7.0)  # warming up, rolling terrain
        if shape == _INTERVALS:
            run += 0.20 if np.sin(1.5708 * minute + 0.4) > 0.0 else -0.20  # four minutes a round
        elif shape == _SETS:
            run += 0.60 if np.sin(1.5708 * minute + 0.4) > 0.8 else -0.20  # every fourth minute, and what lies between
        elif shape == _RALLIES:
            play = 0.7 * play + 0.71 * normals[i, 4]
            run += 0.15 * play
        codes[0, i] = 1 if stroke[9] > 0.0 else 0
        codes[1, i] = np.uint8(stroke[2])
        place[i] = np.uint8(stroke[3])
        demand[i] = stroke[4] * max(run, 0.1)
        gait[i] = stroke[5] * (0.55 if i == begin or i == end - 1 else 1.0)  # a bout rarely begins on the minute
        vigour[i] = stroke[6]
        load[i] += stroke[7]


@compiled
def _take_steps(
    codes: Codes, gait: Floats, leaning: Floats, cadence: Singles, normals: Singles, uniforms: Singles, ground: Ground
) -> None:
    """Steps of each minute into ``cadence``: gait where it is planned, else bouts between pauses."""
    stepping = ground.stepping
    left = pace = 0.0  # minutes of the present bout to come, its steps a minute
    pause = 3.0
    before = 255
    for i in range(codes.shape[1]):
        what = codes[1, i]
        bout, typical, spread = _FEELS[what, 3], _FEELS[what, 4], _FEELS[what, 5]
        z = normals[i]
        typical *= np.exp(-LEANING * leaning[i])
        if gait[i] > 0.0:
            if gait[i] > 60.0:
                steps = gait[i] * min(max(0.99 + 0.05 * z[0], 0.7), 1.12)
                if uniforms[i, 0] < (HALTS if gait[i] > DAWDLING else 4.0 * HALTS):
                    steps *= 0.3 + 0.6 * uniforms[i, 1]
            else:
                steps = gait[i] * np.exp(min(0.4 * z[0], 1.0) - 0.05)
            cadence[i] = min(steps, 210.0)
            left, before = 0.0, what
            continue
        cadence[i] = 0.0
        if bout == 0.0 or codes[0, i] > 0:
            left, before = 0.0, what
            continue
        if what != before and left <= 0.0:
            pause = typical * np.exp(spread * z[3]) / stepping * uniforms[i, 1]
        before = what
        if left <= 0.0:
            pause -= 1.0
            if pause > 0.0:
                continue
            left = min(bout * np.exp(BOUT_SPREAD * z[1]), 25.0)
            pace = BOUT_STEPS * stepping * max(left, 0.7) ** BOUT_GROWTH * np.exp(BOUT_STEPS_SPREAD * z[2])
            if what <= _CHORES and uniforms[i, 2] < STAIRS_PER_BOUT:
                codes[1, i] = _STAIRS
        steps = pace * np.exp(MINUTE_STEPS_SPREAD * z[0])
        steps = ground.pace * (1.0 - np.exp(-steps / ground.pace))  # nobody potters faster than they walk
        if steps < FEW_STEPS:  # three to eight are one walk over the room; a watch rarely counts one or two alone
            steps = 4.0 + 4.5 * uniforms[i, 3] if uniforms[i, 0] > 0.08 else 1.0 + 2.9 * uniforms[i, 3]
        cadence[i] = steps
        if codes[1, i] <= _DESK and cadence[i] > WALKS_ABOUT:
            codes[1, i] = _CHORES
        left -= 1.0
        if left <= 0.0:
            pause = 1.0 + typical * np.exp(spread * z[3]) / stepping


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
    normals: Singles,
    uniforms: Singles,
    ground: Ground,
) -> None:
    """What every minute asks of the body and shows to the watch, into ``tracks`` (see ``Waking``)."""
    keep_arm, keep_slope = np.exp(-1.0 / ARM_MINUTES), np.exp(-1.0 / SLOPE_MINUTES)
    keep_air, keep_mind = np.exp(-1.0 / AIR_MINUTES), np.exp(-1.0 / MIND_MINUTES)
    n = codes.shape[1]
    outdoors = 15.0 + 6.5 * normals[0, 0] if n else 0.0  # degC, the day's mean: judgement, no season
    indoors = 1.2 * normals[0, 1] if n else 0.0  # degC: judgement
    arm = slope = air = mind = 0.0
    busy = False
    for i in range(n):
        what, where, z = codes[1, i], place[i], normals[i]
        cadence = tracks[1, i]
        arm = keep_arm * arm + np.sqrt(1.0 - keep_arm**2) * z[4]
        slope = keep_slope * slope + np.sqrt(1.0 - keep_slope**2) * z[5]
        air = keep_air * air + np.sqrt(1.0 - keep_air**2) * z[2]
        mind = keep_mind * mind + np.sqrt(1.0 - keep_mind**2) * z[3]
        light = ground.lightness * _FEELS[what, 0]
        if what <= _STAIRS:
            light += ground.lightness * EFFORT_PER_STEP * min(cadence, 60.0)
        if what == _STAIRS:  # one floor or two, up or down
            climb = FLOOR_METRES * (1.0 if uniforms[i, 3] < 0.5 else -1.0) * (2.0 if uniforms[i, 1] > 0.6 else 1.0)
        else:
            climb = _FEELS[what, 6] * min(max(slope, -3.0), 3.0)
        if where == _OUTDOORS:  # warmest at 15 h
            celsius = outdoors + 4.0 * np.sin(2.0 * np.pi * ((start + i) / 1440.0 - 0.375))
        else:
            celsius = _CELSIUS[where] + indoors
        water[i] = where in (_POOL, _SHOWER)
        tracks[0, i] = min(max(demand[i] * (1.0 + 0.03 * arm), light), 1.0)
        walks = min(cadence / A_FEW_PACES, 1.0) if what <= _DESK else 0.0
        if _FEELS[what, 2] < SEATED and demand[i] == 0.0:
            busy = uniforms[i, 3] < (HANDS_GO_ON if busy else HANDS_BEGIN)
            hands = HANDS_BUSY * np.exp(HANDS_SPREAD * z[0] - 0.15) if busy else HANDS_IDLE
            hands *= np.exp(0.3 * arm - 0.045)
        else:
            hands = np.exp(0.50 * arm + 0.22 * z[0] - 0.15)
        tracks[2, i] = (_FEELS[what, 1] * hands + WALKING_ARM * walks) * vigour[i]
        tracks[3, i] = min(_FEELS[what, 2] + WALKING_UP * walks, 1.0)
        tracks[4, i] = min(max(climb, -15.0), 15.0)
        tracks[5, i] = _PRESSURE_NOISE[where] * np.exp(0.50 * air + 0.30 * z[1] - 0.17)
        tracks[6, i] = min(max(load[i] + ground.arousal + 0.09 * mind, 0.0), 1.5)
        tracks[7, i] = celsius
        if codes[0, i] > 0:  # dozing
            tracks[0, i], tracks[2, i], tracks[6, i] = 0.0, 0.15 * tracks[2, i], 0.0
