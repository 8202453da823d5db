"""Movement: what the wearer's arm does in each minute; the few quantities from which every feature of motion follows.

A minute of wrist acceleration is a sum of three independent parts, each with a variance, a rhythm and a share of the
minute in which it acts:

- gait: steps, and the swing of the arm at half their rate, while walking;
- arm: gestures in bursts, which turn gravity between the axes more than they shake the wrist;
- rest: tremor, pulse and breath, always there.

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

from simulator.noise import Floats, Key, bits, compiled, lane_key
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
_WALK_SWING, _RUN_SWING = 1.5, 0.8  # energy of the swing across the vertical over that along it; judgement
GAIT_HARMONICS: Final = (
    0.72,
    0.22,
    0.06,
)  # of gait's energy along gravity, at 1, 2 and 3 times the step rate; judgement
SWING_SHARE: Final = 0.55  # of gait's energy across gravity that swings at half the step rate (norm zc_walk)
GAIT_THIRD: Final = 0.12  # energy of gait on the third axis over that along gravity; judgement
_ARM_G: Final = (
    0.075  # g, magnitude SD at arm motion 1 (typical chores); seated median 0.029 (norm accsd_seated_median)
)
_ARM_POWER: Final = 0.7  # of arm motion: a task's energy varies less than its amount of movement; judgement
_ARM_HZ: Final = 2.6  # Hz, root mean square frequency of gestures along gravity; E4 crosses zero every 0.14 to 0.2 s
_TURN_HZ: Final = 1.5  # Hz, of the same gestures' turning of gravity, which is slower; judgement
_TURN_ENERGY: Final = 3.2  # energy across gravity over that along it, in gestures; judgement
_THIRD_ENERGY: Final = 0.45  # the same on the least moved axis; judgement
_ARM_SHARE: Final = 0.5  # share of a minute of chores in which the arm moves; judgement
_TWITCH: Final = 1.1  # energy of the small movements of an else still minute over that of rest; judgement
_TWITCH_SHARE: Final = 0.03  # share of the minute they take: 2 s; judgement
_TOSS_SHARE: Final = 0.12  # share of the minute that turning over in bed takes: 7 s; judgement
_TOSS_G: Final = 0.10  # g, magnitude SD of a minute of night at arm motion 1; judgement
TASK_MINUTES: Final = 6.0  # min over which what the hands do at a task evens out; judgement


_FIRST_LANE: Final = 300  # noise sequences of movement under a person's key, from here on, in the order of _DRIFT
_VIGOUR, _SHARE, _RATE, _TURN, _THIRD, _TREMOR, _TONE, _ROLL, _SWAY, _AIR = range(10)
_OCTAVES: Final = np.array([16, 64, 256, 1024, 4096, 16384], dtype=np.int64)  # min between knots of a drift
_GRID_MINUTES: Final = 8  # drifts are summed on this grid and run straight between
_FOREVER: Final = np.uint64(2**62)  # counter of what never changes
_PHASES: Final = np.uint64(2**61)  # counters of where a lane's grids begin
_NORMAL_SD: Final = 37837.2  # SD of a sum of four uniform 16-bit numbers

_DRIFT: Final = np.array(
    # SD of the part that is new each minute, by octave (16 min, 1 h, 4 h, 17 h, 3 d, 11 d), and of the person's own.
    # All judgement, so that five-hour windows of each feature err as LSM-1's Table 3(a) does on average.
    [
        [0.28, 0.20, 0.28, 0.32, 0.25, 0.16, 0.14, 0.16],  # ln(g): how hard the hands move
        [0.08, 0.06, 0.15, 0.25, 0.25, 0.20, 0.16, 0.22],  # ln: share of the minute in which they do
        [0.07, 0.05, 0.08, 0.10, 0.10, 0.08, 0.08, 0.10],  # ln(Hz): how fast
        [0.12, 0.10, 0.16, 0.22, 0.20, 0.14, 0.12, 0.15],  # ln: how much they turn gravity
        [0.14, 0.10, 0.16, 0.20, 0.18, 0.14, 0.12, 0.15],  # ln: how flat they move
        [0.08, 0.06, 0.10, 0.16, 0.14, 0.14, 0.14, 0.16],  # ln(g): tremor and pulse, how tight the strap is
        [0.03, 0.02, 0.04, 0.07, 0.07, 0.07, 0.07, 0.08],  # ln(Hz): their rhythm
        [0.02, 0.08, 0.20, 0.30, 0.22, 0.12, 0.12, 0.20],  # rad: how far the forearm is rolled over
        [0.05, 0.05, 0.08, 0.10, 0.08, 0.06, 0.06, 0.10],  # ln(g): gait; what the hand carries
        [0.10, 0.12, 0.20, 0.35, 0.45, 0.45, 0.30, 0.30],  # ln(hPa): wind, doors and ventilation
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
        rest: Energy of tremor, pulse and breath, the same along every axis, g^2.
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
def _plain_normal(key: Key, counter: np.uint64) -> float:
    """A nearly normal number (bounded by 3.46, excess kurtosis -0.3) at a third of ``noise.normal_at``'s cost."""
    word = bits(key, counter)
    low = np.uint64(0xFFFF)
    total = (word & low) + ((word >> np.uint64(16)) & low) + ((word >> np.uint64(32)) & low) + (word >> np.uint64(48))
    return (float(np.int64(total)) - 131070.0) / _NORMAL_SD


@compiled
def _drift(key: Key, first_lane: int, sds: Floats, first_minute: int, out: Singles) -> None:
    """Fill ``out`` [lanes, n] with sums of octaves; the values of a minute do not depend on who asks for which."""
    lanes, n = out.shape
    first_knot = first_minute // _GRID_MINUTES
    knots = (first_minute + n - 1) // _GRID_MINUTES - first_knot + 2
    slow = np.empty(knots)
    for lane in range(lanes):
        own = lane_key(key, first_lane + lane)
        slow[:] = sds[lane, 7] * _plain_normal(own, _FOREVER)
        for octave in range(6):
            spacing = _OCTAVES[octave]
            apart = lane_key(own, octave)
            at = first_knot * _GRID_MINUTES + np.int64(bits(apart, _PHASES) % np.uint64(spacing))
            cell = at // spacing
            here = _plain_normal(apart, np.uint64(cell))
            following = _plain_normal(apart, np.uint64(cell + 1))
            place = at - cell * spacing
            for k in range(knots):
                if place >= spacing:
                    place -= spacing
                    cell += 1
                    here = following
                    following = _plain_normal(apart, np.uint64(cell + 1))
                share = place / spacing
                # the root keeps the variance the same between knots as on them
                mixed = (here + share * (following - here)) / np.sqrt(1.0 - 2.0 * share * (1.0 - share))
                slow[k] += sds[lane, octave + 1] * mixed
                place += _GRID_MINUTES
        fresh = sds[lane, 0]
        k, place = 0, first_minute - first_knot * _GRID_MINUTES
        for i in range(n):
            level = slow[k] + place * (slow[k + 1] - slow[k]) / _GRID_MINUTES
            out[lane, i] = level + fresh * _plain_normal(own, np.uint64(first_minute + i))
            place += 1
            if place == _GRID_MINUTES:
                place = 0
                k += 1


_RUNNING: Final = int(Activity.RUNNING)
_AWAKE: Final = int(Stage.AWAKE)


@compiled
def _move(
    stage: Codes, activity: Codes, cadence: Singles, arm_motion: Singles, lead_in: int, factors: Singles, out: Singles
) -> None:
    """Fill ``out``, the rows of ``Movement``; a task's level is followed from the lead-in on."""
    level = arm_motion[0]
    for j in range(1, lead_in):
        if activity[j] != activity[j - 1]:
            level = arm_motion[j]
        level += (arm_motion[j] - level) / TASK_MINUTES
    for i in range(out.shape[1]):
        j = lead_in + i
        asleep = stage[j] != _AWAKE
        if activity[j] != activity[j - 1]:
            level = arm_motion[j]
        level += (arm_motion[j] - level) / TASK_MINUTES
        vigour, share, rate = factors[_VIGOUR, i], factors[_SHARE, i], factors[_RATE, i]

        # gait: twenty steps in a minute are some seconds of walking, not a minute of it in slow motion
        steps = np.floor(cadence[j] + 0.5)
        running = activity[j] == _RUNNING
        pace = max(steps, _RUN_PACE if running else min(_SHUFFLE_PACE + 0.8 * steps, _WALK_PACE))
        walked = steps / pace
        if running:
            faster = pace / _RUN_CADENCE
            sway = _RUN_G * faster * np.sqrt(faster) * factors[_SWAY, i]
        else:
            sway = min(_WALK_G * (pace / _WALK_CADENCE) ** 2, 0.45) * factors[_SWAY, i]

        tremor = _REST_G * factors[_TREMOR, i] * (1.0 if asleep else _AWAKE_TONE)
        rest = tremor * tremor
        twitch = _TWITCH * rest * share
        if asleep:  # a sleeper turns over now and then, and twitches
            shaken = _TOSS_G * arm_motion[j] * vigour
            arm = max(shaken * shaken, twitch)
            moved = (_TOSS_SHARE if shaken * shaken > twitch else _TWITCH_SHARE) * share
        else:
            shaken = _ARM_G * level**_ARM_POWER * vigour
            arm = max(shaken * shaken, twitch)
            moved = _ARM_SHARE * np.sqrt(level) * share + _TWITCH_SHARE
        out[0, i] = steps
        out[1, i] = pace
        out[2, i] = walked
        out[3, i] = walked * sway * sway
        out[4, i] = _RUN_SWING if running else _WALK_SWING
        out[5, i] = arm
        out[6, i] = _TURN_ENERGY * factors[_TURN, i]
        out[7, i] = min(_THIRD_ENERGY * factors[_THIRD, i], 1.0)
        out[8, i] = _ARM_HZ * rate
        out[9, i] = min(moved, 0.95)
        out[10, i] = rest
        out[11, i] = _REST_HZ * factors[_TONE, i]
        out[12, i] = factors[_ROLL, i] * (1.0 if asleep else 0.65) + (0.1 if asleep else 0.2)
