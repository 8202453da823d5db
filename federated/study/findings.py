"""What a finished run's records say, as facts; ``wording`` says them in words and the report sets them on a page.

Nothing is measured here, and nothing but the two files is read.
"""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from annotated_types import Len
from pydantic import TypeAdapter, ValidationError

from federated.experiment import Experiment, load
from federated.study.records import Record, read
from model.evaluation.generative import Row
from simulator.files import first_fault
from simulator.recording import DataError, Reason
from simulator.signals import INDEX, MINUTES_PER_DAY

FEDERATED: Final = "federated"
PUBLIC_ONLY: Final = "public only"
EVALUATED: Final = "model"  # a model that `everywear evaluate` was given
MODELS: Final = (FEDERATED, EVALUATED, PUBLIC_ONLY)
SIMULATED: Final = "simulated"
ALL: Final = "all"  # the average over signals

Place = tuple[str, int | None]
Verdict = Literal["better", "undecided", "worse"]


@dataclass(frozen=True, slots=True, kw_only=True)
class WarmUp:
    """The public warm start.

    Attributes:
        losses: Training loss of every step.
        public_loss: Loss on the public validation people after the last one.
        parameters: Of the model.
        people: Public people trained on.
    """

    losses: Annotated[tuple[float, ...], Len(min_length=1)]
    public_loss: float
    parameters: int
    people: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ExampleDay:
    """A day to look at.

    Attributes:
        person: Whose.
        vendor: Device.
        day: Which.
        signals: Values of each minute by signal; None where missing.
        reasons: Gaps by signal: first minute, minute after the last, name of the reason.
    """

    person: str
    vendor: str
    day: int
    signals: dict[str, tuple[float | None, ...]]
    reasons: dict[str, tuple[tuple[int, int, str], ...]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the makers' ledgers said at the end.

    Attributes:
        noise: "release", "rehearsal" or "off".
        epsilon: By maker, by the accountant that budgets use; None with noise off.
        federation: Of a person against whoever sees all messages.
        delta: Of all of them.
        second_accountant: Epsilon by maker again.
        releases: Messages by maker.
    """

    noise: Literal["release", "rehearsal", "off"]
    epsilon: dict[str, float | None]
    federation: float | None
    delta: float | None
    second_accountant: dict[str, float] = field(default_factory=dict)
    releases: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """The scores of one dataset.

    Attributes:
        dataset: Its name, the record's key.
        rows: All of them.
        by_place: The same by task, horizon, method and signal.
    """

    dataset: str
    rows: Sequence[Row]
    by_place: Mapping[tuple[str, int | None, str, str], Row]

    def get(self, place: Place, method: str, signal: str = ALL) -> Row | None:
        """One row; None if that was not scored."""
        return self.by_place.get((*place, method, signal))

    @property
    def places(self) -> list[Place]:
        """Tasks with their horizons, in the order of the records."""
        return list(dict.fromkeys((row.task, row.horizon) for row in self.rows))

    @property
    def methods(self) -> list[str]:
        """Methods: the models first, then the simple ones in the order of the records."""
        found = list(dict.fromkeys(row.method for row in self.rows))
        return sorted(found, key=lambda method: MODELS.index(method) if method in MODELS else len(MODELS))

    @property
    def model(self) -> str:
        """The method that a dataset's scores are about: the federated model, or the one that was evaluated later."""
        return EVALUATED if FEDERATED not in self.methods and EVALUATED in self.methods else FEDERATED

    @property
    def signals(self) -> list[str]:
        """Scored signals in canonical order."""
        return sorted({row.signal for row in self.rows} - {ALL}, key=lambda name: INDEX.get(name, len(INDEX)))

    def overall(self, method: str) -> list[Row]:
        """The method's averages over signals, by task and horizon."""
        return [row for place in self.places if (row := self.get(place, method)) is not None]

    @property
    def people(self) -> int:
        """Most people that any row comes from."""
        return max((row.people for row in self.rows), default=0)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Findings:
    """A finished run.

    Attributes:
        experiment: What was run.
        stated: The same, as the run's own file says it.
        records: All records, in the order of the file.
        warm_up: The public warm start.
        public_losses: Loss on the public validation people: after the warm start, then after every round.
        examples: Days by the record's key.
        tables: Scores by dataset, the simulated held-out people first.
        privacy: What was spent.
        plans: Every maker's privacy plan.
    """

    experiment: Experiment
    stated: str
    records: Sequence[Record]
    warm_up: WarmUp
    public_losses: Sequence[float]
    examples: Mapping[str, Sequence[ExampleDay]]
    tables: Mapping[str, Table]
    privacy: Spent
    plans: Mapping[str, Mapping[str, Any]]

    def maker_of(self, day: ExampleDay) -> str:
        """Name of the maker whose device recorded a day; the device's own name if no maker uses it."""
        makers = [maker.name for maker in self.experiment.makers if maker.device == day.vendor]
        named = [name for name in makers if day.person.startswith(f"{name}-")]
        return (named or makers or [day.vendor])[0]


def findings(run: Path) -> Findings:
    """Read a finished run's ``experiment.json`` and ``records.jsonl``; nothing else is looked at, nothing written.

    Raises:
        DataError: If a file is missing, damaged or another experiment's, or the run is not finished; the message names
            what is missing.
    """
    experiment = load(run / "experiment.json")
    path = run / "records.jsonl"
    stated = (run / "experiment.json").read_bytes()
    digests = {experiment.digest, hashlib.sha256(stated).hexdigest()[:12]}  # as we and as its writer's code hash it
    records = _records(path, digests)
    by_name = {(record.kind, record.key): record for record in records}
    rounds = [("round", str(number + 1)) for number in range(experiment.rounds.rounds)]
    needed = [
        ("experiment", ""),
        ("warm_up", ""),
        *rounds,
        ("examples", "makers"),
        ("rows", SIMULATED),
        ("privacy", ""),
    ]
    missing = [" ".join(name).strip() for name in needed if name not in by_name]
    if missing:
        first = ", ".join(missing[:4]) + (f" and {len(missing) - 4} more" if len(missing) > 4 else "")
        raise DataError(f"{path}: the run is not finished, no record of {first}; run the same `everywear federate` on")

    def content(kind: str, key: str, shape: TypeAdapter[_T], part: str | None = None) -> _T:
        return _shaped(path, by_name[kind, key], shape, part)

    warm_up = content("warm_up", "", TypeAdapter(WarmUp))
    after_rounds = [content(kind, key, TypeAdapter(float), "public_loss") for kind, key in rounds]
    examples, tables = {}, {}
    for kind, key in by_name:
        if kind == "examples":
            examples[key] = [_known(path, day) for day in content(kind, key, TypeAdapter(list[ExampleDay]), "days")]
        if kind == "rows":
            tables[key] = table(key, content(kind, key, TypeAdapter(Annotated[list[Row], Len(min_length=1)]), "rows"))
    return Findings(
        experiment=experiment,
        stated=stated.decode(),
        records=records,
        warm_up=warm_up,
        public_losses=[warm_up.public_loss, *after_rounds],
        examples=examples,
        tables={SIMULATED: tables.pop(SIMULATED), **tables},
        privacy=content("privacy", "", TypeAdapter(Spent)),
        plans=content("experiment", "", TypeAdapter(dict[str, dict[str, Any]]), "plans"),
    )


_T = TypeVar("_T")


def _records(path: Path, digests: set[str]) -> list[Record]:
    if not path.exists():
        raise DataError(f"{path}: no such file; the run has not begun")
    content = path.read_bytes()
    if not content.endswith(b"\n"):  # mending it is for whoever writes it, who may be at it now
        raise DataError(f"{path}: the last line is cut off; run the command that wrote it again")
    records = read(path)
    for number, record in enumerate(records, start=1):
        if record.experiment not in digests:
            expected = " or ".join(sorted(digests))
            raise DataError(f"{path}, line {number}: a record of experiment {record.experiment}, expected {expected}")
    return records


def _shaped(path: Path, record: Record, shape: TypeAdapter[_T], part: str | None) -> _T:
    """A record's content, or a part of it, as ``shape``."""
    name = f"{path}, record {record.kind} {record.key}".strip()
    if part is not None and part not in record.content:
        raise DataError(f"{name}: has no {part!r}")
    try:
        return shape.validate_python(dict(record.content) if part is None else record.content[part])
    except ValidationError as error:
        raise DataError(f"{name}: {first_fault(error)}") from error


def _known(path: Path, day: ExampleDay) -> ExampleDay:
    """The day, if its signals, minutes and reasons are ones we know."""
    where = f"{path}, example day of {day.person!r}"
    for name, values in day.signals.items():
        if name not in INDEX:
            raise DataError(f"{where}: signal {name!r} is unknown")
        if len(values) != MINUTES_PER_DAY:
            raise DataError(f"{where}: {name} has {len(values)} minutes, expected {MINUTES_PER_DAY}")
        for start, end, reason in day.reasons.get(name, ()):
            if reason not in Reason.__members__ or not 0 <= start < end <= MINUTES_PER_DAY:
                raise DataError(f"{where}: gap {(start, end, reason)} of {name} is none we know")
    return day


def table(dataset: str, rows: Sequence[Row]) -> Table:
    """Rows of a dataset, ready to look up."""
    return Table(dataset, rows, {(row.task, row.horizon, row.method, row.signal): row for row in rows})


def verdict(row: Row) -> Verdict:
    """Whether a row beats linear interpolation: only if the whole interval of its saving lies above 0.

    Without an interval (nobody to resample, or a reference without error) nothing is decided.
    """
    if row.saving_interval is None:
        return "undecided"
    low, high = row.saving_interval
    return "better" if low > 0 else "worse" if high < 0 else "undecided"


def not_beaten(scores: Table) -> list[Row]:
    """Tasks on which the model does not beat linear interpolation: its saving's interval reaches 0 or lies below."""
    return [row for row in scores.overall(scores.model) if verdict(row) != "better"]


def saving_over(scores: Table, method: str, other: str) -> dict[Place, float]:
    """1 - mse / other's mse by task and horizon, where both were scored and the other made an error."""
    pairs = {place: (scores.get(place, method), scores.get(place, other)) for place in scores.places}
    return {place: 1 - a.mse / b.mse for place, (a, b) in pairs.items() if a and b and b.mse > 0}


def best(scores: Table) -> dict[Place, list[str]]:
    """Methods with the lowest error by task and horizon; several on a tie."""
    found = {}
    for place in scores.places:
        errors = {m: row.mse for m in scores.methods if (row := scores.get(place, m)) is not None}
        if errors:
            found[place] = [m for m, mse in errors.items() if mse == min(errors.values())]
    return found


def extremes(scores: Table) -> tuple[Row, Row] | None:
    """The model's overall rows with the least and the greatest saving; None without any."""
    rows = [(row.saving, i, row) for i, row in enumerate(scores.overall(scores.model)) if row.saving is not None]
    return (min(rows)[2], max(rows)[2]) if rows else None
