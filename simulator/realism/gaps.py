"""Gaps: what a dataset lacks, by cause, signal, clock hour and device, and how long heart rate is away.

Everything is counted as recordings pass; ``Missingness`` keeps the sums, ``missing_of`` makes them JSON. Gaps of heart
rate run over midnight and over days that are not there, from a person's first reading to the last, so that they can be
held against anybody's export.
"""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import numpy as np
from numpy.typing import NDArray

from simulator.randomness import stream
from simulator.recording import Reason, Recording, runs_of
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES

QUANTILES: Final = (25, 50, 75, 90)  # %, of gap lengths
LONG_MINUTES: Final = 300  # minutes from which a gap is long (notes on Fitabase)
EVENING_HOURS: Final = (19, 1)  # clock hours between which most long gaps begin (the same)
LENGTHS: Final = (1, 2, 5, 15, 60, 300, 600, 1440)  # minutes: where classes of length begin
BINS: Final = 25  # of days' shares
RESAMPLES: Final = 300  # of people, for intervals
_REASONS: Final = int(max(Reason)) + 1
_PLACE: Final = _REASONS * (np.arange(N_SIGNALS)[:, None] * 24 + np.arange(MINUTES_PER_DAY)[None, :] // 60)

Json = Mapping[str, object]


@dataclass(slots=True)
class Missingness:
    """Cells by device, signal, hour and reason; and each day's share.

    Attributes:
        cells: By device int64 [26, 24, reasons].
        days: By device the share of cells missing of each of its person-days.
        faults: How many events of kind "fault", by label.
    """

    cells: dict[str, NDArray[np.int64]] = field(default_factory=dict)
    days: dict[str, list[float]] = field(default_factory=dict)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, recording: Recording) -> None:
        """Count a person-day."""
        counts = np.bincount((_PLACE + recording.reason).ravel(), minlength=N_SIGNALS * 24 * _REASONS)
        counts = counts.reshape(N_SIGNALS, 24, _REASONS)
        if recording.vendor not in self.cells:
            self.cells[recording.vendor], self.days[recording.vendor] = np.zeros_like(counts), []
        self.cells[recording.vendor] += counts
        self.days[recording.vendor].append(float(counts[..., 1:].sum() / recording.reason.size))
        self.faults.update(event.label for event in recording.events if event.kind == "fault")

    def by_signal(self) -> NDArray[np.int64]:
        """Cells of all devices by signal and reason, int64 [26, reasons]."""
        found: NDArray[np.int64] = self._all().sum(axis=1)
        return found

    def _all(self) -> NDArray[np.int64]:
        found: NDArray[np.int64] = np.stack(list(self.cells.values())).sum(axis=0)
        return found

    def summary(self, heard: "Heard") -> dict[str, object]:
        """As JSON types.

        Args:
            heard: When people's heart rates were told.

        Returns:
            ``share`` of all cells; ``by_signal`` and ``by_reason`` (of all cells), ``by_signal_and_reason`` and
            ``by_vendor`` (share, person-days, by reason) of the cells of each, ``by_reason_and_hour`` of each clock
            hour's; ``day_windows``, the distribution of days' shares; ``heart_rate_gaps``; ``faults`` by label, a
            person-day.
        """
        cells = self._all()
        signals, hours = cells.sum(axis=1), cells.sum(axis=0) / cells.sum(axis=(0, 2))[:, None]
        days = np.array([share for shares in self.days.values() for share in shares])
        return {
            "share": float(signals[:, 1:].sum() / signals.sum()),
            "by_signal": {name: _share(row) for name, row in zip(NAMES, signals, strict=True)},
            "by_reason": _by_reason(signals.sum(axis=0)),
            "by_signal_and_reason": {name: _by_reason(row) for name, row in zip(NAMES, signals, strict=True)},
            "by_reason_and_hour": {reason.name.lower(): hours[:, reason].tolist() for reason in Reason if reason},
            "by_vendor": {
                vendor: {
                    "share": _share(table.sum(axis=(0, 1))),
                    "person_days": len(self.days[vendor]),
                    "by_reason": _by_reason(table.sum(axis=(0, 1))),
                }
                for vendor, table in sorted(self.cells.items())
            },
            "day_windows": {
                "mean": float(days.mean()),
                "sd": float(days.std()),
                "median": float(np.median(days)),
                "min": float(days.min()),
                "max": float(days.max()),
                "complete": int((days == 0).sum()),
                "histogram": (np.histogram(days, BINS, (0.0, 1.0))[0] / len(days)).tolist(),
            },
            "heart_rate_gaps": heard.summary(),
            "faults": {label: count / len(days) for label, count in sorted(self.faults.items())},
        }


def _share(by_reason: NDArray[np.int64]) -> float:
    return float(by_reason[1:].sum() / by_reason.sum())


def _by_reason(cells: NDArray[np.int64]) -> dict[str, float]:
    return {reason.name.lower(): float(cells[reason] / cells.sum()) for reason in Reason if reason}


@dataclass(slots=True)
class Heard:
    """Gaps of heart rate, of people who have any.

    Attributes:
        minutes: Lengths of the gaps of each person, in minutes.
        clock: The clock hours at which they begin.
        span: Minutes from the person's first reading to the last.
    """

    minutes: list[NDArray[np.int64]] = field(default_factory=list)
    clock: list[NDArray[np.float64]] = field(default_factory=list)
    span: list[int] = field(default_factory=list)

    def add(self, days: Mapping[int, NDArray[np.bool_]]) -> None:
        """Add a person.

        Args:
            days: By day, bool [1440], True where heart rate was told.
        """
        if not any(day.any() for day in days.values()):
            return
        missing = np.zeros(MINUTES_PER_DAY, dtype=np.bool_)
        told = np.concatenate([days.get(day, missing) for day in range(min(days), max(days) + 1)])
        places = np.flatnonzero(told)
        gaps = runs_of(~told[places[0] : places[-1] + 1])
        self.minutes.append(gaps[:, 1] - gaps[:, 0])
        self.clock.append((gaps[:, 0] + places[0]) % MINUTES_PER_DAY / 60.0)
        self.span.append(int(places[-1] - places[0] + 1))

    def summary(self) -> dict[str, object]:
        """Share of the span missing, lengths at ``QUANTILES``, and how many long gaps begin in the evening.

        Returns:
            ``people``; ``gaps_per_day`` by the least minutes of a class of ``LENGTHS``; and each figure with its 95 %
            interval over people: {"value", "interval"}, None where there is nothing to tell it from.
        """
        names = ("share", *(f"minutes_{q}" for q in QUANTILES), "long_begin_in_evening")
        everybody = np.arange(len(self.span))
        found = self._figures(everybody)
        random = stream(0, "realism", "gaps")
        drawn = [self._figures(random.choice(everybody, len(everybody))) for _ in range(RESAMPLES if self.span else 0)]
        lengths = np.concatenate(self.minutes) if self.minutes else np.zeros(0, dtype=np.int64)
        counts = np.histogram(lengths, [*LENGTHS, np.inf])[0]
        per_day = (MINUTES_PER_DAY * counts / max(sum(self.span), 1)).tolist()
        out: dict[str, object] = {
            "people": len(self.span),
            "gaps_per_day": {str(least): value for least, value in zip(LENGTHS, per_day, strict=True)},
        }
        for i, name in enumerate(names):
            values = [figures[i] for figures in drawn if np.isfinite(figures[i])]
            interval = [float(end) for end in np.percentile(values, (2.5, 97.5))] if values else None
            out[name] = {"value": float(found[i]), "interval": interval} if np.isfinite(found[i]) else None
        return out

    def _figures(self, people: NDArray[np.int64]) -> NDArray[np.float64]:
        minutes = [self.minutes[i] for i in people]
        lengths = np.concatenate(minutes) if minutes else np.zeros(0, dtype=np.int64)
        if not len(lengths):
            return np.full(len(QUANTILES) + 2, np.nan)
        begin = np.concatenate([self.clock[i] for i in people])[lengths > LONG_MINUTES]
        evening = (begin >= EVENING_HOURS[0]) | (begin < EVENING_HOURS[1])
        share = lengths.sum() / sum(self.span[i] for i in people)
        return np.array([share, *np.percentile(lengths, QUANTILES), evening.mean() if len(begin) else np.nan])
