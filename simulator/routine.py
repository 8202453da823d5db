"""Routine: what a person does, minute by minute; sleep, work, exercise, walks, moods."""

from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from numpy.typing import NDArray

from simulator.recording import Event


class Stage(IntEnum):
    """Sleep stage of a minute."""

    AWAKE = 0
    LIGHT = 1
    DEEP = 2
    REM = 3


class Activity(IntEnum):
    """What the body does in a minute; the first eight exercise classes are LSM-1's."""

    REST = 0  # lying or sitting quietly
    DESK = 1  # seated, hands busy
    CHORES = 2  # on the feet, irregular arm movement
    VEHICLE = 3
    STAIRS = 4
    WALKING = 5
    RUNNING = 6
    BIKING = 7
    SWIMMING = 8
    ELLIPTICAL = 9
    HIIT = 10
    STRENGTH = 11
    WEIGHTLIFTING = 12


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
    events: tuple[Event, ...]
