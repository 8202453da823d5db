"""Tables: the papers' numbers beside ours, with a sentence on every difference.

In come the records of a run and ``published.csv``; out come tables of lines. A line has cells (a column each: what the
paper has, what we have, our 95 % interval over people) and a sentence, which says how the two differ, as found, and
why, as far as it is known (``model.papers.sentences``). A line that was not made says why. Nothing is measured here.
"""

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Final, Protocol

from model.evaluation.generative import KINDS
from model.papers.plan import TABLES, Plan
from simulator.files import write_json, write_whole

Place = tuple[str, str, str, str, str]
"""Table, group, line, metric, column."""


class Record(Protocol):
    """A finished piece of work, as whoever calls wrote it down."""

    @property
    def kind(self) -> str:
        """What was done."""

    @property
    def key(self) -> str:
        """Which one."""

    @property
    def commit(self) -> str:
        """Of the code."""

    @property
    def machine(self) -> str:
        """Processors and platform."""

    @property
    def written(self) -> str:
        """UTC time."""

    @property
    def seconds(self) -> float:
        """Wall time."""

    @property
    def content(self) -> Mapping[str, Any]:
        """What came out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A number of ours beside the paper's; either may be None.

    Attributes:
        column: Its column.
        paper: The paper's.
        ours: Ours.
        interval: 95 % over people.
    """

    column: str
    paper: float | None
    ours: float | None
    interval: tuple[float, float] | None = None

    @property
    def ratio(self) -> float | None:
        """Ours over the paper's."""
        return None if not self.paper or self.ours is None else self.ours / self.paper


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A line of a table.

    Attributes:
        group: What is asked, such as a task.
        name: Who answers.
        metric: What the cells are.
        cells: By column.
        source: Where the paper has it; "" if it has not.
        sentence: On the difference.
    """

    group: str
    name: str
    metric: str
    cells: tuple[Cell, ...]
    source: str
    sentence: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table.

    Attributes:
        key: Of ``TABLES``.
        title: In words.
        lines: By group and metric.
        note: What holds for all of it.
    """

    key: str
    title: str
    lines: tuple[Line, ...]
    note: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a run's records say.

    Attributes:
        preset: Its name.
        plan: How large.
        seed: Of everything.
        ours: Figures by place.
        absent: By what lacks, why.
        models: Content of each model's record.
        contents: By kind and key.
        commits: Of the records.
        machine: Where the last was made.
        written: First and last time.
        cpu_seconds: Of everything.
        wall_seconds: Added up over pieces.
    """

    preset: str
    plan: Plan
    seed: int
    ours: Mapping[Place, Mapping[str, Any]]
    absent: Mapping[str, str]
    models: Mapping[str, Mapping[str, Any]]
    contents: Mapping[tuple[str, str], Mapping[str, Any]]
    commits: tuple[str, ...]
    machine: str
    written: tuple[str, str]
    cpu_seconds: float
    wall_seconds: float

    @classmethod
    def of(cls, preset: str, plan: Plan, seed: int, records: Sequence[Record]) -> "Told":
        """Gather them."""
        ours: dict[Place, Mapping[str, Any]] = {}
        absent: dict[str, str] = {}
        for record in records:
            for each in record.content.get("figures", ()):
                ours[each["table"], each["group"], each["line"], each["metric"], each["column"]] = each
            absent |= record.content.get("absent", {})
        return cls(
            preset=preset,
            plan=plan,
            seed=seed,
            ours=ours,
            absent=absent,
            models={record.key: record.content for record in records if record.kind == "model"},
            contents={(record.kind, record.key): record.content for record in records},
            commits=tuple(dict.fromkeys(record.commit for record in records)),
            machine=records[-1].machine if records else "",
            written=(records[0].written, records[-1].written) if records else ("", ""),
            cpu_seconds=sum(float(record.content.get("cpu_seconds", 0)) for record in records),
            wall_seconds=sum(record.seconds for record in records),
        )

    def value(self, *place: str) -> float | None:
        """A figure of ours, if it is there."""
        table, group, line, metric, column = place
        found = self.ours.get((table, group, line, metric, column))
        return None if found is None else float(found["value"])


def published() -> dict[Place, tuple[float, str]]:
    """The papers' numbers and where they have them, by place."""
    found: dict[Place, tuple[float, str]] = {}
    text = resources.files("model.papers").joinpath("published.csv").read_text(encoding="utf-8")
    for row in csv.DictReader(text.splitlines()):
        columns, values = row["columns"].split(";"), row["values"].split(";")
        for column, value in zip(columns, values, strict=True):
            place = (row["table"], row["group"], row["line"], row["metric"], column)
            found[place] = (float(value), row["source"])
    return found


def tables(told: Told, wanted: Iterable[str] = TABLES) -> list[Table]:
    """Every table, ours beside the papers'."""
    from model.papers.sentences import NOTES, sentence

    theirs = {_one_line(place): value for place, value in published().items()}
    ours = {_one_line(place): value for place, value in {**told.ours, **_derived(told)}.items()}
    expected = [
        ("3a", kind, "saits", "mse", "0" if kind == KINDS[0] else "60") for kind in KINDS
    ]  # may be absent, and then says why
    found = []
    for key in wanted:
        lines = []
        for group, name, metric in _lines(key, [*theirs, *expected], ours):
            columns = _columns(key, group, name, metric, [*theirs, *expected], ours)
            cells = tuple(_cell((key, group, name, metric, column), theirs, ours) for column in columns)
            source = next((theirs[place][1] for c in columns if (place := (key, group, name, metric, c)) in theirs), "")
            bare = Line(group=group, name=name, metric=metric, cells=cells, source=source, sentence="")
            lines.append(Line(**_fields(bare) | {"sentence": sentence(key, bare, told)}))
        found.append(Table(key=key, title=TABLES[key], lines=tuple(lines), note=NOTES.get(key, "")))
    return found


SCORES: Final = "scores"  # the metric of a line whose columns are metrics


def _one_line(place: Place) -> Place:
    """Several metrics of one answer stand side by side: on a line whose columns they are."""
    table, group, line, metric, column = place
    return (table, group, line, SCORES, column) if metric == column or table == "8" else place


def _fields(line: Line) -> dict[str, Any]:
    return {name: getattr(line, name) for name in ("group", "name", "metric", "cells", "source", "sentence")}


def _lines(key: str, theirs: Iterable[Place], ours: Iterable[Place]) -> list[tuple[str, str, str]]:
    """Group, line and metric of a table's lines: the papers' in their order, then those that only we have."""
    found = dict.fromkeys(place[1:4] for place in (*theirs, *ours) if place[0] == key)
    groups = {group: i for i, group in enumerate(dict.fromkeys(group for group, _, _ in found))}
    metrics = {metric: i for i, metric in enumerate(dict.fromkeys(metric for _, _, metric in found))}
    return sorted(found, key=lambda line: (groups[line[0]], metrics[line[2]]))


def _columns(key: str, group: str, name: str, metric: str, theirs: Iterable[Place], ours: Iterable[Place]) -> list[str]:
    return list(dict.fromkeys(p[4] for p in (*theirs, *ours) if p[:4] == (key, group, name, metric)))


def _cell(place: Place, theirs: Mapping[Place, tuple[float, str]], ours: Mapping[Place, Mapping[str, Any]]) -> Cell:
    mine = ours.get(place)
    interval = None if mine is None or mine["interval"] is None else (mine["interval"][0], mine["interval"][1])
    return Cell(
        column=place[4],
        paper=theirs[place][0] if place in theirs else None,
        ours=None if mine is None else float(mine["value"]),
        interval=interval,
    )


SAVERS: Final = ("aim", "aim-papers", "aim-quarter", "lsm1", "kernel", "saits", "routine", "truth")


def _derived(told: Told) -> dict[Place, Mapping[str, Any]]:
    """Figures that follow from others: savings against linear interpolation and of AIM against LSM-1."""
    found: dict[Place, Mapping[str, Any]] = {}

    def put(table: str, group: str, line: str, metric: str, column: str, value: float, interval: Any = None) -> None:
        found[table, group, line, metric, column] = {"value": value, "interval": interval}

    for (table, group, line, metric, column), each in told.ours.items():
        if table == "3a" and line in SAVERS and metric in ("mse", "mae"):
            linear = told.value("3a", group, "linear", metric, column)
            if linear:
                interval = each.get("saving_interval") if metric == "mse" else None
                put("gains", group, line, metric, column, 1 - float(each["value"]) / linear, interval)
    for table, group, line, column, value in _against_lsm1(told):
        put(table, group, line, "saved", column, value)
    return found


def _against_lsm1(told: Told) -> Iterator[tuple[str, str, str, str, float]]:
    saved: dict[str, list[float]] = {}
    for (table, group, line, metric, column), each in told.ours.items():
        if (table, line, metric) == ("3a", "aim", "mse"):
            other = told.value("3a", group, "lsm1", "mse", column)
            if other:
                saved.setdefault(group, []).append(1 - float(each["value"]) / other)
    for group, values in saved.items():
        most = max(values)
        line = f"{group}, most" if len(values) > 1 else group
        yield "lsm2-margins", "against LSM-1", line, "saved", most
    lost: dict[str, list[float]] = {"aim": [], "lsm1": []}
    for (table, _, line, _, column), each in told.ours.items():
        if table == "robust" and line != "nothing":
            lost[column].append(float(each["value"]))
    mean = {name: sum(values) / len(values) for name, values in lost.items() if values}
    if len(mean) == 2 and mean["lsm1"] > 0:
        value = 1 - mean["aim"] / mean["lsm1"]
        yield "lsm2-margins", "against LSM-1", "ablations, accuracy lost", "saved", value


def write_tables(found: Sequence[Table], folder: Path) -> None:
    """Each table as Markdown, text and JSON."""
    for table in found:
        plain = {"key": table.key, "title": table.title, "note": table.note}
        lines = [
            _fields(line) | {"cells": [asdict(c) | {"ratio": c.ratio} for c in line.cells]} for line in table.lines
        ]
        write_json(folder / f"{table.key}.json", plain | {"lines": lines})
        write_whole(folder / f"{table.key}.md", (markdown(table) + "\n").encode())
        write_whole(folder / f"{table.key}.txt", (text(table) + "\n").encode())


def markdown(table: Table, metrics: Sequence[str] | None = None) -> str:
    """As Markdown: a line each, "ours (low to high) | paper" by column, and the sentence.

    Args:
        table: The table.
        metrics: Those that are shown; all by default.
    """
    parts = [f"### {heading(table)}", ""]
    if table.note:
        parts += [table.note, ""]
    if not table.lines:
        parts.append("Not made yet; the same command goes on.")
    for lines in _alike(table, metrics):
        columns = list(dict.fromkeys(cell.column for line in lines for cell in line.cells))
        if lines[0].metric == SCORES and metrics is not None:
            columns = [column for column in columns if column in metrics]
        what = lines[0].group.replace("_", " ") + ("" if lines[0].metric == SCORES else f", {lines[0].metric}")
        parts += [
            f"| {what} | " + " | ".join(_header(table.key, column) for column in columns) + " | difference |",
            "|---" * (len(columns) + 2) + "|",
        ]
        for line in lines:
            by_column = {cell.column: cell for cell in line.cells}
            cells = " | ".join(said(by_column.get(column), line.metric) for column in columns)
            parts.append(f"| {shown(line.name)} | {cells} | {line.sentence} |")
        parts.append("")
    return "\n".join(parts).rstrip()


def text(table: Table) -> str:
    """As plain text: a line each, its sentence below."""
    parts = [heading(table), *([table.note] if table.note else [])]
    for lines in _alike(table, None):
        parts += ["", f"{lines[0].group.replace('_', ' ')}, {lines[0].metric}: ours / paper"]
        for line in lines:
            cells = "  ".join(f"{_header(table.key, cell.column)} {said(cell, line.metric)}" for cell in line.cells)
            parts += [f"  {shown(line.name):28} {cells}", f"      {line.sentence}"]
    return "\n".join(parts)


def heading(table: Table) -> str:
    """Title and number."""
    return f"{table.title} (LSM-1, Table {_number(table.key)})" if table.key[0].isdigit() else table.title


def _number(key: str) -> str:
    return {"3a": "3(a)", "3bc": "3(b) and (c)", "6-cost": "6"}.get(key, key)


def _alike(table: Table, metrics: Sequence[str] | None) -> list[list[Line]]:
    """Lines by group and metric."""
    found: dict[tuple[str, str], list[Line]] = {}
    for line in table.lines:
        if metrics is None or line.metric in (*metrics, SCORES):
            found.setdefault((line.group, line.metric), []).append(line)
    return list(found.values())


def _header(key: str, column: str) -> str:
    if column.isdigit():
        return "80 %" if column == "0" else f"{column} {'of each' if key == '11' else 'min'}"
    words = {"map": "mAP", "auroc": "AUROC", "f1": "F1", "ari": "ARI", "nmi": "NMI"}
    return words.get(column) or shown(column)


def shown(name: str) -> str:
    """A line's name for people."""
    return NAMES.get(name, re.sub(r",(?! )", ", ", name.replace("_", " ")))


NAMES: Final = {
    "aim": "AIM",
    "aim-papers": "AIM, the paper's decoder",
    "aim-quarter": "AIM, a quarter of the steps",
    "lsm1": "LSM-1",
    "mice_alone": "MICE",
    "mice": "MICE, all windows and the clock",
    "saits": "SAITS",
    "truth": "oracle: the truth",
    "routine": "oracle: the routine",
    "linear": "linear interpolation",
    "last": "last value",
    "diurnal": "the person's usual day",
    "kernel": "30-minute kernel",
}


def said(cell: Cell | None, metric: str) -> str:
    """Ours, its interval, and the paper's."""
    if cell is None:
        return ""
    metric = cell.column if metric == SCORES else metric
    ours = "-" if cell.ours is None else number(cell.ours, metric)
    if cell.ours is not None and cell.interval is not None:
        ours += f" ({number(cell.interval[0], metric)} to {number(cell.interval[1], metric)})"
    return f"{ours} / {'-' if cell.paper is None else number(cell.paper, metric)}"


def number(value: float, metric: str) -> str:
    """A number as its metric is written."""
    if metric == "calinski_harabasz":
        return f"{value:.0f}"
    if metric in ("parameters_million", "gflops"):
        return f"{value:.3g}"
    return (
        f"{value:.3f}" if metric in ("ari", "nmi") or metric == "accuracy lost" or metric == "share" else f"{value:.2f}"
    )
