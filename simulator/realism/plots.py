"""Pictures of a verdict: norms against their bands, what is missing and why, and one day of a person."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from simulator.dataset import Dataset
from simulator.recording import Reason, Recording
from simulator.signals import NAMES, SIGNALS

if TYPE_CHECKING:
    from simulator.realism.judging import Realism, Row

_DPI: Final = 100
_COLOURS: Final = {"pass": "#2a7f62", "fail": "#c8553d"}
_GAP_COLOURS: Final[Mapping[Reason, str]] = {
    Reason.SENSOR_ABSENT: "#d9d9d9",
    Reason.CHARGING: "#f2c14e",
    Reason.OFF_WRIST: "#e8998d",
    Reason.SENSOR_OFF: "#a1c6ea",
    Reason.MOTION: "#b497d6",
    Reason.BATTERY_EMPTY: "#8c6d46",
    Reason.NOT_RECORDED: "#bfbfbf",
    Reason.OUT_OF_RANGE: "#444444",
}
_SHOWN: Final = ("heart_rate", "steps", "rmssd", "scl", "skin_temperature", "altimeter_sd")


def draw(realism: "Realism", dataset: Dataset, out: Path) -> list[Path]:
    """Draw three PNG files below 300 kB: ``norms.png``, ``missingness.png`` and ``day.png``.

    Args:
        realism: The verdict on ``dataset``.
        dataset: Where the example day comes from.
        out: Folder; made if it is not there.

    Returns:
        The files, in that order.
    """
    out = Path(out)
    out.mkdir(parents=True, exist_ok=True)
    figures = {"norms": _norms(realism), "missingness": _missingness(realism), "day": _day(_example(dataset))}
    paths = []
    for name, figure in figures.items():
        paths.append(out / f"{name}.png")
        FigureCanvasAgg(figure)
        figure.savefig(paths[-1], dpi=_DPI)
    return paths


def _family(row: "Row") -> str:
    return row.id.split("_")[0]


def _norms(realism: "Realism") -> Figure:
    """Each computed norm as a mark: 0 is the middle of its band, -1 and 1 are its ends."""
    rows = [row for row in realism.rows if row.interval is not None and row.high > row.low]
    families = sorted({_family(row) for row in rows})
    figure = Figure(figsize=(9, 0.9 + 0.24 * max(len(families), 3)), layout="constrained")
    axes = figure.subplots()
    axes.axvspan(-1, 1, color="#e9f2ee")
    for row in rows:
        assert row.interval is not None
        middle, half = (row.low + row.high) / 2, (row.high - row.low) / 2
        place = families.index(_family(row))
        low, high = (float(np.clip((end - middle) / half, -4, 4)) for end in row.interval)
        colour = _COLOURS[row.verdict]
        axes.plot([low, high], [place, place], color=colour, lw=2.5, alpha=0.45, solid_capstyle="butt")
        axes.plot([(low + high) / 2], [place], "|", color=colour, ms=7)
    axes.set_yticks(range(len(families)), families, fontsize=7)
    axes.set_xlim(-4.2, 4.2)
    axes.set_xlabel("95 % interval in half-widths of the norm's band (green zone: inside; cut at 4)")
    counts = {verdict: sum(row.verdict == verdict for row in realism.rows) for verdict in ("pass", "fail")}
    axes.set_title(f"{counts['pass']} norms met, {counts['fail']} missed, {len(realism.rows)} in all", fontsize=10)
    return figure


def _missingness(realism: "Realism") -> Figure:
    figure = Figure(figsize=(9, 5), layout="constrained")
    left, right = figure.subplots(1, 2)
    by_signal, by_reason = realism.missingness["by_signal"], realism.missingness["by_reason"]
    assert isinstance(by_signal, Mapping)
    assert isinstance(by_reason, Mapping)
    left.barh(range(len(by_signal)), list(by_signal.values()), color="#6b8fb3")
    left.set_yticks(range(len(by_signal)), list(by_signal), fontsize=7)
    left.invert_yaxis()
    left.set_xlabel("share of minutes missing")
    colours = [_GAP_COLOURS[Reason[name.upper()]] for name in by_reason]
    right.barh(range(len(by_reason)), list(by_reason.values()), color=colours)
    right.set_yticks(range(len(by_reason)), [name.replace("_", " ") for name in by_reason], fontsize=7)
    right.invert_yaxis()
    right.set_xlabel("share of all cells")
    return figure


def _example(dataset: Dataset) -> Recording:
    """The first of the first 32 recordings that is nearest to typical: half of its cells there."""
    candidates = [dataset[0]]
    for recording, _ in zip(dataset, range(32), strict=False):
        candidates.append(recording)
    return min(candidates, key=lambda recording: abs(float(recording.observed.mean()) - 0.6))


def _day(recording: Recording) -> Figure:
    """A few signals of one day; truth in grey where there is one, gaps coloured by reason."""
    figure = Figure(figsize=(9, 7), layout="constrained")
    hours = np.arange(recording.values.shape[1]) / 60
    used = set()
    for axes, name in zip(figure.subplots(len(_SHOWN), 1, sharex=True), _SHOWN, strict=True):
        i = NAMES.index(name)
        for reason, colour in _GAP_COLOURS.items():
            gap = recording.reason[i] == reason
            if gap.any():
                used.add(reason)
                axes.fill_between(hours, 0, 1, where=gap, transform=axes.get_xaxis_transform(), color=colour, lw=0)
        if recording.truth is not None:
            axes.plot(hours, recording.truth[i], color="#999999", lw=0.5)
        axes.plot(hours, np.where(recording.observed[i], recording.values[i], np.nan), color="#1d3557", lw=0.7)
        axes.set_ylabel(f"{name.replace('_', ' ')}\n({SIGNALS[i].unit})", fontsize=7)
        axes.tick_params(labelsize=7)
    axes.set_xlabel(f"hour of {recording.date}, person {recording.person}, {recording.vendor}")
    axes.set_xlim(0, 24)
    handles = [figure.axes[0].fill_between([], 0, 0, color=_GAP_COLOURS[reason]) for reason in sorted(used)]
    labels = [reason.name.replace("_", " ").lower() for reason in sorted(used)]
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=7, frameon=False)
    return figure
