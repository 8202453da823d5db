"""A person and a day made by hand, so that tests of the body do not depend on how people are drawn or live."""

from dataclasses import replace
from typing import Any

import numpy as np

from simulator.motion import FEATURES, accelerometer, add_sensor_noise
from simulator.movement import Singles
from simulator.noise import Key
from simulator.population import Person
from simulator.routine import Activity, Routine, Stage
from simulator.signals import MINUTES_PER_DAY

LEAD_IN = 180  # minutes
PERSON = Person(
    seed=5,
    index=3,
    age_years=40.0,
    sex="female",
    height_cm=165.0,
    bmi_kg_m2=25.0,
    vo2max_ml_kg_min=33.0,
    resting_hr_bpm=64.0,
    max_hr_bpm=180.0,
    rmssd_night_ms=36.0,
    scl_level_microsiemens=0.7,
    skin_temperature_offset_celsius=0.0,
    hypertension=False,
    anxiety=False,
    mid_sleep_free_days_hours=3.7,
    sleep_need_minutes=450.0,
    works=True,
    work_start_hours=9.0,
    activity_level=1.0,
    exercise_per_week=2.0,
    favourite_activity="running",
    worn_nights=0.9,
    off_wrist_per_day=0.5,
    charging_habit="evening",
)


def quiet_day(**changed: Any) -> Routine:
    """Awake and seated for 27 hours, indoors; ``changed`` replaces whole arrays of the routine."""
    n = LEAD_IN + MINUTES_PER_DAY
    zeros = np.zeros(n, dtype=np.float32)
    no = np.zeros(n, dtype=np.bool_)
    return replace(
        Routine(
            lead_in_minutes=LEAD_IN,
            stage=np.full(n, Stage.AWAKE, dtype=np.uint8),
            activity=np.full(n, Activity.DESK, dtype=np.uint8),
            intensity=zeros,
            cadence=zeros,
            arm_motion=np.full(n, 0.3, dtype=np.float32),
            upright=zeros,
            climb=zeros,
            pressure_noise=zeros,
            arousal=zeros,
            ambient_celsius=np.full(n, 22.0, dtype=np.float32),
            water=no,
            exercising=no,
            digesting=zeros,
            alcohol=zeros,
            alcohol_arousal=zeros,
            fever=zeros,
            events=(),
        ),
        **changed,
    )


def full_day() -> Routine:
    """Asleep until 7, a desk until 17, a run of 40 minutes, an evening at home, asleep again from 23 o'clock."""
    quiet = quiet_day()
    n = quiet.stage.size
    minute = np.arange(n) - LEAD_IN
    asleep = (minute >= -60) & (minute < 420) | (minute >= 1380)
    cycle = np.array([Stage.LIGHT, Stage.DEEP, Stage.LIGHT, Stage.REM], dtype=np.uint8)
    stage = np.where(asleep, cycle[minute // 25 % 4], np.uint8(Stage.AWAKE)).astype(np.uint8)
    running = (minute >= 1020) & (minute < 1060)
    walking = (minute >= 720) & (minute < 740)
    floats = {
        "intensity": 0.7 * running + 0.28 * walking,
        "cadence": 160.0 * running + 105.0 * walking,
        "arm_motion": np.where(asleep, 0.0, 0.3) + 0.2 * running,
        "upright": 1.0 * (running | walking),
        "arousal": 0.3 * ~asleep,
        "ambient_celsius": np.where(asleep, 28.5, 22.0),
        "climb": np.where(walking, 1.5, 0.0),
    }
    activity = np.where(running, Activity.RUNNING, np.where(walking, Activity.WALKING, Activity.DESK))
    return replace(
        quiet,
        stage=stage,
        activity=np.where(asleep, Activity.REST, activity).astype(np.uint8),
        exercising=running,
        **{name: values.astype(np.float32) for name, values in floats.items()},
    )


def features_of(routine: Routine, key: Key, first_minute: int) -> tuple[dict[str, Singles], Singles]:
    """The accelerometer's features of a day by name, and the SD of the wrist's acceleration magnitude, g."""
    rows = np.empty((len(FEATURES), MINUTES_PER_DAY), dtype=np.float32)
    motion_g = accelerometer(routine, key, first_minute, rows)
    return dict(zip(FEATURES, rows, strict=True)), motion_g


def with_sensor_noise(features: dict[str, Singles], motion_g: Singles, noise_g: float) -> dict[str, Singles]:
    """The same features as a noisy accelerometer reports them."""
    rows = np.stack([features[name] for name in FEATURES])
    add_sensor_noise(rows, motion_g, noise_g)
    return dict(zip(FEATURES, rows, strict=True))
