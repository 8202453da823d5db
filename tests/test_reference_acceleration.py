"""The raw acceleration path: its features are LSM-1's definitions, and the fast minute features follow them."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from simulator.motion import FEATURES
from simulator.movement import Movement, move
from simulator.noise import Floats, time_key
from simulator.reference.acceleration import accelerate, lsm1_features, wrist_acceleration
from simulator.routine import Activity, Routine, Stage
from tests.bodies import LEAD_IN, PERSON, features_of, quiet_day, with_sensor_noise

PEOPLE = 4
NOISE_G = 0.003  # g, of one axis: simulator.vendors
HALF_HOURS = (  # activity, stage, cadence (steps/min), arm movement; what a day may hold, half an hour of each
    (Activity.REST, Stage.LIGHT, 0, 0.004),
    (Activity.REST, Stage.AWAKE, 0, 0.13),
    (Activity.DESK, Stage.AWAKE, 0, 0.34),
    (Activity.CHORES, Stage.AWAKE, 15, 1.0),
    (Activity.WALKING, Stage.AWAKE, 104, 0.25),
    (Activity.RUNNING, Stage.AWAKE, 160, 0.45),
    (Activity.SWIMMING, Stage.AWAKE, 8, 2.2),
    (Activity.BIKING, Stage.AWAKE, 5, 0.55),
    (Activity.VEHICLE, Stage.AWAKE, 0, 0.22),
    (Activity.ELLIPTICAL, Stage.AWAKE, 120, 0.7),
)
MINUTES = 30 * len(HALF_HOURS)

# Least correlation of fast and raw minutes, and the most by which their medians may lie apart in any half hour, as a
# mean over people, in standard deviations of the raw feature; 4 people x 300 minutes of ten activities with sensor
# noise. Measured: correlations .98 .98 1.0 .99 .99 .87 .98 .97 .95 .98, as high as between two plays of the same
# minutes (zero_crossing_sd .86, arm_tilt .96, kurtosis .93); medians apart by .30 .61 .01 .17 .15 .30 .15 .22 .15 .19,
# most in running and swimming (whose strokes the raw counter of peaks takes for steps). Standard errors over people:
# .003 to .006 of a correlation, but .05 of zero_crossing_sd's; .03 of the steps' distance and .37 of the tilt's.
HELD = {
    "jerk_ratio": (0.96, 0.35),
    "steps": (0.97, 0.7),
    "log_energy": (0.995, 0.03),
    "covariance_condition": (0.96, 0.5),
    "log_energy_ratio": (0.97, 0.35),
    "zero_crossing_sd": (0.83, 0.7),
    "zero_crossing_mean": (0.93, 0.35),
    "arm_tilt": (0.95, 0.4),
    "kurtosis": (0.93, 0.4),
    "sleep_coefficient": (0.97, 0.45),
}


def mixed_day() -> Routine:
    quiet = quiet_day()
    n = quiet.stage.size
    at = np.clip((np.arange(n) - LEAD_IN) // 30, 0, len(HALF_HOURS) - 1)
    activity, stage, cadence, arm = (np.array(column)[at] for column in zip(*HALF_HOURS, strict=True))
    turns = (stage == Stage.LIGHT) & (np.arange(n) % 9 == 0)
    return replace(
        quiet,
        activity=activity.astype(np.uint8),
        stage=stage.astype(np.uint8),
        cadence=cadence.astype(np.float32),
        arm_motion=(arm + 0.3 * turns).astype(np.float32),
    )


@cache
def fast_and_raw() -> tuple[dict[str, Floats], dict[str, Floats]]:
    routine = mixed_day()
    fast: dict[str, list[Floats]] = {name: [] for name in FEATURES}
    raw: dict[str, list[Floats]] = {name: [] for name in FEATURES}
    for index in range(PEOPLE):
        person = replace(PERSON, index=index)
        features, motion_g = features_of(routine, time_key(person.seed, person.index, "body"), 0)
        noisy = with_sensor_noise(features, motion_g, NOISE_G)
        seen = lsm1_features(wrist_acceleration(person, routine, 0, range(MINUTES), noise_g=NOISE_G))
        for name in FEATURES:
            fast[name].append(noisy[name][:MINUTES].astype(np.float64))
            raw[name].append(seen[name])
    pooled = [{name: np.array(rows) for name, rows in found.items()} for found in (fast, raw)]
    return pooled[0], pooled[1]


@pytest.mark.parametrize("name", FEATURES)
def test_fast_features_follow_the_raw_ones(name: str) -> None:
    correlation, most = HELD[name]
    fast, raw = (found[name] for found in fast_and_raw())
    assert np.corrcoef(fast.ravel(), raw.ravel())[0, 1] > correlation
    for half_hour, what in enumerate(HALF_HOURS):
        at = slice(30 * half_hour, 30 * half_hour + 30)
        apart = abs((np.median(fast[:, at], axis=1) - np.median(raw[:, at], axis=1)).mean()) / raw.std()
        assert apart < most, what


def test_a_sine_has_the_features_of_a_sine() -> None:
    seconds = np.arange(5 * 60 * 25) / 25.0
    shake = 0.1 * np.sin(2.0 * np.pi * 2.0 * seconds + 0.3)
    small = 1e-3 * np.random.default_rng(1).standard_normal((3, seconds.size))
    found = {
        name: values[1:-1]
        for name, values in lsm1_features(np.stack([0 * shake, 0 * shake, 1.0 + shake]) + small).items()
    }
    np.testing.assert_allclose(found["zero_crossing_mean"], 0.25, rtol=0.01)
    np.testing.assert_allclose(found["zero_crossing_sd"], 0.0, atol=0.03)
    np.testing.assert_allclose(found["jerk_ratio"], np.log(np.cos(2.0 * np.pi * 2.0 / 25.0)), atol=0.01)
    np.testing.assert_allclose(found["log_energy"], np.log(1500 * 0.005), atol=0.05)
    np.testing.assert_allclose(found["log_energy_ratio"], 0.0, atol=0.1)
    np.testing.assert_allclose(found["kurtosis"], 1.5, atol=0.02)
    np.testing.assert_allclose(found["arm_tilt"], 0.0, atol=0.01)
    np.testing.assert_allclose(found["steps"], 120.0, atol=1.0)
    assert (found["sleep_coefficient"] == 4.0).all()  # 0.2 g is 4.5 bins above 0.03


def test_features_scale_and_turn_as_their_definitions_say() -> None:
    rng = np.random.default_rng(4)
    far = np.array([[0.0], [0.0], [1e3]])  # so far from zero that the magnitude is the third axis
    shaken = np.cumsum(rng.standard_normal((3, 6000)), axis=1) * [[0.01], [0.03], [0.02]]
    turn, _ = np.linalg.qr(rng.standard_normal((3, 3)))
    once, more, turned = (lsm1_features(path) for path in (far + shaken, far + 3.0 * shaken, turn @ (far + shaken)))
    np.testing.assert_allclose(more["log_energy"] - once["log_energy"], 2.0 * np.log(3.0), atol=0.02)
    for name in ("jerk_ratio", "covariance_condition", "log_energy_ratio", "zero_crossing_mean", "kurtosis"):
        np.testing.assert_allclose(more[name], once[name], rtol=0.02, atol=0.02, err_msg=name)
        np.testing.assert_allclose(turned[name], once[name], rtol=0.01, atol=0.01, err_msg=name)


def test_twice_the_sample_rate_tells_the_same() -> None:
    minutes = range(90, 210)
    routine = mixed_day()
    slow, fast = (
        lsm1_features(wrist_acceleration(PERSON, routine, 0, minutes, sample_hz=hertz), hertz) for hertz in (25.0, 50.0)
    )
    for name in (
        "log_energy",
        "log_energy_ratio",
        "covariance_condition",
        "arm_tilt",
        "sleep_coefficient",
        "jerk_ratio",
    ):
        apart = np.median(np.abs(fast[name] - slow[name])) / slow[name].std()
        assert apart < 0.25, name


def test_energies_of_a_minute_are_those_of_its_movement() -> None:
    """A wrist that only rests or only moves a little has the energies it is told to have, along each direction."""
    moves = Movement(*move(mixed_day(), time_key(5, 3, "body"), 0)[:, 30:120])
    still = replace(moves, roll=0 * moves.roll)
    acceleration = accelerate(still, np.random.default_rng(2))
    assert acceleration.shape == (3, 90 * 1500)
    magnitude = np.sqrt((acceleration**2).sum(axis=0)).reshape(90, 1500)
    np.testing.assert_allclose(magnitude.var(axis=1), moves.gait + moves.arm + moves.rest, rtol=0.25)
    assert abs(magnitude.mean() - 1.0) < 0.01
    asleep = Movement(*move(mixed_day(), time_key(5, 3, "body"), 0)[:, :20])
    quiet = replace(asleep, arm=0 * asleep.arm, gait=0 * asleep.gait, roll=0 * asleep.roll)
    spread = accelerate(quiet, np.random.default_rng(3)).reshape(3, 20, 1500).var(axis=2)
    np.testing.assert_allclose(spread[1], asleep.rest, rtol=0.2)


def test_a_stretch_is_its_own_bytes() -> None:
    routine = mixed_day()
    first = wrist_acceleration(PERSON, routine, 2, range(40, 45))
    assert first.tobytes() == wrist_acceleration(PERSON, routine, 2, range(40, 45)).tobytes()
    assert not np.array_equal(first, wrist_acceleration(PERSON, routine, 3, range(40, 45)))
    noisy = wrist_acceleration(PERSON, routine, 2, range(40, 45), noise_g=0.01)
    assert np.std(noisy - first) == pytest.approx(0.01, rel=0.05)


def test_what_cannot_be_played_is_refused() -> None:
    routine = mixed_day()
    for minutes in (range(0), range(0, 10, 2), range(-1, 5), range(1439, 1441)):
        with pytest.raises(ValueError, match="are not consecutive minutes of a day, 0 to 1439"):
            wrist_acceleration(PERSON, routine, 0, minutes)
    with pytest.raises(ValueError, match=r"sample_hz=20\.0 is not above 20\.0 Hz"):
        wrist_acceleration(PERSON, routine, 0, range(2), sample_hz=20.0)
    with pytest.raises(ValueError, match="100 samples are not whole minutes of 1500"):
        lsm1_features(np.zeros((3, 100)))
