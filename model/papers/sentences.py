"""A sentence for every line: how ours and the paper's differ, computed, and why, as far as it is known.

What is computed stands first. What needs thought is written by hand in ``remarks.csv``: the first row whose table, line
(a pattern over "group/line") and direction fit is added. Every table ends with a row that fits anything, so that no
line goes without.
"""

import csv
from collections.abc import Mapping
from fnmatch import fnmatchcase
from importlib import resources
from statistics import median
from typing import Final

from model.papers.tables import SCORES, Cell, Line, Told, published, shown

NEAR: Final = 0.1  # of the paper's value, within which nothing needs a reason; judgement
BASELINES: Final = {"4": "0.8", "5": "random", "6": "10x5", "7": "clustered"}
"""The line of an ablation that the others are held against."""
LOWER_IS_BETTER: Final = ("mse", "mae")

NOTES: Final[Mapping[str, str]] = {
    "3a": "Errors in z units; cells are scored where something was observed and hidden, averaged over 26 signals. "
    "MAE stands in the run's own tables.",
    "gains": "1 less the error over that of linear interpolation; intervals over people, paired.",
    "3bc": "Rare activities are weighted up to the paper's mix, and left out where fewer than two were logged.",
    "4": "An hour blanked; all models with the same steps. Held against ratio 0.8.",
    "5": "An hour blanked; all models with the same steps, 80 % hidden. Held against random masks.",
    "6": "An hour blanked; all models with the same steps. Held against 10x5.",
    "7": "An hour blanked; all models with the same steps. Held against the order by sensor.",
    "8": "Computed, not trained: parameters in millions, multiply-adds of one window through embedding and encoder.",
    "6-cost": "Computed, not trained: multiply-adds of LSM-Base with other patches.",
    "9": "MSE. Our two sizes and three amounts of data stand for the paper's Tiny and Small and its 0.005, 0.05 and "
    "6.6 million hours; Base would not fit into the hour.",
    "10": "Linear probes. Our three amounts of data stand for the paper's.",
    "robust": "Accuracy of the same windows with nothing removed, less that with a sensor or an hour of five removed. "
    "LSM-2 shows a picture without numbers.",
    "natural": "MSE against the truth, in cells that the watches did not record, and in as many of ten-minute patches "
    "and of single minutes. Only a simulator can tell.",
}


def sentence(table: str, line: Line, told: Told) -> str:
    """What is to be said of a line."""
    mine = [cell for cell in line.cells if cell.ours is not None]
    if not mine:
        return _absent(table, line, told)
    both = [cell for cell in mine if cell.paper is not None]
    found = [_difference(table, line, both, told)] if both else [_own(table, line, mine, told)]
    found.append(remark(table, line, direction(both)))
    return " ".join(part for part in found if part)


def direction(both: list[Cell]) -> str:
    """Where most of ours lie, seen from the paper's: "higher", "lower", "near" or "new"."""
    ratios = [cell.ratio for cell in both if cell.ratio is not None]
    if not ratios:
        return "new"
    if all(_within(cell) for cell in both) or abs(median(ratios) - 1) <= NEAR:
        return "near"
    return "higher" if median(ratios) > 1 else "lower"


def _within(cell: Cell) -> bool:
    """Whether the paper's value lies in our interval."""
    return cell.interval is not None and cell.paper is not None and cell.interval[0] <= cell.paper <= cell.interval[1]


def _absent(table: str, line: Line, told: Told) -> str:
    why = told.absent.get(line.name) or told.absent.get(line.group) or remark(table, line, "absent")
    return f"Not made: {why.rstrip(chr(46))}." if why else "Not made yet; the same command goes on."


def _difference(table: str, line: Line, both: list[Cell], told: Told) -> str:
    if table in BASELINES:
        return _against_baseline(table, line, both, told)
    if table in ("gains", "lsm2-margins"):
        return f"Saves {_percents([c.ours for c in both])}, the paper's {_percents([c.paper for c in both])}."
    if line.metric == SCORES:
        scores = "; ".join(_score(cell) for cell in both)
        return scores[0].upper() + scores[1:] + "."
    if table == "19":
        ours, paper = (100 * (value or 0) for value in (both[0].ours, both[0].paper))
        return f"{ours:.1f} % of what is logged here, {paper:.1f} % in the paper."
    inside = sum(_within(cell) for cell in both)
    if line.metric in LOWER_IS_BETTER:
        said = f"{_span([cell.ratio for cell in both])} times the paper's"
        reading = [told.value("reading", line.group, line.name, line.metric, cell.column) for cell in both]
        ratios = [r / c.paper for r, c in zip(reading, both, strict=True) if r is not None and c.paper]
        if table == "3a" and ratios:
            said += f"; with filled minutes scored too, as the paper's text has it, {_span(ratios)} times"
        return said[0].upper() + said[1:] + "."
    points = sorted(100 * ((cell.ours or 0) - (cell.paper or 0)) for cell in both)
    low, high = (f"{points[i]:+.0f}" for i in (0, -1))
    apart = low if low == high else f"{low} to {high}"
    return f"{apart} points from the paper's, whose value lies in our interval in {inside} of {len(both)}."


_POINTS: Final = ("accuracy", "map", "f1", "auroc")
_WORDS: Final = {"map": "mAP", "f1": "F1", "auroc": "AUROC", "parameters_million": "parameters", "gflops": "gFLOPs"}


def _score(cell: Cell) -> str:
    """How one of several metrics differs."""
    name = _WORDS.get(cell.column, cell.column.replace("_", " "))
    ours, paper = cell.ours or 0.0, cell.paper or 0.0
    if cell.column in _POINTS:
        inside = " (the paper's within our interval)" if _within(cell) else ""
        return f"{name} {100 * (ours - paper):+.0f} points{inside}"
    if cell.column in ("ari", "nmi"):
        return f"{name.upper()} {ours:.3f}, in the paper {paper:.3f}"
    if cell.column == "parameters_million" and round(ours) == paper:
        return "parameters round to the paper's"
    if cell.column in ("parameters_million", "gflops"):
        return f"{name} within {100 * abs(ours / paper - 1):.1f} %"
    return f"{name} {ours / paper:.2g} times the paper's"


def _against_baseline(table: str, line: Line, both: list[Cell], told: Told) -> str:
    name = BASELINES[table]
    if line.name == name:
        return (
            f"{_span([cell.ratio for cell in both])} times the paper's: the line that the others are held against; "
            f"seeds alone move it by up to {_seeds(line, told)} %."
        )
    said = []
    theirs = published()
    for cell in both:
        ours = told.value(table, line.group, name, line.metric, cell.column)
        paper = theirs.get((table, line.group, name, line.metric, cell.column))
        if ours and paper and cell.ours is not None and cell.paper is not None:
            said.append(
                f"{cell.column} {100 * (cell.ours / ours - 1):+.0f} % here, "
                f"{100 * (cell.paper / paper[0] - 1):+.0f} % in the paper"
            )
    return f"Against {name}: {'; '.join(said)}." if said else "Its baseline is not made yet."


def _seeds(line: Line, told: Told) -> str:
    """Largest distance from the mean over seeds, in per cent of it."""
    most = 0.0
    for column in (cell.column for cell in line.cells):
        found = [told.value("seeds", line.group, seed, line.metric, column) for seed in ("1", "2", "3")]
        known = [value for value in found if value is not None]
        if len(known) > 1:
            level = sum(known) / len(known)
            most = max(most, *(abs(value / level - 1) for value in known))
    return f"{100 * most:.0f}" if most else "?"


def _own(table: str, line: Line, mine: list[Cell], told: Told) -> str:
    """Of a line that the paper does not have."""
    if table == "3a" and line.metric == "mse":
        saved = []
        for cell in mine:
            each = told.ours.get((table, line.group, line.name, line.metric, cell.column), {})
            linear = each.get("linear_mse") or told.value(table, line.group, "linear", line.metric, cell.column)
            if linear and cell.ours is not None:
                saved.append(1 - cell.ours / float(linear))
        return f"Not in the paper; saves {_percents(saved)} against linear interpolation here." if saved else ""
    if table == "gains":
        theirs = [published().get((table, line.group, "lsm1", line.metric, cell.column)) for cell in mine]
        paper = _percents([found[0] for found in theirs if found is not None])
        said = f"Saves {_percents([cell.ours for cell in mine])}"
        said += "." if paper == "nothing" else f", the paper's LSM-1 {paper}."
        return said + (_reachable(line, mine, told) if line.name == "aim" else "")
    if table == "robust" and line.name == "nothing":
        places = {c.column: (table, line.group, line.name, line.metric, c.column) for c in mine}
        before = {name: told.ours[place]["accuracy"] for name, place in places.items()}
        return "Accuracy before: " + ", ".join(f"{shown(name)} {value:.2f}" for name, value in before.items()) + "."
    if table == "robust" and len(mine) == 2:
        aim, lsm1 = (next(c.ours or 0.0 for c in mine if c.column == name) for name in ("aim", "lsm1"))
        return f"AIM loses {100 * aim:.1f} points, LSM-1 {100 * lsm1:.1f}."
    if table == "natural":
        ours = {cell.column: cell.ours for cell in mine}
        if ours.get("gaps") and ours.get("cells"):
            return f"{(ours['gaps'] or 0) / (ours['cells'] or 1):.1f} times its error in as many random cells."
    return "Not in the paper."


def _reachable(line: Line, mine: list[Cell], told: Told) -> str:
    """What oracles would save."""
    parts = []
    for name, words in (("routine", "who knew the routine"), ("truth", "who knew the truth")):
        saved = []
        for cell in mine:
            error = told.value("3a", line.group, name, line.metric, cell.column)
            linear = told.value("3a", line.group, "linear", line.metric, cell.column)
            if error is not None and linear:
                saved.append(1 - error / linear)
        if saved:
            parts.append(f"{words} would save {_percents(saved)}")
    return f" Those {', those '.join(parts)}." if parts else ""


def remarks() -> list[tuple[str, str, str, str]]:
    """What was written by hand: table, pattern over "group/line", direction ("any": compared at all), sentence."""
    text = resources.files("model.papers").joinpath("remarks.csv").read_text(encoding="utf-8")
    rows = csv.DictReader(text.splitlines())
    return [(row["table"], row["line"], row["when"], row["sentence"]) for row in rows]


def remark(table: str, line: Line, where: str) -> str:
    """The first that fits; "" if none does."""
    for key, pattern, when, said in remarks():
        fits = when == where or (when == "any" and where not in ("absent", "new"))
        if key == table and fits and fnmatchcase(f"{line.group}/{line.name}", pattern):
            return said
    return ""


def _percents(values: list[float] | list[float | None]) -> str:
    known = sorted(100 * value for value in values if value is not None)
    return f"{_range(known, 0)} %" if known else "nothing"


def _span(values: list[float] | list[float | None]) -> str:
    return _range(sorted(value for value in values if value is not None), 2)


def _range(known: list[float], digits: int) -> str:
    """Least to greatest, or one where they are written alike."""
    low, high = (f"{known[i]:.{digits}f}" for i in (0, -1))
    return low if low == high else f"{low} to {high}"
