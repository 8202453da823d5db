"""The README's examples, and those of the page on robustness, run as they stand."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import everywear
from simulator.importing import import_minutes
from simulator.signals import INDEX
from tests.test_layout import ROOT

TEXT = (ROOT / "README.md").read_text()
ROBUSTNESS = (ROOT / "docs" / "robustness.md").read_text()


def blocks(language: str, text: str = TEXT) -> list[str]:
    """Fenced blocks of a language, in order."""
    return re.findall(rf"```{language}\n(.*?)```", text, re.DOTALL)


def run_commands(text: str) -> int:
    """Run what stands behind a prompt in console blocks; how many there were."""
    lines = "\n".join(blocks("console", text)).replace("\\\n", " ").splitlines()
    commands = [line[2:] for line in lines if line.startswith("$ ")]
    for command in commands:
        program, *arguments = shlex.split(command)
        assert program == "everywear"
        assert everywear.main(arguments) == 0, command
    return len(commands)


def test_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Commands first: the Python stands on what they wrote."""
    monkeypatch.chdir(tmp_path)
    assert run_commands(TEXT) >= 6
    capsys.readouterr()
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    said = capsys.readouterr().out
    assert "heart rate" in said
    assert "(5, 26, 1440) (5, 26, 60)" in said


def test_the_page_on_robustness_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data, _, method = blocks("python", ROBUSTNESS)
    exec(compile(data, "robustness.md", "exec"), {})
    assert run_commands(ROBUSTNESS) == 3
    said = capsys.readouterr().out
    shown = [line for line in blocks("console", ROBUSTNESS)[0].splitlines() if "cells hidden" in line]
    assert shown[0] in said
    assert (tmp_path / "runs" / "mine" / "robustness.png").exists()
    exec(compile(method, "robustness.md", "exec"), {})
    assert "the day before" in capsys.readouterr().out


def test_fitbit_s_raw_export_becomes_a_table(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    seconds = ["1,4/12/2016 11:59:55 PM,70", "1,4/12/2016 12:00:05 AM,60", "1,4/12/2016 12:00:35 AM,64"]
    Path("heartrate_seconds_merged.csv").write_text("\n".join(["Id,Time,Value", *seconds]))
    minutes = ["1,4/12/2016 12:00:00 AM,3", "2,4/13/2016 1:02:00 PM,9"]
    Path("minuteStepsNarrow_merged.csv").write_text("\n".join(["Id,ActivityMinute,Steps", *minutes]))
    exec(compile(blocks("python", ROBUSTNESS)[1], "robustness.md", "exec"), {})
    recordings = {recording.person: recording for recording in import_minutes(Path("fitbit.csv"))[0]}
    one, two = recordings["1"], recordings["2"]
    assert one.values[INDEX["heart_rate"]][one.observed[INDEX["heart_rate"]]].tolist() == [62, 70]
    assert np.flatnonzero(one.observed[INDEX["steps"]]).tolist() == [0]
    assert np.flatnonzero(two.observed[INDEX["steps"]]).tolist() == [13 * 60 + 2]


def test_every_job_stands_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(everywear.JOBS)


def test_links_point_to_files() -> None:
    for folder, text in ((ROOT, TEXT), (ROOT / "docs", ROBUSTNESS)):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (folder / target).exists(), target
