"""A vendor's statistics as one private release, and the simulator fitted to nothing else.

``release`` counts a vendor's people in 64 public tables of their summaries, adds noise once, and writes one line into
the vendor's ledger. ``fitted`` turns what was released into a ``Population``: it is given the released file and has no
way to the people. It lies here, since the summaries are the simulator's and the noise is the privacy room's, and those
two know nothing of each other.

The noise cannot be drawn again (``privacy.tables``), so the answer is kept before it is sent, as ``federated.maker``
keeps its answers, and the order is: charge, draw, keep, send. What an end at each point leaves behind:

- before the charge: nothing happened;
- after the charge: budget is lost, nobody has seen anything. Whether an answer was drawn, or even sent and its file
  lost, cannot be told, so asking again is a new release with a price of its own, never a free second look;
- after keeping: asking again sends the same bytes and costs nothing.

A lock keeps two processes from drawing two answers for one price. Other people, days, tables or rho are another
release; the same people in another order are not.
"""

import fcntl
import hashlib
import importlib
import itertools
import json
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter

from privacy.ledger import Ledger, Release, private_digest
from privacy.noise import load_or_create_key
from privacy.plan import ADJACENCY, UNIT, PrivacyError, epsilon, gaussian_event
from privacy.tables import Counts, TableDesign, consistent, estimated_people, noise_multiplier, noised
from simulator.dataset import Dataset
from simulator.files import read_json, write_whole
from simulator.fitting import Effort, Surrogate, Targets, fit
from simulator.generating import Engine
from simulator.population import Population
from simulator.recording import DataError
from simulator.summaries import BINS, PAIRS, PLACE, SUMMARIES, Codes, Period, of_dataset

FORMAT: Final = "everywear private statistics 1"
ANSWERS: Final = ".answers"  # what the name of the folder of kept answers adds to the ledger's
DESIGN: Final = TableDesign(bins=BINS, pairs=tuple((PLACE[a], PLACE[b]) for a, b in PAIRS))
"""The tables: each summary alone and the pairs, 64 in all. Public, whoever the people are."""
MECHANISM: Final = "discrete Gaussian on integer counts (OpenDP 0.16), all tables at once"
TRUST: Final = "the vendor sees its own people's data; whoever else sees anything sees the noised counts"
ACCOUNTANTS: Final = ("pld", "prv")
MOST_COUNTED: Final = 1e11  # people in a cell: more than ever lived


@dataclass(frozen=True, kw_only=True)
class Guarantee:
    """What protects the people, as cards and reports say it.

    Attributes:
        unit: What is protected: all rows of a person.
        adjacency: Which data must look alike.
        mechanism: What was done.
        trust: Who sees what.
        rho: Of zero-concentrated differential privacy, of this release.
        noise_multiplier: Noise deviation over sensitivity.
        sensitivity: Largest L2 change of all counts by one person.
        deviation: Of the noise of each count, people.
        delta: Of the epsilons.
        epsilon: Of this release alone, by accountant.
        vendor_epsilon: Of all that the vendor has released so far, this included, by "pld".
        ledger_entry: Digest of the release's line in the vendor's ledger, and so of all lines before it.
    """

    unit: str = UNIT
    adjacency: str = ADJACENCY
    mechanism: str = MECHANISM
    trust: str = TRUST
    rho: float
    noise_multiplier: float
    sensitivity: float
    deviation: float
    delta: float
    epsilon: dict[str, float]
    vendor_epsilon: float
    ledger_entry: str


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """What was released: public from here on.

    Attributes:
        format: ``FORMAT``.
        vendor: Whose people.
        start: First day looked at.
        days: How many.
        labels: The bins of each summary, in order.
        pairs: The summaries of each 2-way table.
        counts: Noisy counts of all cells: each summary's table, then each pair's, row by row.
        guarantee: What protects the people.
    """

    format: str = FORMAT
    vendor: str
    start: date
    days: int
    labels: dict[str, tuple[str, ...]]
    pairs: tuple[tuple[str, str], ...]
    counts: tuple[int, ...]
    guarantee: Guarantee

    @property
    def period(self) -> Period:
        """The days looked at."""
        return Period(start=self.start, days=self.days)

    @property
    def noisy(self) -> NDArray[np.int64]:
        """Noisy counts, int64 [cells]."""
        return np.array(self.counts, dtype=np.int64)

    def shares(self) -> Counts:
        """Tables of shares that are possible and agree with each other."""
        return consistent(self.noisy, DESIGN)

    def targets(self) -> Targets:
        """What a population is fitted to: shares as they were noised, and their noise."""
        people = estimated_people(self.noisy, DESIGN)
        shares = {table: cells / people for table, cells in DESIGN.split(self.noisy).items()}
        return Targets(shares=shares, noise=self.guarantee.deviation / people, period=self.period)

    def words(self) -> str:
        """The guarantee in a paragraph, for a card."""
        said, epsilons = self.guarantee, self.guarantee.epsilon
        return (
            f"The population of these people was fitted to private statistics of the people of vendor {self.vendor!r}, "
            f"and to nothing else of them; the statistics cover {self.days} days from {self.start}.\n\n"
            f"- Released: {len(DESIGN.tables)} tables of public bins ({len(self.labels)} summaries of a person, "
            f"{len(self.pairs)} pairs of them), {len(self.counts)} counts, once.\n"
            f"- Protected unit: a {said.unit}, all of a person's rows. Adjacency: {said.adjacency}.\n"
            f"- Mechanism: {said.mechanism}; deviation {said.deviation:.4g} people a count, sensitivity "
            f"{said.sensitivity:.4g}, noise multiplier {said.noise_multiplier:.4g}.\n"
            f"- Guarantee: {said.rho:g}-zCDP; epsilon {_each(epsilons)} at delta {said.delta:g}. With everything else "
            f"that the vendor had released by then, epsilon {said.vendor_epsilon:.4g} (pld).\n"
            f"- Trust: {said.trust}.\n"
            f"- Ledger entry: {said.ledger_entry}.\n"
            f"- Fitting, simulating and sharing are post-processing and cost nothing more."
        )


_STATISTICS: Final = TypeAdapter(Statistics)
_LABELS: Final = {summary.name: summary.labels for summary in SUMMARIES}


def release(
    dataset: Dataset, period: Period, *, rho: float, ledger: Ledger, progress: Callable[[int], None] | None = None
) -> bytes:
    """The vendor's statistics, as a JSON file's bytes; the same bytes whenever the same is asked of the same people.

    Args:
        dataset: The vendor's people; everybody in its table counts, with or without recordings.
        period: The public days.
        rho: What the release spends.
        ledger: The vendor's own; kept answers and the vendor's key lie beside it.
        progress: Told the number of person-days read.

    Raises:
        PrivacyError: If ``rho`` is out of bounds.
        BudgetExceeded: If the release would spend more than the budget; nothing is written then.
        LedgerError: If the ledger is damaged.
        DataError: If the data cannot be read.
    """
    noise = noise_multiplier(rho)
    return released(of_dataset(dataset, period, progress), period, rho=rho, noise=noise, ledger=ledger)


def released(codes: Codes, period: Period, *, rho: float, noise: float, ledger: Ledger) -> bytes:
    """As ``release``, of people in bins, [people, summaries]."""
    secret = ledger.path.with_name("noise.key")
    if ledger.entries and not secret.exists():
        raise PrivacyError(
            f"{secret}: is gone, but the ledger has releases; without it none can be told from a new one"
        )
    key = load_or_create_key(secret)
    question = json.dumps([FORMAT, str(period.start), period.days, _LABELS, PAIRS, rho])
    people = codes[np.lexsort(codes.T)].tobytes()  # in an order that does not depend on names
    folder = ledger.path.with_name(ledger.path.name + ANSWERS)
    folder.mkdir(exist_ok=True)
    price = {name: epsilon(gaussian_event(1.0, noise, 1), ledger.delta, name) for name in ACCOUNTANTS}
    importlib.import_module("opendp.prelude")  # slow; an end between the charge and the answer loses the charge
    with _alone(folder):
        for attempt in itertools.count(1):
            asked = Release(
                run=hashlib.blake2b(question.encode(), digest_size=8).hexdigest(),
                round=attempt,
                purpose="statistics",
                content=private_digest(key, question.encode(), people, attempt.to_bytes(8, "little")),
                sampling_rate=1.0,
                noise_multiplier=noise,
                steps=1,
            )
            is_new = ledger.charge(asked)
            kept = folder / f"{asked.content}.json"
            if is_new or kept.exists():
                break
        if not kept.exists():
            counts = noised(DESIGN.count(codes), DESIGN, rho)
            write_whole(kept, _written(counts, period, rho, ledger, asked, price))
        return kept.read_bytes()


def read_statistics(path: Path) -> Statistics:
    """Released statistics.

    Raises:
        DataError: If there are none, or they have other tables than today's.
    """
    if not path.is_file():
        raise DataError(f"{path}: no such file, expected what everywear statistics wrote")
    found = read_json(path, _STATISTICS)
    if found.format != FORMAT:
        raise DataError(f"{path}: format is {found.format!r:.80}, expected {FORMAT!r}")
    if found.labels != _LABELS or found.pairs != PAIRS or len(found.counts) != DESIGN.cells:
        raise DataError(f"{path}: has other tables than this version of everywear, which can fit only its own")
    _check_guarantee(path, found)
    return found


def _check_guarantee(path: Path, found: Statistics) -> None:
    """Refuses statistics whose guarantee does not follow from their own rho and delta.

    Raises:
        DataError: The message names what does not follow. Who wrote the counts, nobody can tell.
    """
    said = found.guarantee
    with_rho = noise_multiplier(said.rho)
    expected = {
        "noise_multiplier": with_rho,
        "sensitivity": DESIGN.sensitivity,
        "deviation": DESIGN.sensitivity * with_rho,
        **{f"epsilon {n}": epsilon(gaussian_event(1.0, with_rho, 1), said.delta, n) for n in ACCOUNTANTS},
    }
    stated = {name: getattr(said, name, said.epsilon.get(name.removeprefix("epsilon "), math.nan)) for name in expected}
    for name, value in expected.items():
        if not math.isclose(stated[name], value, rel_tol=1e-6):
            raise DataError(f"{path}: {name} is {stated[name]:g}, but rho {said.rho:g} gives {value:g}")
    largest = max(abs(count) for count in found.counts)
    if largest > MOST_COUNTED:
        raise DataError(f"{path}: a count of {largest:g} people, expected at most {MOST_COUNTED:g}")


def fitted(
    statistics: Statistics,
    name: str,
    *,
    seed: int,
    effort: Effort | None = None,
    engine: Engine | None = None,
    surrogate: Surrogate | None = None,
    progress: Callable[[int], None] | None = None,
) -> Population:
    """The population that meets released statistics, and says where it comes from; post-processing.

    Args:
        statistics: All that is known of the people.
        name: Of the population.
        seed: Of the simulated people.
        effort: How many are simulated.
        engine: Who simulates; None: this process.
        surrogate: One made before, for the same days.
        progress: Told the number of people simulated.
    """
    found = fit(
        statistics.targets(),
        name,
        seed=seed,
        effort=effort,
        engine=engine,
        surrogate=surrogate,
        progress=progress,
    )
    return replace(found, source=statistics.words())


def _written(
    counts: NDArray[np.int64], period: Period, rho: float, ledger: Ledger, asked: Release, price: dict[str, float]
) -> bytes:
    """The answer's file."""
    guarantee = Guarantee(
        rho=rho,
        noise_multiplier=asked.noise_multiplier,
        sensitivity=DESIGN.sensitivity,
        deviation=DESIGN.sensitivity * asked.noise_multiplier,
        delta=ledger.delta,
        epsilon=price,
        vendor_epsilon=ledger.epsilon(),
        ledger_entry=ledger.digest,  # it was charged just now
    )
    statistics = Statistics(
        vendor=ledger.vendor,
        start=period.start,
        days=period.days,
        labels=_LABELS,
        pairs=PAIRS,
        counts=tuple(int(count) for count in counts),
        guarantee=guarantee,
    )
    return _STATISTICS.dump_json(statistics, indent=1) + b"\n"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """While no other process or thread releases from this folder."""
    with (folder / ".lock").open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _each(epsilons: dict[str, float]) -> str:
    return ", ".join(
        f"{value:.4g} ({name})" if math.isfinite(value) else f"inf ({name})" for name, value in epsilons.items()
    )
