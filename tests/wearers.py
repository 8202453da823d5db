"""People to hold gaps to: their days, what their devices report, and what they are short of."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import date

import numpy as np
from hypothesis import settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from simulator import wearing
from simulator.missingness import find_gaps, worn
from simulator.population import POPULATIONS, Person, Population
from simulator.randomness import stream
from simulator.recording import Reason
from simulator.routine import Routine, live, live_through
from simulator.signals import INDEX, RR_STATISTICS
from simulator.vendors import VENDORS, Vendor

MONDAY = date(2024, 3, 4)
LSM2, OWNERS = POPULATIONS["lsm2"], POPULATIONS["owners"]
SENSE_2 = VENDORS["fitbit-sense-2"]
HEART_RATE, RR_VALID, ON_WRIST, STEPS, SCL = (INDEX[n] for n in ("heart_rate", "rr_valid", "on_wrist", "steps", "scl"))
SPOILT = [INDEX[name] for name in RR_STATISTICS if name != "rr_valid"]
HANDLED = [Reason.CHARGING, Reason.OFF_WRIST, Reason.BATTERY_EMPTY, Reason.NOT_SYNCED, Reason.DROPPED_OUT]
SAID = [Reason.CHARGING, Reason.OFF_WRIST]
IMPORTED = {Reason.NOT_RECORDED, Reason.OUT_OF_RANGE}
seeds = st.integers(0, 2**32 - 1)
days = st.integers(-100, 1000)
vendors = st.sampled_from(list(VENDORS.values()))
few = settings(max_examples=30, deadline=None)


def measured(routine: Routine, seed: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Something like the valid share and the motion that a device reports for a day."""
    rng = stream(seed, "measured")
    moving = routine.cadence[routine.lead_in_minutes :] / 200 + 0.1 * routine.arm_motion[routine.lead_in_minutes :]
    valid = np.clip(90 - 250 * moving + 15 * rng.standard_normal(1440), 0, 100)
    return valid.astype(np.float32), moving.astype(np.float32)


def gaps(person: Person, vendor: Vendor, day: int, seed: int = 0) -> tuple[NDArray[np.uint8], Routine]:
    routine = live(person, day, MONDAY)
    return find_gaps(person, vendor, routine, *measured(routine, seed), day), routine


def devoted(person: Person) -> Person:
    """The same person, who takes the watch off for charging only, wears it tight and keeps the phone near."""
    return replace(
        person,
        worn_nights=1.0,
        off_wrist_per_day=0.0,
        off_in_water=False,
        unworn_days=0.0,
        weeks_off_per_year=0.0,
        forgetful=0.0,
        loose_fit=0.0,
        phone_away_per_year=0.0,
        quits_per_year=0.0,
    )


def handled(person: Person, vendor: Vendor, routine: Routine, day: int) -> NDArray[np.uint8]:
    return wearing.handling(person, vendor, routine, day, wearing.wear_key(person))


def away(person: Person, day: int) -> bool:
    return wearing.away(person, day, wearing.wear_key(person))


def statuses(person: Person, vendor: Vendor, number: int) -> NDArray[np.uint8]:
    """What the whole watch was missing for, over consecutive days, uint8 [number * 1440]."""
    full, still = np.full(1440, 100, dtype=np.float32), np.zeros(1440, dtype=np.float32)
    days = enumerate(live_through(person, range(number), MONDAY))
    return np.concatenate([find_gaps(person, vendor, routine, full, still, day)[STEPS] for day, routine in days])


def runs(flag: NDArray[np.bool_]) -> NDArray[np.int64]:
    """First minute and first minute after of every run, [n, 2]."""
    return np.flatnonzero(np.diff(flag.astype(np.int8), prepend=0, append=0)).reshape(-1, 2)


def lived(population: Population, people: int, number: int) -> Iterator[tuple[Routine, NDArray[np.uint8], float]]:
    """Days of a population: routine, reasons of gaps, and hours worn."""
    for i in range(people):
        person, vendor = population.person(12, i), population.vendor(12, i)
        for day, routine in enumerate(live_through(person, range(number), MONDAY)):
            reason = find_gaps(person, vendor, routine, *measured(routine, i), day)
            yield routine, reason, worn(person, vendor, routine, day).mean() * 24
