"""Movement: what the wearer's arm does in each minute; the few quantities from which every feature of motion follows.

A minute of wrist acceleration is a sum of three independent parts, each with a variance, a rhythm and a share of the
minute in which it acts:

- gait: steps, and the swing of the arm at half their rate, while walking;
- arm: gestures in bursts, which turn gravity between the axes more than they shake the wrist;
- rest: tremor, pulse and breath, always there, and what a road or an engine adds.

How hard, how often and how fast the hands move, how the forearm lies and how the strap sits persist: activity counts
of the wrist fluctuate without a scale of their own from minutes to a day [1], so each quantity is a sum of octaves,
noise on grids of 16 minutes to 11 days, with something constant for the person and a little that is new in each
minute. ``motion`` turns a minute into features in closed form; ``reference.acceleration`` plays it as three axes.

[1] Hu, Ivanov, Chen, Hilton, Stanley & Shea, "Non-random fluctuations and multi-scale dynamics regulation of human
    activity", Physica A 337 (2004) 307, doi:10.1016/j.physa.2004.01.042.
"""

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.noise import NORMALS_PER_WORD, Floats, Key, bits, compiled, lane_key, quantile_normal
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
_ARM_G: Final = 0.078  # g, magnitude SD at arm motion 1 (chores): seated median 0.029 (norm accsd_seated_median)
_ARM_POWER: Final = 0.68  # of arm motion: a task's energy varies less than its amount of movement; judgement
_ARM_HZ: Final = 2.6  # Hz, root mean square frequency of gestures along gravity; E4 crosses zero every 0.14 to 0.2 s
_TURN_HZ: Final = 1.5  # Hz, of the same gestures' turning of gravity, which is slower; judgement
_TURN_ENERGY: Final = 3.2  # energy across gravity over that along it, in gestures; judgement
_THIRD_ENERGY: Final = 0.45  # the same on the least moved axis; judgement
_ARM_SHARE: Final = 0.5  # share of a minute of chores in which the arm moves; judgement
_TWITCH: Final = 1.1  # energy of the small movements of an else still minute over that of rest; judgement
_TWITCH_SHARE: Final = 0.03  # share of the minute they take: 2 s; judgement
_TOSS_SHARE: Final = 0.12  # share of the minute that turning over in bed takes: 7 s; judgement
_TOSS_G: Final = 0.10  # g, magnitude SD of a minute of night at arm motion 1; judgement
_ROLL_AWAKE: Final = 0.65  # factor on how far the forearm rolls over, awake against asleep; judgement
_ROLL_SEATED, _ROLL_LYING = 0.2, 0.1  # rad, usual roll; arm tilt of E4 seated -0.06
TASK_MINUTES: Final = 6.0  # min over which what the hands do at a task evens out; judgement

_FIRST_LANE: Final = 300  # noise sequences of movement under a person's key, from here on, in the order of _DRIFT
_VIGOUR, _SHARE, _RATE, _TURN, _THIRD, _TREMOR, _TONE, _ROLL, _SWAY, _AIR = range(10)
_OCTAVES: Final = np.array([16, 64, 256, 1024, 4096, 16384], dtype=np.int64)  # min between knots of a drift
_GRID_MINUTES: Final = 8  # drifts are summed on this grid and run straight between
_BLEND: Final = np.cos(np.linspace(0.0, 0.5 * np.pi, 1025)).astype(np.float32)  # with sines keeps the variance between
_FOREVER: Final = np.uint64(2**62)  # counter of what never changes
_PHASES: Final = np.uint64(2**61)  # counters of where a lane's grids begin
_FRESH: Final = 20  # lanes after the first: where what is new each minute comes from

_DRIFT: Final = np.array(
    # SD of the part that is new each minute, by octave (16 min, 1 h, 4 h, 17 h, 3 d, 11 d), and of the person's own.
    # All judgement, so that five-hour windows of each feature err as LSM-1's Table 3(a) does on average.
    [
        [0.26, 0.16, 0.22, 0.26, 0.28, 0.22, 0.16, 0.24],  # ln(g): how hard the hands move
        [0.08, 0.06, 0.12, 0.20, 0.26, 0.24, 0.18, 0.26],  # ln: share of the minute in which they do
        [0.06, 0.04, 0.06, 0.08, 0.10, 0.10, 0.10, 0.14],  # ln(Hz): how fast
        [0.10, 0.08, 0.12, 0.18, 0.20, 0.18, 0.14, 0.20],  # ln: how much they turn gravity
        [0.14, 0.10, 0.14, 0.18, 0.20, 0.18, 0.14, 0.20],  # ln: how flat they move
        [0.08, 0.06, 0.10, 0.14, 0.16, 0.16, 0.14, 0.18],  # ln(g): tremor and pulse, how tight the strap is
        [0.03, 0.02, 0.04, 0.06, 0.07, 0.08, 0.08, 0.10],  # ln(Hz): their rhythm
        [0.05, 0.12, 0.22, 0.28, 0.22, 0.12, 0.12, 0.20],  # rad: how far the forearm is rolled over
        [0.05, 0.05, 0.08, 0.10, 0.08, 0.06, 0.06, 0.10],  # ln(g): gait; what the hand carries
        [0.10, 0.12, 0.20, 0.35, 0.45, 0.45, 0.30, 0.35],  # ln(hPa): wind, doors and ventilation
    ]
)
_N_LANES: Final = len(_DRIFT)


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
    drift = np.empty((_N_LANES - 1, n), dtype=np.float32)
    _drift(key, _FIRST_LANE, _DRIFT[:_AIR], first_minute, drift)
    factors: Singles = np.exp(drift)  # in single precision NumPy's is many times as fast as a compiled loop's
    factors[_ROLL] = drift[_ROLL]  # an angle already
    out = np.empty((_ROWS, n), dtype=np.float32)
    _move(routine.stage, routine.activity, routine.cadence, routine.arm_motion, lead_in, factors, out)
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
    slow = np.empty((lanes, knots), dtype=np.float32)
    for lane in range(lanes):
        own = lane_key(key, first_lane + lane)
        slow[lane] = sds[lane, 7] * quantile_normal(bits(own, _FOREVER), 0)
        for octave in range(6):
            spacing = _OCTAVES[octave]
            apart = lane_key(own, octave)
            at = first_knot * _GRID_MINUTES + np.int64(bits(apart, _PHASES) % np.uint64(spacing))
            cell = at // spacing
            sd = np.float32(sds[lane, octave + 1])
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
                slow[lane, k] += _BLEND[turn] * here + _BLEND[_BLEND.size - 1 - turn] * following
                place += _GRID_MINUTES
    fresh = lane_key(key, first_lane + _FRESH)
    words = (lanes + NORMALS_PER_WORD - 1) // NORMALS_PER_WORD
    for i in range(n):
        minute = first_minute + i
        k = minute // _GRID_MINUTES - first_knot
        share = np.float32(minute % _GRID_MINUTES) * np.float32(1.0 / _GRID_MINUTES)
        for w in range(words):
            word = bits(fresh, np.uint64(minute * words + w))
            for place in range(min(NORMALS_PER_WORD, lanes - w * NORMALS_PER_WORD)):
                lane = w * NORMALS_PER_WORD + place
                level = slow[lane, k] + share * (slow[lane, k + 1] - slow[lane, k])
                out[lane, i] = level + np.float32(sds[lane, 0]) * quantile_normal(word, place)


_RUNNING: Final = int(Activity.RUNNING)
_AWAKE: Final = int(Stage.AWAKE)


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
def _gestures(awake: bool, arm_motion: float, level: float, vigour: float, share: float) -> tuple[float, float]:
    """Energy of the arm's own movement, g^2, and the share of the minute that it takes."""
    if awake:
        shaken = _ARM_G * level**_ARM_POWER * vigour
        return shaken * shaken, _ARM_SHARE * np.sqrt(level) * share + _TWITCH_SHARE
    shaken = _TOSS_G * arm_motion * vigour  # a sleeper turns over now and then, and twitches
    return shaken * shaken, _TOSS_SHARE * share


@compiled
def _move(
    stage: Codes, activity: Codes, cadence: Singles, arm_motion: Singles, lead_in: int, factors: Singles, out: Singles
) -> None:
    """Fill ``out``, the rows of ``Movement``; a task's level is followed from the lead-in on."""
    level = float(arm_motion[0])
    for j in range(stage.size):
        if j > 0 and activity[j] != activity[j - 1]:
            level = float(arm_motion[j])
        level += (arm_motion[j] - level) / TASK_MINUTES
        i = j - lead_in
        if i < 0:
            continue
        what, awake, share = activity[j], stage[j] == _AWAKE, factors[_SHARE, i]
        steps = np.floor(cadence[j] + 0.5)
        pace, walked, gait = _gait(steps, what == _RUNNING)
        tremor = _REST_G * factors[_TREMOR, i] * (_AWAKE_TONE if awake else 1.0)
        still = tremor * tremor
        arm, moved = _gestures(awake, arm_motion[j], level, factors[_VIGOUR, i], share)
        if arm < _TWITCH * still * share:
            arm, moved = _TWITCH * still * share, max(moved, _TWITCH_SHARE) if awake else _TWITCH_SHARE * share
        shaking = _VIBRATION_G[what] * _VIBRATION_G[what] * factors[_SWAY, i]
        rest_hz = _REST_HZ * factors[_TONE, i]
        out[0, i] = steps
        out[1, i] = pace
        out[2, i] = walked
        out[3, i] = gait * factors[_SWAY, i] * factors[_SWAY, i]
        out[4, i] = _RUN_SWING if what == _RUNNING else _WALK_SWING
        out[5, i] = arm
        out[6, i] = _TURN_ENERGY * factors[_TURN, i]
        out[7, i] = min(_THIRD_ENERGY * factors[_THIRD, i], 1.0)
        out[8, i] = _ARM_HZ * factors[_RATE, i] * _SLOWER[what]
        out[9, i] = min(max(moved, _PERIODIC[what]), 0.95)
        out[10, i] = still + shaking
        out[11, i] = np.sqrt((still * rest_hz**2 + shaking * _VIBRATION_HZ**2) / (still + shaking))
        out[12, i] = factors[_ROLL, i] * (_ROLL_AWAKE if awake else 1.0) + (_ROLL_SEATED if awake else _ROLL_LYING)
