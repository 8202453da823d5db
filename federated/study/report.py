"""The report of a finished run: one self-contained page, one picture for the README, and a few lines for a terminal.

Made from ``experiment.json`` and ``records.jsonl`` alone, so it can be made again anywhere, also after the data is
gone; the same two files give the same bytes. Everything that comes from a file is escaped.
"""

import textwrap
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import Final

from federated.study.figures import curves_svg, day_svg, legend_svg, savings_png, savings_svg, signal_name
from federated.study.findings import (
    FEDERATED,
    PUBLIC_ONLY,
    SIMULATED,
    Findings,
    Table,
    best,
    findings,
    saving_over,
    verdict,
)
from federated.study.page import STYLE
from federated.study.wording import (
    HEADLINE_TASKS,
    TASK_NAMES,
    curves_sentence,
    day_sentence,
    headline,
    method_name,
    not_beaten_lines,
    percent,
    picture_title,
    place_name,
    savings_sentence,
    signals_sentence,
    small,
    span,
    up,
)
from model.evaluation.generative import REFERENCE, Row
from simulator.files import write_whole

TEXT_COLUMNS: Final = 100
DATASETS_IN_TEXT: Final = 3
HEAT_FLOOR: Final = -9.99  # saving below which a cell of the heat map says no more than that
HEAT_FULL: Final = 0.6  # saving at which a cell of the heat map has its full colour


def write_report(run: Path) -> Path:
    """Write ``report.html`` and ``report.png`` into a finished run's folder; the page's path.

    Raises:
        DataError: If the run is missing, damaged or not finished; the message names what is missing.
    """
    found = findings(run)
    path = run / "report.html"
    picture = savings_png(found.tables[SIMULATED], found.privacy.noise, picture_title(found))
    page = as_html(found)
    write_whole(run / "report.png", picture)
    write_whole(path, page.encode())
    return path


def as_text(run: Path) -> str:
    """The headline for a terminal: at most 30 lines of plain characters.

    Raises:
        DataError: If the run is missing, damaged or not finished.
    """
    found = findings(run)
    blocks = [f"everywear run {found.experiment.name!r} ({found.records[0].experiment}), seed {found.experiment.seed}"]
    blocks += [*headline(found)[1:]]
    lines = [line for block in blocks for line in textwrap.wrap(_plain(block), TEXT_COLUMNS)]
    shown = list(found.tables.values())[:DATASETS_IN_TEXT]
    lines += ["", f"{'mean squared error':<44}{'model':>11}{'public only':>13}{'linear':>9}   saving (95 %)"]
    lines += [_plain(line) for scores in shown for line in _text_rows(scores)]
    lines += ["", "where the federated model does not beat linear interpolation (simulated people):"]
    for line in not_beaten_lines(found.tables[SIMULATED]) or ["nowhere"]:
        lines += textwrap.wrap(_plain(line), TEXT_COLUMNS, subsequent_indent="  ")
    return "\n".join(lines)


def _plain(text: str) -> str:
    """Without the characters of ours that a terminal may not have."""
    return text.replace("−", "-").replace("ε", "epsilon").replace("δ", "delta")


def _text_rows(scores: Table) -> list[str]:
    lines = []
    for place in HEADLINE_TASKS:
        mine, public, linear = (scores.get(place, method) for method in (scores.model, PUBLIC_ONLY, REFERENCE))
        if mine is None:
            continue
        others = "".join(
            f"{row.mse:{width}.3f}" if row else f"{'-':>{width}}" for row, width in ((public, 13), (linear, 9))
        )
        saving = "-" if mine.saving is None else f"{percent(mine.saving)} ({span(mine.saving_interval)})"
        lines.append(f"{f'{scores.dataset}: {place_name(place)}':<44}{mine.mse:11.3f}{others}   {saving}")
    return lines


def as_html(found: Findings) -> str:
    """The page."""
    title = f"everywear: {found.experiment.name}"
    sections = [_headline(found), _main_picture(found), _days(found), _curves(found)]
    sections += [_scores(found, scores, i) for i, scores in enumerate(found.tables.values())]
    sections += [_privacy(found), _run(found)]
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{STYLE}</style>\n</head>\n<body>\n<main>\n<h1>{escape(title)}</h1>\n"
        + "\n".join(sections)
        + "\n</main>\n</body>\n</html>\n"
    )


# --- sections --------------------------------------------------------------------------------------------------------


def _headline(found: Findings) -> str:
    scores, first, final = found.tables[SIMULATED], found.records[0], found.records[-1]
    about = f"seed {first.seed}, experiment {first.experiment}, commit {final.commit}, finished {final.written}"
    paragraphs = "".join(f"<p>{escape(sentence)}</p>" for sentence in headline(found))
    listed = "".join(f"<li>{escape(line)}</li>" for line in not_beaten_lines(scores))
    missed = f"<ul>{listed}</ul>" if listed else "<p>Nowhere: every interval of its saving lies above 0.</p>"
    return (
        f'<section class="lead"><p class="faint">{escape(about)}</p>{paragraphs}'
        f"<h2>Where it does not beat linear interpolation</h2>{missed}{_wide(_verdicts(scores))}"
        f"<h2>Against the public warm start alone</h2>{_against_public(scores)}</section>"
    )


def _verdicts(scores: Table) -> str:
    """Saving of the model by task and horizon, marked by its verdict."""
    horizons = sorted({horizon for _, horizon in scores.places if horizon is not None})
    lines = []
    for task in dict.fromkeys(place[0] for place in scores.places):
        if (task, None) in scores.places:
            cells = [_verdict_cell(scores.get((task, None), scores.model), columns=max(1, len(horizons)))]
        else:
            cells = [_verdict_cell(scores.get((task, horizon), scores.model)) for horizon in horizons]
        lines.append(f'<tr><th scope="row">{escape(TASK_NAMES.get(task, task))}</th>{"".join(cells)}</tr>')
    caption = "Saving against linear interpolation with its 95 % interval over people: ▲ beats it, ▼ worse, ○ open."
    return _table(["", *(f"{horizon} min" for horizon in horizons)], lines, caption)


def _verdict_cell(row: Row | None, columns: int = 1) -> str:
    if row is None or row.saving is None:
        return f'<td colspan="{columns}">–</td>'
    mark, said = {"better": "▲", "worse": "▼", "undecided": "○"}[verdict(row)], percent(row.saving)
    return (
        f'<td colspan="{columns}" class="{verdict(row)}">{mark} {said}<small>{span(row.saving_interval)}</small></td>'
    )


def _against_public(scores: Table) -> str:
    savings = saving_over(scores, FEDERATED, PUBLIC_ONLY)
    if not savings:
        return "<p>The two were not scored on the same task.</p>"
    not_lower = [f"{place_name(place)} ({percent(saving)})" for place, saving in savings.items() if saving <= 0]
    listed = f"Its error is not lower on: {', '.join(not_lower)}." if not_lower else "Its error is lower on every task."
    if len(not_lower) == len(savings):
        listed = f"Its error is lower on none of the {len(savings)} tasks."
    low, high = (pick(savings, key=lambda place: savings[place]) for pick in (min, max))
    ends = f"from {percent(savings[low])} on {place_name(low)} to {percent(savings[high])} on {place_name(high)}"
    note = "The records hold no interval for this comparison, so small differences may be chance."
    return f"<p>{escape(listed)} What the makers' rounds saved goes {escape(ends)}. {note}</p>"


def _noise_box(found: Findings) -> str:
    noise = found.privacy.noise
    if noise == "release":
        return ""
    if noise == "off":
        return (
            '<p class="box"><b>No guarantee.</b> Noise was off: no gradient was clipped or noised, and this run '
            "protects nobody.</p>"
        )
    return (
        '<p class="box"><b>A rehearsal.</b> The keys of the noise come from the public seed '
        f"{found.experiment.seed}, because all people here are simulated and the run is to be repeatable. The ε "
        "given here is what the same run would cost with secret keys; as it stands, whoever knows the seed can "
        "subtract the noise, and it would protect no real person.</p>"
    )


def _main_picture(found: Findings) -> str:
    scores = found.tables[SIMULATED]
    noise = found.privacy.noise
    return _section(
        "Error saved against linear interpolation",
        _figure(savings_svg(scores, noise, "saved"), savings_sentence(scores, noise))
        + f'<p class="faint">Held-out simulated people of all makers ({scores.people}); marks are averages over the '
        "signals, bars 95 % bootstrap intervals over people.</p>",
    )


def _days(found: Findings) -> str:
    order = [maker.name for maker in found.experiment.makers]
    makers = sorted(found.examples["makers"], key=lambda day: [*order, found.maker_of(day)].index(found.maker_of(day)))
    body = f'<div class="legend">{legend_svg(makers, "reasons")}</div>'
    for i, day in enumerate(makers):
        name = (
            f"<b>{escape(found.maker_of(day))}</b> ({escape(day.vendor)}), person {escape(day.person)}, day {day.day}. "
        )
        body += _figure(day_svg(day, f"day{i}"), day_sentence(day), name)
    for i, (key, days) in enumerate((k, d) for k, d in found.examples.items() if k != "makers"):
        inner = f'<div class="legend">{legend_svg(days, f"reasons{i}")}</div>'
        for j, day in enumerate(days):
            name = f"<b>{escape(day.vendor)}</b>, person {escape(day.person)}, day {day.day}. "
            inner += _figure(day_svg(day, f"day{i}x{j}"), day_sentence(day), name)
        body += f"<details><summary>Days of {escape(key)} people</summary>{inner}</details>"
    return _section("A day with each maker's device", body)


def _curves(found: Findings) -> str:
    note = (
        f"The model has {found.warm_up.parameters:,} parameters; the warm start learned from {found.warm_up.people} "
        "public simulated people. The loss over the rounds is that of public people too: how well the model fits the "
        "makers' own people is not measured while it trains, since that would be a release about them."
    )
    body = _figure(curves_svg(found, "curves"), curves_sentence(found))
    return _section("Training", body + f'<p class="faint">{escape(note)}</p>')


def _scores(found: Findings, scores: Table, number: int) -> str:
    noise = found.privacy.noise
    simulated = scores.dataset == SIMULATED
    title = "All scores: held-out simulated people" if simulated else f"All scores: {scores.dataset}"
    body = ""
    if not simulated:
        body += _figure(savings_svg(scores, noise, f"saved{number}"), savings_sentence(scores, noise))
        body += _wide(_verdicts(scores))
    signals = ", ".join(signal_name(signal) for signal in scores.signals)
    body += f"<p>{escape(_best_sentence(scores, noise))} {scores.people} people; {len(scores.signals)} signals"
    body += f": {escape(signals)}.</p>" if len(scores.signals) <= 6 else ".</p>"
    body += _wide(_matrix(scores, noise))
    by_signal = escape(f"By signal: {signals_sentence(scores)}")
    body += f"<details open><summary>{by_signal}</summary>{_wide(_heat(scores))}</details>"
    summary = "Every average with both errors and intervals"
    body += f"<details><summary>{summary}</summary>{_wide(_long(scores, noise))}</details>"
    return _section(title, body)


def _best_sentence(scores: Table, noise: str) -> str:
    wins: dict[str, int] = {}
    for winners in best(scores).values():
        for method in winners:
            wins[method] = wins.get(method, 0) + 1
    ordered = sorted(wins.items(), key=lambda item: -item[1])
    said = ", ".join(f"{method_name(method, noise)} on {n}" for method, n in ordered)
    return f"Lowest mean squared error, of {len(best(scores))} tasks (ties count for each): {said}."


def _matrix(scores: Table, noise: str) -> str:
    """Mean squared errors: tasks by methods; the lowest of each task is set bold."""
    winners = best(scores)
    head = ["task", *(method_name(method, noise) for method in scores.methods)]
    lines = []
    for place in scores.places:
        cells = []
        for method in scores.methods:
            row = scores.get(place, method)
            if row is None:
                cells.append("<td>–</td>")
                continue
            between = "" if row.interval is None else f"<small>{row.interval[0]:.3f} to {row.interval[1]:.3f}</small>"
            kind = ' class="best"' if method in winners[place] else ""
            cells.append(f"<td{kind}>{row.mse:.3f}{between}</td>")
        lines.append(f'<tr><th scope="row">{escape(place_name(place))}</th>{"".join(cells)}</tr>')
    caption = "Mean squared error in z², averaged over signals, with its 95 % interval over people; the lowest is bold."
    return _table(head, lines, caption)


def _long(scores: Table, noise: str) -> str:
    head = ["task", "method", "MSE", "its interval", "MAE", "saving", "its interval", "cells", "people"]
    lines = []
    for place in scores.places:
        for method in scores.methods:
            row = scores.get(place, method)
            if row is None:
                continue
            interval = "–" if row.interval is None else f"{row.interval[0]:.4f} to {row.interval[1]:.4f}"
            saving = "–" if row.saving is None else percent(row.saving)
            cells = [f"{row.mse:.4f}", interval, f"{row.mae:.4f}", saving, span(row.saving_interval)]
            cells += [f"{row.n:,}", str(row.people)]
            named = f'<th scope="row">{escape(place_name(place))}</th><td>{escape(method_name(method, noise))}</td>'
            lines.append(f"<tr>{named}{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>")
    return _table(head, lines, "Errors in z units; saving against linear interpolation.")


def _heat(scores: Table) -> str:
    """Saving of the model against linear interpolation: signals by tasks, as coloured cells."""
    tasks = list(dict.fromkeys(place[0] for place in scores.places))
    counts = {task: sum(place[0] == task for place in scores.places) for task in tasks}
    spans = "".join(f'<th colspan="{counts[task]}">{escape(TASK_NAMES.get(task, task))}</th>' for task in tasks)
    minutes = "".join(f"<th>{'' if horizon is None else horizon}</th>" for _, horizon in scores.places)
    lines = [
        f'<tr><th scope="row">{escape(signal_name(signal))}</th>'
        + "".join(_heat_cell(scores, place, signal) for place in scores.places)
        + "</tr>"
        for signal in scores.signals
    ]
    caption = (
        "Saving of the model against linear interpolation, %: blue saves, orange loses; bold where the 95 % "
        "interval excludes 0. Columns are gap lengths in minutes."
    )
    return (
        f'<table class="heat"><caption>{caption}</caption><thead><tr><th></th>{spans}</tr><tr><th></th>{minutes}</tr>'
        f"</thead><tbody>{''.join(lines)}</tbody></table>"
    )


def _heat_cell(scores: Table, place: tuple[str, int | None], signal: str) -> str:
    row, linear = scores.get(place, scores.model, signal), scores.get(place, REFERENCE, signal)
    if row is None or row.saving is None or linear is None:
        return "<td>–</td>"
    strength = min(abs(row.saving) / HEAT_FULL, 1) * 0.6
    colour = f"rgb({'0 114 178' if row.saving > 0 else '213 94 0'} / {strength:.2f})"
    sure = ' class="sure"' if verdict(row) != "undecided" else ""
    told = f"MSE {row.mse:.3f}, linear {linear.mse:.3f}; saving {span(row.saving_interval)}"
    told += f"; {row.n} cells, {row.people} people"
    text = ("&lt;" if row.saving < HEAT_FLOOR else "") + percent(max(row.saving, HEAT_FLOOR), 0).removesuffix(" %")
    return f'<td{sure} style="background:{colour}" title="{escape(told)}">{text}</td>'


def _privacy(found: Findings) -> str:
    spent, makers = found.privacy, found.experiment.makers
    first = next(iter(found.plans.values()), {})
    unit, adjacency = (escape(str(first.get(key, "not recorded"))) for key in ("unit", "adjacency"))
    trust = (
        f"<p>Protected unit: a {unit} with everything recorded of them. Neighbouring data: {adjacency}. Trust: each "
        "maker clips and adds noise itself before anything leaves it; neither the server nor the other makers are "
        "trusted, and a person trusts their own maker only.</p>"
    )
    head = ["maker", "device", "ε (PLD)", "ε (PRV)", "ε allowed", "messages", "people", "q", "σ", "C", "k", "steps"]
    keys = ("nominal_people", "sampling_rate", "noise_multiplier", "clip_norm", "windows_per_person", "steps")
    lines = []
    for maker in makers:
        plan = found.plans.get(maker.name, {})
        epsilon, second = spent.epsilon.get(maker.name), spent.second_accountant.get(maker.name)
        budget = plan.get("epsilon_budget")
        cells = ["no bound" if epsilon is None else f"{epsilon:.4f}", "–" if second is None else f"{second:.4f}"]
        cells += ["none" if budget is None else f"{budget:g}", str(spent.releases.get(maker.name, "–"))]
        cells += [_number(plan.get(key)) for key in keys]
        named = f'<th scope="row">{escape(maker.name)}</th><td>{escape(maker.device)}</td>'
        lines.append(f"<tr>{named}{''.join(f'<td>{escape(cell)}</td>' for cell in cells)}</tr>")
    caption = (
        "people: the maker's published number; q: probability with which a person joins a step; σ: noise in units of "
        "C; C: bound on a person's gradient; k: windows of a joining person; steps: of the plan, all rounds together."
    )
    return _section("Privacy", _noise_box(found) + _total(found) + trust + _wide(_table(head, lines, caption)))


def _total(found: Findings) -> str:
    spent = found.privacy
    if spent.federation is None or spent.delta is None:
        return ""
    apart = [
        abs(spent.second_accountant[n] / e - 1) for n, e in spent.epsilon.items() if e and n in spent.second_accountant
    ]
    agree = f" The two accountants (PLD and PRV) differ by at most {percent(max(apart), 3)}." if apart else ""
    keys = " The noise keys were drawn in secret by each maker." if spent.noise == "release" else ""
    largest = max((epsilon for epsilon in spent.epsilon.values() if epsilon is not None), default=0.0)
    people = "the largest of the makers', as nobody is with two" if spent.federation == largest else "over all makers"
    return (
        f"<p><b>ε = {up(spent.federation)} at δ = {small(spent.delta)}</b> for a person against whoever sees all "
        f"messages of all makers ({people}).{agree}{keys}</p>"
    )


def _run(found: Findings) -> str:
    experiment, records = found.experiment, found.records
    commits = list(dict.fromkeys(record.commit for record in records))
    changed = " (“-dirty”: with changes that were not committed)" if any(c.endswith("-dirty") for c in commits) else ""
    seconds = sum(record.seconds for record in records)
    facts = {
        "experiment": f"{experiment.name}, digest {records[0].experiment}",
        "seed": str(experiment.seed),
        "commit": ", ".join(commits) + changed,
        "machine": "; ".join(dict.fromkeys(record.machine for record in records)),
        "written": f"{records[0].written} to {records[-1].written}, pauses included",
        "recorded work": f"{seconds:.0f} s",
    }
    first = next(record for record in records if record.kind == "experiment")
    facts |= {key: str(value) for key, value in first.content.items() if key not in ("experiment", "plans")}
    listed = "".join(f"<tr><th scope='row'>{escape(k)}</th><td>{escape(v)}</td></tr>" for k, v in facts.items())
    stages = [
        f'<tr><th scope="row">{escape(f"{r.kind} {r.key}".strip().replace("_", " "))}</th><td>{r.seconds:.1f} s</td>'
        f"<td>{escape(r.written)}</td></tr>"
        for r in records
        if r.seconds
    ]
    body = f'<table class="facts"><tbody>{listed}</tbody></table>'
    body += _wide(_table(["stage", "wall time", "finished"], stages, "Stages with a recorded wall time."))
    text = escape(found.stated)
    return _section("What was run", f"{body}<details><summary>The experiment</summary><pre>{text}</pre></details>")


# --- pieces ----------------------------------------------------------------------------------------------------------


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _figure(svg: str, sentence: str, before: str = "") -> str:
    return f"<figure>{svg}<figcaption>{before}{escape(sentence)}</figcaption></figure>"


def _wide(table: str) -> str:
    return f'<div class="wide">{table}</div>'


def _table(head: Sequence[str], lines: Sequence[str], caption: str) -> str:
    columns = "".join(f"<th>{escape(name)}</th>" for name in head)
    top = f"<caption>{escape(caption)}</caption><thead><tr>{columns}</tr></thead>"
    return f"<table>{top}<tbody>{''.join(lines)}</tbody></table>"


def _number(value: object) -> str:
    if value is None:
        return "–"
    return f"{value:g}" if isinstance(value, float) else str(value)
