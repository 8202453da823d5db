"""The audit of a run folder: green on what a run left, red on whatever was changed behind its back."""

import json
import shutil
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

import everywear
import privacy.card
from federated.auditing import audit_run, claimed, subject_of
from federated.run import outcome
from privacy.audit import FAIL, PASS, gray_box
from simulator.recording import DataError
from tests.conftest import TINY


@pytest.fixture
def run(whole: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(whole, tmp_path / "run"))


def failing(folder: Path) -> set[str]:
    return {check.name for check in audit_run(folder) if check.verdict == FAIL}


def test_a_run_s_books_are_green_and_an_audit_changes_nothing(whole: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in sorted(whole.rglob("*")) if path.is_file()}
    checks = audit_run(whole)
    assert {check.verdict for check in checks} == {PASS}
    assert len({check.name for check in checks}) == len(checks) == 11
    assert claimed(whole) == outcome(whole).federation
    after = {path: path.stat().st_mtime_ns for path in sorted(whole.rglob("*")) if path.is_file()}
    assert after == before


def test_whatever_was_changed_behind_a_run_s_back_is_seen(run: Path) -> None:
    weights = run / "model" / "model.safetensors"
    tensors = load_file(weights)
    name = sorted(tensors)[0]
    tensors[name] = tensors[name] + 1e-3 * torch.ones_like(tensors[name])  # as if it had been trained on
    save_file(tensors, weights)
    described = json.loads((run / "model" / "model.json").read_text())
    described["normaliser"]["clip_z"] = 6.0
    (run / "model" / "model.json").write_text(json.dumps(described))
    answer = next((run / "vendors" / "dune" / "answers").glob("round-0-*"))
    shutil.copy(answer, answer.with_name("round-0-" + 64 * "0" + ".safetensors"))
    records = run / "records.jsonl"
    lines = [json.loads(line) for line in records.read_text().splitlines()]
    for line in lines:
        if line["kind"] == "privacy":
            line["content"]["epsilon"]["aurora"] = 1.0
            line["content"]["federation"] = 1.0
        if line["kind"] == "round":
            line["content"]["private_loss"] = 0.5
    records.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert failing(run) == {"model", "normaliser", "answers", "reported epsilon", "federation", "records"}


@pytest.mark.parametrize("damage", ["edited", "lost"])
def test_a_ledger_that_was_changed_is_seen(run: Path, damage: str) -> None:
    path = run / "vendors" / "ember" / "ledger.jsonl"
    text = path.read_text()
    path.write_text(text.replace('"steps": 2', '"steps": 1', 1)) if damage == "edited" else path.unlink()
    (red,) = [check for check in audit_run(run) if check.verdict == FAIL]
    assert red.name == "ledgers"
    assert "ledger.jsonl" in red.note


def test_a_run_that_is_not_finished_is_not_audited(run: Path) -> None:
    shutil.rmtree(run / "model")
    with pytest.raises(DataError, match="not finished"):
        audit_run(run)


def test_the_gray_box_takes_the_run_s_own_model(whole: Path) -> None:
    subject = subject_of(whole)
    assert subject.plan == TINY.plan(TINY.makers[3])  # dune lacks the most sensors
    assert subject.frozen
    names = {"person gradients", "frozen entries", "not finite"}
    assert {(check.name, check.verdict) for check in gray_box(subject, names=names)} == {(n, PASS) for n in names}


def test_a_red_audit_ends_with_1(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("privacy.audit.CHECKS", {})
    assert everywear.main(["audit", str(run), "--canaries", "0", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["verdict"] == "green"
    assert {"checks", "lower_bound", "claimed"} <= set(said)
    assert set(said["checks"][0]) == {"rule", "name", "verdict", "figure", "bound", "note"}
    (run / "vendors" / "ember" / "ledger.jsonl").unlink()
    assert everywear.main(["audit", str(run), "--canaries", "0"]) == 1
    assert "R7   ledgers" in capsys.readouterr().out


def test_an_audit_issues_the_card_anew_and_strangers_check_it(
    run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("privacy.audit.CHECKS", {})
    card = run / "model" / "privacy.json"
    assert everywear.main(["audit", "--card", str(card), "--json"]) == 1
    assert _broken(capsys) == ["noise is secret", "audited"]
    assert everywear.main(["audit", str(run), "--canaries", "40", "--json"]) == 0
    bound = json.loads(capsys.readouterr().out)["lower_bound"]
    audited = privacy.card.read(card)[0].audit
    assert audited is not None
    assert audited.lower_bound == bound
    assert everywear.main(["audit", "--card", str(card), "--json"]) == 1
    assert _broken(capsys) == ["noise is secret"]  # it is a rehearsal
    assert everywear.main(["audit", "--card", str(card), "--issuer", "ab" * 32]) == 1
    assert "NOT    signed by its issuer" in capsys.readouterr().out
    assert everywear.main(["audit", "--card", str(run / "experiment.json")]) == 2
    assert everywear.main(["audit", str(run), "--issuer", "ab"]) == 2


def _broken(capsys: pytest.CaptureFixture[str]) -> list[str]:
    return [row["what"] for row in json.loads(capsys.readouterr().out)["card"] if not row["holds"]]
