"""The robustness table as a picture: for each setting, every method's error in random masks and in a watch's gaps."""

import io
import math
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.evaluation.robustness import PATTERNS, Agreement, Robustness, Row
from simulator.files import write_whole

_WORDS: Final = {"cells": "random cells", "patches": "random 10-minute patches", "gaps": "where a watch leaves them"}
_LOOKS: Final = {"cells": ("#9aa5b1", "o"), "patches": ("#4a7fb5", "s"), "gaps": ("#c8442d", "D")}
_COLUMNS: Final = 3
_STEP: Final = 0.22  # between the patterns of one method, in rows


def draw_robustness(found: Robustness, path: Path) -> None:
    """Write the picture as PNG: a panel a setting, a row a method, a mark a pattern with its 95 % interval.

    Args:
        found: What was scored.
        path: File to write.
    """
    rows = [row for row in found.rows() if row.signal == "all" and row.ratio is not None]
    settings = list(dict.fromkeys((row.scenario, row.severity) for row in rows))
    agreements = {(a.scenario, a.severity): a for a in found.agreements() if a.pattern == "gaps"}
    columns = 2 if len(settings) in (2, 4) else min(_COLUMNS, len(settings))
    lines = math.ceil(len(settings) / columns)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(1.2 + 3.9 * columns, 1.0 + lines * (0.9 + 0.34 * len(found.methods))), dpi=110)
        axes = figure.subplots(lines, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for i, setting in enumerate(settings):
            mine = [row for row in rows if (row.scenario, row.severity) == setting]
            _panel(axes[i], mine, found.methods, agreements.get(setting))
        axes[0].set_xlim(0, 1.05 * max(row.interval[1] if row.interval else row.mse for row in rows))
        for rest in axes[len(settings) :]:
            rest.set_visible(False)
        for i in range(len(settings)):
            if i + columns >= len(settings):
                axes[i].set_xlabel("mean squared error in hidden cells, z units squared")
                axes[i].tick_params(labelbottom=True)
        handles = [
            mpl.lines.Line2D([], [], color=_LOOKS[p][0], marker=_LOOKS[p][1], linestyle="", label=_WORDS[p])
            for p in reversed(PATTERNS)
        ]
        figure.legend(
            handles=handles, loc="upper center", ncols=3, frameon=False, title="as many cells of every signal hidden:"
        )
        explained = (
            "bars: 95 % over people; tau: Kendall's, of the methods' order in a watch's gaps and in random cells"
        )
        figure.text(0.5, 0.06 / figure.get_figheight(), explained, ha="center", color="#6b7280", fontsize=8)
        height = figure.get_figheight()
        figure.tight_layout(rect=(0, 0.2 / height, 1, 1 - 0.6 / height))
        content = io.BytesIO()
        figure.savefig(content, format="png")
    write_whole(path, content.getvalue())


def _panel(axes: Axes, rows: list[Row], methods: list[str], agreement: Agreement | None) -> None:
    """One setting."""
    for row in rows:
        color, marker = _LOOKS[row.pattern]
        y = methods.index(row.method) + _STEP * (PATTERNS.index(row.pattern) - 1)
        if row.interval is not None:
            axes.plot(row.interval, (y, y), color=color, linewidth=1.4)
        axes.plot([row.mse], [y], color=color, marker=marker, markersize=5, linestyle="")
    axes.set_yticks(range(len(methods)), methods)
    axes.set_ylim(len(methods) - 0.5, -0.5)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    first = rows[0]
    name = first.scenario.replace("_", " ") + ("" if first.severity is None else f" (severity {first.severity:g})")
    told = f"{first.rate:.0%} of cells hidden"
    if agreement is not None and agreement.tau is not None:
        told += f"; tau {agreement.tau:.2f}"
    axes.set_title(f"{name}\n{told}", loc="left", fontsize=9)
