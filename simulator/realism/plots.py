"""Pictures of a verdict, those that a physiologist would want, each a PNG below 300 kB.

Norms against their bands; what is missing, why and when; one day of a person; Table 3(a) of LSM-1 beside the paper;
the day by the clock; the hours around activities (LSM-1, Fig. 14); how the signals go together (Fig. 10).
"""

import itertools
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import Patch

from simulator.dataset import Dataset
from simulator.gap_looks import LOOKS
from simulator.realism.fingerprint import ERROR_TOLERANCE, TASKS
from simulator.realism.profiles import (
    ACTIVITY_SIGNALS,
    AFTER_MINUTES,
    BANDS,
    BEFORE_MINUTES,
    CLOCK_BINS,
    CLOCK_SIGNALS,
    STEP_MINUTES,
)
from simulator.realism.windows import METRICS
from simulator.recording import Reason, Recording
from simulator.signals import NAMES, SIGNALS

if TYPE_CHECKING:
    from simulator.realism.fingerprint import Fingerprint
    from simulator.realism.judging import Realism, Row
    from simulator.realism.profiles import Profiles

_DPI: Final = 100
_COLOURS: Final = {"pass": "#2a7f62", "fail": "#c8553d"}
LSM2_DAY_WINDOWS: Final = (0.49, 0.15)  # mean and SD of the share missing of LSM-2's days (norm mins_missing_daywindow)
_SHOWN: Final = ("heart_rate", "steps", "rmssd", "scl", "skin_temperature", "altimeter_sd")


def draw(realism: "Realism", dataset: Dataset, out: Path) -> list[Path]:
    """Draw PNG files: norms, missingness, day, clock, correlation, and, if they can be told, fingerprint, activities.

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
    figures |= {"clock": _clock(realism.profiles), "correlation": _correlation(realism.profiles)}
    if realism.generative is not None:
        figures["fingerprint"] = _fingerprint(realism.generative)
    if realism.profiles.activities:
        figures["activities"] = _activities(realism.profiles)
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
    """What is missing and why, by signal, clock hour and device; how days differ; how long heart rate is away."""
    told: Mapping[str, Any] = realism.missingness
    present = [reason for reason in Reason if reason and told["by_reason"][reason.name.lower()] > 0]
    devices = {f"{name} ({facts['person_days']})": facts["by_reason"] for name, facts in told["by_vendor"].items()}
    figure = Figure(figsize=(14, 8.5), layout="constrained")
    grid = figure.add_gridspec(2, 3, width_ratios=[1.1, 1, 1])
    _stacked_bars(figure.add_subplot(grid[:, 0]), told["by_signal_and_reason"], present, "share of the signal's cells")
    _by_hour(figure.add_subplot(grid[0, 1]), told["by_reason_and_hour"], present)
    _stacked_bars(figure.add_subplot(grid[0, 2]), devices, present, "share of the device's cells (person-days)")
    _day_windows(figure.add_subplot(grid[1, 1]), told["day_windows"])
    _gap_lengths(figure.add_subplot(grid[1, 2]), told["heart_rate_gaps"])
    handles = [Patch(color=LOOKS[reason].colour) for reason in present]
    labels = [reason.name.replace("_", " ").lower() for reason in present]
    figure.legend(handles, labels, loc="outside lower center", ncols=7, fontsize=8, frameon=False)
    return figure


def _stacked_bars(axes: Axes, shares: Mapping[str, Mapping[str, float]], reasons: list[Reason], label: str) -> None:
    left = np.zeros(len(shares))
    for reason in reasons:
        width = np.array([by_reason[reason.name.lower()] for by_reason in shares.values()])
        axes.barh(range(len(shares)), width, left=left, color=LOOKS[reason].colour, height=0.8)
        left += width
    axes.set_yticks(range(len(shares)), list(shares), fontsize=7)
    axes.set_ylim(len(shares) - 0.4, -0.6)
    axes.set_xlim(0, 1)
    axes.tick_params(axis="x", labelsize=7)
    axes.set_xlabel(label, fontsize=8)


def _by_hour(axes: Axes, shares: Mapping[str, list[float]], reasons: list[Reason]) -> None:
    bottom = np.zeros(24)
    for reason in reasons:
        height = np.array(shares[reason.name.lower()])
        axes.bar(np.arange(24) + 0.5, height, 1.0, bottom=bottom, color=LOOKS[reason].colour)
        bottom += height
    axes.set_xlim(0, 24)
    axes.set_ylim(0, 1)
    axes.set_xticks(range(0, 25, 6))
    axes.tick_params(labelsize=7)
    axes.set_xlabel("clock hour", fontsize=8)
    axes.set_ylabel("share of cells missing", fontsize=8)


def _day_windows(axes: Axes, days: Mapping[str, Any]) -> None:
    shares = days["histogram"]
    axes.bar((np.arange(len(shares)) + 0.5) / len(shares), shares, 1.0 / len(shares), color="#6b8fb3")
    mean, sd = LSM2_DAY_WINDOWS
    axes.axvspan(mean - sd, mean + sd, color="#e9f2ee", zorder=0)
    axes.axvline(mean, color=_COLOURS["pass"], lw=1)
    axes.axvline(days["mean"], color="#1d3557", lw=1, ls="--")
    axes.set_xlim(0, 1)
    axes.tick_params(labelsize=7)
    axes.set_xlabel("share of a day's cells missing", fontsize=8)
    axes.set_ylabel("share of person-days", fontsize=8)
    title = f"mean {days['mean']:.2f}, SD {days['sd']:.2f} (dashed); LSM-2 {mean:.2f}, {sd:.2f} (green)"
    axes.set_title(title, fontsize=9)


def _gap_lengths(axes: Axes, gaps: Mapping[str, Any]) -> None:
    least = [int(minutes) for minutes in gaps["gaps_per_day"]]
    names = [f"{a} to {b - 1}" if b - a > 1 else f"{a}" for a, b in itertools.pairwise(least)] + [f"{least[-1]} on"]
    axes.bar(range(len(names)), list(gaps["gaps_per_day"].values()), color="#6b8fb3")
    axes.set_xticks(range(len(names)), names, fontsize=7, rotation=30)
    axes.tick_params(axis="y", labelsize=7)
    axes.set_xlabel("minutes without heart rate", fontsize=8)
    axes.set_ylabel("gaps a day", fontsize=8)
    if gaps["share"] is not None:
        axes.set_title(f"heart rate of {gaps['people']} people away for {gaps['share']['value']:.0%}", fontsize=9)


def _clock(profiles: "Profiles") -> Figure:
    """The median person through the day, with the band of the middle four fifths of people."""
    figure = Figure(figsize=(10, 5), layout="constrained")
    hours = (np.arange(CLOCK_BINS) + 0.5) * 24 / CLOCK_BINS
    for axes, name in zip(figure.subplots(2, 3, sharex=True).flat, CLOCK_SIGNALS, strict=True):
        low, middle, high = (np.array(profiles.clock[name][band], dtype=np.float64) for band in BANDS)
        axes.fill_between(hours, low, high, color="#c6d8e8", lw=0)
        axes.plot(hours, middle, color="#1d3557", lw=1.2)
        axes.set_title(f"{name.replace('_', ' ')} ({SIGNALS[NAMES.index(name)].unit})", fontsize=9)
        axes.set_xlim(0, 24)
        axes.set_xticks(range(0, 25, 6))
        axes.tick_params(labelsize=7)
    figure.supxlabel("clock hour; line: the median person, band: 10th to 90th percentile of people", fontsize=8)
    return figure


def _activities(profiles: "Profiles") -> Figure:
    """Average curves around the start of each activity, as in LSM-1's Fig. 14."""
    figure = Figure(figsize=(10, 6), layout="constrained")
    minutes = np.arange(-BEFORE_MINUTES, AFTER_MINUTES, STEP_MINUTES) + STEP_MINUTES / 2
    colours = mpl.colormaps["tab20"].colors  # type: ignore[attr-defined]
    for axes, name in zip(figure.subplots(2, 2, sharex=True).flat, ACTIVITY_SIGNALS, strict=True):
        for (label, curves), colour in zip(profiles.activities.items(), itertools.cycle(colours), strict=False):
            values = np.array(curves[name], dtype=np.float64)
            axes.plot(minutes, values, color=colour, lw=1, label=f"{label} ({curves['bouts']})")
        axes.axvline(0, color="#999999", lw=0.6)
        axes.set_title(f"{name.replace('_', ' ')} ({SIGNALS[NAMES.index(name)].unit})", fontsize=9)
        axes.tick_params(labelsize=7)
    figure.supxlabel("minutes from the start of the activity (number of bouts in brackets)", fontsize=8)
    handles, labels = figure.axes[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside right center", fontsize=7, frameon=False)
    return figure


def _correlation(profiles: "Profiles") -> Figure:
    """The 26 signals with one another, as in LSM-1's Fig. 10."""
    figure = Figure(figsize=(8, 7), layout="constrained")
    axes = figure.subplots()
    table = np.array([[np.nan if r is None else r for r in row] for row in profiles.correlation])
    picture = axes.imshow(table, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.set_xticks(range(len(NAMES)), NAMES, fontsize=6, rotation=90)
    axes.set_yticks(range(len(NAMES)), NAMES, fontsize=6)
    axes.set_facecolor("#dddddd")
    figure.colorbar(picture, ax=axes, shrink=0.7, label="correlation of minutes")
    return figure


def _fingerprint(table: "Fingerprint") -> Figure:
    """Errors by gap, ours as lines and the paper's as dots in a bar of the tolerance; below, each signal's."""
    figure = Figure(figsize=(11, 9), layout="constrained")
    rows = figure.add_gridspec(2, 1, height_ratios=[1, 1.2])
    upper, lower = figure.add_subfigure(rows[0]), figure.add_subfigure(rows[1])
    colours = {"mean": "#7a7a7a", "nearest": "#c8553d", "linear": "#1d3557"}
    for axes, (task, metric) in zip(upper.subplots(1, 4).flat, itertools.product(TASKS, METRICS), strict=True):
        for method, colour in colours.items():
            marks = table.errors[task][method][metric]
            gaps = [int(gap) for gap in marks]
            paper = np.array([mark.paper for mark in marks.values()])
            axes.plot(gaps, [mark.simulated for mark in marks.values()], color=colour, label=method)
            axes.errorbar(gaps, paper, ERROR_TOLERANCE * paper, fmt="o", ms=3, color=colour, lw=0.7)
        axes.set_xscale("log")
        axes.set_xticks(gaps, [str(gap) for gap in gaps], fontsize=7)
        axes.minorticks_off()
        axes.set_title(f"{task}, {metric.upper()}", fontsize=9)
        axes.tick_params(labelsize=7)
    upper.axes[0].legend(fontsize=7, frameon=False)
    upper.supxlabel("gap in minutes; line: this dataset, dots: LSM-1, Table 3(a), with the tolerance", fontsize=8)
    axes = lower.subplots()
    for method, colour in colours.items():
        errors = [table.by_signal[name]["interpolation"][method]["mae"]["10"] for name in NAMES]
        axes.plot(range(len(NAMES)), errors, "o", ms=4, color=colour)
        axes.axhline(table.errors["interpolation"][method]["mae"]["10"].paper, color=colour, lw=0.7, ls=":")
    axes.set_xticks(range(len(NAMES)), NAMES, fontsize=7, rotation=90)
    axes.set_ylabel("MAE over 10 minutes, by signal\n(dotted: the paper's average)", fontsize=8)
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
        for reason, look in LOOKS.items():
            gap = recording.reason[i] == reason
            if gap.any():
                used.add(reason)
                axes.fill_between(hours, 0, 1, where=gap, transform=axes.get_xaxis_transform(), color=look.colour, lw=0)
        if recording.truth is not None:
            axes.plot(hours, recording.truth[i], color="#999999", lw=0.5)
        axes.plot(hours, np.where(recording.observed[i], recording.values[i], np.nan), color="#1d3557", lw=0.7)
        axes.set_ylabel(f"{name.replace('_', ' ')}\n({SIGNALS[i].unit})", fontsize=7)
        axes.tick_params(labelsize=7)
    axes.set_xlabel(f"hour of {recording.date}, person {recording.person}, {recording.vendor}")
    axes.set_xlim(0, 24)
    handles = [figure.axes[0].fill_between([], 0, 0, color=LOOKS[reason].colour) for reason in sorted(used)]
    labels = [reason.name.replace("_", " ").lower() for reason in sorted(used)]
    figure.legend(handles, labels, loc="outside upper center", ncols=4, fontsize=7, frameon=False)
    return figure
