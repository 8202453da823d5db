"""Jobs of a vendor with people of its own: statistics, fit."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import ClassVar

from tyro.conf import Positional

from commandline import Job, Result, UsageError, at_least_one, checked, progress_bar

MOST_DELTA = 1e-3  # of a ledger for life: a person in a thousand in the clear


def _target(out: Path, data: Path) -> None:
    """Refuse to write an answer over anything but an earlier answer, before anything is charged.

    Raises:
        UsageError: If it is a folder or another file, lies in the dataset, or its folder is none.
    """
    from federated.statistics import FORMAT

    if out.resolve().is_relative_to(data.resolve()):
        raise UsageError(f"--out {out}: lies in the dataset, whose files are its own; choose a file beside it")
    if out.is_dir() or (out.exists() and FORMAT.encode() not in out.read_bytes()[:4096]):
        raise UsageError(f"--out {out}: is there already and no statistics file; expected a new file")
    if any(parent.exists() and not parent.is_dir() for parent in out.parents):
        raise UsageError(f"--out {out}: lies below a file, expected below a folder")


@dataclass(frozen=True, kw_only=True)
class Statistics(Job):
    """Release private statistics of a dataset's people: 64 tables of 36 summaries, noised once, charged to a ledger.

    Asked the same again of the same people, it gives the same bytes and costs nothing.

    Example: everywear statistics data/ours --ledger site/ledger.jsonl --start 2024-03-01 --out statistics.json

    Attributes:
        data: Dataset folder with all the vendor's people.
        ledger: The vendor's ledger for life; begun with --vendor and --epsilon-budget if there is none.
        out: File to write: noisy counts and what protects the people.
        start: First day looked at; public, so not taken from the data.
        days: How many days.
        rho: What the release spends, of zero-concentrated differential privacy.
        vendor: Whose people, for a new ledger.
        epsilon_budget: What the vendor may ever spend, for a new ledger.
        delta: Probability with which the guarantee may fail, for a new ledger; 1e-5 by default.
    """

    goes_on: ClassVar[bool] = True

    data: Positional[Path]
    ledger: Path
    out: Path
    start: date
    days: int = 7
    rho: float = 0.1
    vendor: str = ""
    epsilon_budget: float | None = None
    delta: float | None = None

    def do(self) -> Result:
        """Do the job."""
        from federated.statistics import read_statistics, release
        from privacy.ledger import Ledger
        from privacy.tables import noise_multiplier
        from simulator.dataset import open_dataset
        from simulator.files import write_whole
        from simulator.summaries import Period

        at_least_one(days=self.days)
        with checked():
            period = Period(start=self.start, days=self.days)
        dataset = open_dataset(self.data)
        _target(self.out, self.data)
        if self.ledger.resolve().is_relative_to(self.data.resolve()):
            raise UsageError(f"--ledger {self.ledger}: lies in the dataset, which may be shared; keep it elsewhere")
        noise_multiplier(self.rho)  # refused before a ledger is begun
        if self.ledger.exists():
            ledger = Ledger.read(self.ledger)
            if self.vendor not in ("", ledger.vendor) or self.epsilon_budget not in (None, ledger.epsilon_budget):
                raise UsageError(
                    f"{self.ledger}: is of vendor {ledger.vendor!r} with a budget of {ledger.epsilon_budget:g}, "
                    "for life; leave --vendor and --epsilon-budget out"
                )
            if self.delta not in (None, ledger.delta):
                raise UsageError(f"{self.ledger}: has a delta of {ledger.delta:g}, for life; leave --delta out")
        elif not self.vendor or self.epsilon_budget is None:
            raise UsageError(f"{self.ledger}: no such ledger; --vendor and --epsilon-budget begin one, for life")
        else:
            delta = 1e-5 if self.delta is None else self.delta
            if not 0 < delta <= MOST_DELTA:
                raise UsageError(f"delta {delta} is not in (0, {MOST_DELTA:g}]")
            ledger = Ledger.open(self.ledger, vendor=self.vendor, delta=delta, epsilon_budget=self.epsilon_budget)
        with progress_bar("person-days", len(dataset)) as bar:
            answer = release(dataset, period, rho=self.rho, ledger=ledger, progress=bar)
        write_whole(self.out, answer)
        said = read_statistics(self.out).guarantee
        return {
            "rho": said.rho,
            "epsilon": said.epsilon,
            "delta": said.delta,
            "deviation": said.deviation,
            "vendor_epsilon": said.vendor_epsilon,
            "path": str(self.out),
        }


@dataclass(frozen=True, kw_only=True)
class Fit(Job):
    """Fit the simulator to released statistics; the population it writes is simulated with --population.

    It reads the statistics alone, so it costs no privacy.

    Example: everywear fit statistics.json --out population.json, then
    everywear simulate --population population.json --people 5000 --days 14 --out data/shareable

    Attributes:
        statistics: What everywear statistics wrote.
        out: Population file to write.
        name: The population's name, and the beginning of its people's identifiers.
        pool: Simulated people of whom the fit learns how tables follow the population's numbers.
        cohort: Simulated people of each correction.
        corrections: How often the numbers are corrected.
        tilt: Also make people with some traits likelier; closer where the cohort's mechanisms are not the simulator's.
        workers: Processes; the population does not depend on it.
    """

    statistics: Positional[Path]
    out: Path
    name: str = "fitted"
    pool: int = 4000
    cohort: int = 3000
    corrections: int = 2
    tilt: bool = False
    workers: int = 1

    def do(self) -> Result:
        """Do the job."""
        from federated.statistics import fitted, read_statistics
        from simulator.files import write_whole
        from simulator.fitting import Effort, processes

        at_least_one(pool=self.pool, cohort=self.cohort, workers=self.workers)
        if self.corrections < 0:
            raise UsageError(f"corrections {self.corrections} is below 0")
        statistics = read_statistics(self.statistics)
        if self.out.exists() and (self.out.is_dir() or self.out.resolve() == self.statistics.resolve()):
            raise UsageError(f"--out {self.out}: is a folder or the statistics themselves, expected a new file")
        effort = Effort(pool=self.pool, cohort=self.cohort, corrections=self.corrections, tilted=self.tilt)
        with progress_bar("people", effort.people) as bar:
            population = fitted(
                statistics,
                self.name,
                seed=self.seed,
                effort=effort,
                engine=processes(self.workers),
                progress=bar,
            )
        write_whole(self.out, (population.to_json() + "\n").encode())
        said = statistics.guarantee
        return {
            "name": population.name,
            "vendor": statistics.vendor,
            "rho": said.rho,
            "epsilon": said.epsilon,
            "delta": said.delta,
            "path": str(self.out),
        }
