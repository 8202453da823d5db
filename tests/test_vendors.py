"""Devices: complete, different where it matters, and refused when impossible."""

from dataclasses import FrozenInstanceError, replace
from datetime import date
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from simulator.signals import NAMES, SIGNALS, Sensor
from simulator.vendor import Update, Vendor
from simulator.vendors import VENDORS

SENSE_2 = VENDORS["fitbit-sense-2"]


def test_there_are_enough_devices_and_each_is_found_by_its_name() -> None:
    assert len(VENDORS) >= 23
    for name, vendor in VENDORS.items():
        assert vendor.name == name == name.lower()
        assert vendor.source


@pytest.mark.parametrize("sensor", [Sensor.EDA, Sensor.TEMP, Sensor.ALT])
def test_some_devices_have_the_sensor_and_some_do_not(sensor: Sensor) -> None:
    have = [sensor in vendor.sensors for vendor in VENDORS.values()]
    assert any(have)
    assert not all(have)


def test_batteries_last_from_less_than_a_day_to_more_than_a_week() -> None:
    days = [vendor.battery_days for vendor in VENDORS.values()]
    assert min(days) <= 1.0
    assert max(days) >= 10.0


def test_the_papers_two_devices_record_all_signals() -> None:
    assert SENSE_2.signals == VENDORS["pixel-watch-2"].signals == NAMES


@pytest.mark.parametrize("vendor", VENDORS.values(), ids=VENDORS)
def test_signals_are_those_of_the_sensors(vendor: Vendor) -> None:
    assert set(vendor.signals) == {signal.name for signal in SIGNALS if signal.sensor in vendor.sensors}


@pytest.mark.parametrize(
    ("field", "value", "told"),
    [
        ("battery_days", 0.0, "[0.25, 365]"),
        ("battery_days", float("nan"), "[0.25, 365]"),
        ("charge_minutes", 1e9, "[10, 600]"),
        ("heart_rate_interval_minutes", 0, "[1, 60]"),
        ("heart_rate_error_bpm", -1.0, "[0, 20]"),
        ("valid_beats", 1.01, "[0, 1]"),
        ("step_count_factor", 0.0, "[0.5, 1.5]"),
        ("accelerometer_noise_g", -0.1, "[0, 0.1]"),
        ("pressure_noise_hectopascals", float("inf"), "[0, 1]"),
        ("memory_days", 0.0, "[0.5, 365]"),
        ("power_saving_below", 0.9, "[0, 0.5]"),
        ("coldest_celsius", 40.0, "[-40, 10]"),
        ("beats_interval_minutes", 2.5, "whole number"),
        ("heart_rate_interval_asleep_minutes", 0, "[1, 60]"),
        ("beats_sleep_minutes", float("nan"), "[1, 1440]"),
        ("battery_days", "6", "not a number"),
        ("valid_beats", True, "not a number"),
        ("name", " ", "empty"),
        ("name", "Fancy Watch", "lower-case"),
        ("name", "../elsewhere", "lower-case"),
        ("source", "", "empty"),
        ("beats_dropped", 0.9, "[0, 0.5]"),
        ("heart_rate_lingers", -0.1, "[0, 1]"),
        ("skin_tone_error", float("nan"), "[0, 1]"),
        ("positioning_hours", -1.0, "[0, 200]"),
        ("display_on_days", 400.0, "[0, 365]"),
        ("display_on_days", 0.01, "neither 0 nor at least 0.25"),
        ("display_off_days", 0.249, "neither 0 nor at least 0.25"),
        ("lingering", "forever", "frozen, phantom"),
        ("charges_on_wrist", 1, "neither True nor False"),
        ("sensors", frozenset(), "non-empty"),
        ("sensors", frozenset({"PPG-ish"}), "non-empty"),
    ],
)
def test_an_impossible_device_is_refused_in_one_line_that_names_field_value_and_bound(
    field: str, value: Any, told: str
) -> None:
    with pytest.raises(ValueError, match=f"Vendor.{field}") as caught:
        replace(SENSE_2, **{field: value})
    message = str(caught.value)
    assert told in message
    assert repr(value) in message or field == "sensors"
    assert "\n" not in message


def updated(since: date = date(2024, 5, 1), source: str = "imagined", **changes: Any) -> Update:
    return Update(since=since, changes=changes, source=source)


@pytest.mark.parametrize(
    ("updates", "told"),
    [
        ([updated(sensors=frozenset({Sensor.ACC}))], "changes 'sensors' on 2024-05-01; it can "),
        ([updated(battery_days=9.0)], "changes 'battery_days'"),
        ([updated(colour="red")], "changes 'colour'"),
        ([updated(valid_beats=2.0)], r"on 2024-05-01: Vendor.valid_beats=2.0 of 'fitbit-sense-2' is not in \[0, 1\]"),
        ([updated()], "without changes or source"),
        ([updated(valid_beats=0.9, source=" ")], "without changes or source"),
        (
            [updated(valid_beats=0.9), updated(valid_beats=0.8)],
            "has 2024-05-01 after 2024-05-01, expected dates in order",
        ),
        ([updated(beats_awake="no")], "beats_awake='no' of 'fitbit-sense-2' is neither True nor False"),
        (["2024-05-01"], "expected an Update with a date"),
    ],
)
def test_an_impossible_update_is_refused_in_one_line(updates: list[Any], told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        replace(SENSE_2, updates=tuple(updates))
    assert "Vendor.updates of 'fitbit-sense-2'" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_updates_add_up_and_hold_from_their_date_on() -> None:
    first, second = updated(valid_beats=0.8, heart_rate_error_bpm=2.0), updated(date(2024, 7, 1), valid_beats=0.7)
    vendor = replace(SENSE_2, updates=(first, second))
    assert vendor.on(date(2024, 4, 30)) is vendor
    assert vendor.on(date(2024, 5, 1)) == replace(SENSE_2, valid_beats=0.8, heart_rate_error_bpm=2.0)
    assert vendor.on(date(2025, 1, 1)) == replace(SENSE_2, valid_beats=0.7, heart_rate_error_bpm=2.0)


def test_some_devices_have_had_updates_and_each_is_possible() -> None:
    with_updates = [vendor for vendor in VENDORS.values() if vendor.updates]
    assert len(with_updates) >= 3
    for vendor in with_updates:
        assert vendor.on(date(2026, 1, 1)) != replace(vendor, updates=())
        assert vendor.on(date(2026, 1, 1)).signals == vendor.signals


def test_a_device_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SENSE_2.battery_days = 3.0  # type: ignore[misc]


def test_an_update_cannot_be_changed_once_it_is_checked() -> None:
    changes = {"valid_beats": 0.8}
    update = Update(since=date(2024, 5, 1), changes=changes, source="imagined")
    vendor = replace(SENSE_2, updates=(update,))
    changes["valid_beats"] = 7.0
    with pytest.raises(TypeError):
        update.changes["valid_beats"] = 7.0  # type: ignore[index]
    assert vendor.on(date(2024, 5, 1)).valid_beats == 0.8


def test_equal_devices_have_one_hash_updates_included() -> None:
    assert len({*VENDORS.values(), *(replace(vendor) for vendor in VENDORS.values())}) == len(VENDORS)
    one, other = ({"valid_beats": 0.8, "beats_awake": False}, {"beats_awake": False, "valid_beats": 0.8})
    updates = [Update(since=date(2024, 5, 1), changes=changes, source="imagined") for changes in (one, other)]
    assert len({replace(SENSE_2, updates=(update,)) for update in updates}) == 1


REFERENCE = Path(__file__).parents[1] / "../shared/reference/vendors.csv"


def test_every_device_of_the_reference_is_there_with_its_sensors_and_battery() -> None:
    if not REFERENCE.exists():
        pytest.skip("the reference of devices is not here")
    told = pd.read_csv(REFERENCE)
    assert set(OF_THE_REFERENCE) == set(told["device"])
    for row in told.itertuples():
        vendor = VENDORS[OF_THE_REFERENCE[str(row.device)]]
        sensors = {Sensor(name) for name in str(row.sensors).split(";")}
        if row.device == "Charge 4 or 5":
            sensors.discard(Sensor.ALT)  # the older one's
        assert vendor.sensors == sensors, row.device
        assert vendor.battery_days == row.battery_days, row.device
        assert vendor.charge_minutes == row.charge_minutes, row.device


OF_THE_REFERENCE = {
    "Sense 2": "fitbit-sense-2",
    "Pixel Watch 2": "pixel-watch-2",
    "Pixel Watch (1st gen)": "pixel-watch-1",
    "Pixel Watch 3": "pixel-watch-3",
    "Sense (1st gen)": "fitbit-sense-1",
    "Versa 4": "fitbit-versa-4",
    "Charge 6": "fitbit-charge-6",
    "Charge 4 or 5": "fitbit-charge-5",
    "Inspire 3": "fitbit-inspire-3",
    "Watch Series 9": "apple-watch-9",
    "Watch Ultra 2": "apple-watch-ultra-2",
    "Venu 3": "garmin-venu-3",
    "Forerunner 265": "garmin-forerunner-265",
    "Vivosmart 5": "garmin-vivosmart-5",
    "Galaxy Watch 6": "samsung-galaxy-watch-6",
    "Ring Gen 3": "oura-ring-3",
    "4.0": "whoop-4",
    "E4": "empatica-e4",
    "EmbracePlus": "empatica-embraceplus",
    "ScanWatch 2": "withings-scanwatch-2",
    "Ignite 3": "polar-ignite-3",
    "Smart Band 8": "xiaomi-band-8",
    "GT3X+ / wGT3X-BT": "actigraph-gt3x",
}
