"""docs/papers.md and its pictures, made from a run's records alone."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from model.papers.plan import Plan
from model.papers.tables import NAMES, Table, Told, markdown
from simulator.files import write_whole

SHOWN: Final = {
    "3a": ("mse",),
    "gains": ("mse",),
    "4": ("mse",),
    "5": ("mse",),
    "6": ("mse",),
    "7": ("mse",),
    "9": ("mse",),
    "3bc": ("accuracy", "map"),
    "14": ("accuracy", "map"),
    "10": ("accuracy", "map"),
    "11": ("accuracy", "map"),
    "lsm2": ("auroc", "f1", "map", "correlation"),
}
"""Metrics of the page; the run's own tables have all."""
_HORIZONS: Final = (10, 20, 30, 60, 120)
_METHODS: Final = (
    ("linear", "#9aa0a6"),
    ("kernel", "#c9b458"),
    ("lsm1", "#4a7fb5"),
    ("aim", "#c8442d"),
    ("truth", "#222222"),
)
_KINDS: Final = ("temporal_interpolation", "temporal_extrapolation", "sensor_imputation")


def write_page(told: Told, tables: Sequence[Table], page: Path) -> Path:
    """Write the page and, beside it, the picture of the generative tasks."""
    picture = page.with_name("papers.png")
    drawn = draw_margins(told, picture)
    found = [_head(told)]
    if drawn:
        found.append(f"![Errors by length of the gap: linear interpolation, LSM-1, AIM and the truth]({picture.name})")
    found += [limits(told)] if limits(told) else []
    found += [markdown(table, SHOWN.get(table.key)) for table in tables]
    found.append(_models(told))
    write_whole(page, ("\n\n".join(found) + "\n").encode())
    return page


def _head(told: Told) -> str:
    plan = told.plan
    size = (
        f"{plan.train_people} people times {plan.train_days} days to train on, {plan.test_people} times "
        f"{plan.test_days} filled in ({plan.windows_per_person} five-hour windows each), {plan.label_people} times "
        f"{plan.label_days} with labels"
    )
    command = f"everywear papers --preset {told.preset} --seed {told.seed} --page docs/papers.md"
    commits = ", ".join(f"`{commit}`" for commit in told.commits)
    return f"""# The papers' tables, re-made

`{command}`, commit {commits}, {told.written[0]} to {told.written[1]},
{told.machine}: {told.cpu_seconds / 60:.0f} CPU minutes ({told.wall_seconds / 60:.0f} minutes added up over pieces,
other work beside). Simulated people, nobody in two sets: {size}.

Cells are *ours (95 % over people) / the paper's*. Sources: LSM-1 is arXiv:2410.13638; of LSM-2 (AIM) no paper's text
was at hand, its few numbers are from a blog post and notes. The last column says what differs and why."""


def limits(told: Told) -> str:
    """What keeps AIM from the paper's margins in this run, as far as errors of others tell; "" without them."""
    names = ("linear", "kernel", "aim-quarter", "aim", "lsm1", "routine", "truth")
    found = {name: told.value("3a", "temporal_interpolation", name, "mse", "60") for name in names}
    error = {name: value for name, value in found.items() if value is not None}
    if len(error) < len(names) or not {"aim", "lsm1"} <= set(told.models):
        return ""
    lines = [
        "### What limits AIM here",
        "",
        "Errors of an hour hidden inside the window: " + ", ".join(f"{NAMES[n]} {error[n]:.3f}" for n in names) + ".",
        "",
    ]
    made = told.models
    learnt, more = 1 - error["aim"] / error["kernel"], 1 - error["aim"] / error["aim-quarter"]
    lines.append(
        f"- **Training.** Against the untrained kernel that it starts from, AIM saves {100 * learnt:.0f} %; "
        f"the last three quarters of its {made['aim']['steps']} steps brought {100 * more:.0f} %."
    )
    reach = 1 - error["routine"] / error["linear"]
    taken = (1 - error["aim"] / error["linear"]) / reach
    lines.append(
        "- **Luck.** Who knew everything that the wearer did, minute by minute, would save "
        f"{100 * reach:.0f} % against linear interpolation; AIM takes {100 * taken:.0f} % of that."
    )
    line, watch = (told.value("3a", "temporal_interpolation", name, "mse", "10") for name in ("linear", "truth"))
    if line and watch:
        lines.append(
            f"- **The watch.** Over ten minutes linear interpolation errs by {line:.2f} and the watch itself by "
            f"{watch:.2f}: knowing the body exactly would save {100 * (1 - watch / line):.0f} %, where the paper's "
            "model saves 39 %. The paper's scores also count minutes that it had filled in, which have no such errors."
        )
    steps, apart = made["lsm1"]["steps"] / made["aim"]["steps"], error["lsm1"] / error["aim"] - 1
    lines.append(
        "- **Equal compute.** LSM-1's patches of five signals make its steps so cheap that it takes "
        f"{steps:.1f} times as many; its error is AIM's {100 * apart:+.0f} %."
    )
    return "\n".join(lines)


def _models(told: Told) -> str:
    lines = [
        "### What was trained",
        "",
        "| model | parameters | people | steps x windows | multiply-adds, 10^9 | CPU seconds |",
        "|---|---|---|---|---|---|",
    ]
    for name, made in told.models.items():
        lines.append(
            f"| {NAMES.get(name, name)} | {made['parameters']:,} | {made['people']} "
            f"| {made['steps']} x {made['windows_a_step']} "
            f"| {made['operations'] / 1e9:,.0f} | {made['cpu_seconds']:.0f} |"
        )
    return "\n".join(lines)


def hours(plan: Plan) -> int:
    """Hours of the people to train on."""
    return 24 * plan.train_people * plan.train_days


def draw_margins(told: Told, path: Path) -> bool:
    """Write the errors of the temporal and sensor tasks as a picture; False where there is nothing to draw."""
    lines = {
        (kind, name): [told.value("3a", kind, name, "mse", str(h)) for h in _HORIZONS]
        for kind in _KINDS
        for name, _ in _METHODS
    }
    if not any(value is not None for values in lines.values() for value in values):
        return False
    with mpl.rc_context({"font.size": 9, "axes.spines.top": False, "axes.spines.right": False}):
        drawing = Figure(figsize=(9.6, 3.4), dpi=110, layout="constrained")
        panels = drawing.subplots(1, len(_KINDS), sharey=True)
        for axes, kind in zip(panels, _KINDS, strict=True):
            for name, colour in _METHODS:
                values = np.array([np.nan if v is None else v for v in lines[kind, name]])
                axes.plot(
                    _HORIZONS,
                    values,
                    color=colour,
                    marker="o",
                    markersize=3,
                    label=NAMES.get(name, name).split(" (")[0],
                )
            axes.set_xscale("log")
            axes.set_xticks(_HORIZONS, [str(h) for h in _HORIZONS])
            axes.minorticks_off()
            axes.set_xlabel("minutes hidden")
            axes.set_title(kind.replace("_", " "), loc="left", fontsize=9)
            axes.set_ylim(bottom=0)
        panels[0].set_ylabel("mean squared error, z units")
        panels[0].legend(frameon=False, fontsize=8)
        held = io.BytesIO()
        drawing.savefig(held, format="png", metadata={"Software": None})
        write_whole(path, held.getvalue())
    return True
