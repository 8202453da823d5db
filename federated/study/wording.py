"""A run's findings in plain words, for the page and for the terminal.

Every sentence is put together from the numbers of the run, so that a run that beats nothing says so.
"""

import math
from collections.abc import Mapping, Sequence
from statistics import median
from typing import Final

from federated.study.findings import (
    EVALUATED,
    FEDERATED,
    PUBLIC_ONLY,
    SIMULATED,
    ExampleDay,
    Findings,
    Place,
    Table,
    best,
    extremes,
    not_beaten,
    saving_over,
    verdict,
)
from model.evaluation.generative import RANDOM_SHARE, REFERENCE

MAKERS_IN_A_SENTENCE: Final = 8
HEADLINE_TASKS: Final = (("temporal_interpolation", 60), ("random_imputation", None))
TASK_NAMES: Final[Mapping[str, str]] = {
    "random_imputation": f"{RANDOM_SHARE:.0%} random imputation".replace("%", " %"),
    "temporal_interpolation": "temporal interpolation",
    "temporal_extrapolation": "temporal extrapolation",
    "sensor_imputation": "sensor imputation",
}
METHOD_NAMES: Final[Mapping[str, str]] = {
    FEDERATED: "federated",
    EVALUATED: "evaluated model",
    PUBLIC_ONLY: "public only (warm start)",
    "mean": "window's mean",
    "nearest": "nearest value",
    "last": "last value",
    "linear": "linear interpolation",
    "diurnal": "person's usual day",
    "kernel": "30-min kernel",
}


def percent(share: float, digits: int = 1) -> str:
    """A share as percent, with a true minus, and without one where it rounds to nothing.

    >>> percent(-0.113), percent(-0.0002), percent(0.5, 0)
    ('−11.3 %', '0.0 %', '50 %')
    """
    text = f"{100 * share:.{digits}f}"
    return (text if float(text) else text.lstrip("-")).replace("-", "−") + " %"


def span(interval: tuple[float, float] | None) -> str:
    """An interval of shares: "−22.4 to −1.2 %"."""
    if interval is None:
        return "no interval"
    return f"{percent(interval[0]).removesuffix(' %')} to {percent(interval[1])}"


def place_name(place: Place) -> str:
    """A task with its horizon: "temporal interpolation, 60 min"."""
    task = TASK_NAMES.get(place[0], place[0].replace("_", " "))
    return task if place[1] is None else f"{task}, {place[1]} min"


def method_name(method: str, noise: str) -> str:
    """What the pages call a method; the federated one says whether it is private."""
    if method == FEDERATED:
        return {"off": "federated, not private", "rehearsal": "federated, rehearsed"}.get(noise, "federated, private")
    return METHOD_NAMES.get(method, method)


def headline(found: Findings) -> tuple[str, str, str]:
    """What happened, in three sentences: errors, privacy, and how often it holds."""
    return _errors_sentence(found), privacy_sentence(found), tally(found.tables[SIMULATED])


def _errors_sentence(found: Findings) -> str:
    scores = found.tables[SIMULATED]
    parts = []
    for place in HEADLINE_TASKS:
        mine, linear = scores.get(place, FEDERATED), scores.get(place, REFERENCE)
        if mine is None or linear is None:
            parts.append(f"{place_name(place)} was not scored")
            continue
        saved = "no saving defined" if mine.saving is None else f"a saving of {percent(mine.saving)}"
        judged = {"better": "better", "worse": "worse", "undecided": "not distinguishable"}[verdict(mine)]
        parts.append(
            f"on {place_name(place)} it reaches {mine.mse:.3f} against {linear.mse:.3f}, {saved} "
            f"(95 % interval {span(mine.saving_interval)}; {judged})"
        )
    model = "private model" if found.privacy.noise != "off" else "model, trained without privacy,"
    return (
        f"The federated {model} of {len(found.experiment.makers)} makers against linear interpolation, in mean squared "
        f"error on {scores.people} held-out simulated people: {'; '.join(parts)}."
    )


def privacy_sentence(found: Findings) -> str:
    """What the people were promised, by maker and over the federation."""
    spent = found.privacy
    if spent.noise == "off" or spent.federation is None or spent.delta is None:
        return "Noise was off: this run gives no privacy guarantee to anybody."
    values = {name: up(epsilon) for name, epsilon in spent.epsilon.items() if epsilon is not None}
    if len(set(values.values())) == 1 and len(values) > 1:
        each = f"ε = {next(iter(values.values()))} at each of the {len(values)} makers"
    elif len(values) <= MAKERS_IN_A_SENTENCE:
        each = ", ".join(f"ε = {epsilon} at {name}" for name, epsilon in values.items())
    else:
        smallest, greatest = (pick(values.values(), key=float) for pick in (min, max))
        each = f"ε = {smallest} to {greatest} at the {len(values)} makers"
    rehearsed = "; the noise was rehearsed from a public seed, so it would protect no real person"
    return (
        f"The bound on a person's privacy loss over the whole run is {each} and ε = {up(spent.federation)} over the "
        f"federation, at δ = {small(spent.delta)}{rehearsed if spent.noise == 'rehearsal' else ''}."
    )


def up(epsilon: float) -> str:
    """An epsilon with two decimals, rounded up: a guarantee is never said to be better than it is.

    >>> up(7.991), up(8.0), up(0.1 + 0.2)
    ('8.00', '8.00', '0.31')
    """
    return f"{math.ceil(100 * epsilon) / 100:.2f}"


def small(probability: float) -> str:
    """A small probability.

    >>> small(1e-05)
    '1e-5'
    """
    return f"{probability:g}".replace("e-0", "e-")


def not_beaten_lines(scores: Table) -> list[str]:
    """Where the federated model does not beat linear interpolation: a line for "worse", one for "open", if any."""
    lines = []
    for judged, text in (("worse", "worse"), ("undecided", "open (the interval reaches 0, or there is none)")):
        minutes: dict[str, list[str]] = {}
        for row in not_beaten(scores):
            if verdict(row) == judged:
                minutes.setdefault(row.task, []).extend([] if row.horizon is None else [str(row.horizon)])
        tasks = [
            TASK_NAMES.get(task, task) + (f" {', '.join(listed)} min" if listed else "")
            for task, listed in minutes.items()
        ]
        lines += [f"{text}: {'; '.join(tasks)}"] if tasks else []
    return lines


def tally(scores: Table) -> str:
    """How often the federated model beats linear interpolation, the public model and every other method."""
    rows = scores.overall(FEDERATED)
    if not rows:
        return "The federated model was not scored."
    n, verdicts = len(rows), [verdict(row) for row in rows]
    over_public = saving_over(scores, FEDERATED, PUBLIC_ONLY)
    parts = [
        f"Of {n} tasks it beats linear interpolation on {verdicts.count('better')}, is worse on "
        f"{verdicts.count('worse')}, and on {verdicts.count('undecided')} the interval leaves it open"
    ]
    if over_public:
        lower = sum(saving > 0 for saving in over_public.values())
        parts.append(
            f"its error is lower than that of the public warm start alone on {lower} of {len(over_public)} "
            f"(median saving {percent(median(over_public.values()))})"
        )
    lowest = sum(FEDERATED in winners for winners in best(scores).values())
    parts.append(f"it has the lowest error of all {len(scores.methods)} methods on {lowest or 'none'}")
    return "; ".join(parts) + "."


def signals_sentence(scores: Table) -> str:
    """How often the model beats linear interpolation signal by signal, and where it does worst."""
    verdicts = {
        signal: [verdict(row) for place in scores.places if (row := scores.get(place, scores.model, signal))]
        for signal in scores.signals
    }
    cells = [judged for of_signal in verdicts.values() for judged in of_signal]
    worst = max(verdicts, key=lambda signal: verdicts[signal].count("worse"), default=None)
    text = (
        f"of {len(cells)} scores it beats linear interpolation on {cells.count('better')}, is worse on "
        f"{cells.count('worse')}, and {cells.count('undecided')} stay open"
    )
    if worst is not None and "worse" in verdicts[worst]:
        text += f"; most often worse: {worst.replace('_', ' ')}, on {verdicts[worst].count('worse')}"
    return text + "."


def curves_sentence(found: Findings) -> str:
    """What the training curves show."""
    losses, public = found.warm_up.losses, found.public_losses
    tenth = max(1, len(losses) // 10)
    text = (
        f"Over {len(losses)} public steps the training loss went from {_mean(losses[:tenth]):.3f} (mean of the first "
        f"{tenth}) to {_mean(losses[-tenth:]):.3f} (of the last {tenth})"
    )
    change = public[-1] / public[0] - 1
    moved = "did not change" if change == 0 else f"{'fell' if change < 0 else 'rose'} by {percent(abs(change))}"
    lowest = min(range(len(public)), key=lambda i: public[i])
    return (
        f"{text}; over {len(public) - 1} rounds with the makers the loss on public validation people {moved}, from "
        f"{public[0]:.3f} to {public[-1]:.3f}, and was lowest after round {lowest}."
    )


def day_sentence(day: ExampleDay) -> str:
    """How much of the shown signals a day holds, and why the rest is missing."""
    cells = sum(len(values) for values in day.signals.values())
    seen = sum(value is not None for values in day.signals.values() for value in values)
    minutes: dict[str, int] = {}
    for gaps in day.reasons.values():
        for start, end, reason in gaps:
            minutes[reason] = minutes.get(reason, 0) + end - start
    causes = sorted(minutes.items(), key=lambda item: (-item[1], item[0]))
    missing = ", ".join(f"{reason_name(reason)} {_part(n / cells)}" for reason, n in causes)
    return f"{percent(seen / cells, 0)} of the shown minutes were delivered" + (
        f"; missing: {missing}." if missing else "."
    )


def _part(share: float) -> str:
    return percent(share, 0) if share >= 0.005 else "under 1 %"


def reason_name(reason: str) -> str:
    """A reason in words: "SENSOR_ABSENT" -> "sensor absent"."""
    return reason.replace("_", " ").lower()


def savings_sentence(scores: Table, noise: str) -> str:
    """What the main picture shows of a dataset."""
    ends = extremes(scores)
    if ends is None:
        return f"No saving of a model is recorded on {scores.dataset!r}."
    low, high = (f"{percent(row.saving or 0)} on {place_name((row.task, row.horizon))}" for row in ends)
    name = "evaluated" if scores.model == EVALUATED else method_name(FEDERATED, noise)
    text = f"The {name} model's saving against linear interpolation runs from {low} to {high}"
    ahead = [row for row in scores.overall(REFERENCE) if row.task == "temporal_extrapolation"]
    same = [row for row in ahead if (last := scores.get((row.task, row.horizon), "last")) and last.mse == row.mse]
    if ahead and len(same) == len(ahead):
        text += "; in extrapolation linear interpolation has one side only and equals the last value"
    return text + "."


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)


def picture_title(found: Findings) -> str:
    """Two lines above the README's picture: what it shows, and the two figures that matter most."""
    scores, parts = found.tables[SIMULATED], []
    for place in HEADLINE_TASKS:
        row = scores.get(place, FEDERATED)
        if row is not None and row.saving is not None:
            parts.append(f"{place_name(place)}: {percent(row.saving)} ({span(row.saving_interval)})")
    spent = found.privacy
    privately = "without privacy" if spent.federation is None else f"ε = {up(spent.federation)} a person"
    rehearsed = ", rehearsed noise" if spent.noise == "rehearsal" else ""
    return (
        f"Federated over {len(found.experiment.makers)} watch makers, {privately}{rehearsed}: error saved on "
        f"{scores.people} held-out simulated people\n" + "; ".join(parts)
    )
