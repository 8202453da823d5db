"""Devices: ``VENDORS`` maps a device's key to its facts; a new device is one more value.

Sensors, battery and charging follow the makers' specifications and the reviews named in ``source``; error sizes are
orders of magnitude from wrist-PPG and accelerometer validation studies, and differ between makers so that a model
trained on one meets another. Dates of firmware are the makers', what it changed is judgement.
"""

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Final

from simulator.signals import Sensor
from simulator.vendor import Lingering, Update, Vendor

__all__ = ["VENDORS", "Vendor"]

_PPG, _ACC, _EDA, _TEMP, _ALT = Sensor.PPG, Sensor.ACC, Sensor.EDA, Sensor.TEMP, Sensor.ALT
_ERRORS: Final = "error sizes: judgement after wrist-PPG validation studies"

_DEVICES: Final[tuple[Vendor, ...]] = (
    Vendor(
        name="fitbit-sense-2",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP, _ALT}),  # LSM-1 section 3.1
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        display_on_days=3.0,  # days, maker's rating, recalled
        positioning_hours=12.0,  # h, maker's rating, recalled
        heart_rate_lingers=0.01,  # share, judgement
        source=f"LSM-1 section 3.1 and Table 18 (arXiv:2410.13638); Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="pixel-watch-2",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP, _ALT}),  # LSM-1 section 3.1
        battery_days=1.0,  # days with always-on display, Mezha Media Oct 2023
        charge_minutes=75.0,  # min, maker's rating; 30 min give 12 h (Mezha Media)
        display_off_days=1.5,  # days, judgement: it is rated with the display on
        positioning_hours=7.0,  # h, judgement
        power_saving_below=0.15,  # share, Battery Saver of Wear OS, recalled
        heart_rate_error_bpm=1.3,  # bpm, multi-path PPG: judgement
        valid_beats=0.94,  # share, judgement
        skin_temperature_bias_celsius=0.3,  # degC, judgement: thicker, warmer case
        heart_rate_lingers=0.01,  # share, judgement
        skin_tone_error=0.03,  # share a type, judgement: several paths of light
        updates=(
            Update(
                since=date(2024, 9, 5),  # Wear OS 5, recalled
                changes={"heart_rate_motion_error_bpm": 3.6},  # bpm, judgement
                source="Google release notes for the date; size: judgement",
            ),
        ),
        source=f"LSM-1 section 3.1 and Table 18; Mezha Media and 9to5Google Oct 2023; {_ERRORS}",
    ),
    Vendor(
        name="pixel-watch-3",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP, _ALT}),  # maker's specification
        battery_days=1.25,  # days, maker's rating
        charge_minutes=70.0,  # min, maker's rating
        display_off_days=1.5,  # days, 36 h, maker's Battery Saver apart: judgement
        positioning_hours=8.0,  # h, judgement
        power_saving_below=0.15,  # share, Battery Saver of Wear OS, recalled
        heart_rate_error_bpm=1.3,  # bpm, as Pixel Watch 2
        valid_beats=0.94,  # share, as Pixel Watch 2
        skin_temperature_bias_celsius=0.3,  # degC, as Pixel Watch 2
        heart_rate_lingers=0.01,  # share, judgement
        skin_tone_error=0.03,  # share a type, as Pixel Watch 2
        source=f"Google specification; {_ERRORS}",
    ),
    Vendor(
        name="pixel-watch-1",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification: no continuous EDA, no temperature
        battery_days=1.0,  # days, maker's rating
        charge_minutes=80.0,  # min, maker's rating
        display_on_days=0.8,  # days, maker's rating, recalled
        display_off_days=1.2,  # days, judgement after reviews of 26 h (Mobile Syrup 2022)
        positioning_hours=5.0,  # h, judgement
        power_saving_below=0.15,  # share, Battery Saver of Wear OS, recalled
        heart_rate_lingers=0.01,  # share, judgement
        source=f"Google specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-sense-1",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # EDA by spot scan only (LifeSnaps, Yfantidou et al. 2022)
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        display_on_days=2.5,  # days, maker's rating, recalled
        positioning_hours=12.0,  # h, maker's rating, recalled
        temperature_only_in_sleep=True,  # LifeSnaps: reported for the night
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        heart_rate_lingers=0.02,  # share, judgement
        source=f"LifeSnaps (Yfantidou et al. 2022); Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-versa-4",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        display_on_days=3.0,  # days, maker's rating, recalled
        positioning_hours=12.0,  # h, maker's rating, recalled
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        heart_rate_lingers=0.02,  # share, judgement
        source=f"Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-charge-6",
        sensors=frozenset({_PPG, _ACC}),  # EDA by spot scan only, no altimeter
        battery_days=7.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        display_on_days=2.5,  # days, maker's rating, recalled
        positioning_hours=5.0,  # h, maker's rating, recalled
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        heart_rate_lingers=0.02,  # share, judgement
        updates=(
            Update(
                since=date(2024, 8, 1),  # recalled
                changes={"heart_rate_error_bpm": 1.4, "step_count_factor": 0.99},  # bpm and ratio, judgement
                source="Fitbit release notes for the date; sizes: judgement",
            ),
        ),
        source=f"Fitbit specification; DC Rainmaker; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-charge-5",
        sensors=frozenset({_PPG, _ACC}),  # EDA by spot scan only, no altimeter
        battery_days=7.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        display_on_days=2.0,  # days, maker's rating, recalled
        positioning_hours=5.0,  # h, maker's rating, recalled
        heart_rate_error_bpm=1.8,  # bpm, judgement: narrow band
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        heart_rate_lingers=0.03,  # share, judgement: wearers report readings of a band on a table
        source=f"Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="fitbit-inspire-3",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=10.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        display_on_days=3.0,  # days, maker's rating, recalled
        heart_rate_error_bpm=2.0,  # bpm, judgement: small sensor
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        valid_beats=0.88,  # share, judgement
        beats_awake=False,  # heart rate variability of the night only (LifeSnaps data types)
        heart_rate_lingers=0.03,  # share, judgement
        source=f"Fitbit specification; {_ERRORS}",
    ),
    Vendor(
        name="apple-watch-9",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # maker's specification
        battery_days=0.75,  # days: 18 h, Geometric Goods
        charge_minutes=75.0,  # min, Geometric Goods
        display_off_days=1.25,  # days, judgement: it is rated with the display on
        positioning_hours=7.0,  # h, maker's rating, recalled
        power_saving_below=0.10,  # share, at which Low Power Mode is offered, recalled; it stops background readings
        coldest_celsius=0.0,  # degC, maker's specification
        temperature_only_in_sleep=True,  # maker's specification
        beats_interval_minutes=240,  # min, a 60 s spot reading every few hours
        heart_rate_interval_minutes=6,  # min, background reading every 5-10 min when still (Breathing Labs)
        heart_rate_interval_asleep_minutes=6,  # min, far fewer night readings than Fitbit's (Alavi et al. 2022)
        heart_rate_error_bpm=1.0,  # bpm, judgement
        heart_rate_motion_error_bpm=3.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.95,  # share, judgement
        step_count_factor=0.98,  # ratio, judgement
        skin_temperature_bias_celsius=0.4,  # degC, judgement
        updates=(
            Update(
                since=date(2024, 9, 16),  # watchOS 11, recalled
                changes={
                    "heart_rate_interval_asleep_minutes": 5,
                    "heart_rate_motion_error_bpm": 2.8,
                },  # min and bpm, judgement
                source="Apple release notes for the date; sizes: judgement",
            ),
        ),
        source=f"Geometric Goods; Breathing Labs; Alavi et al. 2022 (Nature Medicine) ext. data fig. 4; {_ERRORS}",
    ),
    Vendor(
        name="garmin-venu-3",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification
        battery_days=14.0,  # days, maker's rating
        charge_minutes=110.0,  # min, maker's rating
        display_on_days=5.0,  # days, maker's rating, recalled
        positioning_hours=26.0,  # h, maker's rating, recalled
        memory_days=14.0,  # days, judgement
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # RMSSD nightly in 5-min blocks (maker); no beat intervals by day
        beats_interval_minutes=5,  # min, the same
        heart_rate_error_bpm=1.8,  # bpm, judgement
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        step_count_factor=1.03,  # ratio, judgement
        pressure_noise_hectopascals=0.015,  # hPa, judgement
        heart_rate_lingers=0.03,  # share, judgement
        updates=(
            Update(
                since=date(2024, 5, 1),  # quarterly release, recalled
                changes={"heart_rate_motion_error_bpm": 4.5, "step_count_factor": 1.02},  # bpm and ratio, judgement
                source="Garmin's quarterly updates; sizes: judgement",
            ),
        ),
        source=f"Garmin specification; Fitrockr note on beat intervals; {_ERRORS}",
    ),
    Vendor(
        name="samsung-galaxy-watch-6",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # QQPlayer Oct 2023
        battery_days=1.5,  # days, Ghacks and Tech-Click July 2023: 30-40 h
        charge_minutes=85.0,  # min, recalled
        display_on_days=1.25,  # days, 30 h, Ghacks and Tech-Click July 2023
        display_off_days=1.67,  # days, 40 h, the same
        positioning_hours=9.0,  # h, judgement
        power_saving_below=0.15,  # share, recalled
        temperature_only_in_sleep=True,  # maker's specification
        heart_rate_error_bpm=2.0,  # bpm, judgement
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.90,  # share, judgement
        step_count_factor=1.02,  # ratio, judgement
        temperature_step_celsius=0.1,  # degC, judgement
        # share, judgement; also on the charger, so a user in AndroidAPS pull request 5008; a maintainer saw none
        heart_rate_lingers=0.08,
        lingering=Lingering.PHANTOM,
        updates=(
            Update(
                since=date(2024, 7, 10),  # One UI 6 Watch, recalled
                changes={
                    "heart_rate_error_bpm": 1.8,
                    "heart_rate_motion_error_bpm": 4.5,
                },  # bpm, judgement: a new algorithm
                source="Samsung release notes for the date; sizes: judgement",
            ),
        ),
        source=f"Ghacks and Tech-Click July 2023; QQPlayer Oct 2023; {_ERRORS}",
    ),
    Vendor(
        name="oura-ring-3",
        sensors=frozenset({_PPG, _ACC, _TEMP}),  # BioDataHQ 2026
        battery_days=5.5,  # days, BioDataHQ 2026: 4-7
        charge_minutes=75.0,  # min, BioDataHQ 2026: 60-90
        eda_and_temperature_in_sleep_and_exercise=True,  # temperature each minute, day and night
        taken_off_for_lifting=True,  # rings are gripped against the bar
        beats_awake=False,  # HRV at night in 5-min blocks
        beats_interval_minutes=5,  # min, the same
        heart_rate_interval_minutes=5,  # min, by day
        heart_rate_error_bpm=1.0,  # bpm, judgement: finger signal is clean
        heart_rate_motion_error_bpm=7.0,  # bpm, judgement
        valid_beats=0.97,  # share, judgement
        step_count_factor=1.10,  # ratio, judgement: hand movement is counted
        skin_temperature_bias_celsius=1.2,  # degC, judgement: finger is warmer
        skin_tone_error=0.02,  # share a type, judgement: infrared light on a pale side of the finger
        updates=(
            Update(
                since=date(2024, 5, 20),  # activity features, recalled
                changes={"step_count_factor": 1.05},  # ratio, judgement: fewer hand movements are counted
                source="Oura release notes for the date; size: judgement",
            ),
        ),
        source=f"BioDataHQ 2026; {_ERRORS}",
    ),
    Vendor(
        name="empatica-embraceplus",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP}),  # maker's specification
        battery_days=6.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        eda_and_temperature_in_sleep_and_exercise=True,  # research device: always on
        heart_rate_error_bpm=2.0,  # bpm, judgement
        heart_rate_motion_error_bpm=6.0,  # bpm, judgement
        valid_beats=0.80,  # share, E4 covers 77 % of beats when still (Stress-Predict, Iqbal et al. 2022)
        temperature_step_celsius=0.02,  # degC, resolution of the E4 thermopile
        beats_dropped=0.02,  # share, judgement: streamed by Bluetooth
        source=f"Empatica specification; Stress-Predict (Iqbal et al. 2022); {_ERRORS}",
    ),
    Vendor(
        name="apple-watch-ultra-2",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # maker's specification
        battery_days=1.5,  # days: 36 h, maker's rating
        charge_minutes=90.0,  # min, maker's rating
        display_off_days=2.0,  # days, judgement, as Series 9
        positioning_hours=12.0,  # h, maker's rating, recalled
        power_saving_below=0.10,  # share, as Series 9
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        temperature_only_in_sleep=True,  # maker's specification
        beats_interval_minutes=240,  # min, as Series 9
        heart_rate_interval_minutes=6,  # min, as Series 9
        heart_rate_interval_asleep_minutes=6,  # min, as Series 9
        heart_rate_error_bpm=1.0,  # bpm, judgement
        heart_rate_motion_error_bpm=3.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.95,  # share, judgement
        step_count_factor=0.98,  # ratio, judgement
        skin_temperature_bias_celsius=0.5,  # degC, judgement: a heavier case
        source=f"Apple specification; as Series 9 for sampling; {_ERRORS}",
    ),
    Vendor(
        name="garmin-forerunner-265",
        sensors=frozenset({_PPG, _ACC, _ALT}),  # maker's specification
        battery_days=13.0,  # days, maker's rating
        charge_minutes=90.0,  # min, maker's rating
        display_on_days=5.0,  # days, maker's rating, recalled
        positioning_hours=20.0,  # h, maker's rating, recalled
        memory_days=14.0,  # days, judgement
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # as Venu 3
        beats_interval_minutes=5,  # min, as Venu 3
        heart_rate_in_water=False,  # wrist heart rate can be turned off while swimming (Forerunner manual)
        heart_rate_error_bpm=1.8,  # bpm, as Venu 3
        heart_rate_motion_error_bpm=4.0,  # bpm, judgement: a light case
        heart_rate_step_bpm=1.0,  # bpm, integer export
        step_count_factor=1.03,  # ratio, as Venu 3
        pressure_noise_hectopascals=0.015,  # hPa, as Venu 3
        heart_rate_lingers=0.03,  # share, judgement
        source=f"Garmin specification and Forerunner manual; {_ERRORS}",
    ),
    Vendor(
        name="garmin-vivosmart-5",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=7.0,  # days, maker's rating
        charge_minutes=90.0,  # min, maker's rating
        memory_days=14.0,  # days, judgement
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # as Venu 3
        beats_interval_minutes=5,  # min, as Venu 3
        heart_rate_error_bpm=2.2,  # bpm, judgement: narrow band
        heart_rate_motion_error_bpm=6.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.88,  # share, judgement: small sensor
        step_count_factor=1.03,  # ratio, as Venu 3
        heart_rate_lingers=0.04,  # share, judgement
        source=f"Garmin specification; {_ERRORS}",
    ),
    Vendor(
        name="whoop-4",
        sensors=frozenset({_PPG, _ACC, _TEMP}),  # Review Solver 2026; no altimeter, no electrodes
        battery_days=4.5,  # days, Review Solver 2026: 4-5
        charge_minutes=100.0,  # min, recalled
        charges_on_wrist=True,  # a pack slides onto the strap (Review Solver 2026)
        memory_days=14.0,  # days, maker's support page: two weeks
        temperature_only_in_sleep=True,  # reported for the night, recalled
        beats_awake=False,  # variability of the night, weighted to deep sleep
        heart_rate_error_bpm=1.5,  # bpm, judgement
        heart_rate_motion_error_bpm=5.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.94,  # share, judgement: tight strap
        beats_dropped=0.04,  # share, judgement; 0.14 of one wearer's WHOOP 5 (ryanbr/noop issue 977), maybe an odd one
        source=f"Review Solver 2026; WHOOP support page on stored data; {_ERRORS}",
    ),
    Vendor(
        name="empatica-e4",
        sensors=frozenset({_PPG, _ACC, _EDA, _TEMP}),  # maker's specification; no altimeter
        battery_days=1.3,  # days, recalled
        charge_minutes=120.0,  # min, recalled
        memory_days=2.5,  # days: 60 h of recording, recalled
        eda_and_temperature_in_sleep_and_exercise=True,  # research device: always on
        heart_rate_error_bpm=3.0,  # bpm, judgement: lag-1 correlation of its heart rate is 0.69 (Stress-Predict)
        heart_rate_motion_error_bpm=9.0,  # bpm, judgement
        valid_beats=0.77,  # share, 77 % of beats when still (Stress-Predict, Iqbal et al. 2022)
        temperature_step_celsius=0.02,  # degC, resolution of the thermopile
        accelerometer_noise_g=0.006,  # g, judgement: 8-bit steps of 1/64 g
        heart_rate_lingers=0.9,  # share, judgement; a research device reports whatever its light finds
        lingering=Lingering.PHANTOM,
        beats_dropped=0.02,  # share, judgement: streamed by Bluetooth
        source=f"Empatica specification; Stress-Predict (Iqbal et al. 2022); {_ERRORS}",
    ),
    Vendor(
        name="withings-scanwatch-2",
        sensors=frozenset({_PPG, _ACC, _TEMP, _ALT}),  # maker's specification
        battery_days=30.0,  # days, maker's rating
        charge_minutes=120.0,  # min, maker's rating
        memory_days=5.0,  # days, recalled
        eda_and_temperature_in_sleep_and_exercise=True,  # temperature around the clock, recalled
        beats_awake=False,  # variability of the night only, recalled
        heart_rate_interval_minutes=10,  # min, by day; continuous in a workout
        heart_rate_error_bpm=2.0,  # bpm, judgement
        heart_rate_motion_error_bpm=6.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.90,  # share, judgement
        skin_temperature_bias_celsius=0.3,  # degC, judgement
        heart_rate_lingers=0.03,  # share, judgement
        source=f"Withings specification; {_ERRORS}",
    ),
    Vendor(
        name="polar-ignite-3",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=5.0,  # days, maker's rating
        charge_minutes=60.0,  # min, maker's rating
        display_on_days=2.0,  # days, maker's rating, recalled
        positioning_hours=30.0,  # h, maker's rating, recalled
        coldest_celsius=-20.0,  # degC, maker's specification, recalled
        beats_awake=False,  # nightly variability
        beats_sleep_minutes=240.0,  # min: the first four hours of sleep (maker)
        beats_interval_minutes=5,  # min, judgement: five-minute means
        heart_rate_error_bpm=1.6,  # bpm, judgement
        heart_rate_motion_error_bpm=4.5,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        heart_rate_lingers=0.03,  # share, judgement
        beats_dropped=0.01,  # share, judgement
        source=f"Polar specification; {_ERRORS}",
    ),
    Vendor(
        name="xiaomi-band-8",
        sensors=frozenset({_PPG, _ACC}),  # maker's specification
        battery_days=16.0,  # days, maker's rating
        charge_minutes=60.0,  # min, maker's rating
        beats_awake=False,  # judgement
        heart_rate_interval_minutes=10,  # min, one of its settings of 1 to 30
        heart_rate_interval_asleep_minutes=10,  # min, the same
        heart_rate_error_bpm=2.5,  # bpm, judgement
        heart_rate_motion_error_bpm=7.0,  # bpm, judgement
        heart_rate_step_bpm=1.0,  # bpm, integer export
        valid_beats=0.85,  # share, judgement
        step_count_factor=1.04,  # ratio, judgement
        heart_rate_lingers=0.2,  # share, judgement; so a Mi Band 2 does (miband-js issue 27)
        lingering=Lingering.PHANTOM,
        source=f"Xiaomi specification; {_ERRORS}",
    ),
    Vendor(
        name="actigraph-gt3x",
        sensors=frozenset({_ACC}),  # maker's specification: acceleration alone
        battery_days=12.0,  # days, recalled
        charge_minutes=180.0,  # min, recalled
        memory_days=60.0,  # days, judgement: read out after the study
        step_count_factor=0.95,  # ratio, judgement: slow steps at the wrist are lost
        accelerometer_noise_g=0.002,  # g, judgement
        source=f"NHANES 2011-14 (Koffman et al. 2024); ActiGraph specification; {_ERRORS}",
    ),
)

VENDORS: Final[Mapping[str, Vendor]] = MappingProxyType({vendor.name: vendor for vendor in _DEVICES})
"""Every device by its key."""
