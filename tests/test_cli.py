"""The front door: shapes that scripts rely on, and one clear line for every kind of bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numba
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import commandline
import everywear
from federated.presets import TINY
from model.training import load_model, parameters
from simulator.dataset import open_dataset
from simulator.engines import WorkerLostError
from simulator.signals import NAMES
from tests.test_layout import ROOT

pytestmark = pytest.mark.xdist_group("tiny run")
Said = pytest.CaptureFixture[str]


@pytest.fixture(scope="module")
def people(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six simulated people, three days."""
    folder = tmp_path_factory.mktemp("cli") / "people"
    assert everywear.main(["simulate", "--people", "6", "--days", "3", "--out", str(folder)]) == 0
    return folder


def result(capsys: Said, *arguments: str) -> dict[str, object]:
    """What a job prints with --json."""
    capsys.readouterr()
    assert everywear.main([*arguments, "--json"]) == 0
    said: dict[str, object] = json.loads(capsys.readouterr().out)
    return said


def test_simulate_says_what_it_wrote_whatever_the_shards(tmp_path: Path, capsys: Said) -> None:
    said = result(capsys, "simulate", "--people", "4", "--days", "2", "--out", str(tmp_path / "a"))
    assert {"people", "person_days", "bytes", "seconds", "person_days_per_second", "sha256"} <= set(said)
    assert (said["people"], said["person_days"]) == (4, 8)
    again = result(capsys, "simulate", "--people", "4", "--days", "2", "--out", str(tmp_path / "b"))
    assert again["sha256"] == said["sha256"]
    other = result(capsys, "simulate", "--people", "4", "--days", "2", "--seed", "2", "--out", str(tmp_path / "c"))
    assert other["sha256"] != said["sha256"]
    shards = [str(tmp_path / f"shard-{i}") for i in (1, 2)]
    for i, shard in enumerate(shards, 1):
        half = result(capsys, "simulate", "--people", "4", "--days", "2", "--shard", f"{i}/2", "--out", shard)
        assert half["people"] == 2
    merged = result(capsys, "merge", *shards, "--out", str(tmp_path / "d"))
    assert (merged["sha256"], merged["person_days"]) == (said["sha256"], 8)


def test_an_interrupted_simulation_goes_on(tmp_path: Path, capsys: Said) -> None:
    command = ["simulate", "--people", "3", "--days", "64", "--out", str(tmp_path / "a")]

    def interrupt(_: object, done: int, note: str = "") -> None:
        if done > 64:
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commandline.Bar, "__call__", interrupt)
        assert everywear.main(command) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    assert not (tmp_path / "a").exists()
    assert result(capsys, *command)["person_days"] == 192


def test_a_population_of_one_s_own_is_a_file(tmp_path: Path, capsys: Said) -> None:
    own = tmp_path / "old.json"
    own.write_text('{"name": "old", "age_shift_years": 20}')
    command = ["simulate", "--people", "3", "--days", "1", "--population", str(own), "--out", str(tmp_path / "a")]
    assert result(capsys, *command)["person_days"] == 3
    dataset = open_dataset(tmp_path / "a")
    assert dataset.people["person"].tolist() == [f"old-{i:07d}" for i in range(3)]
    assert dataset.manifest.made_by["population"]["age_shift_years"] == 20


def test_simulated_people_are_held_against_others(people: Path, tmp_path: Path, capsys: Said) -> None:
    other = tmp_path / "others"
    arguments = ["--people", "6", "--days", "3", "--seed", "9", "--out", str(other)]
    result(capsys, "simulate", *arguments)
    said = result(capsys, "realism", str(people), "--against", str(other), "--out", str(tmp_path / "realism"))
    assert isinstance(said["against"], dict)
    assert 0 <= said["against"]["separation"]["auroc"] <= 1
    assert (tmp_path / "realism" / "against.txt").read_text()


def test_train_and_evaluate(people: Path, tmp_path: Path, capsys: Said) -> None:
    model = tmp_path / "model"
    said = result(capsys, "train", str(people), "--out", str(model), "--steps", "3", "--batch-windows", "4")
    assert {"parameters", "steps", "loss", "seconds"} <= set(said)
    rows = result(capsys, "evaluate", str(model), str(people), "--tasks", "temporal_interpolation")["rows"]
    assert isinstance(rows, list)
    assert {"task", "horizon", "signal", "method", "mae", "mse", "interval", "n"} <= set(rows[0])
    assert {row["method"] for row in rows} == {"mean", "nearest", "last", "linear", "kernel", "diurnal", "model"}


def test_training_takes_the_papers_options(people: Path, tmp_path: Path, capsys: Said) -> None:
    model = str(tmp_path / "lsm1")
    options = ["--size", "lsm1-tiny", "--patch", "20x2", "--signal-order", "apart", "--masks", "structured-temporal"]
    said = result(capsys, "train", str(people), "--out", model, "--steps", "2", "--batch-windows", "4", *options)
    assert said["steps"] == 2
    description = json.loads((Path(model) / "model.json").read_text())
    shape, plan = description["architecture"], description["made_by"]["plan"]
    assert (shape["patch_minutes"], shape["patch_signals"], shape["filled"], shape["clock"]) == (20, 2, True, False)
    assert sorted(shape["signal_order"]) == sorted(NAMES) != sorted(shape["signal_order"], key=NAMES.index)
    assert plan["masks"]["weights"] == [0, 0, 0, 1]
    rows = result(capsys, "evaluate", model, str(people), "--tasks", "random_imputation")["rows"]
    assert isinstance(rows, list)
    assert "model" in {row["method"] for row in rows}


def test_models_of_different_windows_share_a_table(people: Path, tmp_path: Path, capsys: Said) -> None:
    """LSM-1 beside a model of days, trained on other people and so in other z-scores; the rest says why not."""
    day, hours, others = tmp_path / "day", tmp_path / "hours", str(tmp_path / "others")
    result(capsys, "simulate", "--people", "4", "--days", "2", "--seed", "5", "--out", others)
    quick = ["--steps", "2", "--batch-windows", "4"]
    result(capsys, "train", str(people), "--out", str(day), "--patch", "10x5", *quick)
    result(capsys, "train", others, "--out", str(hours), "--size", "lsm1-tiny", *quick)
    held = str(tmp_path / "held")
    result(capsys, "simulate", "--people", "4", "--days", "2", "--seed", "6", "--out", held)
    command = ["evaluate", str(day), held, "--beside", str(hours), "--windows-per-person", "2"]
    asked = ["--tasks", "sensor_imputation", "--imputers", "mice"]
    rows = result(capsys, *command, *asked)["rows"]
    assert isinstance(rows, list)
    for horizon in (10, 120):
        found = [row for row in rows if row["horizon"] == horizon and row["signal"] == "all"]
        assert {"day", "hours", "mice", "diurnal"} <= {row["method"] for row in found}
        assert len({row["n"] for row in found}) == 1
    for more, told in (
        (["--beside", str(day)], "models named day, day: expected folders of different names"),
        (["--tasks", "mood"], "task 'mood' is asked of one model at a time; leave --beside out"),
        (["--run", str(tmp_path)], "--run has models of its own; leave --beside or --run out"),
        (["--imputers", "guess"], "imputer 'guess' is unknown"),
    ):
        assert everywear.main([*command, *more]) == 2
        assert told in capsys.readouterr().err


@pytest.mark.parametrize("method", ["simclr", "dino", "msn"])
def test_encoders_are_trained_on_pairs(method: str, people: Path, tmp_path: Path, capsys: Said) -> None:
    model = str(tmp_path / method)
    command = ["train", str(people), "--out", model, "--patch", "10x5", "--method", method, "--steps", "2"]
    said = result(capsys, *command, "--batch-windows", "4")
    assert said["validation_loss"] is None
    assert said["parameters"] == parameters(load_model(Path(model))[0])


def test_labels_are_told_and_people_kept_apart(people: Path, tmp_path: Path, capsys: Said) -> None:
    model = str(tmp_path / "model")
    result(capsys, "train", str(people), "--out", model, "--patch", "10x5", "--steps", "2", "--batch-windows", "4")
    others = str(tmp_path / "others")
    result(capsys, "simulate", "--people", "12", "--days", "3", "--seed", "5", "--out", others)
    command = ["evaluate", model, others, "--windows-per-person", "2"]
    methods = ["--methods", "random_forest,linear_probe"]
    said = result(capsys, *command, "--tasks", "exercise,bmi", *methods, "--shots", "5")
    rows = said["rows"]
    assert isinstance(rows, list)
    assert {(r["task"], r["method"], r["shots"]) for r in rows} == {
        ("exercise", "random_forest", None),
        ("exercise", "linear_probe", None),
        ("exercise", "linear_probe", 5),
        ("bmi", "random_forest", None),
        ("bmi", "linear_probe", None),
    }
    assert {"task", "method", "shots", "mix", "metric", "group", "value", "interval", "n", "people"} == set(rows[0])
    assert {r["metric"] for r in rows} == {"accuracy", "map", "f1", "auroc", "correlation", "mae"}
    capsys.readouterr()
    both = [*command, "--tasks", "bmi,random_imputation", "--methods", "random_forest"]
    assert everywear.main(both) == 0
    words = capsys.readouterr().out
    assert "bmi, random forest" in words
    assert "random imputation" in words


def test_realism_and_budget(people: Path, tmp_path: Path, capsys: Said) -> None:
    said = result(capsys, "realism", str(people), "--out", str(tmp_path / "realism"))
    assert {"rows", "fingerprint", "missingness"} <= set(said)
    assert isinstance(said["rows"], list)
    assert {"id", "simulated", "interval", "low", "high", "verdict", "note"} <= set(said["rows"][0])
    plan = ["--people", "2000", "--rate", "0.1", "--steps", "50"]
    noise = result(capsys, "budget", *plan, "--epsilon", "4")
    assert isinstance(noise["noise"], dict)
    pld, prv = noise["noise"]["pld"], noise["noise"]["prv"]
    assert pld == pytest.approx(prv, rel=0.03)
    back = result(capsys, "budget", *plan, "--noise", str(pld))
    assert isinstance(back["epsilon"], dict)
    assert back["epsilon"]["pld"] == pytest.approx(4, rel=0.01)
    assert back["epsilon"]["pld"] <= 4
    assert result(capsys, "budget", *plan, "--noise", "0")["epsilon"] == {"pld": "inf", "prv": "inf"}


def test_real_minutes_go_in_and_get_the_same_table(people: Path, tmp_path: Path, capsys: Said) -> None:
    table = tmp_path / "minutes.parquet"
    stamps = pa.array(range(0, 3 * 1440 * 60_000, 60_000), pa.timestamp("ms"))
    n = len(stamps)
    columns = {"person": ["a"] * n, "timestamp": stamps, "heart_rate": [60.0 + i % 50 for i in range(n)]}
    pq.write_table(pa.table(columns | {"steps": [float(i % 7) for i in range(n)]}), table)
    said = result(capsys, "import", str(table), "--out", str(tmp_path / "real"))
    assert {"people", "person_days", "observed", "skipped"} <= set(said)
    model = tmp_path / "model"
    result(capsys, "train", str(people), "--out", str(model), "--steps", "2", "--batch-windows", "4")
    rows = result(capsys, "evaluate", str(model), str(tmp_path / "real"), "--tasks", "temporal_interpolation")["rows"]
    assert isinstance(rows, list)
    assert {row["signal"] for row in rows} == {"heart_rate", "steps", "all"}


def test_federate_and_report_on_a_finished_run(whole: Path, capsys: Said) -> None:
    said = result(capsys, "federate", "tiny", "--out", str(whole))
    assert {"rounds", "epsilon", "federation", "delta", "rows"} <= set(said)
    assert Path(str(result(capsys, "report", str(whole))["path"])).exists()


BAD = {
    "simulate --people x --days 1 --out OUT": "--people 'x' is not a whole number; see everywear simulate --help",
    "simulate --people 1 --days 1 --out OUT --start 03/01/2024": "'03/01/2024' is not a date such as 2024-03-01",
    "federate tiny --out OUT --workers two": "--workers 'two' is not a whole number",
    "budget --people 9 --steps 5 --rate often": "--rate 'often' is not a number",
    "simulate --days 1 --out OUT": "--people",
    "simulate --people 1 --days 1 --out OUT --colour red": "--colour",
    "simulate --people 0 --days 1 --out OUT": "people 0 is below 1",
    "train PEOPLE --out OUT --patch wide": "patch 'wide' is not minutes x signals",
    "train PEOPLE --out OUT --patch 7x1": "patch '7x1': window of 300 minutes is no multiple of 7",
    "train PEOPLE --out OUT --method dino --size lsm2-aim --masks random": "drop-ratio 0.5 is for method mae",
    "train PEOPLE --out OUT --masks none": "masks 'none' is unknown",
    "train PEOPLE --out OUT --plan grand": "plan 'grand' is unknown",
    "train PEOPLE --out OUT --drop-ratio 0.6": "drop_ratio=0.6 drops 468 of 780 places, masks hide 390",
    "simulate --people 10000000000 --days 1 --out OUT": "people=10000000000 is not in [1, 100000000]",
    "simulate --people 1 --days 9 --start 9999-12-30 --out OUT": "go beyond 9999-12-31",
    "simulate --people 1 --days 1 --out .": "exists and is not an empty folder",
    "simulate --people 1 --days 1 --workers 0 --out OUT": "workers 0 is below 1",
    "simulate --people 1 --days 1 --out OUT --population elves": "population 'elves' is unknown",
    "simulate --people 1 --days 1 --out OUT --vendors abacus": "vendor 'abacus' is unknown",
    "simulate --people 1 --days 1 --out OUT --population MISSING.json": "MISSING.json",
    "simulate --people 1 --days 1 --out OUT --population PEOPLE/dataset.json": "PEOPLE/dataset.json: ",
    "simulate --people 1 --days 1 --out OUT --ray-address here:1": "of no use without --engine ray",
    "merge MISSING --out OUT": "MISSING",
    "merge PEOPLE PEOPLE --out OUT": "stands twice",
    "realism PEOPLE --against MISSING": "MISSING",
    "simulate --people 2 --days 1 --out OUT --shard 3/2": "shard '3/2' is not i/n",
    "simulate --people 2 --days 1 --out PEOPLE": "PEOPLE",
    "import MISSING --out OUT": "MISSING",
    "import MISSING --out OUT --format runes": "format 'runes' is unknown",
    "import MISSING --out OUT --map nothing": "map 'nothing' is not column=signal",
    "import MISSING --out OUT --signals nothing": "map 'nothing' is not column=signal",
    "inject MISSING.csv --out OUT --map=nothing": "signals 'nothing' is not column=signal",
    "robustness MISSING --out OUT --map nothing": "signals 'nothing' is not column=signal",
    "import MISSING --out OUT --map hr=heart_rate,hr=steps": "column 'hr' stands twice",
    "import MISSING --out OUT --map a=steps,b=steps": "signal 'steps' stands twice",
    "inject": "inject needs a source",
    "inject PEOPLE": "inject needs --out",
    "inject MISSING --out OUT": "MISSING: no such file or folder",
    "inject PEOPLE --out PEOPLE": "PEOPLE: exists, expected a new name",
    "inject PEOPLE --out OUT --reasons OUT.csv": "holds its reasons itself",
    "inject PEOPLE --out OUT --signals a=steps": "names its signals itself",
    "inject PEOPLE --out OUT --scenario gremlins": "scenario 'gremlins' is unknown",
    "inject PEOPLE --out OUT --rate 1.5": "rate=1.5 is not in (0, 1)",
    "inject PEOPLE --out OUT --rate 0.1 --severity 0.1": "exclude each other",
    "inject PEOPLE --out OUT --start soon": "start='soon' is no date and time",
    "inject PEOPLE --out OUT --scenario too_cold --rate 0.9": "reach at most",
    "inject PEOPLE/dataset.json --out OUT": "expected a .csv, .parquet, .npy, .npz file or a dataset folder",
    "realism MISSING": "MISSING",
    "realism PEOPLE --norms MISSING": "MISSING",
    "train MISSING --out OUT": "MISSING",
    "train PEOPLE --out PEOPLE": "expected a new folder",
    "train PEOPLE --out PEOPLE/dataset.json": "is a file",
    "train PEOPLE --out OUT --batch-windows 1000000000000000000": "batch_windows=1000000000000000000 is above",
    "train PEOPLE --out OUT --size huge": "size 'huge' is unknown",
    "train PEOPLE --out OUT --steps 0": "steps=0 is not positive",
    "train PEOPLE --out OUT --window-minutes 305": "305",
    "train PEOPLE --out OUT --decoder none": "decoder",
    "evaluate MISSING PEOPLE": "MISSING",
    "evaluate MISSING PEOPLE --tasks juggling": "task 'juggling' is unknown",
    "evaluate MISSING PEOPLE --tasks mood --methods guess": "method 'guess' is unknown",
    "evaluate MISSING PEOPLE --tasks mood --shots five": "shots 'five' is not a number from 1",
    "evaluate MISSING PEOPLE --tasks mood --run MISSING": "task 'mood' is not part of a run's report",
    "federate nothing": "preset 'nothing' is unknown",
    "federate MISSING.json": "MISSING.json",
    "federate tiny --out PEOPLE": "not empty and not a run folder",
    "federate tiny --out OUT --epsilon 0": "epsilon",
    "federate tiny --out OUT --epsilon 0.0001": "epsilon",
    "federate tiny --out OUT --epsilon nan --noise off": "epsilon=nan",
    "federate tiny --out OUT --workers -1": "workers -1 is below 1",
    "budget --people 100 --rate 0.1 --steps 5 --noise 1e-300": "noise_multiplier=1e-300",
    "budget --people 100 --rate 0.1 --steps 5 --epsilon 1e-300": "epsilon=1e-300",
    "budget --people 100 --rate 0.1 --steps 5 --noise 1 --delta 1e-300": "delta=1e-300",
    "budget --people 100 --rate 0.1 --steps 1000000000000000000 --noise 1": "steps=1000000000000000000",
    "budget --people 100 --rate 2 --steps 5 --noise 1": "sampling_rate=2",
    "budget --people 100 --rate 0.1 --steps 5": "needs one of --epsilon (what may be spent; the answer is the noise)",
    "budget --people 100 --rate 0.1 --steps 5 --noise 1 --epsilon 1": "found both",
    "budget --people 100 --rate 0.1 --steps 5 --noise 1 --delta 0.5": "delta",
    "report MISSING": "MISSING: no such folder, expected a run folder as everywear federate writes one",
    "report PEOPLE": "holds no experiment.json, expected a run folder",
    "export MISSING --out OUT": "MISSING: no such folder, expected a model folder as everywear train writes one",
    "robustness PEOPLE --out OUT --model PEOPLE": "holds no model.json, expected a model folder",
    "robustness PEOPLE --out PEOPLE": "lies in the dataset",
    "dance": "dance",
    "simulate --persons 3 --days 1 --out OUT": "simulate has no --persons; see everywear simulate --help",
    "simulate --poeple 3 --days 1 --out OUT": "simulate has no --poeple; did you mean --people?",
    "simulte": "job 'simulte' is unknown",
    "train PEOPLE/dataset.json --out OUT": "is a file",
}


@pytest.mark.parametrize("line", BAD, ids=lambda line: line or "nothing")
def test_bad_input_is_one_line_and_exit_code_2(line: str, people: Path, tmp_path: Path, capsys: Said) -> None:
    names = {"OUT": str(tmp_path / "out"), "PEOPLE": str(people), "MISSING": str(tmp_path / "missing")}
    words = line.split()
    arguments = [_named(word, names) for word in words]
    before = sorted(p for p in people.rglob("*"))
    assert everywear.main(arguments) == 2
    said = capsys.readouterr()
    assert said.out == ""
    lines = [part for part in said.err.splitlines() if part.startswith("everywear: ")]
    assert len(lines) == 1
    assert BAD[line].replace("PEOPLE", str(people)).replace("MISSING", names["MISSING"]) in lines[0]
    assert "Traceback" not in said.err
    assert sorted(p for p in people.rglob("*")) == before
    assert not (tmp_path / "out").exists()


def _named(word: str, names: dict[str, str]) -> str:
    for name, path in names.items():
        word = word.replace(name, path)
    return word


def test_no_job_at_all_is_help_and_exit_code_2(capsys: Said) -> None:
    assert everywear.main([]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert "usage: everywear" in said.err
    assert said.err.splitlines()[-1].startswith("everywear: no job is named, expected one of simulate, merge")


@pytest.mark.parametrize("job", ["realism PEOPLE", "evaluate MODEL PEOPLE", "robustness PEOPLE", "export MODEL"])
def test_results_do_not_go_where_other_things_lie(job: str, people: Path, tmp_path: Path, capsys: Said) -> None:
    """Neither into a model nor beside anybody's own files, and nothing is done before."""
    model, own = tmp_path / "model", tmp_path / "own"
    for folder, name in ((model, "model.json"), (own, "thesis.txt")):
        folder.mkdir()
        (folder / name).touch()
        words = [_named(word, {"PEOPLE": str(people), "MODEL": str(model)}) for word in job.split()]
        assert everywear.main([*words, "--out", str(folder)]) == 2
        said = capsys.readouterr().err
        assert f"{folder}: is not empty and no folder that everywear {words[0]} wrote, since it holds {name}" in said
        assert said.count("\n") == 1
        assert [path.name for path in folder.iterdir()] == [name]


IMPOSSIBLE: list[tuple[dict[str, object], str]] = [
    ({"clip_norm": -1}, "clip_norm=-1"),
    ({"clip_norm": float("nan")}, "clip_norm=nan"),
    ({"windows_per_person": 0}, "windows_per_person=0"),
    ({"masks_per_window": 0}, "masks per window 0"),
    ({"arithmetic": "decimal"}, "arithmetic"),
    ({"noise_multiplier": float("inf")}, "noise_multiplier=inf"),
    ({"noise": "off", "sampling_rate": 0}, "sampling_rate=0"),
    ({"window_minutes": 305}, "305"),
    ({"warm_up": {"weight_decay": -1}}, "weight_decay=-1"),
    ({"warm_up": {"warmup_share": float("nan")}}, "warmup_share=nan"),
    ({"people": 10**30}, "people"),
    ({"colour": "red"}, "colour"),
]


@pytest.mark.parametrize(("change", "told"), IMPOSSIBLE, ids=lambda part: str(part)[:30])
def test_an_impossible_experiment_is_refused_before_anything_is_written(
    change: dict[str, object], told: str, tmp_path: Path, capsys: Said
) -> None:
    experiment = json.loads(TINY.to_json())
    for name, value in change.items():
        inside = [experiment, experiment["protection"], experiment["public"]]
        where = next((part for part in inside if name in part), experiment)
        where[name] = where[name] | value if isinstance(value, dict) else value
    path = tmp_path / "odd.json"
    path.write_text(json.dumps(experiment))
    assert everywear.main(["federate", str(path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert told in said
    assert said.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_an_experiment_prints_as_one_json_object_and_runs_from_it(tmp_path: Path, capsys: Said) -> None:
    assert everywear.main(["federate", "tiny", "--print-experiment"]) == 0
    words = capsys.readouterr().out
    assert json.loads(words) == result(capsys, "federate", "tiny", "--print-experiment")
    path = tmp_path / "tiny.json"
    path.write_text(words)
    assert result(capsys, "federate", str(path), "--print-experiment") == json.loads(words)


def test_nobody_is_scored_whom_the_model_was_trained_on(people: Path, tmp_path: Path, capsys: Said) -> None:
    model, more, one = tmp_path / "model", tmp_path / "more", tmp_path / "one"
    trained = result(capsys, "train", str(people), "--out", str(model), "--steps", "1", "--batch-windows", "2")
    assert trained["steps"] == 1
    result(capsys, "simulate", "--people", "9", "--days", "2", "--out", str(more))  # the same six, and three more
    own = result(capsys, "evaluate", str(model), str(people), "--tasks", "random_imputation")
    said = result(capsys, "evaluate", str(model), str(more), "--tasks", "random_imputation")
    assert said["left_out"] == own["left_out"] == 6 - int(str(own["people"]))
    assert said["people"] == 9 - int(str(said["left_out"]))
    result(capsys, "simulate", "--people", "1", "--days", "1", "--out", str(one))
    assert everywear.main(["evaluate", str(model), str(one)]) in (0, 2)
    words = capsys.readouterr()
    assert "random imputation" in words.out or "was trained on everybody" in words.err


def test_a_maker_s_own_people_are_refused(whole: Path, tmp_path: Path, capsys: Said) -> None:
    makers_people = next((whole / "vendors").iterdir()) / "data"
    assert everywear.main(["evaluate", str(whole / "model"), str(makers_people)]) == 2
    assert "on whom makers train" in capsys.readouterr().err
    everybody, merged = [str(site / "data") for site in (whole / "vendors").iterdir()], tmp_path / "merged"
    assert everywear.main(["merge", *everybody, "--out", str(merged)]) == 0
    assert everywear.main(["evaluate", str(whole / "model"), str(merged)]) == 2
    assert "on whom makers train" in capsys.readouterr().err
    assert everywear.main(["evaluate", str(whole / "model"), str(whole / "public" / "train")]) == 2
    assert "was trained on everybody" in capsys.readouterr().err


def test_another_run_s_folder_tells_what_is_different(whole: Path, capsys: Said) -> None:
    assert everywear.main(["federate", "tiny", "--out", str(whole), "--epsilon", "4"]) == 2
    said = capsys.readouterr().err
    assert f"{whole}: holds another run, whose protection.epsilon is {TINY.protection.epsilon}, not 4.0;" in said
    assert everywear.main(["federate", "tiny", "--out", str(whole), "--seed", "7"]) == 2
    assert "whose seed is 1, not 7;" in capsys.readouterr().err


def test_rows_of_a_name_that_is_taken_and_of_an_unfinished_run_are_refused_before_scoring(
    whole: Path, people: Path, tmp_path: Path, capsys: Said
) -> None:
    shutil.copytree(people, tmp_path / "copy" / "simulated")
    arguments = ["evaluate", str(whole / "model"), str(tmp_path / "copy" / "simulated"), "--run", str(whole)]
    assert everywear.main(arguments) == 2
    assert "has rows of a dataset named 'simulated'" in capsys.readouterr().err
    assert everywear.main(["evaluate", str(whole / "model"), str(people), "--run", str(tmp_path)]) == 2
    assert "experiment.json" in capsys.readouterr().err


def test_models_of_different_windows_are_refused(whole: Path, people: Path, tmp_path: Path, capsys: Said) -> None:
    model = tmp_path / "model"
    words = ["--steps", "1", "--batch-windows", "2", "--window-minutes", "120"]
    result(capsys, "train", str(people), "--out", str(model), *words)
    assert everywear.main(["evaluate", str(model), str(people), "--run", str(whole)]) == 2
    assert "different windows" in capsys.readouterr().err


def test_a_judgement_does_not_go_into_the_dataset(people: Path, capsys: Said) -> None:
    before = sorted(people.iterdir())
    for out in (people, people / "realism"):
        assert everywear.main(["realism", str(people), "--out", str(out)]) == 2
        assert "lies in the dataset" in capsys.readouterr().err
    assert sorted(people.iterdir()) == before


def test_links_that_would_lose_something_are_refused(tmp_path: Path, capsys: Said) -> None:
    precious = tmp_path / "precious"
    precious.mkdir()
    (precious / "thesis.txt").write_text("mine")
    (tmp_path / ".out.partial").symlink_to(precious)
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    for name, said in (("out", "is a link"), ("loop", "leads to itself")):
        assert everywear.main(["simulate", "--people", "1", "--days", "1", "--out", str(tmp_path / name)]) == 2
        assert said in capsys.readouterr().err
    assert (precious / "thesis.txt").read_text() == "mine"


def test_a_link_to_an_empty_folder_is_written_through(tmp_path: Path, capsys: Said) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    result(capsys, "simulate", "--people", "1", "--days", "1", "--out", str(tmp_path / "link"))
    assert (tmp_path / "real" / "dataset.json").exists()
    assert (tmp_path / "link").is_symlink()


@pytest.mark.parametrize("sink", ["closed pipe", "full disk", "closed"])
def test_output_that_nobody_takes_is_no_traceback(sink: str) -> None:
    budget = f"{sys.executable} everywear.py budget --people 99 --rate 0.1 --steps 1 --noise 1"
    line = {"closed pipe": f"{budget} | true", "full disk": f"{budget} > /dev/full", "closed": f"{budget} >&-"}[sink]
    done = subprocess.run(["bash", "-c", line], cwd=ROOT, capture_output=True, text=True)
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert done.returncode == {"closed pipe": 0, "full disk": 2, "closed": 0}[sink]


def test_a_wrong_column_is_named(people: Path, tmp_path: Path, capsys: Said) -> None:
    part = next((people / "recordings").rglob("*.parquet"))
    table = pq.read_table(part, partitioning=None)
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", str(people), str(copy)], check=True)
    damaged = copy / part.relative_to(people)
    pq.write_table(table.rename_columns(["pulse" if n == "heart_rate" else n for n in table.column_names]), damaged)
    assert everywear.main(["train", str(copy), "--out", str(tmp_path / "m"), "--steps", "1"]) == 2
    said = capsys.readouterr().err
    assert "heart_rate" in said
    assert damaged.name in said


def test_an_interrupt_is_130_and_the_same_command_goes_on(people: Path, tmp_path: Path, capsys: Said) -> None:
    model, steps = tmp_path / "model", ["--steps", "120", "--batch-windows", "2"]
    command = ["train", str(people), "--out", str(model), *steps]

    def interrupt(*_: object) -> None:
        if (model / "checkpoint.safetensors").exists():
            raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(commandline.Bar, "__call__", interrupt)
        assert everywear.main(command) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    assert everywear.main([*command, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["steps"] == 120
    assert everywear.main(command) == 2  # finished: nothing is overwritten


def test_a_termination_is_143_and_the_same_command_goes_on(
    people: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said
) -> None:
    command = ["train", str(people), "--out", str(tmp_path / "model"), "--steps", "3", "--batch-windows", "2"]
    before = signal.getsignal(signal.SIGTERM)
    monkeypatch.setattr(commandline.Bar, "__call__", lambda *_: os.kill(os.getpid(), signal.SIGTERM))
    assert everywear.main(command) == 143
    assert capsys.readouterr().err.splitlines()[-1] == "interrupted; the same command goes on where it stopped"
    assert signal.getsignal(signal.SIGTERM) == before
    monkeypatch.undo()
    assert result(capsys, *command)["steps"] == 3


def test_compiling_is_told_once_and_left_out_of_the_rate(capsys: Said) -> None:
    with commandline.progress_bar("days", 2) as bar:
        began = bar._bar.start_t
        for step in (1, 2):
            added = numba.njit(lambda number, step=step: number + step)
            assert added(1) == 1 + step
            bar(step)
        waited = bar.waited
        assert waited > 0
        assert added(2) == 4  # compiled already
        assert bar.waited == waited
        assert bar._bar.start_t == pytest.approx(began + waited)
    assert capsys.readouterr().err.count("compiling the simulator, once per installation") == 1


def test_lost_workers_are_told_in_a_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Said) -> None:
    def lose(*_: object) -> Iterator[int]:
        raise WorkerLostError("workers were killed 4 times in a row; 3 tasks are left")
        yield 0

    monkeypatch.setattr("simulator.engines.Processes.run", lose)
    command = ["simulate", "--people", "4", "--days", "1", "--workers", "2", "--out", str(tmp_path / "ds")]
    assert everywear.main(command) == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("everywear: workers were killed 4 times")


@pytest.mark.parametrize("job", list(everywear.JOBS))
def test_every_job_explains_itself_with_an_example(job: str, capsys: Said) -> None:
    assert everywear.main([job, "--help"]) == 0
    said = capsys.readouterr().out
    assert f"everywear {job}" in said
    assert "Example: " in said


def test_the_module_is_the_command() -> None:
    done = subprocess.run(
        [sys.executable, "everywear.py", "budget", "--people", "9", "--rate", "0", "--steps", "1", "--noise", "1"],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
