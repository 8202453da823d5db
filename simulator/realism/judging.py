"""How real does a dataset look: every published norm computed on it, with an interval, a band and a verdict.

In: a ``Dataset``, simulated or imported, and a table of norms (``norms.csv`` beside this file: value, acceptance band,
source). Out: a ``Realism``: one row a norm, the fingerprint (how heart rate moves in time and with steps) and what is
missing and why. A row passes if the 95 % interval of a bootstrap over people touches the band; a row that the dataset
cannot tell says why.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np

from simulator.dataset import Dataset
from simulator.realism.estimates import Estimator
from simulator.realism.fingerprint import Fingerprint, fingerprint
from simulator.realism.minute_estimates import wanted
from simulator.realism.norms import COHORT_POPULATIONS, Norm, picks_people, read_norms
from simulator.realism.observing import observe
from simulator.realism.profiles import Profiles
from simulator.realism.question import Estimate
from simulator.realism.remarks import read_remarks
from simulator.realism.statistics import NobodyError, NotComputableError, resampled_people
from simulator.realism.windows import GapScores

Verdict = Literal["pass", "fail", "not_computable"]


@dataclass(frozen=True, slots=True)
class Row:
    """One norm held against a dataset.

    Attributes:
        id: Of the norm.
        quantity, stratum, statistic: What was computed, in the norm's words.
        unit: Of the numbers.
        simulated: The dataset's number; None if not computable.
        interval: Its 95 % interval over people; None if not computable.
        low, high: The norm's band.
        value: The published number.
        verdict: "pass" if interval and band touch.
        miss: How far the number lies outside the band, in half-widths of it: above it positive, below it negative, 0
            inside; None if not computable.
        note: Why not computable, or how to read the number.
        remark: A sentence on why it fails, from ``remarks.csv``; empty unless it does.
        confidence: FOUND (seen in the source) or RECALL.
    """

    id: str
    quantity: str
    stratum: str
    statistic: str
    unit: str
    simulated: float | None
    interval: tuple[float, float] | None
    low: float
    high: float
    value: float
    verdict: Verdict
    miss: float | None
    note: str
    remark: str
    confidence: str


@dataclass(frozen=True, slots=True)
class Realism:
    """What ``judge`` found.

    Attributes:
        rows: One a norm, in their order.
        fingerprint: ``autocorrelation`` of heart rate by lag in minutes, mean ``heart_rate_by_steps`` of the minute
            by bin, and the ``stepless_share`` of minutes that have both; None where the dataset does not tell.
        generative: Table 3(a) of LSM-1; None if there are too few windows or a signal is in none of them.
        profiles: The day by the clock, the hours around activities, and how signals go together.
        missingness: Of ``gaps.Missingness.summary``: what is missing by cause, signal, hour and device, how that is
            distributed over days, and how long heart rate is away.
        people: In the dataset.
        person_days: In the dataset.
    """

    rows: tuple[Row, ...]
    fingerprint: Mapping[str, Mapping[str, float | None] | float | None]
    generative: Fingerprint | None
    profiles: Profiles
    missingness: Mapping[str, object]
    people: int
    person_days: int

    def as_json(self) -> dict[str, object]:
        """All of it as JSON types."""
        return asdict(self) | {
            "rows": [asdict(row) for row in self.rows],
            "tally": self.tally(),
            "inside": self.inside(),
        }

    def tally(self) -> dict[str, dict[str, int]]:
        """Verdicts counted by confidence, as the norms ask."""
        found = {name: Counter[str]() for name in ("FOUND", "RECALL")}
        for row in self.rows:
            found.setdefault(row.confidence, Counter())[row.verdict] += 1
        return {name: {v: counts[v] for v in ("pass", "fail", "not_computable")} for name, counts in found.items()}

    def inside(self) -> dict[str, int]:
        """How many rows' own numbers lie in their band, by confidence; of more than these the interval touches it."""
        counts = Counter(row.confidence for row in self.rows if row.miss == 0)
        return {name: counts[name] for name in self.tally()}

    def table(self) -> str:
        """The rows as text, failures first, then passes, then what could not be computed."""
        order: dict[Verdict, int] = {"fail": 0, "pass": 1, "not_computable": 2}
        lines = [f"{self.people} people, {self.person_days} person-days"]
        inside = self.inside()
        for name, counts in self.tally().items():
            told = counts["pass"] + counts["fail"]
            verdicts = ", ".join(f"{counts[v]} {v.replace('_', ' ')}" for v in order)
            lines.append(f"{name}: {verdicts}; {inside[name]} of {told} numbers lie inside their band themselves")
        lines.append("")
        for row in sorted(self.rows, key=lambda row: order[row.verdict]):
            numbers = ""
            if row.simulated is not None and row.interval is not None:
                numbers = f"{row.simulated:.4g} ({row.interval[0]:.4g} to {row.interval[1]:.4g})"
            band = f"{row.low:g} to {row.high:g} {row.unit}"
            verdict = row.verdict.replace("_", " ")
            about = "; ".join(part for part in (_how_far(row), row.note) if part)
            lines.append(f"{verdict:15}{row.id:40}{numbers:36}{band:40}{about}".rstrip())
            if row.remark:
                lines.append(f"{'':15}{row.remark}")
        if self.generative is not None:
            lines += ["", self.generative.table()]
        return "\n".join(lines).rstrip() + "\n"


def _how_far(row: Row) -> str:
    """In words, for a row that fails.

    >>> _how_far(Row("x", "", "", "", "", 9.0, (8.5, 9.5), 2, 6, 4, "fail", 1.5, "", "", "FOUND"))
    '1.5 half-widths above'
    """
    if row.verdict != "fail" or row.miss is None:
        return ""
    return f"{abs(row.miss):.1f} half-widths {'above' if row.miss > 0 else 'below'}"


def judge(
    dataset: Dataset,
    norms: Path | None = None,
    progress: Callable[[int], None] | None = None,
    *,
    beside: Sequence[Dataset] = (),
    remarks: Path | None = None,
) -> Realism:
    """Hold a dataset against published norms.

    The dataset is read once; people are summarised as they pass, so that thousands fit in memory.

    Args:
        dataset: Simulated, or imported without truth, events or facts about its people: what is not there makes
            rows not computable, not wrong.
        norms: CSV with the columns of ``simulator/realism/norms.csv``; None: that file.
        progress: Called with the number of person-days read so far.
        beside: Datasets of other people, asked in this order for rows about people of whom ``dataset`` has too few:
            students, for example, or the very old. People of a cohort's own population answer for that cohort only,
            and rows that are about everybody are not asked of them.
        remarks: CSV with the columns of ``simulator/realism/remarks.csv``; None: that file.

    Raises:
        DataError: If the file of norms or of remarks cannot be read as one.
    """
    asked, sentences = read_norms(norms), read_remarks(remarks)
    first = _estimator(dataset, asked, progress)
    others = [_estimator(other, asked) for other in beside]
    seen = first.seen
    return Realism(
        rows=tuple(_judged(first, others, norm, sentences) for norm in asked),
        fingerprint=seen.heart,
        generative=fingerprint(seen.windows, first.scores, seen.window_person, first.counts),
        profiles=seen.profiles,
        missingness=seen.missing.summary(seen.heard),
        people=len(seen.people),
        person_days=len(seen.days),
    )


def _estimator(dataset: Dataset, asked: Sequence[Norm], progress: Callable[[int], None] | None = None) -> Estimator:
    seen = observe(dataset, wanted(asked), progress)
    return Estimator(seen, resampled_people(len(seen.people)), GapScores.of_windows(seen.windows))


def _found(estimator: Estimator, others: Sequence[Estimator], norm: Norm) -> Estimate:
    """The statistic, of the first of several sets of people that has those it is about.

    What is about everybody is told by the first alone: that the old swim says nothing of people who never do.

    Raises:
        NotComputableError: With the first's reason, if none can tell.
    """
    try:
        return _told(estimator, norm)
    except NobodyError:
        for other in others if picks_people(norm) else ():
            population = other.seen.population
            if population in COHORT_POPULATIONS and not dict(norm.stratum).get("cohort", "").startswith(population):
                continue
            try:
                found = _told(other, norm)
            except NotComputableError:
                continue
            told_by = f"told by {found.people} people of the population {population or 'beside'}"
            return replace(found, notes=(told_by, *found.notes))
        raise


def _told(estimator: Estimator, norm: Norm) -> Estimate:
    found = estimator.estimate(norm)
    if not np.isfinite(found.rows[0]):
        raise NotComputableError("not defined on these recordings")
    return found


def _judged(estimator: Estimator, others: Sequence[Estimator], norm: Norm, remarks: Mapping[str, str]) -> Row:
    simulated, interval, miss, notes = None, None, None, tuple[str, ...]()
    verdict: Verdict = "not_computable"
    try:
        found = _found(estimator, others, norm)
        simulated, interval, notes = float(found.rows[0]), found.interval(norm.statistic), found.notes
        verdict = "pass" if interval[0] <= norm.high and interval[1] >= norm.low else "fail"
        miss = _miss(simulated, norm)
    except NotComputableError as error:
        notes = (str(error),)
    return Row(
        id=norm.id,
        quantity=norm.quantity,
        stratum=";".join(f"{key}={value}" if value else key for key, value in norm.stratum) or "all",
        statistic=norm.statistic,
        unit=norm.unit,
        simulated=simulated,
        interval=interval,
        low=norm.low,
        high=norm.high,
        value=norm.value,
        verdict=verdict,
        miss=miss,
        note="; ".join(notes),
        remark=remarks.get(norm.id, "") if verdict == "fail" else "",
        confidence=norm.confidence,
    )


def _miss(simulated: float, norm: Norm) -> float:
    """How far outside the band, in half-widths; of a band without width, in its own size."""
    half = (norm.high - norm.low) / 2 or abs(norm.high) or 1.0
    outside = max(simulated - norm.high, 0.0) - max(norm.low - simulated, 0.0)
    return outside / half
