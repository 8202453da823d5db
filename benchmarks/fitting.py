"""The simulator fitted to a private cohort: how near do its people come, and what do the parameters give away?

    python benchmarks/fitting.py --people 5000 --days 5 --releases 3 --work /tmp/fitting --json

The "private" people are SIMULATED, with a seed of their own, from a population that the fit does not have: older,
less active, on other devices, and changed in four mechanisms that no parameter says (walking falls faster with age,
hearts beat 3 bpm faster, who works sleeps 25 minutes less, men take the watch off twice as often). Real people will
differ in more ways. For each release noise is drawn anew, at rho, from OpenDP; a population is fitted to the noisy
tables alone, and as many fresh people of it are simulated.

Said of each release: total variation between fitted people's tables and the private people's true ones, mean and
largest over the 36 1-way and 28 2-way tables, and over 2-way tables that were not released; beside it the noisy tables
themselves, and other people of the very same population ("twins"), which is what sampling alone costs.

Membership: (1) an attacker who knows the population exactly and sees the fitted one scores people who were released
and others of their kind, half and half, by how far the fit leans towards them; mean area under the curve over many
releases of random halves, with a 95 % interval over releases.
(2) The limit for an attacker who knows everybody's data but one person's, by the linearised fit (neighbours: with and
without that person), and what rho allows at all. WORK keeps bins of simulated people, so that the same command goes on.
"""

import argparse
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from federated.statistics import DESIGN
from federated.study.records import commit
from privacy.tables import consistent, estimated_people, noise_multiplier, noised, total_variation
from simulator import fitting
from simulator.cohort import Cohort
from simulator.fitting import SHIFTS, TILTED, Effort, Surrogate, Targets, cells, make_surrogate
from simulator.population import Person, Population
from simulator.summaries import BINS, N_SUMMARIES, PLACE, Codes, Period, of_cohort
from simulator.tilting import terms

START: Final = date(2024, 2, 29)  # a Thursday: five days then hold a weekend
SEED: Final = 20261127  # of the private people, which no fit uses
READ_OFF: Final = ("sex", "age", "device")  # summaries whose shares a fitted population states as they are
BLOCK: Final = 500  # people kept at a time
Floats = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Elsewhere(Population):
    """People with four mechanisms that ``Population`` does not have."""

    def person(self, seed: int, index: int) -> Person:
        """As ``Population.person``, changed."""
        one = super().person(seed, index)
        return replace(
            one,
            activity_level=one.activity_level * math.exp(-0.012 * (one.age_years - 50.0)),
            resting_hr_bpm=one.resting_hr_bpm + 3.0,
            sleep_need_minutes=max(one.sleep_need_minutes - 25.0 * one.works, 280.0),
            off_wrist_per_day=one.off_wrist_per_day * (2.0 if one.sex == "male" else 1.0),
        )


PRIVATE: Final = Elsewhere(
    name="elsewhere",
    sex_shares={"female": 0.45, "male": 0.55},
    age_shares={"18-39": 0.20, "40-59": 0.40, "60-79": 0.36, "80-94": 0.04},
    bmi_factor=1.05,
    activity_factor=0.8,
    exercise_factor=0.7,
    mid_sleep_shift_hours=-0.4,
    attachment_shift=-0.5,
    fitness_shift_ml_kg_min=-2.0,
    vendor_shares={
        "apple-watch-9": 0.30,
        "garmin-venu-3": 0.25,
        "samsung-galaxy-watch-6": 0.20,
        "fitbit-sense-2": 0.15,
        "oura-ring-3": 0.10,
    },
)


def kept(path: Path, make: Callable[[], NDArray[Any]]) -> NDArray[Any]:
    """An array, made unless it was kept."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        draft = path.with_name(f".{path.name}")
        with draft.open("wb") as file:
            np.save(file, make())
        draft.rename(path)
    found: NDArray[Any] = np.load(path)
    return found


def people_of(population: Population, seed: int, first: int, people: int, period: Period, folder: Path) -> Codes:
    """The bins of some people, block by block."""
    blocks = []
    for begin in range(first, first + people, BLOCK):
        cohort = Cohort(
            population=population,
            people=min(BLOCK, first + people - begin),
            days=period.days,
            seed=seed,
            start=period.start,
            first_person=begin,
            with_truth=False,
        )
        name = f"{population.name}-{seed}-{period.days}-{begin}-{cohort.people}.npy"
        blocks.append(kept(folder / name, partial(of_cohort, cohort, period)))
    return np.concatenate(blocks)


def distances(true: NDArray[np.int64], people: int, shares: Any) -> dict[str, float]:
    """Mean and largest total variation of 1-way and 2-way tables."""
    found: dict[int, list[float]] = {1: [], 2: []}
    for table, counts in DESIGN.split(true).items():
        found[len(table)].append(total_variation(counts / people, shares[table]))
    ways = ((1, "one_way"), (2, "two_way"))
    return {
        f"{name}_{what}": float(f(found[n])) for n, name in ways for what, f in (("mean", np.mean), ("max", np.max))
    }


def shares_of(codes: Codes) -> Any:
    """The tables of people as shares."""
    return {table: counts / len(codes) for table, counts in DESIGN.split(DESIGN.count(codes)).items()}


def unreleased(true: Codes, codes: Codes) -> float:
    """Mean total variation over 2-way tables that were not released, devices apart."""
    few = [i for i in range(N_SUMMARIES) if i != PLACE["device"]]
    found = []
    for i, j in ((i, j) for i in few for j in few if i < j and (i, j) not in DESIGN.pairs):
        a, b = (
            np.bincount(each[:, i].astype(int) * BINS[j] + each[:, j], minlength=BINS[i] * BINS[j]) / len(each)
            for each in (true, codes)
        )
        found.append(total_variation(a, b))
    return float(np.mean(found))


def targets_of(noisy: NDArray[np.int64], rho: float, period: Period) -> Targets:
    """As ``federated.statistics`` makes them of a released file."""
    people = estimated_people(noisy, DESIGN)
    shares = {table: counts / people for table, counts in DESIGN.split(noisy).items()}
    return Targets(shares=shares, noise=DESIGN.sensitivity * noise_multiplier(rho) / people, period=period)


@dataclass(frozen=True)
class Membership:
    """What fitted parameters say of members, for one cohort on which the fit was corrected."""

    surrogate: Surrogate
    people: list[Person]
    seen: NDArray[np.float64]
    around: tuple[list[Person], list[str]]
    rho: float
    period: Period
    tilted: bool

    def fitted_shares(self, noisy: NDArray[np.int64]) -> Floats:
        """All cells of the population that the fit gives for other noise, by the surrogate or by weighted people."""
        targets = targets_of(noisy, self.rho, self.period)
        aim = fitting._joined(targets.shares, DESIGN.tables)
        share: Floats = self.seen.mean(axis=0)
        if self.tilted:
            tilt = fitting._tilt(self.people, self.seen, aim, targets.noise)
            return fitting._softmax(terms(TILTED, self.people) @ np.array(list(tilt.values()))) @ self.seen
        zero = np.zeros(len(SHIFTS))
        middle = fitting._predicted(self.surrogate, self.around, zero)
        noise = float(np.hypot(targets.noise, fitting._NOT_SIMULATED))
        z = fitting._solve(self.surrogate, self.around, aim - share + middle, noise, zero)
        fitted = share + fitting._predicted(self.surrogate, self.around, z) - middle
        for name in READ_OFF:
            fitted = np.where(self._cells_of(name), aim, fitted)
        return fitted

    def area(self, people: Codes, releases: int) -> tuple[float, list[float]]:
        """Attack (1): mean area over releases, each of a random half of these people, and its 95 % interval."""
        reference = np.maximum(DESIGN.count(people) / len(people), 5e-4)
        areas, rng = list[float](), np.random.default_rng(1)
        for _ in range(releases):
            order = rng.permutation(len(people))
            inside, outside = people[order[: len(people) // 2]], people[order[len(people) // 2 :]]
            lean = self.fitted_shares(noised(DESIGN.count(inside), DESIGN, self.rho)) / reference - 1
            areas.append(auroc(*(lean[DESIGN.places(half)].sum(axis=1) for half in (inside, outside))))
        error = float(np.std(areas, ddof=1)) / math.sqrt(releases)
        mean = float(np.mean(areas))
        return mean, [mean - 1.96 * error, mean + 1.96 * error]

    def limit(self, members: Codes, noisy: NDArray[np.int64]) -> float:
        """Attack (2): area for whoever knows everybody else, mean over members, by the fit's slopes."""
        targets = targets_of(noisy, self.rho, self.period)
        aim = fitting._joined(targets.shares, DESIGN.tables)
        at, step = np.zeros(len(SHIFTS)), 0.01
        slopes = np.stack(
            [
                (
                    fitting._predicted(self.surrogate, self.around, at + step * one)
                    - fitting._predicted(self.surrogate, self.around, at)
                )
                / step
                for one in np.eye(len(SHIFTS))
            ]
        )
        rows = [slopes]  # least squares reads the tables through these rows, and through nothing else
        for name in READ_OFF:
            seen = self._cells_of(name) & (aim > 2.5 * targets.noise)  # what is too rare is not in the parameters
            rows.append(np.eye(DESIGN.cells)[np.flatnonzero(seen)])
        if self.tilted:
            tilt = fitting._tilt(self.people, self.seen, aim, targets.noise)
            phi = terms(TILTED, self.people)
            weights = fitting._softmax(phi @ np.array(list(tilt.values())))
            share = self.seen.mean(axis=0)
            spread = targets.noise**2 + share * (1 - share) / len(self.people)
            rows.append(((phi - weights @ phi) * weights[:, None]).T @ self.seen / spread)
        read = np.concatenate(rows)
        sizes = np.concatenate([np.full(math.prod(DESIGN.shape(t)), math.prod(DESIGN.shape(t))) for t in DESIGN.tables])
        number = 1 / sizes / sum(1 / math.prod(DESIGN.shape(t)) for t in DESIGN.tables)  # of people, by all cells
        read = read - np.outer(read @ aim, number)  # shares are counts over that number
        basis = np.linalg.svd(read / np.linalg.norm(read, axis=1, keepdims=True), full_matrices=False)[2].T
        moved = np.stack([basis[place].sum(axis=0) for place in DESIGN.places(members[:1000])])
        shift = np.linalg.norm(moved, axis=1) / (DESIGN.sensitivity * noise_multiplier(self.rho))
        return float(ndtr(shift / math.sqrt(2)).mean())

    @staticmethod
    def _cells_of(name: str) -> NDArray[np.bool_]:
        own = {table: np.full(DESIGN.shape(table), table == (PLACE[name],)) for table in DESIGN.tables}
        return np.asarray(DESIGN.join(own), dtype=np.bool_)


def auroc(inside: Floats, outside: Floats) -> float:
    """Probability that a member scores above a twin; ties count half."""
    below = np.searchsorted(np.sort(outside), inside, side="left") + np.searchsorted(np.sort(outside), inside, "right")
    return float(below.mean() / (2 * len(outside)))


def measure(people: int, days: int, rho: float, releases: int, attacks: int, effort: Effort, work: Path) -> Any:
    """All figures."""
    period = Period(start=START, days=days)
    members = people_of(PRIVATE, SEED, 0, people, period, work)
    twins = people_of(PRIVATE, SEED, people, people, period, work)
    true = DESIGN.count(members)
    name = f"surrogate-{days}-{effort.pool}.npy"
    weights = kept(work / name, lambda: make_surrogate(DESIGN.tables, period, seed=5, people=effort.pool).weights)
    surrogate = Surrogate(weights=weights, tables=DESIGN.tables)
    found: dict[str, Any] = {"twins": distances(true, people, shares_of(twins)), "releases": []}
    found["twins"]["unreleased_two_way_mean"] = unreleased(members, twins)
    for release in range(1, releases + 1):
        noisy = kept(work / f"noisy-{people}-{days}-{rho:g}-{release}.npy", lambda: noised(true, DESIGN, rho))
        started, targets = time.monotonic(), targets_of(noisy, rho, period)
        path = work / f"population-{people}-{days}-{rho:g}-{release}{'-tilted' * effort.tilted}.json"
        if not path.exists():
            name = f"fitted-{people}-{rho:g}-{release}" + "-tilted" * effort.tilted
            path.write_text(fitting.fit(targets, name, seed=release, effort=effort, surrogate=surrogate).to_json())
        population = Population.from_json(path.read_text())
        codes = people_of(population, 1000 + release, 0, people, period, work)
        said = {"noisy": distances(true, people, consistent(noisy, DESIGN))}
        said["fitted"] = distances(true, people, shares_of(codes))
        said["fitted"]["unreleased_two_way_mean"] = unreleased(members, codes)
        found["releases"].append(said | {"seconds": round(time.monotonic() - started, 1)})
    plain = replace(population, tilt={})
    cohort, codes = fitting._simulated(plain, effort.cohort, period, 1, 99, None, None)
    around = fitting._around(plain, 1)
    membership = Membership(surrogate, cohort, cells(codes, DESIGN.tables), around, rho, period, effort.tilted)
    area, interval = membership.area(np.concatenate([members, twins]), attacks)
    found["membership"] = {
        "auroc_of_population_knowing_attacker": area,
        "interval": interval,
        "limit_for_who_knows_everybody_else": membership.limit(members, noisy),
        "what_rho_allows": float(ndtr(1 / noise_multiplier(rho) / math.sqrt(2))),
    }
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--people", type=int, default=5000)
    parser.add_argument("--days", type=int, default=5)
    parser.add_argument("--rho", type=float, default=0.1)
    parser.add_argument("--releases", type=int, default=3)
    parser.add_argument("--attacks", type=int, default=20)
    parser.add_argument("--pool", type=int, default=Effort.pool)
    parser.add_argument("--cohort", type=int, default=Effort.cohort)
    parser.add_argument("--corrections", type=int, default=Effort.corrections)
    parser.add_argument("--tilted", action="store_true", help="fit a tilt, too")
    parser.add_argument("--work", type=Path, required=True)
    parser.add_argument("--json", action="store_true")
    asked = parser.parse_args()
    effort = Effort(pool=asked.pool, cohort=asked.cohort, corrections=asked.corrections, tilted=asked.tilted)
    found = measure(asked.people, asked.days, asked.rho, asked.releases, asked.attacks, effort, asked.work)
    result = {"commit": commit(), "people": asked.people, "days": asked.days, "rho": asked.rho, **found}
    if asked.json:
        print(json.dumps(result))
        return
    for name, rows in (
        ("twins", [found["twins"]]),
        *((k, [r[k] for r in found["releases"]]) for k in ("noisy", "fitted")),
    ):
        for row in rows:
            print(f"{name:8}" + "  ".join(f"{key} {value:.4f}" for key, value in row.items()))
    print(json.dumps(found["membership"], indent=1))


if __name__ == "__main__":
    main()
