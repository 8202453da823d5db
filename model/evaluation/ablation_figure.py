"""What classifiers lose without a sensor, without a part of the day and on a device never seen, as a picture."""

import io
import math
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from model.evaluation.ablation import PARTS, Row
from simulator.files import write_whole
from simulator.signals import Sensor

_SENSORS: Final = {
    Sensor.PPG: "optical sensor",
    Sensor.ACC: "accelerometer",
    Sensor.EDA: "skin conductance",
    Sensor.TEMP: "thermometer",
    Sensor.ALT: "altimeter",
}
_HOURS: Final = {name: f"{name}, {begin // 60}-{end // 60} h" for name, (begin, end) in PARTS.items()}
_LOOKS: Final = (("#c8442d", "D"), ("#4a7fb5", "s"))  # a classifier each
_COLUMNS: Final = 2
_STEP: Final = 0.3  # between classifiers, in rows


def draw_ablation(rows: Sequence[Row], path: Path) -> None:
    """Write the picture as PNG: a panel a task, a line what was removed, a mark a classifier with its 95 % interval.

    Args:
        rows: What ``ablate`` found, of any tasks and of one or two classifiers.
        path: File to write.
    """
    tasks = list(dict.fromkeys(row.task for row in rows))
    names = list(dict.fromkeys(row.classifier for row in rows))
    lines = {row.removed: row.kind for row in sorted(rows, key=lambda row: row.kind == "device never seen")}
    lines.pop("nothing", None)
    columns = min(_COLUMNS, len(tasks))
    down = math.ceil(len(tasks) / columns)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(2.6 + 3.6 * columns, 0.9 + down * (0.9 + 0.27 * len(lines))), dpi=110)
        axes = figure.subplots(down, columns, sharey=True, sharex=True, squeeze=False).ravel()
        for i, task in enumerate(tasks):
            _panel(axes[i], [row for row in rows if row.task == task], names, lines)
            axes[i].set_xlabel("balanced accuracy lost (right: worse)")
            axes[i].tick_params(labelbottom=True)
        for rest in axes[len(tasks) :]:
            rest.set_visible(False)
        handles = [
            mpl.lines.Line2D([], [], color=color, marker=marker, linestyle="", label=name)
            for name, (color, marker) in zip(names, _LOOKS, strict=False)
        ]
        height = figure.get_figheight()
        figure.legend(handles=handles, loc="upper center", ncols=len(names), frameon=False)
        figure.text(0.5, 0.06 / height, "bars: 95 % over people", ha="center", color="#6b7280", fontsize=8)
        figure.tight_layout(rect=(0, 0.2 / height, 1, 1 - 0.3 / height))
        content = io.BytesIO()
        figure.savefig(content, format="png")
    write_whole(path, content.getvalue())


def _panel(axes: Axes, rows: Sequence[Row], names: Sequence[str], lines: dict[str, str]) -> None:
    """One task."""
    places = list(lines)
    for row in rows:
        if row.removed in places:
            color, marker = _LOOKS[names.index(row.classifier)]
            y = places.index(row.removed) + _STEP * (names.index(row.classifier) - (len(names) - 1) / 2)
            if row.lost_interval is not None:
                axes.plot(row.lost_interval, (y, y), color=color, linewidth=1.4)
            axes.plot([row.lost], [y], color=color, marker=marker, markersize=5, linestyle="")
    kinds = list(lines.values())
    for i in range(1, len(places)):
        if kinds[i] != kinds[i - 1]:
            axes.axhline(i - 0.5, color="#9aa5b1", linewidth=0.8)
    axes.axvline(0, color="#6b7280", linewidth=0.8)
    axes.set_yticks(range(len(places)), [_said(removed, lines[removed]) for removed in places])
    axes.set_ylim(len(places) - 0.5, -0.5)
    axes.grid(axis="x", color="#e5e7eb", linewidth=0.8)
    axes.set_axisbelow(True)
    whole = {row.classifier: row for row in rows if row.removed == "nothing"}
    told = ", ".join(f"{whole[name].accuracy:.2f}" for name in names if name in whole)
    people = max(row.people for row in rows)
    axes.set_title(f"{rows[0].task}: {told} with everything ({people} people)", loc="left", fontsize=9)


def _said(removed: str, kind: str) -> str:
    """A line's name."""
    if kind == "sensor":
        return f"without {_SENSORS[Sensor(removed)]}"
    return f"without {_HOURS[removed]}" if kind == "part of the day" else f"never saw {removed.replace('_', ' ')}"
