"""The report: from records alone, the same bytes again, honest about what was not reached, and safe to open."""

import json
import math
import re
from collections.abc import Iterator
from dataclasses import replace
from html import escape, unescape
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import matplotlib as mpl
import numpy as np
import pytest

from federated.experiment import Experiment
from federated.presets import TINY
from federated.study import figures
from federated.study.findings import (
    FEDERATED,
    PUBLIC_ONLY,
    SIMULATED,
    ExampleDay,
    best,
    findings,
    not_beaten,
    saving_over,
    table,
    verdict,
)
from federated.study.report import as_html, as_text, write_report
from federated.study.wording import curves_sentence, day_sentence, headline, not_beaten_lines, up
from model.evaluation.generative import Row
from simulator.gap_looks import LOOKS
from simulator.recording import DataError, Reason
from simulator.signals import MINUTES_PER_DAY, NAMES

SMALL = replace(TINY, makers=TINY.makers[:2], rounds=replace(TINY.rounds, least_makers=2))
METHODS = ("mean", "nearest", "last", "linear", "diurnal", FEDERATED, PUBLIC_ONLY)
MSE = dict(zip(METHODS, (0.5, 0.8, 0.9, 0.6, 0.7, 0.3, 0.4), strict=True))
PLACES = (("random_imputation", None), *(("temporal_interpolation", horizon) for horizon in (10, 60)))
PLACES += (("temporal_extrapolation", 30), ("sensor_imputation", 120))
Content = dict[str, Any]


def a_row(place: tuple[str, int | None], method: str, signal: str = "all", **other: Any) -> Content:
    mse, linear = MSE.get(method, 0.35), MSE["linear"]
    if method in ("nearest", "last") and place[0] == "temporal_extrapolation":
        mse = linear
    saving = 1 - mse / linear
    row = Row(
        task=place[0],
        horizon=place[1],
        signal=signal,
        method=method,
        mae=mse**0.5,
        mse=mse,
        interval=(mse - 0.05, mse + 0.05),
        saving=saving,
        saving_interval=(saving - 0.1, saving + 0.1),
        n=1234,
        people=10,
    )
    return replace(row, **other).as_json()


def rows(*methods: str, signals: tuple[str, ...] = ("heart_rate", "scl")) -> list[Content]:
    return [a_row(p, m, s) for p in PLACES for m in methods or METHODS for s in (*signals, "all")]


def a_day(device: str, person: str) -> Content:
    values: list[float | None] = [60.0 + 10 * math.sin(minute / 90) for minute in range(MINUTES_PER_DAY)]
    values[:360] = [None] * 360
    reasons = {"heart_rate": [(0, 360, "CHARGING")], "scl": [(0, MINUTES_PER_DAY, "SENSOR_ABSENT")]}
    signals = {"heart_rate": values, "scl": [None] * MINUTES_PER_DAY}
    return {"person": person, "vendor": device, "day": 0, "signals": signals, "reasons": reasons}


def contents(experiment: Experiment) -> dict[tuple[str, str], Content]:
    """What a finished run of this experiment records."""
    names = [maker.name for maker in experiment.makers]
    plan = {"noise_multiplier": 0.733, "epsilon_budget": 8.0, "unit": "person", "adjacency": "add or remove one person"}
    days = [a_day(maker.device, f"{maker.name}-0000012") for maker in experiment.makers]
    return {
        ("experiment", ""): {"experiment": experiment.name, "plans": dict.fromkeys(names, plan)},
        ("warm_up", ""): {"losses": [1.0, 0.8, 0.7, 0.6], "public_loss": 0.5, "parameters": 105_517, "people": 8},
        ("round", "1"): {"round": 1, "public_loss": 0.4},
        ("round", "2"): {"round": 2, "public_loss": 0.45},
        ("examples", "public"): {"days": days[:1]},
        ("examples", "makers"): {"days": days[::-1]},
        ("rows", SIMULATED): {"rows": rows(), "people": 10, "data": "simulated"},
        ("privacy", ""): {
            "noise": "rehearsal",
            "epsilon": dict.fromkeys(names, 7.991),
            "second_accountant": dict.fromkeys(names, 7.99),
            "federation": 7.991,
            "delta": 1e-5,
            "releases": dict.fromkeys(names, 2),
        },
    }


def write_run(
    folder: Path, given: dict[tuple[str, str], Content] | None = None, experiment: Experiment = SMALL, **facts: Any
) -> Path:
    """A run folder with nothing in it but the two files that a report may read."""
    folder.mkdir()
    (folder / "experiment.json").write_text(experiment.to_json())
    common: Content = {"experiment": experiment.digest, "seed": 1, "commit": "0123456789ab", "machine": "2 cores"}
    common |= {"written": "2026-01-01T00:00:00Z", "seconds": 1.5} | facts
    lines = [
        json.dumps({"kind": kind, "key": key, "content": content} | common) + "\n"
        for (kind, key), content in (contents(experiment) if given is None else given).items()
    ]
    (folder / "records.jsonl").write_text("".join(lines))
    return folder


@pytest.fixture
def run(tmp_path: Path) -> Path:
    return write_run(tmp_path / "run")


class Page(HTMLParser):
    """Reads a page strictly: every element closed, identifiers and addresses collected."""

    VOID = ("meta", "br", "img", "link", "input")

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.ids: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.tags: set[str] = set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_startendtag(tag, attrs)
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes += [(name, value or "") for name, value in attrs]
        self.ids += [value or "" for name, value in attrs if name == "id"]

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def text_of(run: Path) -> str:
    """What a reader of the page sees, roughly."""
    page = as_html(findings(run))
    return unescape(re.sub(r"\s+", " ", re.sub(r"<svg.*?</svg>|<[^>]*>", " ", page, flags=re.DOTALL)))


# --- built from records alone ----------------------------------------------------------------------------------------


def test_two_files_are_enough_and_two_are_written(run: Path) -> None:
    before = {path.name: path.read_bytes() for path in run.iterdir()}
    page = write_report(run)
    assert page == run / "report.html"
    assert {path.name for path in run.iterdir()} == {*before, "report.html", "report.png"}
    assert all((run / name).read_bytes() == content for name, content in before.items())
    assert page.stat().st_size < 3_000_000
    assert (run / "report.png").stat().st_size < 300_000
    assert (run / "report.png").read_bytes()[16:20] == (1600).to_bytes(4, "big")  # width in the header


def test_the_same_records_give_the_same_bytes_whatever_the_settings(run: Path, tmp_path: Path) -> None:
    write_report(run)
    other = write_run(tmp_path / "elsewhere")
    with mpl.rc_context({"font.size": 20, "svg.hashsalt": "x", "axes.facecolor": "red", "text.usetex": False}):
        write_report(other)
        assert mpl.rcParams["font.size"] == 20  # and the user's settings are left alone
    for name in ("report.html", "report.png"):
        assert (run / name).read_bytes() == (other / name).read_bytes()


def test_the_page_needs_nothing_from_elsewhere_and_is_whole(run: Path) -> None:
    text = write_report(run).read_text()
    page = Page(text)
    assert len(page.ids) == len(set(page.ids))
    assert not page.tags & {"script", "link", "img", "iframe", "object", "base"}
    loaded = [value for name, value in page.attributes if name in ("src", "href", "xlink:href", "style", "action")]
    assert all(value.startswith("#") or "//" not in value for value in loaded)
    assert "@import" not in text
    assert re.findall(r"url\((?!#)", text) == []
    for reference in re.findall(r'(?:xlink:href="#|url\(#)([^")]+)', text):
        assert reference in page.ids


def test_every_average_of_the_records_is_on_the_page(run: Path) -> None:
    given = contents(SMALL)
    for i, row in enumerate(given["rows", SIMULATED]["rows"]):
        row["mse"], row["mae"] = 1 + i / 1000 + 0.0001, 3 + i / 1000 + 0.0001
    text = text_of(write_run(run.parent / "numbered", given))
    for row in given["rows", SIMULATED]["rows"]:
        if row["signal"] == "all":
            assert f" {row['mse']:.4f} " in text
            assert f" {row['mae']:.4f} " in text


def test_the_experiment_is_shown_as_the_run_states_it(tmp_path: Path) -> None:
    page = as_html(findings(write_run(tmp_path / "run")))
    assert escape(SMALL.to_json()) in page
    assert SMALL.digest in page


# --- missing, unfinished, torn, foreign ------------------------------------------------------------------------------


def refused(run: Path) -> str:
    """The one line with which both forms of the report refuse a run, which is left as it was."""
    before = {path.name: path.read_bytes() for path in run.iterdir()} if run.exists() else {}
    with pytest.raises(DataError) as told:
        as_text(run)
    with pytest.raises(DataError, match=re.escape(str(told.value))):
        write_report(run)
    assert not run.exists() or {path.name: path.read_bytes() for path in run.iterdir()} == before
    assert "\n" not in str(told.value)
    return str(told.value)


@pytest.mark.parametrize("name", [name for name in contents(SMALL) if name != ("examples", "public")])
def test_an_unfinished_run_is_told_what_is_missing(tmp_path: Path, name: tuple[str, str]) -> None:
    given = {other: content for other, content in contents(SMALL).items() if other != name}
    told = refused(write_run(tmp_path / "run", given))
    assert "not finished" in told
    assert f"no record of {' '.join(name).strip()};" in told


def test_a_missing_run_and_missing_records_are_named(tmp_path: Path) -> None:
    assert "experiment.json: no such file" in refused(tmp_path / "nowhere")
    run = write_run(tmp_path / "run")
    (run / "records.jsonl").unlink()
    assert "records.jsonl: no such file" in refused(run)


@pytest.mark.parametrize(
    ("damage", "told"),
    [
        (lambda content: content[:-20], "last line is cut off"),
        (lambda content: content.replace(b'"kind"', b'"kin', 1), "line 1: not a record"),
        (lambda content: b'{"a": 1}\n' + content, "line 1: not a record"),
        (lambda content: b"[1, 2]\n" + content, "line 1: not a record"),
        (lambda content: b"\xff\xfe\x00\n" + content, "line 1: not a record"),
        (
            lambda content: content.replace(SMALL.digest.encode(), b"aaaaaaaaaaaa", 1),
            "experiment aaaaaaaaaaaa",
        ),
        (lambda content: content.replace(b'"mse"', b'"mice"', 1), "rows simulated: 0.mse: Field required"),
        (lambda content: content.replace(b'"losses": [1.0', b'"losses": ["x"', 1), "warm_up: losses.0"),
        (lambda content: content.replace(b'"CHARGING"', b'"TIRED"', 1), "(0, 360, 'TIRED') of heart_rate"),
        (lambda content: content.replace(b'"scl": [null, ', b'"scl": [', 1), "scl has 1439 minutes, expected 1440"),
        (lambda content: content.replace(b'"scl"', b'"sql"'), "signal 'sql' is unknown"),
        (lambda content: content.replace(b'"public_loss": 0.4}', b'"loss": 1}', 1), "round 1: has no 'public_loss'"),
        (
            lambda content: content.replace(b'{"round": 1, "public_loss": 0.4}', b"7", 1),
            "content: Input should be a valid",
        ),
    ],
)
def test_torn_and_foreign_records_give_one_clear_line(run: Path, damage: Any, told: str) -> None:
    content = (run / "records.jsonl").read_bytes()
    assert damage(content) != content
    (run / "records.jsonl").write_bytes(damage(content))
    assert told in refused(run)


# --- honesty ---------------------------------------------------------------------------------------------------------


def with_intervals(*bounds: tuple[float, float] | None) -> dict[tuple[str, str], Content]:
    """A run whose federated model has these intervals of its saving, task by task."""
    given, intervals = contents(SMALL), iter(bounds)
    for row in given["rows", SIMULATED]["rows"]:
        if row["method"] == FEDERATED and row["signal"] == "all":
            row["saving_interval"] = next(intervals)
            row["saving"] = None if row["saving_interval"] is None else sum(row["saving_interval"]) / 2
    return given


def test_where_it_does_not_beat_linear_is_computed(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", with_intervals((0.1, 0.3), (-0.4, -0.2), (0.0, 0.2), (-0.1, 0.1), None))
    scores = findings(run).tables[SIMULATED]
    assert [verdict(row) for row in scores.overall(FEDERATED)] == ["better", "worse", *3 * ["undecided"]]
    assert [(row.task, row.horizon) for row in not_beaten(scores)] == list(PLACES[1:])
    worse, unclear = not_beaten_lines(scores)
    assert worse == "worse: temporal interpolation 10 min"
    assert "temporal interpolation 60 min; temporal extrapolation 30 min; sensor imputation 120 min" in unclear
    text = text_of(run)
    assert worse in text
    assert unclear in text
    assert "▼ −30.0 % −40.0 to −20.0 %" in text
    assert "beats linear interpolation on 1, is worse on 1, and on 3" in headline(findings(run))[2]


def test_nowhere_is_said_only_when_it_is_so(tmp_path: Path) -> None:
    everywhere = write_run(tmp_path / "good", with_intervals(*[(0.1, 0.3)] * 5))
    assert not_beaten_lines(findings(everywhere).tables[SIMULATED]) == []
    assert "Nowhere: every interval" in text_of(everywhere)
    assert as_text(everywhere).endswith("nowhere")
    nowhere = write_run(tmp_path / "bad", with_intervals(*[(-0.3, -0.1)] * 5))
    assert "Nowhere" not in text_of(nowhere)
    assert "beats linear interpolation on 0, is worse on 5" in as_text(nowhere).replace("\n", " ")
    assert "; worse)" in headline(findings(nowhere))[0]


def test_the_public_model_and_the_best_method_are_compared(tmp_path: Path) -> None:
    given = contents(SMALL)
    for row in given["rows", SIMULATED]["rows"]:
        if row["method"] == FEDERATED and row["horizon"] == 60:
            row["mse"] = 0.44  # worse than the public model's 0.4
        if row["method"] == "mean" and row["task"] == "random_imputation":
            row["mse"] = 0.01
    run = write_run(tmp_path / "run", given)
    scores = findings(run).tables[SIMULATED]
    assert saving_over(scores, FEDERATED, PUBLIC_ONLY)["temporal_interpolation", 60] == pytest.approx(-0.1)
    assert best(scores)["random_imputation", None] == ["mean"]
    assert best(scores)["temporal_interpolation", 60] == [PUBLIC_ONLY]
    text = text_of(run)
    assert "Its error is not lower on: temporal interpolation, 60 min (−10.0 %)." in text
    assert "on 4 of 5 (median saving 25.0 %); it has the lowest error of all 7 methods on 3" in text


def test_headline_numbers_come_from_the_rows(run: Path) -> None:
    first, second, _ = headline(findings(run))
    assert "temporal interpolation, 60 min it reaches 0.300 against 0.600, a saving of 50.0 %" in first
    assert "(95 % interval 40.0 to 60.0 %; better)" in first
    assert "80 % random imputation" in first
    assert "ε = 8.00 at each of the 2 makers and ε = 8.00 over the federation, at δ = 1e-5" in second


@pytest.mark.parametrize("epsilon", [0.0, 0.001, 1.0, 2.005, 7.991, 7.9999])
def test_an_epsilon_is_never_rounded_down(epsilon: float) -> None:
    assert epsilon <= float(up(epsilon)) < epsilon + 0.0101


def with_noise(noise: str) -> dict[tuple[str, str], Content]:
    given = contents(SMALL)
    given["privacy", ""]["noise"] = noise
    if noise == "off":
        nothing = dict.fromkeys(given["privacy", ""]["epsilon"])
        given["privacy", ""] = {"noise": "off", "epsilon": nothing, "federation": None, "delta": None}
    return given


@pytest.mark.parametrize(
    ("noise", "said", "not_said"),
    [
        ("rehearsal", "A rehearsal.", "No guarantee."),
        ("off", "this run protects nobody", "A rehearsal."),
        ("release", "drawn in secret by each maker", "protect no real person"),
    ],
)
def test_the_noise_mode_is_said_plainly(tmp_path: Path, noise: str, said: str, not_said: str) -> None:
    run = write_run(tmp_path / "run", with_noise(noise))
    text = text_of(run)
    assert said in text
    assert not_said not in text
    assert ("differ by at most" in text) == (noise != "off")
    assert ("no privacy guarantee" in as_text(run)) == (noise == "off")
    named = {"rehearsal": "federated, rehearsed", "off": "federated, not private", "release": "federated, private"}
    assert [name in text for name in named.values()] == [mode == noise for mode in named]


def test_makers_of_different_epsilon_are_named(tmp_path: Path) -> None:
    given = contents(SMALL)
    given["privacy", ""]["epsilon"]["aurora"] = 3.2
    second = headline(findings(write_run(tmp_path / "run", given)))[1]
    assert "ε = 3.20 at aurora" in second
    assert "ε = 8.00 at borealis" in second


def test_curves_say_where_the_loss_went(tmp_path: Path) -> None:
    given = contents(SMALL)
    found = findings(write_run(tmp_path / "falls", given))
    assert "fell by 10.0 %, from 0.500 to 0.450, and was lowest after round 1" in curves_sentence(found)
    given["round", "2"]["public_loss"] = 0.6
    assert "rose by 20.0 %" in curves_sentence(findings(write_run(tmp_path / "rises", given)))


def test_a_day_says_what_is_missing_and_why(run: Path) -> None:
    day = findings(run).examples["makers"][0]
    told = "38 % of the shown minutes were delivered; missing: sensor absent 50 %, charging 12 %."
    assert day_sentence(day) == told


def test_another_dataset_gets_its_own_scores(tmp_path: Path) -> None:
    given = contents(SMALL)
    simple = [method for method in METHODS if method not in (FEDERATED, PUBLIC_ONLY)]
    real = rows(*simple, "model", signals=("heart_rate", "steps"))
    given["rows", "fitabase"] = {"rows": real, "people": 10, "data": "fitabase"}
    run = write_run(tmp_path / "run", given)
    scores = findings(run).tables["fitabase"]
    assert scores.model == "model"
    assert scores.signals == ["heart_rate", "steps"]
    assert scores.methods[0] == "model"
    text = text_of(run)
    assert "All scores: fitabase" in text
    assert "2 signals: heart rate, steps." in text
    assert "The evaluated model's saving" in text
    assert "fitabase: temporal interpolation, 60 min" in as_text(run)


# --- safety ----------------------------------------------------------------------------------------------------------


def test_everything_from_files_is_escaped(tmp_path: Path) -> None:
    evil = '<script>alert("1")</script>&$x$'
    experiment = replace(SMALL, name=evil)
    given = contents(experiment)
    given["experiment", ""]["notes"] = evil
    for plan in given["experiment", ""]["plans"].values():
        plan["unit"] = plan["adjacency"] = evil
    given["rows", evil] = {"rows": [a_row((evil, 10), evil, evil), a_row((evil, 10), FEDERATED)]}
    given["examples", "makers"]["days"].append(a_day(evil, evil))
    given["examples", evil] = {"days": [a_day(evil, evil)]}
    run = write_run(tmp_path / "run", given, experiment, commit=evil, machine=evil, written=evil)
    page = as_html(findings(run))
    assert "<script" not in page
    assert page.count(escape(evil)) > 10
    assert "script" not in Page(page).tags
    assert evil in as_text(run).replace("\n", " ")


def test_text_is_short_and_plain(tmp_path: Path) -> None:
    given = with_intervals(*[(-0.3, -0.1)] * 5)
    for i in range(5):
        given["rows", f"further {i}"] = {"rows": rows("linear", FEDERATED, signals=())}
    text = as_text(write_run(tmp_path / "run", given))
    assert text.isascii()
    assert len(text.splitlines()) <= 30
    assert max(map(len, text.splitlines())) <= 125
    assert re.search(r"simulated: temporal interpolation, 60 min +0\.300 +0\.400 +0\.600 +-20\.0 % \(-30\.0 to", text)


# --- figures ---------------------------------------------------------------------------------------------------------


def svgs(run: Path) -> Iterator[str]:
    yield from re.findall(r"<svg.*?</svg>", as_html(findings(run)), re.DOTALL)


def test_figures_are_well_formed_and_follow_the_page(run: Path) -> None:
    drawn = list(svgs(run))
    assert len(drawn) == 1 + 1 + len(SMALL.makers) + 1 + 2  # saved, legend, days, curves, public legend and day
    for svg in drawn:
        ET.fromstring(svg)
        assert figures.INK not in svg
        assert figures.FAINT not in svg
        assert "currentColor" in svg
        assert "viewBox" in svg


def test_a_gap_has_the_colour_of_its_reason_and_only_that() -> None:
    gap: dict[str, tuple[tuple[int, int, str], ...]] = {"heart_rate": ((100, 200, "MOTION"), (300, 310, "MOTION"))}
    values = tuple(None if 100 <= m < 200 or 300 <= m < 310 else 60.0 + m % 7 for m in range(MINUTES_PER_DAY))
    day = ExampleDay(person="p", vendor="v", day=0, signals={"heart_rate": values}, reasons=gap)
    svg = figures.day_svg(day, "day")
    assert {reason for reason, look in LOOKS.items() if look.colour in svg} == {Reason.MOTION}
    assert figures.reasons_of([day]) == [Reason.MOTION]


def test_lines_break_at_gaps_and_no_minute_is_lost() -> None:
    values = np.array([1, np.nan, 2, np.nan, np.nan, 3, 4, np.nan, 5], dtype=float)
    x, y = figures._strokes(values)
    drawn = [
        (first, second)
        for first, second in zip(range(len(y)), range(1, len(y)), strict=False)
        if np.isfinite(y[[first, second]]).all() and np.isfinite(x[[first, second]]).all()
    ]
    assert sorted({float(y[i]) for pair in drawn for i in pair}) == [1, 2, 3, 4, 5]  # all are part of a stroke
    assert all(abs(x[b] - x[a]) <= 1 for a, b in drawn)  # and none bridges a gap


def test_smoothing_is_the_mean_of_the_steps_before() -> None:
    values = np.random.default_rng(3).random(50)
    for window in (1, 4, 80):
        slow = [values[max(0, i + 1 - window) : i + 1].mean() for i in range(len(values))]
        np.testing.assert_allclose(figures._smoothed(values, window), slow)


def test_the_axis_holds_the_models_and_does_not_stretch_for_poor_methods() -> None:
    place = ("temporal_interpolation", 10)
    planted = [
        a_row(place, FEDERATED, saving=-0.2, saving_interval=(-0.7, 0.4)),
        a_row(place, "mean", saving=-4.0, saving_interval=(-5.0, -3.0)),
        a_row(place, "last", saving=-0.3, saving_interval=(-0.9, 0.8)),
    ]
    low, high = figures._limits(table("x", [Row(**row) for row in planted]), [FEDERATED, "mean", "last"])
    assert -80 < low < -70
    assert 80 < high < 90


def test_every_signal_has_a_unit_and_a_name_to_read() -> None:
    assert all(figures.unit(name) and "_" not in figures.signal_name(name) for name in NAMES)
    assert figures.unit("skin_temperature") == "°C"
    assert figures.signal_name("altimeter_sd") == "altimeter SD"
