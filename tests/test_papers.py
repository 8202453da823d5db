"""The papers' tables: numbers as printed, no line without its sentence, equal compute, resumed as if never stopped."""

import csv
import json
from collections.abc import Mapping
from dataclasses import replace
from fnmatch import fnmatchcase
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
from numpy.typing import NDArray

from everywear import main
from federated.study.records import Record, Records
from model.evaluation.imputers import LearnedWindows
from model.evaluation.labels import Pool
from model.papers.bench import Bench, take_rows, thin
from model.papers.oracles import Routine, Truth, relived
from model.papers.page import limits, write_page
from model.papers.pieces import OF_TABLE, pieces_of
from model.papers.plan import PRESETS, TABLES, recipes
from model.papers.run import run
from model.papers.scores import NEEDS, SCORES, _stacked, _without, removals
from model.papers.sentences import BASELINES, remark, remarks
from model.papers.tables import Line, Place, Told, markdown, published, tables, write_tables
from simulator.cohort import Cohort
from simulator.dataset import open_dataset
from simulator.population import POPULATIONS
from simulator.realism.fingerprint import GAPS_MINUTES, PAPER
from simulator.signals import INDEX, N_SIGNALS
from tests.test_autoencoder import TABLE_8

TINY = PRESETS["tiny"]


def told(figures: Mapping[Place, float], spread: float | None = None) -> Told:
    """A run that found these figures, with intervals of so much on either side."""
    rows = [
        dict(zip(("table", "group", "line", "metric", "column"), place, strict=True))
        | {"value": value, "interval": None if spread is None else [value - spread, value + spread]}
        for place, value in figures.items()
    ]
    record = Record(
        kind="score",
        key="made up",
        experiment="",
        seed=1,
        commit="abc",
        machine="two cores",
        written="2026-11-27T00:00:00Z",
        seconds=1.0,
        content={"figures": rows, "cpu_seconds": 1.0},
    )
    return Told.of("tiny", TINY, 1, [record])


def test_numbers_are_those_that_other_rooms_hold() -> None:
    found = published()
    for (task, rule), pairs in PAPER.items():
        for gap, pair in zip(GAPS_MINUTES, pairs, strict=True):
            for metric, value in zip(("mae", "mse"), pair, strict=True):
                assert found["3a", f"temporal_{task}", rule, metric, str(gap)][0] == value
    for size, (million, gflops) in TABLE_8.items():
        assert found["8", "size", size, "parameters", "parameters_million"][0] == million
        assert found["8", "size", size, "gflops", "gflops"][0] == gflops


def test_printed_gains_follow_from_printed_errors_but_where_the_paper_contradicts_itself() -> None:
    found = published()
    off = []
    for (table, group, line, metric, column), (gain, _) in found.items():
        if table == "gains":
            ours = found["3a", group, line, metric, column][0]
            linear = found["3a", group, "linear", metric, column][0]
            if abs(1 - ours / linear - gain) > 0.03:  # two digits are printed
                off.append((group, metric, column))
    assert off == [("temporal_extrapolation", "mse", column) for column in ("30", "60", "120")]


def test_every_number_has_a_source_and_a_table() -> None:
    assert {place[0] for place in published()} <= set(TABLES)
    assert all(source.startswith(("LSM-1 ", "LSM-2")) for _, source in published().values())


@pytest.mark.parametrize("factor", [None, 0.5, 1.0, 2.0])
def test_no_line_lacks_its_sentence(factor: float | None) -> None:
    made_up = {} if factor is None else {place: factor * value for place, (value, _) in published().items()}
    new: dict[Place, float] = {
        ("3a", "temporal_interpolation", "aim", "mse", "60"): 0.3,
        ("robust", "exercise", "PPG", "accuracy lost", "aim"): 0.1,
        ("natural", "as worn", "aim", "mse", "gaps"): 0.8,
        ("natural", "as worn", "aim", "mse", "cells"): 0.4,
    }
    found = tables(told(made_up | ({} if factor is None else new), 0.01))
    assert [table.key for table in found] == list(TABLES)
    for table in found:
        for line in table.lines:
            assert line.sentence.endswith("."), (table.key, line.name, line.sentence)
            compared = any(cell.ratio is not None for cell in line.cells)
            if compared and factor in (0.5, 2.0) and table.key not in ("8", "6-cost"):
                where = "higher" if factor == 2.0 else "lower"
                assert remark(table.key, line, where), (table.key, line.name, where)
            if not any(cell.ours is not None for cell in line.cells):
                assert line.sentence.startswith("Not made")


def test_hand_written_sentences_stand_where_they_can_be_found() -> None:
    lines = {(place[0], f"{place[1]}/{place[2]}") for place in published()}
    for key, pattern, when, said in remarks():
        assert when in ("any", "higher", "lower", "near", "new", "absent")
        assert said == "" or said.endswith(".")
        assert key == "page" or key in TABLES
        ours_alone = key in ("natural", "robust", "lsm2", "page") or when in ("new", "absent")
        assert ours_alone or any(key == table and fnmatchcase(name, pattern) for table, name in lines), (key, pattern)
    text = resources.files("model.papers").joinpath("remarks.csv").read_text(encoding="utf-8")
    assert all(None not in row for row in csv.DictReader(text.splitlines()))


def test_a_learned_imputer_that_is_not_installed_has_a_line_that_says_so() -> None:
    for absent, said in (
        ({"saits": "PyPOTS is not installed"}, "Not made: PyPOTS is not installed"),
        ({}, "Not made yet"),
    ):
        made = replace(told({}), absent=absent)
        line = next(line for line in tables(made, ["3a"])[0].lines if line.name == "saits")
        assert line.sentence.startswith(said)


def test_a_baseline_s_neighbours_are_told_by_their_distance_from_it() -> None:
    paper = {place: value for place, (value, _) in published().items()}
    found = {place: 3 * value for place, value in paper.items() if place[0] in BASELINES}
    line = next(line for line in tables(told(found), ["5"])[0].lines if line.name == "structured-sensor")
    assert "interpolation +125 % here, +125 % in the paper" in line.sentence


def test_the_interval_and_the_reading_are_told() -> None:
    place = ("3a", "temporal_interpolation", "linear", "mse", "60")
    made = told({place: 0.5, ("reading", *place[1:]): 0.42})
    line = next(
        line
        for line in tables(made, ["3a"])[0].lines
        if (line.name, line.metric, line.group) == (*place[2:4], place[1])
    )
    assert line.sentence.startswith("1.19 times the paper's; with filled minutes scored too")
    assert "1.00 times" in line.sentence


def test_savings_are_of_linear_interpolation_on_the_same_gaps() -> None:
    place = ("3a", "temporal_interpolation", "aim", "mse", "60")
    made = told({place: 0.3, (*place[:2], "linear", *place[3:]): 0.5, (*place[:2], "lsm1", *place[3:]): 0.4})
    gains, margins = tables(made, ["gains", "lsm2-margins"])
    cells = {line.name: line.cells for line in gains.lines if (line.group, line.metric) == (place[1], "mse")}
    assert next(c.ours for c in cells["aim"] if c.column == "60") == pytest.approx(0.4)
    saved = next(line for line in margins.lines if line.name == "temporal_interpolation")
    assert saved.cells[0].ours == pytest.approx(0.25)


@pytest.fixture(scope="module")
def trained() -> dict[str, Any]:
    return {recipe.name: recipe for recipe in recipes(replace(TINY, aim_steps=60), 1)}


def test_main_models_have_equal_compute(trained: dict[str, Any]) -> None:
    aim = trained["aim"].step_operations * trained["aim"].training.steps
    for name in ("aim-papers", "lsm1", "simclr", "dino", "msn"):
        recipe = trained[name]
        assert abs(recipe.step_operations * recipe.training.steps - aim) <= recipe.step_operations
    assert trained["aim-quarter"].training.steps == 15


def test_ablations_change_one_thing_and_take_the_same_steps(trained: dict[str, Any]) -> None:
    base = trained["lsm1-ablation"]
    for name, recipe in trained.items():
        if name.startswith(("ratio-", "masks-", "patch-", "order-")):
            assert recipe.training.steps == base.training.steps
            masked, cut = recipe.training.masks != base.training.masks, recipe.architecture != base.architecture
            assert masked + (cut or recipe.apart) == 1, name


def test_every_table_knows_its_pieces_and_every_piece_its_models() -> None:
    assert set(OF_TABLE) == set(TABLES)
    assert {key for keys in OF_TABLE.values() for key in keys} == set(SCORES) == set(NEEDS)
    plan = PRESETS["short"]
    work = pieces_of(replace(plan, size="tiny", larger="tiny"), 1)
    names = [piece.name for piece in work]
    assert len(names) == len(set(names))
    for i, piece in enumerate(work):
        assert set(piece.needs) <= set(names[:i])


class Stopping(Records):
    """Records that are killed after some."""

    left = 10**6

    def add(self, kind: str, key: str, content: Mapping[str, Any], seconds: float) -> None:
        """As ever, but for the kill."""
        if not self.left:
            raise KeyboardInterrupt
        self.left -= 1
        super().add(kind, key, content, seconds)


def figures(records: Records) -> dict[str, Any]:
    return {record.key: record.content.get("figures") for record in records}


def test_a_run_that_was_killed_goes_on_and_finds_the_same(tmp_path: Path) -> None:
    dear = ("model masks", "score masks")
    work = [piece for piece in pieces_of(TINY, 1, ["5", "19"]) if not piece.name.startswith(dear)]
    assert {piece.kind for piece in work} == {"people", "windows", "model", "score"}

    def go(name: str, left: int = 10**6) -> Records:
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        records = Stopping(folder / "records.jsonl", TINY.digest(1), 1)
        records.left = left
        run(Bench(plan=TINY, seed=1, folder=folder), work, records, 1, lambda done, total, note: None)
        return records

    for workers in (1, 2):
        late = Records(tmp_path / "late.jsonl", TINY.digest(1), 1)
        run(Bench(plan=TINY, seed=1, folder=tmp_path), work, late, workers, lambda *told: None, minutes=0.0)
        assert not list(late)
    for left in (0, 3, 2):
        with pytest.raises(KeyboardInterrupt):
            go("killed", left)
    whole, killed = go("whole"), go("killed")
    assert figures(killed) == figures(whole)
    keys = [(record.kind, record.key) for record in killed]
    assert sorted(keys) == sorted((piece.kind, piece.key) for piece in work)
    assert len(keys) == len(set(keys))
    sides = [set(open_dataset(tmp_path / "whole" / "people" / side).people["person"]) for side in ("train", "test")]
    assert not sides[0] & sides[1]


def test_the_command_writes_tables_and_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out, page = tmp_path / "run", tmp_path / "docs" / "papers.md"
    command = ["papers", "--out", str(out), "--preset", "tiny", "--only", "8,6-cost", "--page", str(page), "--json"]
    assert main(command) == 0
    result = json.loads(capsys.readouterr().out)
    assert result["tables"] == ["6-cost", "8"]
    table = json.loads((out / "tables" / "8.json").read_text())
    near = [cell["ratio"] for line in table["lines"] for cell in line["cells"] if cell["column"] == "gflops"]
    assert near == pytest.approx([1] * 4, rel=0.05)
    assert [line["name"] for line in table["lines"]] == ["tiny", "small", "base", "large"]
    assert table["lines"][1]["sentence"] == "Parameters round to the paper's; gFLOPs within 0.4 %."
    assert "| base | 111 / 110 | 16 / 15.9 |" in page.read_text()
    assert main([*command[:-1], "--seed", "2"]) == 2
    assert "another folder" in capsys.readouterr().err
    assert main(["papers", "--only", "99"]) == 2
    assert main(["papers", "--minutes", "-1"]) == 2


def test_tables_are_written_in_three_forms(tmp_path: Path) -> None:
    found = tables(told({("19", "mood", "calm", "share", "natural"): 0.3}), ["19"])
    write_tables(found, tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["19.json", "19.md", "19.txt"]
    assert "30.0 % of what is logged here, 31.7 % in the paper" in markdown(found[0])


def test_a_page_without_any_record_says_that_nothing_is_made(tmp_path: Path) -> None:
    empty = Told.of("tiny", TINY, 1, [])
    page = write_page(empty, tables(empty), tmp_path / "papers.md")
    assert "Not made" in page.read_text()
    assert not (tmp_path / "papers.png").exists()


def test_limits_are_told_from_errors() -> None:
    place = ("3a", "temporal_interpolation")
    names = {"linear": 0.5, "kernel": 0.4, "aim-quarter": 0.4, "aim": 0.3, "lsm1": 0.33, "routine": 0.25, "truth": 0.2}
    made = told({(*place, name, "mse", "60"): value for name, value in names.items()})
    assert limits(made) == ""
    made = replace(made, models={"aim": {"steps": 10}, "lsm1": {"steps": 40}})
    said = limits(made)
    assert "AIM saves 25 %" in said
    assert "AIM takes 80 % of that" in said
    assert "4.0 times" in said
    assert "its error is AIM's +10 %" in said


def pool(labels: list[str]) -> Pool:
    n = len(labels)
    return Pool(
        values=np.ones((n, N_SIGNALS, 300), np.float32),
        observed=np.ones((n, N_SIGNALS, 300), np.bool_),
        slot=np.zeros(n, np.int64),
        features=np.zeros((n, 104), np.float32),
        kind=np.array(["bout"] * n),
        label=np.array(labels),
        person=np.arange(n),
        people=pd.DataFrame({"person": [f"p{i}" for i in range(n)]}),
    )


def test_thinning_keeps_rare_classes_whole() -> None:
    kept = thin(pool(["walking"] * 20 + ["running"] * 3), 8, 1)
    assert sorted(kept.label.tolist()) == ["running"] * 3 + ["walking"] * 5


def test_what_is_removed_is_gone_and_nothing_else() -> None:
    whole = pool(["walking"] * 2)
    gone = np.zeros((N_SIGNALS, 300), np.int64)
    for removed in removals():
        cut = _without(whole, removed)
        assert not cut.values[~cut.observed].any()
        gone += ~cut.observed[0]
    assert (gone == 2).all()  # once as part of a sensor, once as part of an hour
    both = _stacked([whole, take_rows(whole, np.array([1]))])
    assert both.person.tolist() == [0, 1, 1]


def test_the_truth_fills_with_itself_and_a_network_is_asked_for_what_is_not_known() -> None:
    values, truth = np.zeros((1, N_SIGNALS, 20), np.float32), np.ones((1, N_SIGNALS, 20), np.float32)
    known = np.ones(values.shape, np.bool_)
    known[..., 5:9] = False
    first = np.zeros(1, np.int64)
    assert Truth(truth).fill(values, known, ~known, first).sum() == 4 * N_SIGNALS

    class Network:
        def predict(self, asked: Mapping[str, NDArray[np.float32]]) -> dict[str, NDArray[np.float32]]:
            cells = asked["X"]
            assert cells.shape == (1, 20, N_SIGNALS)
            assert np.isnan(cells).sum() == 4 * N_SIGNALS
            return {"imputation": np.full(cells.shape, 7, np.float32)}

    assert LearnedWindows(Network()).fill(values, known, ~known, first).sum() == 7 * 4 * N_SIGNALS


def test_a_line_without_a_remark_has_none() -> None:
    line = Line(group="nowhere", name="nobody", metric="mse", cells=(), source="", sentence="")
    assert remark("no table", line, "higher") == ""


def test_a_day_lived_again_keeps_its_routine_and_changes_its_luck() -> None:
    cohort = Cohort(population=POPULATIONS["lsm1"], people=2, days=1, seed=5)
    (once,), (often,) = (list(relived(cohort, 1, lives)) for lives in (1, 6))
    truth, other = (next(cohort.of_person(place)).truth for place in (1, 0))
    assert truth is not None
    assert other is not None
    assert np.array_equal(often[INDEX["steps"]], truth[INDEX["steps"]])  # what was done
    for name in ("heart_rate", "skin_temperature"):
        i = INDEX[name]
        assert not np.array_equal(once[i], truth[i])
        mine, theirs = (np.corrcoef(_smooth(often[i]), _smooth(x[i]))[0, 1] for x in (truth, other))
        assert mine > 0.8 > 0.5 > theirs
        rough, smooth = (np.abs(np.diff(x[i])).mean() for x in (once, often))
        assert smooth < 0.8 * rough


def _smooth(x: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.asarray(x.reshape(-1, 30).mean(axis=1))


def test_the_routine_is_moved_to_what_is_known() -> None:
    values, expected = np.full((1, N_SIGNALS, 20), 3, np.float32), np.arange(20, dtype=np.float32)
    known = np.ones(values.shape, np.bool_)
    known[..., 10:] = False
    filled = Routine(np.broadcast_to(expected, values.shape)).fill(values, known, ~known, np.zeros(1, np.int64))
    assert filled[0, 0, 10:] == pytest.approx(expected[10:] - expected[:10].mean() + 3)
