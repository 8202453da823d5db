"""The rules that other rooms carry: what leaves a maker, what is chosen on whom, who shares whom, probes, precision.

As in ``tests/test_rules.py``, every rule is a plain function that asserts it and says what it measured, and every fault
of the table at the end has to turn its rule's check red. Checks that need a run get a finished one, and change copies.
"""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pytest
import torch
from dp_accounting import ComposedDpEvent
from flwr.app import ConfigRecord, Context, Message, RecordDict
from flwr.serverapp import Grid, ServerApp
from flwr.serverapp.strategy import FedAvg
from torch import Tensor, nn

import federated.run as run_module
from federated import maker, server_app
from federated.client_app import app as client_app
from federated.grid import FIRST_NODE_ID, InProcessGrid, drive
from federated.maker import PeopleWindows, Site, people_of, train_round
from federated.parameters import pack
from federated.strategy import MakerAverage, record
from federated.study.records import read
from model.autoencoder import MaskedAutoencoder
from model.contrastive import DINO, MSN, SimCLR
from model.training import load_model, read_safetensors
from model.windows import Batch, Days, Normaliser
from privacy import ledger as ledger_module
from privacy import mechanism, plan, probe
from privacy.ledger import BudgetExceeded, Ledger, Release, federation_epsilon
from privacy.noise import KeyedStream
from privacy.plan import PrivacyError, PrivacyPlan
from simulator.dataset import open_dataset
from tests import mutants_of_rounds as mutants
from tests.conftest import TINY, wavy_days
from tests.outcomes import measured, went_red
from tests.private_toy import KEY, Tiny, Wide, flat, make_people, make_plan, update
from tests.test_rules import check_grid, refuses, release

Check = Callable[[Path], str]
WIDTH = 6  # of the toy's embeddings
MAKER = 3  # dune: heart and motion only


# The rules


def check_r10(whole: Path) -> str:
    """Losses, counts, norms and errors' texts of private people are not sent, nor written to what is shared."""
    with copied(whole, "vendors/dune", "public/model") as folder:
        theta, normaliser = warm(folder)
        reply = ask(folder, theta, normaliser)
        assert not reply.has_error()
        assert set(reply.content) == {"arrays", "metrics"}
        assert dict(reply.content.metric_records["metrics"]) == {"maker": MAKER}
        assert set(reply.content.array_records["arrays"]) == {"theta"}
        failed = ask(folder, np.full_like(theta, np.nan), normaliser)
        assert failed.error.reason == "dune refused"
    shared = {name for line in read(whole / "records.jsonl") if line.kind == "round" for name in line.content}
    assert shared == {"round", "public_loss", "failures"}
    strategy = MakerAverage(FedAvg(), {}, {}, 1, 0)
    assert list(strategy.configure_evaluate(1, record(theta), ConfigRecord({}), None)) == []  # type: ignore[arg-type]
    return "a reply holds theta and the maker's number; an error 2 words"


def check_r11(whole: Path) -> str:
    """What is watched or chosen over the rounds is measured on simulated people only; the last round is the model."""
    _, averaged = server_app.last_round(whole, TINY, load_model(whole / "public" / "model")[0])
    assert np.array_equal(averaged, pack(load_model(whole / "model")[0])), "not the last round"
    watched: set[str] = set()

    def watch(model: Any, days: Any, *_: Any, **__: Any) -> float:
        watched.update(days.person)
        raise Seen

    with copied(whole, "vendors", "public", "experiment.json") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(server_app, "validation_loss", watch)
        config = {"run": str(folder)}
        with pytest.raises(Seen):
            drive(server_app.app, InProcessGrid(client_app, len(TINY.makers), config), config)
        public = set(open_dataset(folder / "public" / "validation").people["person"])
        private = {p for site in sites_of(folder) for p in site.dataset().people["person"]}
    assert watched, "nothing was watched"
    assert watched <= public
    assert not watched & private
    return f"{len(watched)} people watched, {len(watched & private)} of them private"


def check_r12(whole: Path) -> str:
    """No operation mixes people: batch norm and batch-wise losses are refused, a loss is each person's own."""
    del whole
    for norm in (nn.BatchNorm1d(3, affine=False, track_running_stats=False), nn.BatchNorm1d(3), nn.SyncBatchNorm(3)):
        module = nn.Sequential(nn.Linear(3, 3), norm)
        assert refuses(lambda module=module: private(module, make_plan(), ["p0"], None), PrivacyError)  # type: ignore[misc]
    days = wavy_days(4)
    experiment = replace(TINY, size="xxs", window_minutes=300)
    people = PeopleWindows(days, experiment, 2)
    small = replace(experiment.architecture, width=8, heads=1)
    for method in (SimCLR, DINO, MSN):
        assert refuses(lambda method=method: views(method(small), people), PrivacyError)  # type: ignore[misc]
    planned = make_plan(sampling_rate=1.0, clip_norm=1e6, nominal_people=1, delta=1e-3)
    names = people.people[:3]
    alone = sum(descend(MaskedAutoencoder(small), planned, [name], people) for name in names)
    together = descend(MaskedAutoencoder(small), planned, names, people)
    off = float((together - alone).norm() / together.norm())
    assert off < 1e-4, f"people's gradients together are {off:.2g} off those alone"
    return f"3 norms and 3 methods refused; people together are {off:.1g} off people alone"


def check_r14(whole: Path) -> str:
    """The clip norm is the plan's constant at every step, whatever the gradients are; it is not adapted."""
    del whole
    planned = make_plan(sampling_rate=1.0, clip_norm=1e-3, nominal_people=1)
    worst = 0.0
    for loudness in (1.0, 1e3, 30.0):
        people = {"p0": loudness * make_people(1)["p0"]}
        for step in range(3):
            norm = float(update(Tiny(), planned, people, steps=range(step, step + 1)).norm())
            worst = max(worst, abs(norm / 1e-3 - 1))
    assert worst < 1e-6, f"a loud person counts {worst:.2g} more or less than the clip norm"
    assert "clip" not in set(Release.__dataclass_fields__), "an adaptive norm would be a release"
    return f"a loud person's share is within {worst:.0e} of C at 9 steps"


def check_r15(whole: Path) -> str:
    """What a maker's model leaves out follows from its public schema, never from what its people recorded."""
    with copied(whole, "vendors/dune", "public/model") as folder:
        theta, normaliser = warm(folder)
        site = sites_of(folder)[MAKER]
        full = Days.load(site.dataset(), normaliser)
        seen = full.observed.copy()
        seen[:, 0] = False  # nobody has heart rate
        found = [frozen_with(site, theta, normaliser, days) for days in (full, replace(full, observed=seen))]
    assert found[0].keys() == found[1].keys()
    assert all(torch.equal(found[0][name], found[1][name]) for name in found[0])
    rows = {int(mask.all(1).sum()) for mask in found[0].values()}
    absent = 26 - len(TINY.makers[MAKER].vendor.signals)
    assert rows == {absent}, f"{rows} rows frozen, the schema lacks {absent} signals"
    return f"{absent} rows frozen with heart rate and without"


def check_r16(whole: Path) -> str:
    """Noise is drawn and scaled in float64 before it is cast, and every ledger line names the mechanism."""
    planned = make_plan(noise_multiplier=1.0, clip_norm=0.5, sampling_rate=0.5, nominal_people=16)  # powers of two
    moved = update(Wide(), planned, {})
    single = float((moved.float().double() == moved).double().mean())
    assert single < 0.01, f"{single:.0%} of the noise fits a float32"
    assert moved.unique().numel() > 0.999 * moved.numel()
    lines = (whole / "vendors" / "dune" / "ledger.jsonl").read_text().splitlines()[1:]
    assert {json.loads(line)["kind"] for line in lines} <= set(ledger_module.KINDS.values())
    return f"{single:.2%} of the noise fits a float32; {check_grid()}"


def check_r18(whole: Path) -> str:
    """People are disjoint over makers, by salted digests; where somebody is at two, the federation composes."""
    assert len({people_of(TINY, m).seed for m in TINY.makers}) == len(TINY.makers)
    with copied(whole, "vendors") as folder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(Ledger, "epsilon", lambda *_: 0.0)  # the makers' own take time and are not asked for
        sites = sites_of(folder)[:2]
        ledgers = [site.ledger() for site in sites]
        disjoint = run_module._spent(TINY, sites)["federation"]
        assert disjoint == federation_epsilon(ledgers)
        shutil.rmtree(sites[1].folder / "data")
        shutil.copytree(sites[0].folder / "data", sites[1].folder / "data")  # aurora's people are borealis', too
        shared = run_module._spent(TINY, sites)["federation"]
    assert shared == federation_epsilon(ledgers, shared_people=2)
    assert shared > disjoint
    return f"epsilon {disjoint:.2f} disjoint, {shared:.2f} if somebody is at two makers"


def check_r19(whole: Path) -> str:
    """A round that failed has spent; tried again, it sends the identical message and spends nothing more."""
    with copied(whole, "vendors/dune", "public/model") as folder:
        (kept,) = (folder / "vendors/dune/answers").glob("round-0-*")
        sent = read_safetensors(kept)[0]["theta"].numpy()
        for name in ("answers", "ledger.jsonl", "ledger.jsonl.begun"):
            gone = folder / "vendors/dune" / name
            shutil.rmtree(gone) if gone.is_dir() else gone.unlink()
        theta, normaliser = warm(folder)
        site = sites_of(folder)[MAKER]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(maker, "run_steps", fail)
            with pytest.raises(Seen):
                train_round(site, theta, normaliser, 0)
        spent = [len(site.ledger().entries)]
        answers = []
        for _ in range(2):
            answers.append(train_round(site, theta, normaliser, 0))
            spent.append(len(site.ledger().entries))
            (folder / "vendors/dune/answers" / kept.name).unlink()  # the reply was lost before it was kept
    assert spent == [1, 1, 1], f"the ledger had {spent} entries"
    assert all(np.array_equal(answer, sent) for answer in answers)
    return f"entries after failing and two retries: {spent}; answers identical"


def check_r20(whole: Path) -> str:
    """A probe on private labels is a release of its own: charged before it is trained, composed, clipped and noised."""
    del whole
    planned = make_plan(
        noise_multiplier=2.0,
        clip_norm=0.5,
        sampling_rate=0.5,
        nominal_people=200,
        steps=12,
        delta=1e-5,
        windows_per_person=1,
    )
    embeddings, labels = separable(200)
    with TemporaryDirectory() as folder:
        book = Ledger.open(Path(folder) / "ledger.jsonl", vendor="a", delta=1e-5, epsilon_budget=8.0)
        book.charge(release())
        before = book.epsilon()
        first = learn(embeddings, labels, planned, book)
        again = learn(embeddings, labels, planned, book)
        assert torch.equal(flat(first), flat(again))
        assert [entry.release.purpose for entry in book.entries] == ["train", "probe toy"]
        both = plan.epsilon(ComposedDpEvent([release().event, planned.event()]), 1e-5)
        assert book.epsilon() == pytest.approx(both, rel=1e-9)
        assert Ledger.read(book.path).epsilon() == book.epsilon() > before
        assert refuses(lambda: learn(embeddings, labels, replace(planned, noise_multiplier=0.4), book), BudgetExceeded)
    mute = dict.fromkeys(embeddings, torch.zeros(0, 6)), dict.fromkeys(labels, torch.zeros(0, dtype=torch.int64))
    with TemporaryDirectory() as folder:
        book = Ledger.open(Path(folder) / "ledger.jsonl", vendor="a", delta=1e-5, epsilon_budget=8.0)
        noise_only = flat(learn(*mute, planned, book))
    assert float(noise_only.norm()) > 0, "nobody had labels, and the weights did not move: there is no noise"
    right = torch.cat([first.logits(embeddings[p]).argmax(-1) == labels[p] for p in labels]).double().mean()
    assert right > 0.9
    return f"epsilon {before:.2f} before the probe, {both:.2f} with it; {float(right):.0%} of labels right"


# What the checks are made of


class Seen(Exception):  # noqa: N818 (says that a place was reached)
    """Enough was seen."""


def fail(*_: Any, **__: Any) -> None:
    raise Seen


@contextmanager
def copied(whole: Path, *names: str) -> Iterator[Path]:
    """A copy of parts of a run."""
    with TemporaryDirectory() as folder:
        for name in names:
            source, place = whole / name, Path(folder) / name
            place.parent.mkdir(parents=True, exist_ok=True)
            shutil.copytree(source, place) if source.is_dir() else shutil.copy(source, place)
        yield Path(folder)


def sites_of(folder: Path) -> list[Site]:
    return [Site(folder / "vendors" / m.name, TINY, i) for i, m in enumerate(TINY.makers)]


def warm(folder: Path) -> tuple[Any, Normaliser]:
    model, normaliser = load_model(folder / "public" / "model")
    return pack(model), normaliser


def ask(folder: Path, theta: Any, normaliser: Normaliser) -> Message:
    """What one maker replies to the first round's message."""
    terms = {"experiment": TINY.to_json(), "normaliser": json.dumps(asdict(normaliser)), "round": 0}
    content = RecordDict({"arrays": record(theta), "config": ConfigRecord(terms)})  # type: ignore[arg-type]
    replies: list[Message] = []
    server = ServerApp()

    @server.main()
    def main(grid: Grid, context: Context) -> None:
        message = Message(content, dst_node_id=FIRST_NODE_ID + MAKER, message_type="train")
        replies.extend(grid.send_and_receive([message]))

    config = {"run": str(folder)}
    drive(server, InProcessGrid(client_app, len(TINY.makers), config), config)
    return replies[0]


def private(module: nn.Module, planned: PrivacyPlan, people: list[str], draw: Any, collate: Any = torch.stack) -> Any:
    """A private triple of one step whose optimiser has rate 1."""
    return mechanism.make_private(
        module,
        torch.optim.SGD([p for p in module.parameters() if p.requires_grad], lr=1.0),
        planned,
        people=people,
        draw=draw,
        collate=collate,
        streams=KeyedStream(KEY, "rounds"),
        steps=range(1),
        micro_batch=8,
        learning_rate=lambda _: 1.0,
    )


def descend(module: nn.Module, planned: PrivacyPlan, names: list[str], people: PeopleWindows) -> Tensor:
    """How far people move a module in a private step."""
    before = flat(module).double()
    module, optimizer, loader = private(module, planned, names, people.draw, people.collate)
    module.train()
    for batch in loader:
        module(batch).mean().backward()
        optimizer.step()
    return before - flat(module).double()


def views(method: nn.Module, people: PeopleWindows) -> None:
    """A private step of a contrastive method, whose batch is a pair of views."""

    def collate(items: list[Batch]) -> Batch:
        together = PeopleWindows.collate(items)  # [people, 2, ...] -> [2, people, ...]
        fields = ("values", "observed", "slot", "hidden")
        return Batch(*(getattr(together, name).transpose(0, 1) for name in fields))

    _, optimizer, loader = private(method, make_plan(sampling_rate=1.0), people.people[:3], people.draw, collate)
    method.train()
    for batch in loader:
        method(batch).mean().backward()
        optimizer.step()


def frozen_with(site: Site, theta: Any, normaliser: Normaliser, days: Any) -> dict[str, Tensor]:
    """Which entries a maker freezes, were these its people's days."""
    found: dict[str, Tensor] = {}

    class Told:
        @staticmethod
        def load(*_: Any) -> Any:
            return days

    def note(*_: Any, frozen: dict[str, Tensor], **__: Any) -> None:
        found.update(frozen)
        raise Seen

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(maker, "Days", Told)
        patch.setattr(maker, "make_private", note)
        for kept in (site.folder / "answers").glob("*"):
            kept.unlink()
        for name in ("ledger.jsonl", "ledger.jsonl.begun"):
            (site.folder / name).unlink(missing_ok=True)
        with pytest.raises(Seen):
            train_round(site, theta, normaliser, 0)
    return found


def separable(n: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Two windows of each of ``n`` people, whose class stands in their first two entries."""
    embeddings, labels = {}, {}
    for i, (person, windows) in enumerate(make_people(n).items()):
        embeddings[person] = torch.cat([torch.eye(2)[[i % 2, i % 2]] * 3, windows[:2, 0].float(), torch.ones(2, 1)], 1)
        labels[person] = torch.full((2,), i % 2)
    return embeddings, labels


def learn(embeddings: Any, labels: Any, planned: PrivacyPlan, book: Ledger) -> probe.Probe:
    facts: dict[str, Any] = {"width": WIDTH, "classes": 2, "run": "r", "task": "toy"}
    return probe.private_probe(embeddings, labels, plan=planned, ledger=book, key=KEY, **facts)


CHECKS: dict[str, Check] = {
    name.removeprefix("check_"): check for name, check in globals().copy().items() if name.startswith("check_r")
}


@pytest.mark.parametrize("rule", CHECKS)
def test_a_rule_holds(rule: str, whole: Path) -> None:
    assert measured(rule, lambda: CHECKS[rule](whole))


# The mutants

MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "r10 number of people in the reply": mutants.people_in_the_reply,
    "r10 an error's text in the reply": mutants.errors_in_the_reply,
    "r10 the server asks for losses": mutants.the_server_asks,
    "r11 makers' people are watched": mutants.makers_people_are_watched,
    "r12 batch norm is let in": mutants.batch_norm_is_let_in,
    "r12 a loss relative to the batch": mutants.loss_relative_to_the_batch,
    "r14 norm follows the median gradient": mutants.norm_follows_the_gradients,
    "r15 sensors as the data show them": mutants.sensors_as_seen,
    "r16 noise in float32": mutants.noise_in_float32,
    "r16 noise on a coarse grid": mutants.noise_on_a_coarse_grid,
    "r18 nobody looks for shared people": mutants.nobody_looks,
    "r18 makers draw the same people": mutants.the_same_people,
    "r19 charged when it is done": mutants.charged_when_done,
    "r19 a retry draws new noise": mutants.new_noise_on_retry,
    "r20 a probe is not charged": mutants.probe_not_charged,
    "r20 a probe has a ledger of its own": mutants.probe_with_own_ledger,
    "r20 a probe is trained without noise": mutants.probe_without_noise,
}


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_planted_fault_turns_its_rule_red(mutant: str, whole: Path) -> None:
    assert went_red(mutant, lambda: CHECKS[mutant.split()[0]](whole), MUTANTS[mutant]) is not None
