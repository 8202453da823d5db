"""Cohort: people times days, each person-day addressable alone, made in any order and on any number of processes.

A recording is a pure function of (population, seed, person, day, start): the chain Person -> Routine -> Latent ->
measured values -> gaps. So a cohort holds no data, ``cohort[person, day]`` costs milliseconds, and one more person,
day or worker changes nobody.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from datetime import date, timedelta
from itertools import islice
from operator import itemgetter
from typing import Final

import numpy as np
import pandas as pd

from simulator.clock import changes, rewrite
from simulator.faults import linger
from simulator.heartbeat import Singles
from simulator.missingness import RR_VALID_THRESHOLD_PERCENT, find_gaps
from simulator.physiology import embody
from simulator.population import Person, Population
from simulator.recording import Recording, deliver, round_to_resolution
from simulator.routine import Routine, live, live_through
from simulator.sensors import measure, take_off
from simulator.signals import INDEX
from simulator.vendors import VENDORS, Vendor
from simulator.wearing import installed, wear_key

MOST: Final = 10**8  # of anything that is counted: people, days of each; more is a slip of the keyboard
_DAYS_AT_A_TIME: Final = 7  # lived, worn and recorded together: 3 MB
_HIDDEN_FIELDS: Final = frozenset({"seed", "index"})
_COLUMN_TYPES: Final = {f.name: f.type for f in fields(Person) if f.type in (bool, int, float)}


@dataclass(frozen=True, kw_only=True)
class Cohort:
    """People and days of one population.

    Attributes:
        population: How people and their devices are distributed.
        people: How many.
        days: How many of each.
        seed: Decides everything that is random.
        start: Date of day 0.
        first_person: Index of the first; shards of one cohort differ only here and in ``people``.
        vendor: Key in ``VENDORS`` of a device that everybody wears, bodies and habits staying as they are, to hold
            devices against each other; None: as the population has it.
        with_truth: False leaves ``Recording.truth`` out, for half the memory.

    Raises:
        ValueError: If a count is below 1, an index below 0, a device unknown or a date beyond the calendar.

    >>> from simulator.population import POPULATIONS
    >>> cohort = Cohort(population=POPULATIONS["lsm1"], people=2, days=3, seed=1)
    >>> len(cohort), cohort[1, 2].person, cohort[1, 2].day
    (6, 'lsm1-0000001', 2)
    """

    population: Population
    people: int
    days: int
    seed: int
    start: date = field(default=date(2024, 3, 1))
    first_person: int = 0
    vendor: str | None = None
    with_truth: bool = True

    def __post_init__(self) -> None:
        for name in ("people", "days"):
            if not 1 <= getattr(self, name) <= MOST:
                raise ValueError(f"Cohort.{name}={getattr(self, name)} is not in [1, {MOST}]")
        if self.first_person < 0:
            raise ValueError(f"Cohort.first_person={self.first_person} is below 0")
        if self.vendor is not None and self.vendor not in VENDORS:
            raise ValueError(f"Cohort.vendor={self.vendor!r} is none of {', '.join(VENDORS)}")
        if (date.max - self.start).days < self.days - 1:
            raise ValueError(f"Cohort.start={self.start} and {self.days} days go beyond {date.max}")

    def __len__(self) -> int:
        """Number of person-days lived; iteration gives fewer where the population leaves out days of little wear."""
        return self.people * self.days

    def __getitem__(self, place: tuple[int, int]) -> Recording:
        """Person ``place[0]`` (counted from ``first_person``) on day ``place[1]``.

        Raises:
            IndexError: If either lies outside the cohort.
        """
        person, day = place
        if not (0 <= person < self.people and 0 <= day < self.days):
            raise IndexError(f"{place=} is not within {self.people} people and {self.days} days")
        who = self.person(person)
        vendor = self._device(who, self.vendor_of(person), day)
        routine = live(who, day, self.start)
        return self._record(who, vendor, routine, *_wear(who, vendor, routine, day), day)

    def __iter__(self) -> Iterator[Recording]:
        """Every person-day that the population keeps, all days of a person before the next person's."""
        for person in range(self.people):
            yield from self.of_person(person)

    def person(self, person_index: int) -> Person:
        """The person at a place of the cohort."""
        return self.population.person(self.seed, self.first_person + person_index)

    def vendor_of(self, person_index: int) -> Vendor:
        """The device that the person wears."""
        if self.vendor is not None:
            return VENDORS[self.vendor]
        return self.population.vendor(self.seed, self.first_person + person_index)

    def person_id(self, person_index: int) -> str:
        """Identifier of a person, the same in every shard of the cohort."""
        return f"{self.population.name}-{self.first_person + person_index:07d}"

    def people_table(self) -> pd.DataFrame:
        """One row a person: identifier, device, body, conditions and habits, as a study's questionnaire would have."""
        people = [self.person(i) for i in range(self.people)]
        columns = {
            "person": [self.person_id(i) for i in range(self.people)],
            "vendor": [self.vendor_of(i).name for i in range(self.people)],
        }
        facts = {
            name: np.array([getattr(person, name) for person in people], dtype=_COLUMN_TYPES.get(name, object))
            for name in (f.name for f in fields(Person) if f.name not in _HIDDEN_FIELDS)
        }  # typed, so that the table is the same in every shard, whatever its people have
        return pd.DataFrame(columns | facts)

    def of_person(self, person_index: int) -> Iterator[Recording]:
        """A person's days that the population keeps, in order; quicker together than one by one.

        A week is lived before it is worn, and worn before its gaps are found: a processor that has just made a hundred
        thousand beats has forgotten how people live, and reads that faster once a week than once a day.
        """
        person, vendor = self.person(person_index), self.vendor_of(person_index)
        lived = enumerate(live_through(person, range(self.days), self.start))
        while week := list(islice(lived, _DAYS_AT_A_TIME)):
            devices = [self._device(person, vendor, day) for day, _ in week]
            worn = [_wear(person, device, routine, day) for device, (day, routine) in zip(devices, week, strict=True)]
            for device, (day, routine), measured in zip(devices, week, worn, strict=True):
                recording = self._record(person, device, routine, *measured, day)
                if 1.0 - np.count_nonzero(recording.observed) / recording.observed.size <= self.population.most_missing:
                    yield recording

    def _device(self, person: Person, vendor: Vendor, day: int) -> Vendor:
        """With the firmware of its day."""
        return installed(person, vendor, self.start + timedelta(days=day), wear_key(person))

    def _record(
        self,
        person: Person,
        vendor: Vendor,
        routine: Routine,
        values: Singles,
        truth: Singles,
        motion_g: Singles,
        day: int,
    ) -> Recording:
        """What is delivered of a day; ``values`` and ``truth`` become the recording's."""
        today = self.start + timedelta(days=day)
        reason = find_gaps(person, vendor, routine, values[INDEX["rr_valid"]], motion_g, day)
        take_off(values, reason)  # before what lingers: such a watch says that it is worn
        faults = linger(person, vendor, values, reason, day)
        faults += rewrite(reason, changes(person, self.population.summer_time, today, day, wear_key(person)))
        observed = deliver(values, reason)
        if self.with_truth:
            round_to_resolution(truth)
        return Recording(
            person=self.person_id(person.index - self.first_person),
            vendor=vendor.name,
            day=day,
            date=today,
            values=values,
            observed=observed,
            reason=reason,
            truth=truth if self.with_truth else None,
            events=tuple(sorted((*routine.events, *faults), key=itemgetter(2, 3, 0))) if faults else routine.events,
        )


def _wear(person: Person, vendor: Vendor, routine: Routine, day: int) -> tuple[Singles, Singles, Singles]:
    """Measured values, truth and motion of a day, without its beats, which need more memory than all that is kept."""
    latent = embody(person, routine, day)
    values = measure(person, vendor, routine, latent, day, least_valid_percent=RR_VALID_THRESHOLD_PERCENT)
    return values, latent.truth, latent.motion_g
