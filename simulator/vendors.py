"""Vendor: a device with its sensors, its errors, and its battery and firmware habits."""

from dataclasses import dataclass

from simulator.signals import Sensor, signals_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One device as everywear models it; a new one is one value.

    Attributes:
        name: Key in dataset folders, for example "fitbit-sense-2".
        sensors: Hardware that delivers usable minute signals.
        battery_days: Rated life, days.
        charge_minutes: Empty to full, minutes.
        eda_and_temperature_in_sleep_and_exercise: False where firmware switches them off then (LSM-1 section 3.1).
        heart_rate_error_bpm: Standard deviation of a still minute's heart rate error, bpm.
        heart_rate_motion_error_bpm: Added standard deviation in strong motion, bpm.
        heart_rate_step_bpm: Quantisation of heart rate, bpm; 0 is none.
        valid_beats: Share of beats found at rest, 0 to 1; motion lowers it.
        step_count_factor: Counted over true steps.
        skin_temperature_bias_celsius: Offset of the sensor's placement.
        temperature_step_celsius: Quantisation; 0 is none.
        accelerometer_noise_g: Root mean square noise of one axis, g.
        pressure_noise_hectopascals: Noise of the pressure sensor within a minute, hPa.
        source: Where these come from.
    """

    name: str
    sensors: frozenset[Sensor]
    battery_days: float
    charge_minutes: float
    eda_and_temperature_in_sleep_and_exercise: bool = False
    heart_rate_error_bpm: float = 1.5
    heart_rate_motion_error_bpm: float = 4.0
    heart_rate_step_bpm: float = 0.0
    valid_beats: float = 0.92
    step_count_factor: float = 1.0
    skin_temperature_bias_celsius: float = 0.0
    temperature_step_celsius: float = 0.0
    accelerometer_noise_g: float = 0.003
    pressure_noise_hectopascals: float = 0.012
    source: str

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals this device can record, in canonical order."""
        return signals_of(self.sensors)
