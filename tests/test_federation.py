"""The federation: what leaves a maker, what a round makes of it, and how kills change nothing."""

import fcntl
import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from flwr.app import ArrayRecord, ConfigRecord, Context, Message, MetricRecord, RecordDict
from flwr.clientapp import ClientApp
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from hypothesis import given, settings
from hypothesis import strategies as st

import privacy.card
from federated.client_app import app as client_app
from federated.experiment import Experiment
from federated.flower import end_processes, marked, through_flower
from federated.grid import InProcessGrid, drive
from federated.maker import PeopleWindows, Site, agree, people_of, settle, train_round
from federated.parameters import Theta, pack, touchable_vector, unpack
from federated.run import CARD, Outcome, Watch, held_out, outcome, run
from federated.server_app import last_round
from federated.strategy import BUDGET, REFUSED, FederationError, MakerAverage, RefusedError, average, record, vector
from federated.study.records import read
from model.autoencoder import MaskedAutoencoder
from model.training import load_model
from model.windows import Days, Normaliser
from privacy.ledger import BudgetExceeded, Ledger
from privacy.mechanism import make_private
from privacy.noise import KeyedStream
from privacy.plan import PrivacyError
from simulator.dataset import open_dataset, write_dataset
from simulator.randomness import stream
from simulator.recording import DataError
from tests.conftest import TINY, ignore, wavy_days
from tests.strategies import seeds

pytestmark = pytest.mark.xdist_group("tiny run")


class KilledError(BaseException):
    """Stands for kill -9: passes every ``except Exception``; whatever was not on disk is gone."""


@pytest.fixture
def ready(whole: Path, tmp_path: Path) -> Path:
    """A run that stands before its first round."""
    folder = tmp_path / "run"
    shutil.copytree(whole, folder, ignore=shutil.ignore_patterns("server", "model", "ledger*", "answers"))
    shutil.copytree(whole / "public" / "model", folder / "public" / "model")
    lines = (whole / "records.jsonl").read_text().splitlines(keepends=True)
    (folder / "records.jsonl").write_text("".join(line for line in lines if '"kind": "round"' not in line))
    return folder


def site_of(folder: Path, number: int = 0, experiment: Experiment = TINY) -> Site:
    return Site(folder / "vendors" / experiment.makers[number].name, experiment, number)


def warm(folder: Path) -> tuple[MaskedAutoencoder, Normaliser]:
    return load_model(folder / "public" / "model")


# --- the whole way


def test_a_finished_run_says_what_it_spent(whole: Path) -> None:
    said: Outcome = outcome(whole)
    assert set(said.epsilon) == {maker.name for maker in TINY.makers}
    assert said.federation == max(said.epsilon.values())
    privacy = next(r.content for r in read(whole / "records.jsonl") if r.kind == "privacy")
    for maker in TINY.makers:
        plan = TINY.plan(maker)
        assert said.epsilon[maker.name] == pytest.approx(plan.epsilon(), rel=1e-6)
        assert privacy["second_accountant"][maker.name] == pytest.approx(said.epsilon[maker.name], rel=0.03)
    assert {row["method"] for row in said.rows} >= {"federated", "public only", "linear", "diurnal"}


def test_a_finished_run_has_a_card_that_a_stranger_can_check(whole: Path) -> None:
    said, path = outcome(whole), whole / "model" / CARD
    card, _, signed = privacy.card.read(path)
    assert signed
    assert card.federation == said.federation
    broken = [finding.what for finding in privacy.card.check(path) if not finding.holds]
    assert broken == ["noise is secret", "audited"]  # a rehearsal, and no audit was run
    assert (whole / "server" / "card.key").stat().st_mode & 0o077 == 0


def comparable(folder: Path) -> object:
    """Everything that a run decides: model, ledgers' releases, figures. Times are left out."""
    releases = {
        maker.name: [entry.release for entry in Ledger.read(folder / "vendors" / maker.name / "ledger.jsonl").entries]
        for maker in TINY.makers
    }
    figures = [(r.kind, r.key, dict(r.content)) for r in read(folder / "records.jsonl")]
    return (folder / "model" / "model.safetensors").read_bytes(), releases, figures


def killer(stage: str, done: int) -> Watch:
    """Kills the run as soon as it is so far."""

    def watch(now: str, at: int) -> None:
        if now == stage and at >= done:
            raise KilledError

    return lambda stage, done, total, note="": watch(stage, done)


def test_a_run_killed_at_many_places_ends_the_same(whole: Path, tmp_path: Path) -> None:
    folder = tmp_path / "run"
    places = [("public people (train)", 3), ("warm start", 4), ("makers' people", 1), ("rounds", 3), ("rounds", 7)]
    places += [("held-out people", 5), ("evaluation", 6)]
    for stage, done in places:
        with pytest.raises(KilledError):
            run(TINY, folder, workers=1, watch=killer(stage, done))
    run(TINY, folder, workers=1, watch=ignore)
    assert comparable(folder) == comparable(whole)
    before = comparable(folder)
    run(TINY, folder, workers=1, watch=ignore)  # once more changes nothing
    assert comparable(folder) == before


def test_a_folder_of_another_experiment_or_of_anything_else_is_refused(whole: Path, tmp_path: Path) -> None:
    with pytest.raises(DataError, match="holds another run, whose seed is 1, not 99"):
        run(replace(TINY, seed=99), whole, watch=ignore)
    (tmp_path / "letter.txt").write_text("dear")
    with pytest.raises(DataError, match="not empty and not a run folder"):
        run(TINY, tmp_path, watch=ignore)


def test_flower_s_engine_gives_the_same_model_and_leaves_no_process(whole: Path, ready: Path) -> None:
    through_flower(ready, len(TINY.makers))
    assert marked((ready / "flower").resolve()) == []
    model = warm(ready)[0]
    (rounds, theta), (_, expected) = (last_round(folder, TINY, model) for folder in (ready, whole))
    assert rounds == TINY.rounds.rounds
    np.testing.assert_allclose(theta, expected, rtol=0, atol=1e-6)
    spent = [Ledger.read(folder / "vendors" / "aurora" / "ledger.jsonl").epsilon() for folder in (ready, whole)]
    assert spent[0] == spent[1]


def test_ending_nothing_is_fine(tmp_path: Path) -> None:
    end_processes(tmp_path)


# --- what leaves a maker


def test_a_retry_is_the_same_message_and_costs_nothing(ready: Path) -> None:
    """R19: a lost reply is sent again, bit by bit; another model is another release."""
    model, normaliser = warm(ready)
    site, theta = site_of(ready), pack(model)
    first = train_round(site, theta, normaliser, 0)
    again = train_round(site, theta, normaliser, 0)
    assert (first == again).all()
    assert len(site.ledger().entries) == 1
    shutil.rmtree(site.folder / "answers")
    assert (train_round(site, theta, normaliser, 0) == first).all()  # lost its copy: the same noise over the same sums
    assert len(site.ledger().entries) == 1
    other = train_round(site, theta * np.float32(1.001), normaliser, 0)
    assert len(site.ledger().entries) == 2
    assert not (other == first).all()


def test_the_ledger_is_charged_before_anything_is_computed(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise KilledError

    monkeypatch.setattr("federated.maker.run_steps", fail)
    model, normaliser = warm(ready)
    with pytest.raises(KilledError):
        train_round(site_of(ready), pack(model), normaliser, 0)
    assert len(site_of(ready).ledger().entries) == 1


def test_a_spent_budget_refuses_the_round_and_writes_nothing(ready: Path) -> None:
    model, normaliser = warm(ready)
    site = site_of(ready)
    theta = pack(model)
    fitting = TINY.rounds.rounds  # as many different rounds as were planned
    for i in range(fitting):
        train_round(site, theta * np.float32(1 + 0.01 * i), normaliser, 0)
    with pytest.raises(BudgetExceeded, match="above the budget"):
        train_round(site, theta * np.float32(2), normaliser, 0)
    assert len(site.ledger().entries) == fitting
    assert site.ledger().epsilon() <= TINY.protection.epsilon


def changed_by(site: Site, folder: Path, normaliser: Normaliser) -> Theta:
    """What a round adds to the model at a site that agreed to the terms anew."""
    theta = pack(warm(folder)[0])
    (site.folder / "agreed.json").unlink(missing_ok=True)
    agree(site, normaliser)
    return train_round(site, theta, normaliser, 0) - theta


def test_release_noise_is_secret_and_rehearsal_noise_is_the_seed_s(ready: Path) -> None:
    """R6: release keys come from the operating system, stay at the site, and are what the noise is made of."""
    normaliser = warm(ready)[1]
    release = replace(TINY, protection=replace(TINY.protection, noise="release"))
    site = site_of(ready, 0, release)
    first = changed_by(site, ready, normaliser)
    assert (site.folder / "noise.key").stat().st_mode & 0o077 == 0
    for name in ("noise.key", "ledger.jsonl", "ledger.jsonl.begun"):
        (site.folder / name).unlink()
    shutil.rmtree(site.folder / "answers")
    second = changed_by(site, ready, normaliser)
    assert not np.isclose(first, second, rtol=1e-3).mean() > 0.05  # another key, other noise in every entry
    assert site_of(ready, 0).key() == site_of(ready, 0).key() != site_of(ready, 1).key()
    assert site_of(ready, 0).key() != site_of(ready, 0, replace(TINY, seed=2)).key() != site.key()


def test_a_maker_answers_only_to_what_it_agreed_to(ready: Path) -> None:
    """The server is not trusted: no message turns noise off, names another normaliser or a round that is not there."""
    model, normaliser = warm(ready)
    site, theta = site_of(ready), pack(model)
    for change in ({"noise": "off"}, {"clip_norm": 100.0}, {"noise_multiplier": 0.01}):
        talked_into = replace(TINY, protection=replace(TINY.protection, **change))
        with pytest.raises(PrivacyError, match="did not agree"):
            train_round(site_of(ready, 0, talked_into), theta, normaliser, 0)
    with pytest.raises(PrivacyError, match="did not agree"):
        train_round(site, theta, replace(normaliser, clip_z=9.0), 0)
    with pytest.raises(PrivacyError, match="round 7 is not one of the 2"):
        train_round(site, theta, normaliser, 7)
    assert site.ledger().entries == ()


def test_a_rehearsal_s_ledger_cannot_become_a_release_s(ready: Path) -> None:
    site_of(ready).ledger()
    release = replace(TINY, protection=replace(TINY.protection, noise="release"))
    with pytest.raises(PrivacyError, match="aurora"):
        site_of(ready, 0, release).ledger()


def test_people_who_were_not_simulated_are_never_rehearsed_with(ready: Path) -> None:
    site, normaliser = site_of(ready), warm(ready)[1]
    manifest = site.folder / "data" / "dataset.json"
    manifest.write_text(manifest.read_text().replace('"simulated_for"', '"import"'))
    with pytest.raises(PrivacyError, match="were not simulated"):
        agree(site, normaliser)


def test_other_data_or_other_terms_are_other_releases(ready: Path) -> None:
    """The same noise is never put on other sums: data and normaliser are part of what a release is."""
    site, (model, normaliser) = site_of(ready), warm(ready)
    train_round(site, pack(model), normaliser, 0)
    dataset = site.dataset()
    kept = dataset.select(sorted(dataset.people["person"])[1:])
    rewritten = site.folder / "other"
    write_dataset(rewritten, iter(kept), kept.people, made_by=dataset.manifest.made_by, truth=False, reasons=False)
    manifest = (site.folder / "data" / "dataset.json").read_text()
    shutil.rmtree(site.folder / "data")
    rewritten.rename(site.folder / "data")
    claimed = json.loads((site.folder / "data" / "dataset.json").read_text()) | {
        "sha256": json.loads(manifest)["sha256"]
    }
    (site.folder / "data" / "dataset.json").write_text(json.dumps(claimed))  # a manifest that lies
    train_round(site, pack(model), normaliser, 0)
    assert len(site.ledger().entries) == 2
    (site.folder / "agreed.json").unlink()
    agree(site, replace(normaliser, clip_z=9.0))
    with pytest.raises(BudgetExceeded):  # a third round is more than was planned
        train_round(site, pack(model), replace(normaliser, clip_z=9.0), 0)


def test_errors_stay_at_the_site(ready: Path) -> None:
    """An error's text may quote somebody's minutes; the server gets one of three words."""
    part = next((ready / "vendors" / "dune" / "data").rglob("part-*.parquet"))
    part.write_bytes(part.read_bytes()[:-100])
    (ready / "vendors" / "cirrus" / "agreed.json").unlink()
    from federated.server_app import app as server_app

    config = {"run": str(ready)}
    with pytest.raises(FederationError) as caught:
        drive(server_app, InProcessGrid(client_app, len(TINY.makers), config), config)
    assert "cirrus refused; dune refused; see errors.log" in str(caught.value)
    assert "parquet" not in str(caught.value)
    assert part.name in (ready / "vendors" / "dune" / "errors.log").read_text()


def test_entries_of_absent_sensors_stay_as_they_came(ready: Path) -> None:
    model, normaliser = warm(ready)
    theta = pack(model)
    number = next(i for i, maker in enumerate(TINY.makers) if "scl" not in maker.vendor.signals)
    changed = train_round(site_of(ready, number), theta, normaliser, 0) != theta
    may = touchable_vector(model, TINY.makers[number].vendor.signals)
    assert not may.all()
    assert not changed[~may].any()
    assert changed[may].mean() > 0.99  # noise moves all others


def test_a_reply_holds_the_model_and_the_maker_s_number_only(ready: Path) -> None:
    """R10: no loss, no count, no norm leaves a maker."""
    replies = []

    class Spy(InProcessGrid):
        def send_and_receive(self, messages: object, *, timeout: float | None = None) -> object:  # type: ignore[override]
            found = list(super().send_and_receive(messages, timeout=timeout))  # type: ignore[arg-type]
            replies.extend(found)
            return found

    from federated.server_app import app as server_app

    config = {"run": str(ready)}
    drive(server_app, Spy(client_app, len(TINY.makers), config), config)
    assert len(replies) == TINY.rounds.rounds * len(TINY.makers)
    for reply in replies:
        assert set(reply.content) == {"arrays", "metrics"}
        assert set(reply.content["metrics"]) == {"maker"}
        assert set(reply.content["arrays"]) == {"theta"}


def test_normalisation_and_plan_know_nothing_of_private_people(whole: Path) -> None:
    """R2, R9: other private people, same public constants."""
    normaliser = warm(whole)[1]
    assert normaliser == Normaliser.fit(open_dataset(whole / "public" / "train"))
    fewer = replace(TINY, makers=tuple(replace(m, days=m.days + 1) for m in TINY.makers))
    assert [fewer.plan(m) for m in fewer.makers] == [TINY.plan(m) for m in TINY.makers]


def test_people_are_disjoint_and_nobody_held_out_was_trained_on(whole: Path) -> None:
    """R18, and the basis of every score."""
    trained = [set(open_dataset(whole / "vendors" / m.name / "data").people["person"]) for m in TINY.makers]
    others = {person for cohort in held_out(TINY) for person in cohort.people_table()["person"]}
    assert others == set(open_dataset(whole / "test").people["person"])
    assert len(set().union(*trained)) == sum(map(len, trained))
    assert not others & set().union(*trained)
    seeds_of = [people_of(TINY, maker).seed for maker in TINY.makers]
    assert len({*seeds_of, TINY.seed}) == len(seeds_of) + 1


@pytest.mark.parametrize("leave_out", [0, -1])
def test_one_person_less_changes_the_answer_by_no_more_than_the_clip(
    ready: Path, monkeypatch: pytest.MonkeyPatch, leave_out: int
) -> None:
    """R1, R2 on what really leaves: same coins and noise, one person gone, everybody joining."""
    protection = replace(TINY.protection, sampling_rate=1.0)
    experiment = replace(TINY, protection=protection, rounds=replace(TINY.rounds, rounds=1, steps=1, learning_rate=1.0))
    site, (model, normaliser) = site_of(ready, 0, experiment), warm(ready)
    (site.folder / "agreed.json").unlink()
    agree(site, normaliser)
    monkeypatch.setattr("federated.maker.private_digest", lambda *_: "the same release")
    everyone = train_round(site, pack(model), normaliser, 0)
    shutil.rmtree(site.folder / "answers")
    whole_dataset = site.dataset()
    people = sorted(whole_dataset.people["person"])
    rest = [person for person in people if person != people[leave_out]]
    monkeypatch.setattr(Site, "dataset", lambda _: whole_dataset.select(rest))
    one_less = train_round(site, pack(model), normaliser, 0)
    bound = protection.clip_norm / experiment.plan(site.maker).divisor
    assert 0 < np.linalg.norm(everyone - one_less) <= bound * (1 + 1e-3)


def test_a_person_without_a_usable_window_changes_nothing(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    site, (model, normaliser) = site_of(ready), warm(ready)
    days = Days.load(site.dataset(), normaliser)
    last = np.asarray(days.person) == max(days.person)
    empty = Days(days.values, days.observed & ~last[:, None, None], days.person, days.date_index)
    drawn = PeopleWindows(empty, TINY, 2)
    assert max(days.person) in drawn.people
    assert drawn.draw(max(days.person), 0, KeyedStream(bytes(32), "test")) is None
    monkeypatch.setattr("federated.maker.Days.load", lambda *_: empty)
    assert np.isfinite(train_round(site, pack(model), normaliser, 0)).all()


def test_several_masks_show_the_same_windows_inside_one_person() -> None:
    """Free in privacy: a person stays one record [k * masks, ...], clipped as a whole (rule R1)."""
    days, masks = wavy_days(2), replace(TINY, protection=replace(TINY.protection, masks_per_window=3))
    drawn = PeopleWindows(days, masks, 2).draw("p001", 0, KeyedStream(bytes(32), "masks"))
    once = PeopleWindows(days, TINY, 2).draw("p001", 0, KeyedStream(bytes(32), "masks"))
    assert drawn is not None
    assert once is not None
    assert torch.equal(drawn.values, once.values.repeat_interleave(3, 0))
    assert torch.equal(drawn.slot, once.slot.repeat_interleave(3, 0))
    assert len({tuple(hidden.tolist()) for hidden in drawn.hidden}) > 2
    assert masks.plan(masks.makers[0]) == TINY.plan(TINY.makers[0])


def test_a_person_s_windows_are_their_own_and_new_in_every_step(ready: Path) -> None:
    days = Days.load(site_of(ready).dataset(), warm(ready)[1])
    people = PeopleWindows(days, TINY, 3)
    worn = (p for p in people.people if people.draw(p, 0, KeyedStream(bytes(32), "any")) is not None)
    person = next(worn)  # some left the watch at home
    first, again, later = (people.draw(person, s, KeyedStream(bytes(32), "windows", s)) for s in (0, 0, 1))
    assert first is not None
    assert again is not None
    assert later is not None
    assert torch.equal(first.values, again.values)
    assert not torch.equal(first.values, later.values)
    own = days.values[np.asarray(days.person) == person]
    for window, slot in zip(first.values, first.slot, strict=True):
        start = int(slot) * 10
        assert any((window.numpy() == day[:, start : start + TINY.window_minutes]).all() for day in own)


def test_rounds_take_their_own_steps_of_the_plan(ready: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """R3: no step of the plan is taken twice; together they are the plan."""
    taken: list[int] = []
    original = make_private

    def spy(*arguments: Any, **named: Any) -> Any:
        taken.extend(named["steps"])
        return original(*arguments, **named)

    monkeypatch.setattr("federated.maker.make_private", spy)
    model, normaliser = warm(ready)
    for number in range(TINY.rounds.rounds):
        train_round(site_of(ready), pack(model), normaliser, number)
    assert taken == list(range(TINY.steps))


# --- what a round makes of it


def test_without_noise_one_maker_equals_central_training(ready: Path) -> None:
    """The federation adds nothing of its own: one client, no noise, no clip is a plain loop over the same batches."""
    protection, rounds = replace(TINY.protection, noise="off"), replace(TINY.rounds, least_makers=1)
    alone = replace(TINY, makers=TINY.makers[:1], protection=protection, rounds=rounds)
    site, (model, normaliser) = site_of(ready, 0, alone), warm(ready)
    (site.folder / "agreed.json").unlink()
    agree(site, normaliser)
    private = train_round(site, pack(model), normaliser, 0)

    central, plan = MaskedAutoencoder(alone.architecture), site.experiment.plan(site.maker)
    unpack(central, pack(model))
    people = PeopleWindows(Days.load(site.dataset(), normaliser), alone, plan.windows_per_person)
    draws = _draws_of(site, pack(model), people)
    for step, batch in enumerate(draws):
        rate = alone.rounds.learning_rate * 0.5 * (1 + math.cos(math.pi * step / plan.steps))
        central.zero_grad()
        (central(batch).mean(dim=1).sum() / plan.divisor).backward()
        with torch.no_grad():
            for p in central.parameters():
                assert p.grad is not None
                p.sub_(rate * p.grad)
    assert len(draws) == alone.rounds.steps
    np.testing.assert_allclose(private, pack(central), rtol=1e-4, atol=1e-5)


def _draws_of(site: Site, theta: np.ndarray, people: PeopleWindows) -> list:  # type: ignore[type-arg]
    """The batches that a maker's round trains on, gathered on the way."""
    import federated.maker as maker_module

    seen = []
    shutil.rmtree(site.folder / "answers")
    original = PeopleWindows.collate

    def gather(items: list) -> object:  # type: ignore[type-arg]
        batch = original(items)
        seen.append(batch)
        return batch

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker_module.PeopleWindows, "collate", staticmethod(gather))
        train_round(site, theta, warm(site.folder.parent.parent)[1], 0)
    return seen


@settings(max_examples=20, deadline=None)
@given(seed=seeds, order=st.permutations(range(4)))
def test_the_average_is_a_loop_s_in_any_order(seed: int, order: list[int]) -> None:
    rng = stream(seed)
    theta = rng.normal(size=7).astype(np.float32)
    models = {i: rng.normal(size=7).astype(np.float32) for i in range(4)}
    weights = {i: float(rng.uniform(0.5, 2)) for i in range(4)}
    may = {i: rng.random(7) < 0.6 for i in range(4)}
    found = average(theta, {i: models[i] for i in order}, weights, may)
    for entry in range(7):
        who = [i for i in range(4) if may[i][entry]]
        expected = (
            np.average([models[i][entry] for i in who], weights=[weights[i] for i in who]) if who else theta[entry]
        )
        assert found[entry] == pytest.approx(expected, rel=1e-5, abs=1e-6)
    assert (found == average(theta, models, weights, may)).all()


def replies_of(thetas: list[object], experiment: Experiment = TINY) -> tuple[MakerAverage, Iterator[Message]]:
    """A strategy at its first round and replies that answer it: a vector, or a text for an error."""
    app = ClientApp()

    @app.train()
    def train(message: Message, context: Context) -> Message:
        number = int(context.node_config["partition-id"])
        answer = thetas[number]
        if isinstance(answer, Exception):
            raise answer
        content = RecordDict({"arrays": record(answer), "metrics": MetricRecord({"maker": number})})  # type: ignore[arg-type]
        return Message(content, reply_to=message)

    n = len(thetas)
    ones = {i: np.ones(3, bool) for i in range(n)}
    strategy = MakerAverage(
        FedAvg(min_train_nodes=n, min_available_nodes=n), dict.fromkeys(range(n), 1.0), ones, 1, first_round=4
    )
    found: list[Message] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        messages = strategy.configure_train(1, record(np.zeros(3, np.float32)), ConfigRecord({}), grid)
        found.extend(grid.send_and_receive(messages))

    drive(server, InProcessGrid(app, n, {}), {})
    return strategy, iter(found)


def test_a_failed_maker_is_left_out_and_a_round_without_any_is_an_error() -> None:
    one = np.ones(3, np.float32)
    strategy, replies = replies_of([one, RuntimeError("boom"), 3 * one])
    arrays, _ = strategy.aggregate_train(1, replies)
    assert isinstance(arrays, ArrayRecord)
    assert vector(arrays).tolist() == [2, 2, 2]
    strategy, replies = replies_of([RuntimeError("boom"), RuntimeError("bang")])
    with pytest.raises(FederationError, match=r"round 4: 0 of at least 1 .*bang.*boom") as caught:
        strategy.aggregate_train(1, replies)
    assert not isinstance(caught.value, RefusedError)
    strategy, replies = replies_of([RuntimeError(f"aurora {REFUSED}"), RuntimeError(f"dune {BUDGET}")])
    with pytest.raises(RefusedError, match="aurora refused"):
        strategy.aggregate_train(1, replies)


def test_a_maker_that_answers_twice_or_is_unknown_is_left_out() -> None:
    one = np.ones(3, np.float32)
    strategy, replies = replies_of([one, 3 * one])
    first, second = replies
    arrays, _ = strategy.aggregate_train(1, iter([first, second, second]))
    assert arrays is not None
    assert vector(arrays).tolist() == [2, 2, 2]
    assert len(strategy.failures) == 1


def test_two_processes_cannot_work_on_one_run(whole: Path) -> None:
    with (whole / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        with pytest.raises(DataError, match="another process is at work"):
            run(TINY, whole, watch=ignore)


def test_a_model_that_is_not_finite_or_does_not_fit_is_left_out() -> None:
    good, bad = np.ones(3, np.float32), np.array([1, np.nan, 1], np.float32)
    strategy, replies = replies_of([good, bad, np.ones(4, np.float32)])
    arrays, _ = strategy.aggregate_train(1, replies)
    assert arrays is not None
    assert vector(arrays).tolist() == [1, 1, 1]


def test_a_model_vector_goes_and_comes_back() -> None:
    model, other = (MaskedAutoencoder(TINY.architecture, seed) for seed in (1, 2))
    unpack(other, pack(model))
    assert all(torch.equal(p, q) for p, q in zip(model.parameters(), other.parameters(), strict=True))
    with pytest.raises(DataError, match="has shape"):
        unpack(other, pack(model)[1:])
    broken = pack(model)
    broken[5] = np.inf
    with pytest.raises(DataError, match="1 entries that are not finite"):
        unpack(other, broken)


def test_settling_twice_keeps_the_people(ready: Path) -> None:
    site = site_of(ready)
    before = site.dataset().manifest.sha256
    settle(site)
    assert site.dataset().manifest.sha256 == before
