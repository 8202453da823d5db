"""The discriminative tasks in pictures: confusion matrices (LSM-1, Fig. 7) and t-SNE maps of embeddings (Figs 8, 9)."""

import io
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from model.evaluation.discriminative import Confusion
from model.evaluation.embeddings import Embedded, tsne
from simulator.files import write_whole

_MOST_NAMED: Final = 10  # labels that a map's legend has room for


def draw_confusion(found: Confusion, path: Path) -> None:
    """Write a confusion matrix as PNG: a row a true class, its answers in per cent; blank if none was asked."""
    counts = np.asarray(found.counts)
    total = counts.sum(axis=1, keepdims=True)
    shares = np.divide(counts, total, out=np.zeros_like(counts), where=total > 0)
    k = len(found.classes)
    with mpl.rc_context({"font.size": 9}):
        figure = Figure(figsize=(2.4 + 0.55 * k, 1.9 + 0.5 * k), dpi=110, layout="constrained")
        axes = figure.subplots()
        axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
        for i in np.flatnonzero(total[:, 0] > 0).tolist():
            for j in range(k):
                colour = "white" if shares[i, j] > 0.5 else "#333333"
                axes.text(j, i, f"{100 * shares[i, j]:.0f}", ha="center", va="center", color=colour, fontsize=8)
        axes.set_xticks(range(k), found.classes, rotation=45, ha="right")
        axes.set_yticks(range(k), found.classes)
        axes.set_xlabel("told")
        axes.set_ylabel("true")
        axes.set_title(f"{found.task}, {found.method.replace('_', ' ')}: % of each true class", loc="left", fontsize=9)
        _write(figure, path)


def draw_maps(found: Embedded, seed: int, path: Path) -> None:
    """Write one t-SNE map as PNG, a panel for each kind of label in its colours.

    Raises:
        DataError: If there are fewer than four windows.
    """
    rows, place = tsne(found, seed)
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        figure = Figure(figsize=(3.6 * len(found.labels), 4.4), dpi=110, layout="constrained")
        panels = figure.subplots(1, len(found.labels), squeeze=False)[0]
        for axes, (by, label) in zip(panels, found.labels.items(), strict=True):
            _map(axes, place, label[rows], found.task if by == "label" else by)
        _write(figure, path)


def _map(axes: Axes, place: NDArray[np.float32], label: NDArray[np.str_], name: str) -> None:
    """Points in the colour of their label, those without one in grey beneath."""
    names, size = np.unique(label[label != ""], return_counts=True)
    x, y = place.T
    axes.scatter(x[label == ""], y[label == ""], s=4, color="#d9d9d9", linewidths=0)
    colours = mpl.colormaps["tab10" if len(names) <= _MOST_NAMED else "hsv"]
    size_points = float(np.clip(2_000 / len(label), 5, 25))
    for i, one in enumerate(names):
        colour = colours(i) if len(names) <= _MOST_NAMED else colours(i / len(names))
        axes.scatter(
            x[label == one], y[label == one], s=size_points, color=colour, linewidths=0, label=f"{one} ({size[i]})"
        )
    axes.set_title(f"by {name}" + ("" if len(names) <= _MOST_NAMED else f" ({len(names)})"), loc="left", fontsize=9)
    axes.set_xticks([])
    axes.set_yticks([])
    if 0 < len(names) <= _MOST_NAMED:
        axes.legend(loc="upper center", bbox_to_anchor=(0.5, 0.0), ncols=2, fontsize=7, frameon=False, markerscale=2)


def _write(figure: Figure, path: Path) -> None:
    picture = io.BytesIO()
    figure.savefig(picture, format="png", metadata={"Software": None})
    write_whole(path, picture.getvalue())
