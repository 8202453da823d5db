"""Tables over people as one private release: 1-way and 2-way histograms, noised together, then made consistent.

Every person is a row of bins, one for each attribute, and adds exactly one to one cell of each of the ``T`` tables.
So adding or removing a person changes the vector of all cells by ``T`` ones: its L2 sensitivity is ``sqrt(T)``,
whoever the person is. Integer noise from the discrete Gaussian [1], drawn by OpenDP [2] from the operating system's
entropy in exact arithmetic, gives rho-zCDP with a deviation of ``sqrt(T / (2 rho))`` a cell; nothing is hidden in the
last bits of floats (rule R16). Which tables and bins there are is public; so is no count, not even of the people.

The noise has no key: the same release cannot be drawn twice, so its answer is kept and sent again
(``federated.statistics``).

[1] Canonne, Kamath & Steinke, "The discrete Gaussian for differential privacy", arXiv:2004.00010.
[2] OpenDP 0.16, ``make_gaussian`` over integer vectors under the L2 distance, docs.opendp.org.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from privacy.plan import PrivacyError

Counts = dict[tuple[int, ...], NDArray[Any]]
"""Each table by its attributes' places: an array with an axis for each of them."""
ROUNDS = 200  # of making tables agree; they change by less than 1e-9 of the people long before
DRAWN = 1.001  # times the charged deviation is drawn: a discrete Gaussian's tail is a hair heavier than a Gaussian's


@dataclass(frozen=True, kw_only=True)
class TableDesign:
    """Which tables are asked for. Public facts only.

    Attributes:
        bins: Number of bins of each attribute.
        pairs: Places of the attributes of each 2-way table.

    Raises:
        PrivacyError: If there is no attribute, a bin number is below 1, or a pair is no pair of attributes or twice.
    """

    bins: tuple[int, ...]
    pairs: tuple[tuple[int, int], ...] = ()

    def __post_init__(self) -> None:
        if not self.bins or min(self.bins) < 1:
            raise PrivacyError(f"bins={self.bins!r} are not one positive number an attribute")
        for a, b in self.pairs:
            if not 0 <= a < b < len(self.bins) or self.pairs.count((a, b)) > 1:
                raise PrivacyError(f"pair {(a, b)} is not two of {len(self.bins)} attributes in order, once")

    @property
    def tables(self) -> tuple[tuple[int, ...], ...]:
        """The attributes of each table: every 1-way one, then the 2-way ones."""
        return (*((a,) for a in range(len(self.bins))), *self.pairs)

    @property
    def sensitivity(self) -> float:
        """Largest L2 change of all cells by adding or removing one person: each table's one count, no more."""
        return math.sqrt(len(self.tables))

    def shape(self, table: tuple[int, ...]) -> tuple[int, ...]:
        """Cells of a table along each of its attributes."""
        return tuple(self.bins[a] for a in table)

    @property
    def cells(self) -> int:
        """Cells of all tables together."""
        return sum(math.prod(self.shape(table)) for table in self.tables)

    def split(self, vector: NDArray[Any]) -> Counts:
        """A vector of all cells as tables."""
        found, at = {}, 0
        for table in self.tables:
            shape = self.shape(table)
            found[table] = vector[at : at + math.prod(shape)].reshape(shape)
            at += math.prod(shape)
        return found

    def join(self, counts: Mapping[tuple[int, ...], NDArray[Any]]) -> NDArray[Any]:
        """Tables as one vector, as ``split`` takes it."""
        return np.concatenate([np.asarray(counts[table]).reshape(-1) for table in self.tables])

    def places(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """For each person and table the place of the one cell that counts the person, int64 [people, tables].

        A code beyond an attribute's bins counts in its last, so that no row, whatever it holds, counts elsewhere,
        twice or not at all.
        """
        rows = np.clip(codes.astype(np.int64), 0, np.array(self.bins) - 1)
        columns, at = [], 0
        for table in self.tables:
            shape = self.shape(table)
            columns.append(at + np.ravel_multi_index(tuple(rows[:, a] for a in table), shape))
            at += math.prod(shape)
        return np.stack(columns, axis=1)

    def count(self, codes: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
        """Counts of people in all cells, int64 [cells]; ``codes`` is [people, attributes], a row a person."""
        if codes.ndim != 2 or codes.shape[1] != len(self.bins):
            raise PrivacyError(f"codes of shape {codes.shape} are not [people, {len(self.bins)}]")
        return np.bincount(self.places(codes).reshape(-1), minlength=self.cells).astype(np.int64)


def noise_multiplier(rho: float) -> float:
    """Noise deviation over sensitivity that spends ``rho`` of zero-concentrated differential privacy.

    Raises:
        PrivacyError: If ``rho`` is not in (0, 1]: beyond, a discrete Gaussian is no longer a Gaussian to the ledger.
    """
    if not 0 < rho <= 1:
        raise PrivacyError(f"{rho=} is not in (0, 1]")
    return 1 / math.sqrt(2 * rho)


def noised(counts: NDArray[np.int64], design: TableDesign, rho: float) -> NDArray[np.int64]:
    """Counts under discrete Gaussian noise, int64 [cells]: a rho-zCDP release, new whenever it is called.

    Only ``federated.statistics`` calls it, behind a ledger: whoever calls it twice has released twice.

    Raises:
        PrivacyError: If OpenDP would charge more than ``rho``, which would be a defect.
    """
    import opendp.prelude as dp  # here, since it takes a second to load

    dp.enable_features("contrib")
    deviation = math.nextafter(design.sensitivity * noise_multiplier(rho) * DRAWN, math.inf)
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.l2_distance(T=float)
    mechanism = space >> dp.m.then_gaussian(scale=deviation)
    spent = mechanism.map(math.nextafter(design.sensitivity, math.inf))
    if spent > rho:
        raise PrivacyError(f"OpenDP charges {spent!r}, expected at most {rho=!r}")
    return np.array(mechanism([int(cell) for cell in counts]), dtype=np.int64)


def consistent(noisy: NDArray[np.int64], design: TableDesign) -> Counts:
    """Tables of shares that are at least 0, sum to 1 and agree in their margins, by noisy counts alone.

    Everybody's number is estimated from all tables, each attribute's shares from its own table and the margins of
    those it is in, each with the weight of its noise; then 2-way tables are moved onto those margins (least squares
    with negative cells cut off, and proportional fitting for the rest). Post-processing: it costs nothing.
    """
    raw = {table: np.asarray(cells, dtype=np.float64) for table, cells in design.split(noisy).items()}
    people = estimated_people(noisy, design)
    shares: Counts = {}
    for a in range(len(design.bins)):
        total, precision = raw[(a,)].copy(), 1.0
        for pair in (pair for pair in design.pairs if a in pair):
            margin = raw[pair].sum(axis=1 - pair.index(a))
            other = raw[pair].shape[1 - pair.index(a)]
            total, precision = total + margin / other, precision + 1 / other
        shares[(a,)] = _on_simplex(total / precision / people)
    for pair in design.pairs:
        shares[pair] = _with_margins(raw[pair] / people, shares[pair[:1]], shares[pair[1:]])
    return shares


def estimated_people(noisy: NDArray[np.int64], design: TableDesign) -> float:
    """How many people there are, by noisy counts alone; every table says so, each with the weight of its noise."""
    tables = design.split(noisy).values()
    weight = np.array([1 / cells.size for cells in tables])
    return max(float(weight @ [cells.sum() for cells in tables] / weight.sum()), 1.0)


def _on_simplex(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The nearest shares that are at least 0 and sum to 1 (Held, Wolfe & Crowder 1974)."""
    ordered = np.sort(values.reshape(-1))[::-1]
    excess = (np.cumsum(ordered) - 1) / np.arange(1, ordered.size + 1)
    last = np.flatnonzero(ordered > excess)[-1]
    nearest: NDArray[np.float64] = np.maximum(values - excess[last], 0)
    return nearest


def _with_margins(
    cells: NDArray[np.float64], rows: NDArray[np.float64], columns: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Shares near ``cells`` with these margins."""
    found = cells
    for _ in range(ROUNDS):
        found = found + (rows - found.sum(axis=1))[:, None] / found.shape[1]
        found = found + (columns - found.sum(axis=0))[None, :] / found.shape[0]
        found = np.maximum(found, 0)
    found = found + 1e-9 * rows[:, None] * columns[None, :]  # so that every margin can be met
    for _ in range(ROUNDS):
        found = found * _ratio(rows, found.sum(axis=1))[:, None]
        found = found * _ratio(columns, found.sum(axis=0))[None, :]
    return found


def _ratio(wanted: NDArray[np.float64], found: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.divide(wanted, found, out=np.zeros_like(wanted), where=found > 0)


def total_variation(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Half the summed difference of two tables of shares."""
    return float(np.abs(a - b).sum() / 2)
