"""The 26 minute signals, once: name, unit, physical range, sensor, definition.

Order, names' meaning, units and definitions follow Table 18 of LSM-1 [1]; everybody else indexes by name
(``INDEX["heart_rate"]``), so that no other file knows that order. Ranges are what a signal may physically take
on a living, clothed person; a simulated value outside is a defect, an imported one is left unobserved.

[1] Narayanswamy, Liu et al., "Scaling Wearable Foundation Models", ICLR 2025, arXiv:2410.13638, Table 18.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

MINUTES_PER_DAY: Final = 1440


class Sensor(StrEnum):
    """A piece of hardware; a vendor either has it or not."""

    PPG = "PPG"
    ACC = "ACC"
    EDA = "EDA"
    TEMP = "TEMP"
    ALT = "ALT"


@dataclass(frozen=True, slots=True)
class Signal:
    """One minute-level signal.

    Attributes:
        name: The key used everywhere.
        unit: Unit of the stored value.
        low: Smallest physically possible value, in ``unit``.
        high: Largest physically possible value, in ``unit``.
        sensor: The hardware it comes from.
        definition: How a minute's value comes about ([1], Table 18 and section 3.1).
    """

    name: str
    unit: str
    low: float
    high: float
    sensor: Sensor
    definition: str


_PPG, _ACC = Sensor.PPG, Sensor.ACC

SIGNALS: Final[tuple[Signal, ...]] = (
    Signal("heart_rate", "bpm", 25.0, 240.0, _PPG, "Mean of instantaneous heart rate over the minute."),
    Signal("rr_valid", "%", 0.0, 100.0, _PPG, "Share of the trailing 5 minutes covered by valid RR intervals."),
    Signal("rr_p80", "ms", 250.0, 2400.0, _PPG, "80th percentile of RR intervals over 5 minutes."),
    Signal("rr_p20", "ms", 250.0, 2400.0, _PPG, "20th percentile of RR intervals over 5 minutes."),
    Signal("rr_median", "ms", 250.0, 2400.0, _PPG, "Median RR interval over 5 minutes."),
    Signal("rr_mean", "ms", 250.0, 2400.0, _PPG, "Mean RR interval over 5 minutes."),
    Signal("rr_entropy", "nats", 0.0, 6.0, _PPG, "Shannon entropy of RR intervals in 8 ms bins over 5 minutes."),
    Signal("rr_diff_entropy", "nats", 0.0, 6.0, _PPG, "Shannon entropy of successive RR differences in 8 ms bins."),
    Signal("pnn30", "%", 0.0, 100.0, _PPG, "Share of successive RR intervals that change by more than 30 ms."),
    Signal("rmssd", "ms", 0.0, 500.0, _PPG, "Root mean square of successive RR differences over 5 minutes."),
    Signal("sdnn", "ms", 0.0, 500.0, _PPG, "Standard deviation of RR intervals over 5 minutes."),
    Signal("on_wrist", "boolean", 0.0, 1.0, _PPG, "0 if the optical sensor was off the wrist within a 30 s window."),
    Signal("jerk_ratio", "a.u.", -8.0, 0.0, _ACC, "Log of lag-1 autocorrelation over energy of the 1st component."),
    Signal("steps", "steps", 0.0, 240.0, _ACC, "Number of steps in the minute."),
    Signal("log_energy", "a.u.", -16.0, 12.0, _ACC, "Log of summed squared high-passed 3-axis magnitude (g^2)."),
    Signal("covariance_condition", "a.u.", 0.0, 12.0, _ACC, "Log condition number of the 3-axis covariance matrix."),
    Signal("log_energy_ratio", "a.u.", -4.0, 6.0, _ACC, "Log of 1st component's energy over magnitude's energy."),
    Signal("zero_crossing_sd", "s", 0.0, 30.0, _ACC, "Spread of time between zero crossings of the 1st component."),
    Signal("zero_crossing_mean", "s", 0.0, 30.0, _ACC, "Mean time between zero crossings of the 1st component."),
    Signal("arm_tilt", "a.u.", -8.0, 1.0, _ACC, "Log of root mean square of the X and Z axes (g)."),
    Signal("kurtosis", "a.u.", 1.0, 1500.0, _ACC, "Kurtosis of band-passed 3-axis magnitude."),
    Signal("sleep_coefficient", "a.u.", 0.0, 15.0, _ACC, "Summed 3-axis max-min range in 16 log-scaled bins."),
    Signal("scl", "uS", 0.0, 60.0, Sensor.EDA, "Tonic skin conductance: centre of the minute's linear fit."),
    Signal("scl_slope", "uS/min", -10.0, 10.0, Sensor.EDA, "Slope of the minute's linear fit to tonic conductance."),
    Signal("skin_temperature", "degC", 15.0, 42.0, Sensor.TEMP, "Mean temperature at the wrist-facing surface."),
    Signal("altimeter_sd", "hPa", 0.0, 20.0, Sensor.ALT, "Standard deviation of pressure readings in the minute."),
)

NAMES: Final[tuple[str, ...]] = tuple(signal.name for signal in SIGNALS)
INDEX: Final[dict[str, int]] = {name: i for i, name in enumerate(NAMES)}
N_SIGNALS: Final = len(SIGNALS)

RR_STATISTICS: Final[tuple[str, ...]] = NAMES[1:11]
"""The ten statistics of RR intervals over a sliding five-minute window."""


def signals_of(sensors: frozenset[Sensor]) -> tuple[str, ...]:
    """Names of the signals that a device with these sensors can record, in canonical order.

    >>> signals_of(frozenset({Sensor.TEMP, Sensor.ALT}))
    ('skin_temperature', 'altimeter_sd')
    """
    return tuple(signal.name for signal in SIGNALS if signal.sensor in sensors)
