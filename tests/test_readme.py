"""The README's examples, and those of the page on robustness, run as they stand."""

import re
import shlex
from pathlib import Path

import pytest

import everywear
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


def test_console_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run_commands(TEXT) >= 6


def test_the_page_on_robustness_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    data, method = blocks("python", ROBUSTNESS)
    exec(compile(data, "robustness.md", "exec"), {})
    assert run_commands(ROBUSTNESS) == 3
    said = capsys.readouterr().out
    shown = [line for line in blocks("console", ROBUSTNESS)[0].splitlines() if "cells hidden" in line]
    assert shown[0] in said
    assert (tmp_path / "runs" / "mine" / "robustness.png").exists()
    exec(compile(method, "robustness.md", "exec"), {})
    assert "the day before" in capsys.readouterr().out


def test_python_examples_run(capsys: pytest.CaptureFixture[str]) -> None:
    for block in blocks("python"):
        exec(compile(block, "README.md", "exec"), {})
    assert "heart rate" in capsys.readouterr().out


def test_every_job_stands_in_the_table() -> None:
    assert set(re.findall(r"^\| `(\w+)` \|", TEXT, re.MULTILINE)) == set(everywear.JOBS)


def test_links_point_to_files() -> None:
    for folder, text in ((ROOT, TEXT), (ROOT / "docs", ROBUSTNESS)):
        for target in re.findall(r"\]\((?!http)([^)#]+)\)", text):
            assert (folder / target).exists(), target
