"""How well imputers fill the gaps that watches leave, beside the random masks that they are usually judged by.

A *case* says which cells are hidden: by the gaps of a scenario (``simulator.scenarios``) at a severity, or by those
that the data have anyway, whose truth a simulator knows. Each case comes in three *patterns*: ``gaps``, where the
watch leaves them, and its two random twins, ``patches`` (ten minutes of a signal) and ``cells``, which hide as many
cells of every signal. A method sees what is left of the days (``model.evaluation.imputers.Imputer``), and its errors
are counted in the hidden cells alone, in z units; what it says of others is not looked at.

Data with truth are scored against it in all patterns, so that patterns differ in where the cells lie and in nothing
else; data without are scored against what was measured, in artificial gaps only.

    print(assess({"mine": mine, "mice": mice()}, recordings, Normaliser.fit(recordings)).summary())
"""

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from model.evaluation.baselines import Known, Values
from model.evaluation.imputers import Imputer
from model.evaluation.metrics import Errors, errors, pair, rank_agreement
from model.windows import Days, Normaliser
from simulator.files import write_json, write_whole
from simulator.injecting_files import Request, inject_recordings
from simulator.randomness import stream
from simulator.recording import DataError, Reason, Recording
from simulator.scenarios import SCENARIOS
from simulator.signals import MINUTES_PER_DAY, N_SIGNALS, NAMES

PATTERNS: Final = ("gaps", "patches", "cells")
AS_WORN: Final = "as worn"
"""The gaps that the data have, but for those of sensors that the device lacks."""
SENSORS_ABSENT: Final = "sensors absent"
"""Signals that a device lacks: nothing is known of them on any of the person's days, so they have no random twin."""
PATCH_MINUTES: Final = 10  # LSM-2's patch
DEFAULT_SCENARIOS: Final = ("natural", "nights_off", "daily_charger", "sparse_firmware")
DEFAULT_SEVERITIES: Final = (1.0,)
LEAST_LIVES: Final = 12  # one life has a week without a shower, or none with; judgement
REFERENCE: Final = "cells"  # what errors in other patterns are divided by


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """Which cells are hidden.

    Attributes:
        scenario: Key of ``SCENARIOS``, ``AS_WORN`` or ``SENSORS_ABSENT``.
        severity: Share of the stand-ins' episodes that happen; None for the data's own gaps.
        pattern: One of ``PATTERNS``.
    """

    scenario: str
    severity: float | None
    pattern: str

    @property
    def setting(self) -> str:
        """Scenario and severity, in words."""
        return self.scenario if self.severity is None else f"{self.scenario} {self.severity:g}"


@dataclass(frozen=True, slots=True, eq=False)
class Worn:
    """Days of people that imputers are judged on: those with a fifth of what they could hold, as in LSM-2.

    Attributes:
        recordings: Sorted by person and day; of few people several copies, under names of their own.
        days: The same, normalised.
        truth: float32 [days, 26, 1440], z-scores of what lies beneath; None if nobody knows.
        reason: uint8 [days, 26, 1440] of ``Reason``.
        unit: What a day belongs to in the bootstrap: its person; of one person alone, the stand-in.
    """

    recordings: tuple[Recording, ...]
    days: Days
    truth: Values | None
    reason: NDArray[np.uint8]
    unit: tuple[str, ...]

    @classmethod
    def of(cls, recordings: Sequence[Recording], normaliser: Normaliser, least_lives: int = LEAST_LIVES) -> "Worn":
        """Take the days that hold enough; of few people several times, each with other stand-ins.

        Args:
            recordings: In any order.
            normaliser: Constants of the z-scores.
            least_lives: Stand-ins that live through the days, at least.

        Raises:
            DataError: If there is none.
        """
        ordered = sorted(recordings, key=lambda recording: (recording.person, recording.day))
        usable = Days.load(ordered, normaliser).usable(MINUTES_PER_DAY)[:, 0].tolist() if ordered else []
        chosen = tuple(ordered[i] for i in usable)
        if not chosen:
            raise DataError(f"none of {len(ordered)} days holds a fifth of what it could")
        people = {recording.person for recording in chosen}
        copies = -(-least_lives // len(people))
        unit = tuple(f"{k}" if len(people) == 1 else r.person for k in range(copies) for r in chosen)
        if copies > 1:
            chosen = tuple(replace(r, person=f"{r.person} {k}") for k in range(copies) for r in chosen)
        truth = None
        if all(recording.truth is not None for recording in chosen):
            known = np.ones((N_SIGNALS, MINUTES_PER_DAY), dtype=np.bool_)
            truth = np.stack([normaliser.apply(r.truth, known) for r in chosen if r.truth is not None])
        return cls(chosen, Days.load(chosen, normaliser), truth, np.stack([r.reason for r in chosen]), unit)


@dataclass(frozen=True, slots=True, eq=False)
class Masked:
    """Days with cells hidden, all [days, 26, 1440].

    Attributes:
        values: What a method is given, 0 where not ``known``.
        known: Where it is given anything.
        hidden: Where its errors count; never where known.
        target: What it should say there.
    """

    values: Values
    known: Known
    hidden: Known
    target: Values


def cases(worn: Worn, scenarios: Sequence[str], severities: Sequence[float]) -> list[Case]:
    """The data's own gaps, if their truth is known; then every scenario at every severity in every pattern.

    Raises:
        ValueError: If a scenario is unknown or a severity is not in (0, 1].
    """
    for scenario in scenarios:
        if scenario not in SCENARIOS:
            raise ValueError(f"{scenario=} is none of {', '.join(SCENARIOS)}")
    for severity in severities:
        if not 0.0 < severity <= 1.0:
            raise ValueError(f"{severity=} is not in (0, 1]")
    own: list[Case] = []
    if worn.truth is not None:
        absent = worn.reason == Reason.SENSOR_ABSENT
        if (~worn.days.observed & ~absent).any():
            own += [Case(scenario=AS_WORN, severity=None, pattern=pattern) for pattern in PATTERNS]
        if absent.any():
            own.append(Case(scenario=SENSORS_ABSENT, severity=None, pattern="gaps"))
    return own + [
        Case(scenario=scenario, severity=severity, pattern=pattern)
        for scenario in scenarios
        for severity in severities
        for pattern in PATTERNS
    ]


@dataclass(frozen=True, slots=True, eq=False)
class Gaps:
    """What a setting hides as a watch would, bool [days, 26, 1440].

    Attributes:
        scenario, severity: The setting.
        eligible: Cells of which anything could be known.
        hidden: Those of them that are not.
    """

    scenario: str
    severity: float | None
    eligible: Known
    hidden: Known


def find_gaps(worn: Worn, scenario: str, severity: float | None, seed: int) -> Gaps:
    """The gaps of a case's setting: injected, or the data's own."""
    observed, absent = worn.days.observed, worn.reason == Reason.SENSOR_ABSENT
    if scenario == SENSORS_ABSENT:
        return Gaps(scenario, severity, observed | absent, absent)
    if scenario == AS_WORN:  # what a clock skipped was lived by nobody, so nobody can be asked for it
        lived = ~absent & (worn.reason != Reason.CLOCK_CHANGED)
        return Gaps(scenario, severity, lived, lived & ~observed)
    spoilt, _ = inject_recordings(worn.recordings, Request(scenario=scenario, severity=severity, seed=seed))
    left = np.stack([recording.observed for recording in spoilt])
    return Gaps(scenario, severity, observed, observed & ~left)


def mask(worn: Worn, gaps: Gaps, pattern: str, seed: int) -> Masked:
    """Hide the cells of a setting in a pattern; random ones hide exactly as many cells of every signal."""
    observed, measured = worn.days.observed, worn.days.values
    hidden = gaps.hidden
    if pattern != "gaps":
        rng = stream(seed, "robustness", gaps.scenario, f"{gaps.severity}", pattern)
        patch = PATCH_MINUTES if pattern == "patches" else 1
        hidden = _scatter(gaps.eligible, hidden.sum(axis=(0, 2)), patch, rng)
    known = gaps.eligible & ~hidden
    whole = measured if worn.truth is None else np.where(observed, measured, worn.truth)
    return Masked(np.where(known, whole, np.float32(0)), known, hidden, measured if worn.truth is None else worn.truth)


def _scatter(eligible: Known, wanted: NDArray[np.int64], patch: int, rng: np.random.Generator) -> Known:
    """Exactly ``wanted[signal]`` eligible cells of each signal, in patches of so many minutes in a random order."""
    days, signals, minutes = eligible.shape
    hidden = np.zeros((signals, days * minutes), dtype=np.bool_)
    for i in range(signals):
        turn = np.repeat(rng.permutation(days * minutes // patch), patch)
        cells = np.flatnonzero(eligible[:, i].ravel())
        hidden[i, cells[np.argsort(turn[cells], kind="stable")[: wanted[i]]]] = True
    return hidden.reshape(signals, days, minutes).transpose(1, 0, 2)


def score(imputer: Imputer, masked: Masked, person: Sequence[str]) -> Errors:
    """Errors of an imputer in the hidden cells, by person and signal.

    Raises:
        DataError: If what it returns has another shape, or a hidden cell is not finite.
    """
    filled = np.asarray(imputer.impute(masked.values.copy(), masked.known.copy()), dtype=np.float32)
    name = type(imputer).__name__
    if filled.shape != masked.values.shape:
        raise DataError(f"{name}.impute gave {filled.shape}, expected {masked.values.shape}")
    if not np.isfinite(filled[masked.hidden]).all():
        raise DataError(f"{name}.impute left a cell that is not finite, expected a number in every one")
    return errors(masked.target, filled, masked.hidden, person)


@dataclass(frozen=True, slots=True, eq=False)
class Piece:
    """A method's errors in a case.

    Attributes:
        case: Which cells were hidden.
        method: Who filled them.
        target: What was held against, "truth" or "measured".
        rate: Share of the cells that could be known which were hidden.
        errors: By person and signal.
    """

    case: Case
    method: str
    target: str
    rate: float
    errors: Errors

    @property
    def key(self) -> str:
        """Its name among others of the same data."""
        return piece_key(self.case, self.method)

    def as_json(self) -> dict[str, Any]:
        """Plain values for a record; signals in which nothing was hidden are left out."""
        used = np.flatnonzero(self.errors.cells.any(axis=0))
        sums = {name: getattr(self.errors, name)[:, used] for name in ("absolute", "squared", "cells")}
        sums["cells"] = sums["cells"].astype(np.int64)
        plain = {name: _rounded(table) for name, table in sums.items()}
        facts = {"method": self.method, "target": self.target, "rate": self.rate}
        return asdict(self.case) | facts | {"signals": [NAMES[i] for i in used]} | plain

    @classmethod
    def from_json(cls, content: Mapping[str, Any]) -> "Piece":
        """What ``as_json`` said."""
        used = [NAMES.index(name) for name in content["signals"]]
        tables = []
        for name in ("absolute", "squared", "cells"):
            table = np.zeros((len(content[name]), N_SIGNALS))
            table[:, used] = np.asarray(content[name], dtype=np.float64).reshape(len(table), -1)
            tables.append(table)
        case = Case(scenario=content["scenario"], severity=content["severity"], pattern=content["pattern"])
        return cls(case, content["method"], content["target"], content["rate"], Errors(*tables))


def _rounded(table: NDArray[Any]) -> list[list[float]]:
    """Seven digits: sums of errors need no more."""
    return [[float(f"{x:.7g}") if isinstance(x, float) else x for x in row] for row in table.tolist()]


def piece_key(case: Case, method: str) -> str:
    """Name of a method's piece of a case."""
    return f"{case.setting}, {case.pattern}, {method}"


def pieces(
    methods: Mapping[str, Callable[[], Imputer]],
    worn: Worn,
    chosen: Sequence[Case],
    seed: int,
    done: Collection[str] = (),
    progress: Callable[[int, str], object] | None = None,
) -> Iterator[Piece]:
    """Score every method in every case; a method is made when it is first needed.

    Args:
        methods: By name, what makes each.
        worn: Days they are judged on.
        chosen: ``cases``.
        seed: Of gaps and random twins.
        done: ``piece_key`` of what need not be done again.
        progress: Told how many pieces are behind, and what comes.
    """
    ready: dict[str, Imputer] = {}
    gaps: Gaps | None = None
    for number, case in enumerate(chosen):
        missing = [name for name in methods if piece_key(case, name) not in done]
        if not missing:
            continue
        if gaps is None or (gaps.scenario, gaps.severity) != (case.scenario, case.severity):
            gaps = find_gaps(worn, case.scenario, case.severity, seed)
        masked = mask(worn, gaps, case.pattern, seed)
        rate = float(masked.hidden.sum() / (masked.hidden | masked.known).sum())
        for name in missing:
            if progress is not None:
                fitting = "" if name in ready else ", made for it"
                progress(
                    number * len(methods) + list(methods).index(name),
                    f"{case.setting}, {case.pattern}: {name}{fitting}",
                )
            if name not in ready:
                ready[name] = methods[name]()
            found = score(ready[name], masked, worn.unit)
            yield Piece(case, name, "measured" if worn.truth is None else "truth", rate, found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Row:
    """A line of the table.

    Attributes:
        scenario, severity, pattern: The case.
        method: Who filled.
        signal: A signal's name, or "all" for the average over signals.
        rate: Share of the cells that were hidden.
        target: "truth" or "measured".
        mae, mse, interval, n, people: As in ``metrics.Score``.
        ratio: ``mse`` over that in random cells, as many of each signal; None without such.
        ratio_interval: Its 95 % bootstrap interval over the same resampled people.
    """

    scenario: str
    severity: float | None
    pattern: str
    method: str
    signal: str
    rate: float
    target: str
    mae: float
    mse: float
    interval: tuple[float, float] | None
    n: int
    people: int
    ratio: float | None
    ratio_interval: tuple[float, float] | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Agreement:
    """How far a pattern ranks the methods as random cells do.

    Attributes:
        scenario, severity, pattern: The case.
        tau: Kendall's tau-b of the methods' errors over all signals: 1 the same order, -1 the reverse; None where a
            pattern ranks nothing.
        interval: Its 95 % bootstrap interval over people.
        best: The method with the least error.
        best_of_cells: The same in random cells.
    """

    scenario: str
    severity: float | None
    pattern: str
    tau: float | None
    interval: tuple[float, float] | None
    best: str
    best_of_cells: str


@dataclass(frozen=True, slots=True, eq=False)
class Robustness:
    """Everything that was found; ``pieces`` in the order of cases."""

    pieces: tuple[Piece, ...]
    seed: int

    def rows(self) -> list[Row]:
        """Every method in every case: each signal, then all."""
        return [row for piece in self.pieces for row in self._rows(piece)]

    def _rows(self, piece: Piece) -> Iterator[Row]:
        twin = self._piece(replace(piece.case, pattern=REFERENCE), piece.method)
        ratio = intervals = None
        if twin is not None:
            ratio = 1 - piece.errors.saving(twin.errors)
            intervals = 1 - piece.errors.saving_intervals(twin.errors, self.seed)[::-1]
        for found in piece.errors.scores(self.seed):
            i = found.place
            known = ratio is not None and bool(np.isfinite(ratio[i]))
            yield Row(
                **asdict(piece.case),
                method=piece.method,
                signal=(*NAMES, "all")[i],
                rate=piece.rate,
                target=piece.target,
                mae=found.mae,
                mse=found.mse,
                interval=found.interval,
                n=found.n,
                people=found.people,
                ratio=float(ratio[i]) if ratio is not None and known else None,
                ratio_interval=None if intervals is None else pair(intervals[:, i]),
            )

    def agreements(self) -> list[Agreement]:
        """Every case with a random twin, if there are two methods or more that were scored in both."""
        found = []
        for case in dict.fromkeys(piece.case for piece in self.pieces):
            if case.pattern == REFERENCE:
                continue
            twin = replace(case, pattern=REFERENCE)
            both = [name for name in self.methods if self._piece(case, name) and self._piece(twin, name)]
            if len(both) < 2:
                continue
            here, there = ([self._errors(c, name) for name in both] for c in (case, twin))
            tau, interval = rank_agreement(here, there, self.seed)
            best, best_of_cells = (both[int(np.argmin([e.mse()[-1] for e in found_in]))] for found_in in (here, there))
            found.append(
                Agreement(
                    **asdict(case),
                    tau=tau if np.isfinite(tau) else None,
                    interval=interval,
                    best=best,
                    best_of_cells=best_of_cells,
                )
            )
        return found

    @property
    def methods(self) -> list[str]:
        """Names of the methods, in the order in which they came."""
        return list(dict.fromkeys(piece.method for piece in self.pieces))

    def summary(self) -> str:
        """Mean squared errors over all signals: a line a setting and pattern, a column a method."""
        overall = {
            (row.scenario, row.severity, row.pattern, row.method): row for row in self.rows() if row.signal == "all"
        }
        agreements = {(a.scenario, a.severity, a.pattern): a for a in self.agreements()}
        width = max(9, *(len(name) + 2 for name in self.methods))
        lines = [
            f"{'mean squared error, z':<34}{'hidden':>7}" + "".join(f"{m:>{width}}" for m in self.methods) + "  ranking"
        ]
        for case in dict.fromkeys(piece.case for piece in self.pieces):
            at = (case.scenario, case.severity, case.pattern)
            found = [overall.get((*at, method)) for method in self.methods]
            rate = next(piece.rate for piece in self.pieces if piece.case == case)
            line = f"{f'{case.setting}, {_PATTERN_WORDS[case.pattern]}':<34}{100 * rate:6.1f}%"
            line += "".join(f"{row.mse:{width}.3f}" if row else f"{'-':>{width}}" for row in found)
            agreement = agreements.get(at)
            if agreement is not None and agreement.tau is not None:
                line += f"  tau {agreement.tau:.2f}" + _between(agreement.interval)
            lines.append(line)
            if case.pattern == "gaps":
                ratios = [f"{row.ratio:{width}.2f}" if row and row.ratio else f"{'-':>{width}}" for row in found]
                if any(row and row.ratio for row in found):
                    lines.append(f"{'  times the error in random cells':<41}" + "".join(ratios))
        targets = {"truth": "the simulator's truth", "measured": "what was measured"}
        told = " and ".join(targets[name] for name in dict.fromkeys(piece.target for piece in self.pieces))
        lines.append(
            f"scored against {told} in hidden cells only, averaged over signals; "
            "tau: Kendall's, of the methods' order and that in as many random cells (95 %)"
        )
        return "\n".join(lines)

    def _errors(self, case: Case, method: str) -> Errors:
        piece = self._piece(case, method)
        assert piece is not None
        return piece.errors

    def _piece(self, case: Case, method: str) -> Piece | None:
        return next((piece for piece in self.pieces if piece.case == case and piece.method == method), None)


_PATTERN_WORDS: Final = {"gaps": "as a watch", "patches": "random patches", "cells": "random cells"}


def _between(interval: tuple[float, float] | None) -> str:
    return "" if interval is None else f" ({interval[0]:.2f} to {interval[1]:.2f})"


def assess(
    methods: Mapping[str, Imputer],
    recordings: Sequence[Recording],
    normaliser: Normaliser,
    *,
    scenarios: Sequence[str] = DEFAULT_SCENARIOS,
    severities: Sequence[float] = DEFAULT_SEVERITIES,
    seed: int = 0,
) -> Robustness:
    """Score imputers on people's days, in memory and at once.

    Args:
        methods: By name.
        recordings: Days, in any order; with truth, their own gaps are scored too.
        normaliser: Constants of the z-scores.
        scenarios: Keys of ``SCENARIOS``.
        severities: Each in (0, 1].
        seed: Of the gaps.

    Raises:
        DataError: If no day holds enough, or a method returns what it should not.
        ValueError: If a scenario is unknown or a severity out of range.
    """
    worn = Worn.of(recordings, normaliser)
    makers = {name: _giver(imputer) for name, imputer in methods.items()}
    return Robustness(tuple(pieces(makers, worn, cases(worn, scenarios, severities), seed)), seed)


def _giver(imputer: Imputer) -> Callable[[], Imputer]:
    return lambda: imputer


def write_tables(found: Robustness, folder: Path) -> None:
    """Write ``robustness.txt`` (all signals), and ``robustness.csv`` and ``.json`` (each signal; the rankings)."""
    rows = [asdict(row) for row in found.rows()]
    rankings = [asdict(agreement) for agreement in found.agreements()]
    flat = pd.DataFrame(rows)
    for name in ("interval", "ratio_interval"):
        bounds = [(None, None) if row[name] is None else row[name] for row in rows]
        flat[[f"{name}_low", f"{name}_high"]] = pd.DataFrame(bounds, index=flat.index)
    write_whole(
        folder / "robustness.csv", flat.drop(columns=["interval", "ratio_interval"]).to_csv(index=False).encode()
    )
    write_json(folder / "robustness.json", {"seed": found.seed, "rows": rows, "rankings": rankings})
    write_whole(folder / "robustness.txt", f"{found.summary()}\n".encode())
