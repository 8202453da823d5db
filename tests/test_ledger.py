"""The ledger: durable, charged first, free for exact retries, closed when spent, and never begun a second time."""

import json
import math
import os
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from privacy import ledger as ledger_module
from privacy.ledger import BudgetExceeded, Ledger, LedgerError, Release, federation_epsilon, private_digest
from privacy.noise import KeyedStream
from privacy.plan import PrivacyError, epsilon, gaussian_event
from tests.private_toy import KEY, make_plan

DELTA = 1e-5
REUSE = settings(deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=15)


def make_release(**changes: Any) -> Release:
    facts: dict[str, Any] = {"run": "r", "round": 0, "purpose": "train", "content": "c"}
    numbers: dict[str, Any] = {"sampling_rate": 1.0, "noise_multiplier": 30.0, "steps": 20}
    return Release(**{**facts, **numbers, **changes})


def open_ledger(path: Path, **changes: Any) -> Ledger:
    return Ledger.open(path, **{"vendor": "a", "delta": DELTA, "epsilon_budget": 8.0, **changes})


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "site" / "ledger.jsonl"


def filled(path: Path, rounds: int = 3) -> Ledger:
    ledger = open_ledger(path)
    for number in range(rounds):
        assert ledger.charge(make_release(round=number))
    return ledger


def test_rounds_compose_exactly_over_restarts(path: Path) -> None:
    for number in range(4):
        assert open_ledger(path).charge(make_release(round=number))
    again = open_ledger(path)
    assert again.epsilon() == epsilon(gaussian_event(1.0, 30.0, 80), DELTA)
    assert again.epsilon("prv") == pytest.approx(again.epsilon(), rel=2e-3)
    assert [entry.release.round for entry in again.entries] == [0, 1, 2, 3]
    assert [entry.epsilon for entry in again.entries] == [
        epsilon(gaussian_event(1.0, 30.0, 20 * (n + 1)), DELTA) for n in range(4)
    ]


@pytest.mark.parametrize("fact", [{"delta": "x"}, {"delta": None}, {"epsilon_budget": "5"}])
def test_a_header_of_other_types_is_damage(path: Path, fact: dict[str, Any]) -> None:
    open_ledger(path)
    path.write_text(json.dumps({**json.loads(path.read_text()), **fact}) + "\n")
    with pytest.raises(LedgerError, match="line 1 is damaged"):
        Ledger.read(path)


@pytest.mark.parametrize("name", ["", " ", "a ", "a\nb", "x" * 101])
def test_a_vendor_has_a_plain_name(path: Path, name: str) -> None:
    with pytest.raises(LedgerError, match="is no printable name"):
        open_ledger(path, vendor=name)
    assert not path.exists()


def test_an_empty_ledger_spent_nothing(path: Path) -> None:
    assert open_ledger(path).epsilon() == 0.0
    assert open_ledger(path).entries == ()


def test_an_exact_retry_is_free_and_says_so(path: Path) -> None:
    ledger = filled(path)
    before = path.read_bytes()
    assert ledger.charge(make_release(round=1)) is False
    assert open_ledger(path).charge(make_release(round=2)) is False
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "changes",
    [{"content": "d"}, {"run": "s"}, {"purpose": "evaluate"}, {"steps": 21}, {"noise_multiplier": 31.0}, {"round": 9}],
)
def test_whatever_differs_is_charged_and_has_its_own_noise(path: Path, changes: dict[str, Any]) -> None:
    ledger = filled(path)
    spent, other = ledger.epsilon(), make_release(**changes)
    assert ledger.charge(other) is True
    assert ledger.epsilon() > spent
    assert not np.isin(other.stream(KEY).normal(50), make_release().stream(KEY).normal(50)).any()


def test_equal_releases_share_one_stream_however_their_numbers_were_written(path: Path) -> None:
    one, other = make_release(sampling_rate=1, round=np.int64(3), noise_multiplier=30), make_release(round=3)
    assert one == other
    assert np.array_equal(one.stream(KEY).normal(5), other.stream(KEY).normal(5))
    ledger = open_ledger(path)
    ledger.charge(one)
    assert np.array_equal(open_ledger(path).entries[0].release.stream(KEY).normal(5), one.stream(KEY).normal(5))


def test_the_budget_closes_before_anything_is_written(path: Path) -> None:
    ledger = open_ledger(path, epsilon_budget=1.5)
    charged = 0
    while not ledger.would_exceed(make_release(round=charged)):
        assert ledger.charge(make_release(round=charged))
        charged += 1
    before = path.read_bytes()
    with pytest.raises(BudgetExceeded, match=r"vendor 'a': 'train' of round \d+ would bring epsilon to .* of 1\.5"):
        ledger.charge(make_release(round=charged))
    assert charged > 1
    assert path.read_bytes() == before
    assert ledger.would_exceed(make_release(round=charged))
    assert not ledger.would_exceed(make_release(round=0)), "a recorded release costs nothing"
    assert ledger.epsilon() <= 1.5 < epsilon(gaussian_event(1.0, 30.0, 20 * (charged + 1)), DELTA)


def test_a_release_without_noise_never_fits(path: Path) -> None:
    with pytest.raises(BudgetExceeded, match="to inf"):
        open_ledger(path, epsilon_budget=1e300).charge(make_release(noise_multiplier=0.0))


def test_truncation_and_arithmetic_are_facts_of_a_release(path: Path) -> None:
    plan = make_plan(noise_multiplier=30.0, most_people=10, arithmetic="grid")
    release = Release.of(plan, steps=20, run="r", round=0, purpose="train", content="c")
    plain = make_release(sampling_rate=0.5)
    ledger = open_ledger(path)
    for each in (release, plain):
        ledger.charge(each)
        assert not np.isin(each.stream(KEY).normal(50), make_release().stream(KEY).normal(50)).any()
    lines = [json.loads(line) for line in path.read_text().splitlines()[1:]]
    assert [line["kind"] for line in lines] == ["truncated_poisson_gaussian", "poisson_gaussian"]
    assert lines[0]["release"]["arithmetic"] == "grid"
    assert open_ledger(path).entries[0].release == release
    assert release.event == plan.event(20)
    with pytest.raises(PrivacyError, match="most_people=10 is not 0 or a whole number of at most 0 people"):
        make_release(most_people=10)


def test_older_releases_keep_their_noise() -> None:
    """As written before a release could be truncated or on a grid."""
    facts = '{"content": "c", "noise_multiplier": 30.0, "purpose": "train", "round": 0, "run": "r", "sampling_rate": '
    older = KeyedStream(KEY, "release", facts + '1.0, "steps": 20}')
    assert np.array_equal(make_release().stream(KEY).words(3), older.words(3))


def test_a_calibrated_plan_fits_its_budget_in_rounds(path: Path) -> None:
    plan = make_plan(noise_multiplier=40.0, sampling_rate=1.0, delta=DELTA, steps=60)
    ledger = open_ledger(path, epsilon_budget=plan.epsilon())
    for number in range(3):
        assert ledger.charge(Release.of(plan, steps=20, run="r", round=number, purpose="train", content="c"))
    assert ledger.epsilon() == plan.epsilon()
    with pytest.raises(BudgetExceeded):
        ledger.charge(Release.of(plan, steps=1, run="r", round=3, purpose="train", content="c"))


def test_nothing_is_charged_before_it_is_on_the_disk(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ledger = open_ledger(path)
    synced: list[bytes] = []

    def fsync(handle: int) -> None:
        synced.append(os.pread(handle, 10_000, 0))

    monkeypatch.setattr(os, "fsync", fsync)
    assert ledger.charge(make_release())
    assert synced == [path.read_bytes()]
    assert not ledger.charge(make_release())
    assert len(synced) == 2, "the first writer may have died before its fsync"

    def fails(handle: int) -> None:
        raise OSError("disk is gone")

    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises(OSError, match="disk is gone"):
        ledger.charge(make_release(round=1))


@REUSE
@given(cut=st.integers(1, 10_000))
def test_a_torn_last_line_never_left_the_house(tmp_path: Path, cut: int) -> None:
    path = tmp_path / f"{cut}" / "ledger.jsonl"
    whole = filled(path, 2).path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[: last + cut % (len(whole) - last - 1)])
    ledger = open_ledger(path)
    assert [entry.release.round for entry in ledger.entries] == [0]
    assert path.read_bytes() == whole[:last]
    assert ledger.charge(make_release(round=1))
    assert open_ledger(path).epsilon() == epsilon(gaussian_event(1.0, 30.0, 40), DELTA)
    for file in path.parent.iterdir():
        file.unlink()


def test_a_last_line_that_only_lost_its_end_stays_charged(path: Path) -> None:
    whole = filled(path).path.read_bytes()
    path.write_bytes(whole[:-1])
    assert len(open_ledger(path).entries) == 3
    assert path.read_bytes() == whole


@REUSE
@given(place=st.integers(0, 10_000), bit=st.integers(0, 7))
def test_any_other_damage_is_refused(tmp_path: Path, place: int, bit: int) -> None:
    path = tmp_path / "ledger.jsonl"
    whole = path.read_bytes() if path.exists() else filled(path, 3).path.read_bytes()
    entries = open_ledger(path).entries
    damaged = bytearray(whole)
    damaged[place % len(whole)] ^= 1 << bit
    path.write_bytes(damaged)
    try:
        found = open_ledger(path).entries
    except LedgerError:
        found = None
    finally:
        path.write_bytes(whole)
    assert found in (None, entries), "only another spelling of the same number may pass"


@pytest.mark.parametrize("what", ["noise_multiplier", "steps", "content", "epsilon", "vendor", "digest"])
@pytest.mark.parametrize("number", [0, 1, 3])
def test_an_edited_line_is_refused(path: Path, number: int, what: str) -> None:
    lines = filled(path).path.read_text().splitlines(keepends=True)
    if f'"{what}": ' not in lines[number]:
        return
    name, value = lines[number].split(f'"{what}": ')
    lines[number] = f'{name}"{what}": ' + (value.replace('"', '"x', 1) if value[0] == '"' else "1" + value)
    path.write_text("".join(lines))
    with pytest.raises(LedgerError, match=f"line {number + 1} was changed"):
        open_ledger(path)


def test_lines_lost_or_swapped_are_refused(path: Path) -> None:
    lines = filled(path, 4).path.read_bytes().splitlines(keepends=True)
    for wrong in ([0, 1, 3, 4], [0, 2, 1, 3, 4], [0, 1, 1, 2, 3, 4], [1, 2, 3, 4]):
        path.write_bytes(b"".join(lines[i] for i in wrong))
        with pytest.raises(LedgerError, match=r"does not follow the line before it|format is None"):
            open_ledger(path)


@pytest.mark.parametrize(
    "line",
    ["not json", "[]", "3", '{"no": "previous"}', "\x00\x00"],
)
def test_a_line_that_is_no_entry_is_refused(path: Path, line: str) -> None:
    filled(path)
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(LedgerError, match="line 5 is damaged"):
        open_ledger(path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"kind": "laplace"}, "line 5 is not of kind 'poisson_gaussian'"),
        ({"kind": "poisson_gaussian"}, "line 5 has other fields"),
        ({"kind": "poisson_gaussian", "release": {}, "epsilon": 1.0, "time": 0.0}, "line 5 has other fields"),
    ],
)
def test_an_entry_of_another_kind_is_refused(path: Path, content: dict[str, Any], message: str) -> None:
    filled(path)
    before = json.loads(path.read_bytes().splitlines()[-1])["digest"]
    with path.open("ab") as file:
        ledger_module._append(file, content, before)
    with pytest.raises(LedgerError, match=message):
        open_ledger(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"vendor": "b"}, "vendor is 'a', expected 'b'"),
        ({"delta": 1e-6}, "delta is 1e-05, expected 1e-06"),
        ({"epsilon_budget": 9.0}, "epsilon_budget is 8.0, expected 9.0"),
    ],
)
def test_another_vendor_delta_or_budget_is_refused(path: Path, changes: dict[str, Any], message: str) -> None:
    filled(path)
    with pytest.raises(LedgerError, match=message):
        open_ledger(path, **changes)


@pytest.mark.parametrize("changes", [{"epsilon_budget": math.inf}, {"epsilon_budget": 0.0}, {"delta": 1.0}])
def test_an_impossible_ledger_is_refused(path: Path, changes: dict[str, Any]) -> None:
    with pytest.raises(LedgerError, match="is not in"):
        open_ledger(path, **changes)
    assert not path.exists()


@pytest.mark.parametrize("changes", [{"sampling_rate": 1.5}, {"noise_multiplier": -1.0}, {"steps": -1}])
def test_an_impossible_release_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(PrivacyError, match="is not"):
        make_release(**changes)


class TestSecondLife:
    def test_a_lost_ledger(self, path: Path) -> None:
        filled(path).path.unlink()
        with pytest.raises(LedgerError, match="is gone, but it was begun; what vendor 'a' spent is unknown"):
            open_ledger(path)

    def test_an_emptied_ledger(self, path: Path) -> None:
        filled(path).path.write_bytes(b"")
        with pytest.raises(LedgerError, match=r"format is None"):
            open_ledger(path)

    def test_another_name(self, path: Path) -> None:
        filled(path)
        with pytest.raises(LedgerError, match=r"vendor 'a' has the ledger ledger\.jsonl already"):
            open_ledger(path.with_name("run2.jsonl"))
        assert open_ledger(path.with_name("b.jsonl"), vendor="b").epsilon() == 0.0

    def test_a_start_that_was_interrupted(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_bytes(b'{"format": "everyw')
        assert open_ledger(path).charge(make_release())
        (path.parent / "ledger.jsonl.begun").unlink()  # killed between the first line and the mark
        assert len(open_ledger(path).entries) == 1
        assert (path.parent / "ledger.jsonl.begun").exists()

    def test_a_file_that_is_no_ledger(self, path: Path) -> None:
        path.parent.mkdir()
        path.write_text("something else\n")
        with pytest.raises(LedgerError, match="line 1 is damaged"):
            open_ledger(path)
        assert path.read_text() == "something else\n"


def test_reading_for_a_report(path: Path) -> None:
    ledger = filled(path)
    read = Ledger.read(path)
    assert (read.vendor, read.delta, read.epsilon_budget) == ("a", DELTA, 8.0)
    assert read.entries == ledger.entries
    with pytest.raises(LedgerError, match="is missing"):
        Ledger.read(path.with_name("nothing.jsonl"))
    path.write_bytes(b"{}\n")
    with pytest.raises(LedgerError, match="line 1 is damaged"):
        Ledger.read(path)


def test_many_writers_lose_nothing_and_charge_nothing_twice(path: Path) -> None:
    charged: list[bool] = []

    def work() -> None:
        ledger = open_ledger(path)
        for number in range(5):
            charged.append(ledger.charge(make_release(round=number)))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(charged) == 20
    assert sum(charged) == 5
    assert sorted(entry.release.round for entry in open_ledger(path).entries) == [0, 1, 2, 3, 4]


class TestFederation:
    @pytest.fixture
    def ledgers(self, tmp_path: Path) -> list[Ledger]:
        made = []
        for vendor, noise in {"a": 30.0, "b": 20.0, "c": 60.0}.items():
            ledger = open_ledger(tmp_path / f"{vendor}.jsonl", vendor=vendor)
            ledger.charge(make_release(noise_multiplier=noise))
            made.append(ledger)
        return made

    def test_disjoint_people_have_the_worst_vendor(self, ledgers: list[Ledger]) -> None:
        worst = max(ledger.epsilon() for ledger in ledgers)
        assert federation_epsilon(ledgers) == federation_epsilon(ledgers, 1) == worst
        assert federation_epsilon(ledgers[::-1]) == worst

    def test_shared_people_compose(self, ledgers: list[Ledger]) -> None:
        a, b, c = ledgers
        both = federation_epsilon([a, b], True)
        assert both == federation_epsilon(ledgers, 2)
        # two plain Gaussians are one with the precisions added
        precision = math.sqrt(1 / (1 / 30**2 + 1 / 20**2))
        assert both == pytest.approx(epsilon(gaussian_event(1.0, precision, 20), DELTA), rel=1e-3)
        assert b.epsilon() < both < federation_epsilon([a, b, c], True) < a.epsilon() + b.epsilon() + c.epsilon()

    def test_impossible_federations_are_refused(self, ledgers: list[Ledger], tmp_path: Path) -> None:
        assert federation_epsilon([]) == 0.0
        with pytest.raises(PrivacyError, match=r"shared_people=4 is not in \[0, 3\]"):
            federation_epsilon(ledgers, 4)
        other = open_ledger(tmp_path / "d.jsonl", vendor="d", delta=1e-6)
        with pytest.raises(PrivacyError, match=r"deltas \[1e-06, 1e-05\] differ"):
            federation_epsilon([*ledgers, other])


def test_private_digests() -> None:
    assert private_digest(KEY, b"ab", b"c") != private_digest(KEY, b"a", b"bc")
    assert private_digest(KEY, b"ab") != private_digest(bytes(32), b"ab")
    assert private_digest(KEY, b"ab") == private_digest(KEY, b"ab")
