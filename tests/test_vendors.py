"""Devices: complete, different where it matters, and refused when impossible."""

from dataclasses import FrozenInstanceError, replace
from typing import Any

import pytest

from simulator.signals import NAMES, SIGNALS, Sensor
from simulator.vendors import VENDORS, Vendor

SENSE_2 = VENDORS["fitbit-sense-2"]


def test_there_are_enough_devices_and_each_is_found_by_its_name() -> None:
    assert len(VENDORS) >= 8
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
        ("name", " ", "empty"),
        ("source", "", "empty"),
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


def test_a_device_cannot_be_changed() -> None:
    with pytest.raises(FrozenInstanceError):
        SENSE_2.battery_days = 3.0  # type: ignore[misc]
