"""Movement: what the wearer's arm does in each minute; the few quantities from which every feature of motion follows.

A minute of wrist acceleration is a sum of three independent parts, each with a variance, a rhythm and a share of the
minute in which it acts:

- gait: steps, and the swing of the arm at half their rate, while walking;
- arm: gestures in bursts, which turn gravity between the axes more than they shake the wrist;
- rest: tremor, pulse and breath, always there, and what a road or an engine adds.

Hands do one thing after another: a doing (a reach, a sip, a spell of typing) lasts a minute or two, and the next has
another strength, another rhythm, the forearm elsewhere. How much the hands move in each minute is the routine's to say;
how they do it is drawn here. Within an hour of sitting that is nearly all the variance there is: energy of an E4's
minutes correlates .27, .13 and .02 with that of one, two and three minutes later. Habits, how the forearm lies and how
the strap sits change slowly: activity counts of the wrist fluctuate without a scale of their own from minutes to a day
[1], so to each quantity a drift of octaves is added, noise on grids of 2 hours to 6 days, with something constant for
the person.
``motion`` turns a minute into features in closed form; ``reference.acceleration`` plays it as three axes.

[1] Hu, Ivanov, Chen, Hilton, Stanley & Shea, "Non-random fluctuations and multi-scale dynamics regulation of human
    activity", Physica A 337 (2004) 307, doi:10.1016/j.physa.2004.01.042.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import Floats, Key, bits, compiled, lane_key, quantile_normal
from simulator.routine import Activity, Routine, Stage

Singles = NDArray[np.float32]
Codes = NDArray[np.uint8]

SAMPLE_HZ: Final = 25.0  # Hz, a convention: LSM-1 publishes no rate of its accelerometer (its EDA has 25)
_REST_G: Final = 0.0033  # g, magnitude SD of a still wrist: seated 5th percentile 5 mg with sensor noise (E4)
_REST_HZ: Final = 4.2  # Hz, root mean square frequency of tremor and pulse; physiological tremor 8-12, pulse 1-5
_AWAKE_TONE: Final = 1.25  # factor on rest when awake: held muscles tremble more; judgement
_WALK_G: Final = 0.19  # g, magnitude SD of walking at 105 steps/min: 0.15 to 0.25 (norm logE_walk_sleep)
_WALK_CADENCE: Final = 105.0  # steps/min, at which _WALK_G holds
_RUN_G: Final = 0.85  # g, magnitude SD of running at 160 steps/min (norm logE_run_walk)
_RUN_CADENCE: Final = 160.0  # steps/min, at which _RUN_G holds
_WALK_PACE, _RUN_PACE = 95.0, 150.0  # steps/min, slowest pace at which the feet keep going; judgement
_SHUFFLE_PACE: Final = 60.0  # steps/min, pace of a single step about the house; judgement
_FASTEST_WALK_G: Final = 0.45  # g, magnitude SD that walking does not exceed; judgement
_WALK_SWING, _RUN_SWING = 1.5, 0.8  # energy of the swing across the vertical over that along it; judgement
GAIT_HARMONICS: Final = (0.72, 0.22, 0.06)  # energy of gait along gravity at 1 to 3 times the step rate; judgement
SWING_SHARE: Final = 0.55  # of gait's energy across gravity that swings at half the step rate (norm zc_walk)
GAIT_THIRD: Final = 0.12  # energy of gait on the third axis over that along gravity; judgement
_ARM_G: Final = 0.10  # g, magnitude SD at arm motion 1, chores: seated minutes 5, 29, 121 mg (norms accsd_seated_*)
_STILLEST: Final = np.float32(1e-4)  # arm motion, below which a logarithm is not asked for
_ARM_POWER: Final = 0.68  # of arm motion: a task's energy varies less than its amount of movement; judgement
_ARM_HZ: Final = 2.6  # Hz, root mean square frequency of gestures along gravity; E4 crosses zero every 0.14 to 0.2 s
_TURN_HZ: Final = 1.5  # Hz, of the same gestures' turning of gravity: seated crossings every 0.16 s, E4 0.13
_TURN_ENERGY: Final = 3.2  # energy across gravity over that along it, in gestures: E4 seated median exp(1.2), 3.3
_THIRD_ENERGY: Final = 0.45  # the same on the least moved axis: seated ln condition 1.65, E4 1.8
_ARM_SHARE: Final = 0.5  # share of a minute of chores in which the arm moves: seated kurtosis 11, E4 19
_HARDEST_G: Final = 1.2  # g, magnitude SD that no minute of gestures exceeds: running shakes the wrist with 0.85
_LEAST_SHARE: Final = 0.01  # of a minute: a knock of 0.6 s; judgement
_MOST_SHARE: Final = 0.95  # of a minute, that the arm moves: no gesture joins the next without a pause; judgement
_TWITCH: Final = (
    1.1  # energy of small movements in an else still minute over that of rest (norms logE_sed_sleep, kurt_sleep)
)
_TWITCH_SHARE: Final = 0.03  # share of the minute they take, 2 s: kurtosis asleep 15 (norm kurt_sleep)
_TOSS_SHARE: Final = 0.12  # share of the minute that turning over in bed takes, 7 s; judgement
_TOSS_G: Final = 0.10  # g, magnitude SD of a minute of night at arm motion 1; judgement
_ROLL_AWAKE: Final = 0.65  # factor on how far the forearm rolls over, awake against asleep; judgement
_ROLL_SEATED, _ROLL_LYING = 0.2, 0.1  # rad, usual roll: seated arm tilt -0.04, E4 -0.02; lying judgement

_FIRST_LANE: Final = 300  # noise sequences of movement under a person's key, from here on, in the order of _DRIFT
_DOING_LANE, _MINUTE_LANE = 320, 321  # noise sequences of what a doing is like, and of what is new in each minute
_VIGOUR, _SHARE, _RATE, _TURN, _THIRD, _TREMOR, _TONE, _SWAY, _ROLL, _AIR = range(10)
_LIFT: Final = _AIR  # row of a doing's own roll, where the air's would be
_OCTAVES: Final = np.array([128, 1024, 8192], dtype=np.int64)  # min between knots of a drift
_GRID_MINUTES: Final = 8  # drifts are summed on this grid and run straight between
_BLEND: Final = np.cos(np.linspace(0.0, 0.5 * np.pi, 1025)).astype(np.float32)  # with sines keeps the variance between
_FOREVER: Final = np.uint64(2**62)  # counter of what never changes
_PHASES: Final = np.uint64(2**61)  # counters of where a lane's grids begin
_RENEWED: Final = np.uint64(7)  # of 16: a minute begins another doing; E4 tilts correlate .51 .30 .18 at 1, 2, 3 min

_DRIFT: Final = np.array(
    # SD by octave (2 h, 17 h, 6 d), and of the person's own; judgement: LSM-1's windows of five hours, whose mean errs
    # by a squared 0.42 (Table 3a), leave 0.58 of the variance between them, most of it people, straps and the day.
    [
        [0.10, 0.38, 0.30, 0.36],  # ln(g): how hard the hands move
        [0.10, 0.30, 0.26, 0.34],  # ln: share of the minute in which they do
        [0.03, 0.14, 0.12, 0.18],  # ln(Hz): how fast
        [0.08, 0.36, 0.28, 0.40],  # ln: how much they turn gravity
        [0.08, 0.36, 0.28, 0.40],  # ln: how flat they move
        [0.06, 0.20, 0.20, 0.26],  # ln(g): tremor and pulse, how tight the strap is
        [0.03, 0.10, 0.10, 0.14],  # ln(Hz): their rhythm
        [0.05, 0.11, 0.08, 0.10],  # ln(g): gait; what the hand carries
        [0.12, 0.34, 0.22, 0.30],  # rad: how far the forearm is rolled over
        [0.10, 0.80, 0.50, 0.50],  # ln(hPa): wind, doors and ventilation; a storm's gusts are ten times a calm day's
    ]
)
_DOING: Final = np.array(
    # How much one doing differs from the next: the first is an SD, the others times a normal number times its size,
    # which leaves most doings alike and a few far off, as E4 minutes are (kurtosis 9 to 190 in an hour, energy 2.5).
    [
        0.25,  # ln(g), beside what the routine says: with it SD 0.8 within an hour (E4 0.9)
        0.38,  # ln: how long gestures of the same energy take: kurtosis' SD in an hour 22, its kurtosis 107 (E4 35, 75)
        0.03,  # ln(Hz); judgement: E4 crossings vary by a fifth, most of it with the energy alone
        0.12,  # ln: turning of gravity; half the spread of an E4's ratio and condition within an hour
        0.12,  # ln: flatness; same
    ]
)
_LIFTED: Final = (
    0.11  # rad, times such a number: the forearm lifted; tilt's SD in an hour 0.11, kurtosis 42 (E4 .11, 34)
)
_NEW: Final = np.array([0.08, 0.03, 0.05])  # SD of tremor, its rhythm and gait, in each minute; judgement
_AWAKE: Final = int(Stage.AWAKE)


@dataclass(frozen=True, slots=True, eq=False)
class Movement:
    """What the arm does in each minute of a day; every array is float32 [1440].

    Energies are mean squares over the minute of the acceleration's magnitude less its mean, g^2: what acts along
    gravity. ``gait_across`` and ``arm_across`` are how much larger the energy across gravity is than that along it.

    Attributes:
        steps: Steps in the minute, whole.
        pace: Steps per minute while stepping.
        walked: Share of the minute spent stepping.
        gait: Energy of gait, g^2.
        gait_across: Energy of the arm's swing over ``gait``.
        arm: Energy of gestures, g^2.
        arm_across: Energy of their turning of gravity over ``arm``.
        arm_third: Energy on the third axis over ``arm``.
        arm_hz: Root mean square frequency of gestures along gravity, Hz; across it is lower by ``TURN_SLOWER``.
        moved: Share of the minute in which the arm moves.
        rest: Energy of tremor, pulse, breath and what shakes the whole body, the same along every axis, g^2.
        rest_hz: Their root mean square frequency, Hz.
        roll: Angle between the watch's Y axis (towards twelve o'clock) and the horizon, rad.
    """

    steps: Singles
    pace: Singles
    walked: Singles
    gait: Singles
    gait_across: Singles
    arm: Singles
    arm_across: Singles
    arm_third: Singles
    arm_hz: Singles
    moved: Singles
    rest: Singles
    rest_hz: Singles
    roll: Singles


_ROWS: Final = len(Movement.__dataclass_fields__)
TURN_SLOWER: Final = _TURN_HZ / _ARM_HZ


def move(routine: Routine, key: Key, first_minute: int) -> NDArray[np.float32]:
    """What the arm does in each minute of the day: the rows of ``Movement``, float32 [13, 1440].

    Args:
        routine: The person's day.
        key: The person's, from ``noise.time_key``.
        first_minute: Absolute minute of the day's midnight.
    """
    lead_in = routine.lead_in_minutes
    n = routine.stage.size - lead_in
    day = slice(lead_in, None)
    drift = np.empty((_LIFT + 1, n), dtype=np.float32)
    _drift(key, _FIRST_LANE, _DRIFT[:_AIR], first_minute, drift[:_AIR])
    # Logarithms and powers by NumPy in single precision, where many are computed at once.
    arm_log = np.log(np.maximum(routine.arm_motion[day], _STILLEST))
    _change(key, routine.stage[day], arm_log, first_minute, drift)
    np.exp(drift[:_ROLL], out=drift[:_ROLL])
    out = np.empty((_ROWS, n), dtype=np.float32)
    _move(routine.stage[day], routine.activity[day], routine.cadence[day], routine.arm_motion[day], drift, out)
    return out


def air_drift(key: Key, first_minute: int, n: int) -> Singles:
    """How unquiet the air around the wearer is against the usual, as a logarithm, float32 [n]."""
    drift = np.empty((1, n), dtype=np.float32)
    _drift(key, _FIRST_LANE + _AIR, _DRIFT[_AIR:], first_minute, drift)
    air: Singles = drift[0]
    return air


@compiled
def _drift(key: Key, first_lane: int, sds: Floats, first_minute: int, out: Singles) -> None:
    """Fill ``out`` [lanes, n] with sums of octaves, lane by lane under its own key."""
    lanes, n = out.shape
    first_knot = first_minute // _GRID_MINUTES
    knots = (first_minute + n - 1) // _GRID_MINUTES - first_knot + 2
    slow = np.empty(knots, dtype=np.float32)
    for lane in range(lanes):
        own = lane_key(key, first_lane + lane)
        slow[:] = sds[lane, 3] * quantile_normal(bits(own, _FOREVER), 0)
        for octave in range(_OCTAVES.size):
            spacing = _OCTAVES[octave]
            apart = lane_key(own, octave)
            at = first_knot * _GRID_MINUTES + np.int64(bits(apart, _PHASES) % np.uint64(spacing))
            cell = at // spacing
            sd = np.float32(sds[lane, octave])
            here = sd * quantile_normal(bits(apart, np.uint64(cell)), 0)
            following = sd * quantile_normal(bits(apart, np.uint64(cell + 1)), 0)
            place = at - cell * spacing
            per_minute = (_BLEND.size - 1) / spacing
            for k in range(knots):
                if place >= spacing:
                    place -= spacing
                    cell += 1
                    here = following
                    following = sd * quantile_normal(bits(apart, np.uint64(cell + 1)), 0)
                turn = int(place * per_minute)
                slow[k] += _BLEND[turn] * here + _BLEND[_BLEND.size - 1 - turn] * following
                place += _GRID_MINUTES
        for i in range(n):
            minute = first_minute + i
            k = minute // _GRID_MINUTES - first_knot
            share = np.float32(minute % _GRID_MINUTES) * np.float32(1.0 / _GRID_MINUTES)
            out[lane, i] = slow[k] + share * (slow[k + 1] - slow[k])


@compiled
def _begun(own: Key, minute: int) -> int:
    """The minute in which the doing of ``minute`` began."""
    while bits(own, np.uint64(minute)) >> np.uint64(60) >= _RENEWED:
        minute -= 1
    return minute


@compiled
def _change(key: Key, stage: Codes, arm_log: Singles, first_minute: int, drift: Singles) -> None:
    """Add to ``drift`` [10, n] what the routine asks of the arm, what changes with each doing and in each minute.

    The last row becomes the doing's lift.
    """
    doings, minutes = lane_key(key, _DOING_LANE), lane_key(key, _MINUTE_LANE)
    began = np.uint64(_begun(doings, first_minute))
    doing, lifted = bits(doings, began), quantile_normal(bits(minutes, began), 0)
    for i in range(drift.shape[1]):
        word, news = bits(doings, np.uint64(first_minute + i)), bits(minutes, np.uint64(first_minute + i))
        if word >> np.uint64(60) < _RENEWED:
            doing, lifted = word, quantile_normal(news, 0)
        drift[_LIFT, i] = 0.0
        if stage[i] == _AWAKE:  # a sleeper's hands lie until they turn over
            drift[_VIGOUR, i] += _ARM_POWER * arm_log[i] + _DOING[_VIGOUR] * quantile_normal(doing, _VIGOUR)
            for lane in range(_SHARE, _TREMOR):
                unlike = quantile_normal(doing, lane)
                drift[lane, i] += _DOING[lane] * unlike * abs(unlike)
            drift[_LIFT, i] = _LIFTED * lifted * abs(lifted)
        else:
            drift[_VIGOUR, i] += arm_log[i]
        for k in range(_NEW.size):
            drift[_TREMOR + k, i] += _NEW[k] * quantile_normal(news, k + 1)


_RUNNING: Final = int(Activity.RUNNING)


def _by_activity(usual: float, others: dict[Activity, float]) -> Floats:
    """One number for each activity."""
    return np.array([others.get(activity, usual) for activity in Activity])


_VIBRATION_G: Final = _by_activity(  # g, what the ground or an engine shakes a resting wrist with; judgement
    0.0,
    {
        Activity.VEHICLE: 0.006,
        Activity.BIKING: 0.035,
        Activity.SPINNING: 0.010,
        Activity.ROWING_MACHINE: 0.010,
        Activity.SKIING: 0.050,
    },
)
_VIBRATION_HZ: Final = 6.0  # Hz, what of it passes the arm and the filters; judgement
_PERIODIC: Final = _by_activity(  # least share of the minute that strokes and swings take; judgement
    0.0,
    {
        Activity.SWIMMING: 0.80,
        Activity.ROWING_MACHINE: 0.90,
        Activity.KAYAKING: 0.75,
        Activity.ELLIPTICAL: 0.85,
    },
)
_SLOWER: Final = _by_activity(  # factor on the frequency of gestures: 25 to 35 strokes a minute and arm; judgement
    1.0,
    {
        Activity.SWIMMING: 0.60,
        Activity.ROWING_MACHINE: 0.55,
        Activity.KAYAKING: 0.65,
        Activity.ELLIPTICAL: 0.70,
        Activity.YOGA: 0.60,
    },
)


@compiled
def _gait(steps: float, running: bool) -> tuple[float, float, float]:
    """Pace, share of the minute and energy of so many steps: twenty are some seconds of walking, not slow motion."""
    if running:
        pace = max(steps, _RUN_PACE)
        faster = pace / _RUN_CADENCE
        sway = _RUN_G * faster * np.sqrt(faster)
    else:
        pace = max(steps, min(_SHUFFLE_PACE + 0.8 * steps, _WALK_PACE))
        sway = min(_WALK_G * (pace / _WALK_CADENCE) ** 2, _FASTEST_WALK_G)
    walked = steps / pace
    return pace, walked, walked * sway * sway


@compiled
def _gestures(awake: bool, level: float, vigour: float, share: float, still: float) -> tuple[float, float]:
    """Energy of the arm's own movement, g^2, and the share of the minute that it takes; ``still`` is rest's energy."""
    if awake:
        shaken, usual = _ARM_G * vigour, _ARM_SHARE * np.sqrt(level) + _TWITCH_SHARE
    else:
        shaken, usual = _TOSS_G * vigour, _TOSS_SHARE
    energy = min(shaken * shaken, _HARDEST_G * _HARDEST_G)
    if energy < _TWITCH * still:
        energy = _TWITCH * still
        usual = usual if awake else _TWITCH_SHARE
    return energy, min(max(usual * share, _LEAST_SHARE), _MOST_SHARE)


@compiled
def _move(stage: Codes, activity: Codes, cadence: Singles, arm_motion: Singles, factors: Singles, out: Singles) -> None:
    """Fill ``out``, the rows of ``Movement``, from ``factors`` by lane, of which the last two are angles."""
    for i in range(stage.size):
        what, awake = activity[i], stage[i] == _AWAKE
        vigour, share = float(factors[_VIGOUR, i]), float(factors[_SHARE, i])
        if _PERIODIC[what] > 0.0:  # strokes are much alike
            usual = max(arm_motion[i], _STILLEST) ** _ARM_POWER
            vigour, share = usual * np.sqrt(np.sqrt(vigour / usual)), np.sqrt(np.sqrt(share))
        steps = np.floor(cadence[i] + 0.5)
        pace, walked, gait = _gait(steps, what == _RUNNING)
        tremor = _REST_G * factors[_TREMOR, i] * (_AWAKE_TONE if awake else 1.0)
        still = tremor * tremor
        arm, moved = _gestures(awake, float(arm_motion[i]), vigour, share, still)
        shaking = _VIBRATION_G[what] * _VIBRATION_G[what] * factors[_SWAY, i]
        rest_hz = _REST_HZ * factors[_TONE, i]
        roll = factors[_ROLL, i]
        out[0, i] = steps
        out[1, i] = pace
        out[2, i] = walked
        out[3, i] = gait * factors[_SWAY, i] * factors[_SWAY, i]
        out[4, i] = _RUN_SWING if what == _RUNNING else _WALK_SWING
        out[5, i] = arm
        out[6, i] = _TURN_ENERGY * factors[_TURN, i]
        out[7, i] = min(_THIRD_ENERGY * factors[_THIRD, i], 1.0)
        out[8, i] = _ARM_HZ * factors[_RATE, i] * _SLOWER[what]
        out[9, i] = min(max(moved, _PERIODIC[what]), _MOST_SHARE)
        out[10, i] = still + shaking
        out[11, i] = np.sqrt((still * rest_hz**2 + shaking * _VIBRATION_HZ**2) / (still + shaking))
        out[12, i] = _ROLL_AWAKE * roll + factors[_LIFT, i] + _ROLL_SEATED if awake else roll + _ROLL_LYING
