"""The privacy card: what it states follows from the ledgers, a stranger can recompute it, and a lie is seen."""

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from privacy.card import Audited, CardError, PrivacyCard, as_markdown, check, facts, read, sign
from privacy.ledger import Ledger, Release, federation_epsilon
from privacy.plan import attack_limit, epsilon, gaussian_event
from simulator.files import write_json
from tests.private_toy import KEY, make_plan

DELTA = 1e-5
AUDIT = Audited(
    claimed=4.0, lower_bound=3.2, ceiling=30.0, confidence=0.95, red=(), command="everywear audit", commit="abc"
)


def ledger_of(folder: Path, name: str, rounds: int) -> Ledger:
    ledger = Ledger.open(folder / f"{name}.jsonl", vendor=name, delta=DELTA, epsilon_budget=8.0)
    plan = make_plan(noise_multiplier=2.0, sampling_rate=0.1, steps=100, nominal_people=500)
    for number in range(rounds):
        ledger.charge(Release.of(plan, steps=20, run="r", round=number, purpose="train", content=f"c{number}"))
    statistics = Release(
        run="r", round=0, purpose="statistics", content="s", sampling_rate=1.0, noise_multiplier=10.0, steps=1
    )
    ledger.charge(statistics)
    return ledger


@pytest.fixture(scope="module")
def card(tmp_path_factory: pytest.TempPathFactory) -> PrivacyCard:
    folder = tmp_path_factory.mktemp("ledgers")
    ledgers = [ledger_of(folder, "aurora", 5), ledger_of(folder, "borealis", 3)]
    plan = make_plan(noise_multiplier=2.0, sampling_rate=0.1, steps=100, nominal_people=500, epsilon_budget=8.0)
    return PrivacyCard(
        model=sha256(b"weights").hexdigest(),
        experiment="e",
        noise="release",
        trust="maker",
        makers=tuple(facts(plan, ledger) for ledger in ledgers),
        federation=federation_epsilon(ledgers),
        shared_people=1,
        delta=DELTA,
        audit=AUDIT,
    )


def issued(card: PrivacyCard, folder: Path, key: bytes = KEY) -> Path:
    """The card with its weights beside it, as a run leaves them."""
    (folder / "model.safetensors").write_bytes(b"weights")
    write_json(folder / "privacy.json", sign(card, key))
    return folder / "privacy.json"


def broken(path: Path, **options: Any) -> list[str]:
    return [finding.what for finding in check(path, **options) if not finding.holds]


def test_an_honest_card_holds_in_every_point(card: PrivacyCard, tmp_path: Path) -> None:
    path = issued(card, tmp_path)
    assert broken(path) == []
    assert read(path)[0] == card
    assert broken(path, issuer=read(path)[1]) == []


def test_everything_in_the_ledger_stands_on_the_card(card: PrivacyCard, tmp_path: Path) -> None:
    aurora = ledger_of(tmp_path, "aurora", 5)
    assert sum(charge.times for charge in card.makers[0].charges) == len(aurora.entries) == 6
    assert card.makers[0].epsilon["pld"] == aurora.epsilon() == epsilon(card.makers[0].event(), DELTA)
    assert card.federation == max(maker.epsilon["pld"] for maker in card.makers)


def _leaves(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in _leaves(inner, (*path, key))]
    if isinstance(value, list) and value:
        return [leaf for key, inner in enumerate(value) for leaf in _leaves(inner, (*path, key))]
    return [path]


@settings(deadline=None, max_examples=25)
@given(data=st.data())
def test_whatever_is_changed_breaks_the_signature(
    card: PrivacyCard, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    signed = sign(card, KEY)
    place = data.draw(
        st.sampled_from([leaf for leaf in _leaves(signed["card"]) if leaf[-1] not in ("format", "trust")])
    )
    changed = copy.deepcopy(signed)
    inside = changed["card"]
    for step in place[:-1]:
        inside = inside[step]
    value = inside[place[-1]]
    match value:
        case str():
            inside[place[-1]] = "off" if place[-1] == "noise" else f"{value}x"
        case list():
            inside[place[-1]] = ["r01"]
        case _:
            inside[place[-1]] = value + 1
    folder = tmp_path_factory.mktemp("changed")
    write_json(folder / "privacy.json", changed)
    assert "signed by its issuer and not changed since" in broken(folder / "privacy.json")


LIES: dict[str, tuple[Callable[[PrivacyCard], PrivacyCard], str]] = {
    "a lower epsilon": (
        lambda c: _first(c, epsilon={**c.makers[0].epsilon, "pld": c.makers[0].epsilon["pld"] * 0.999}),
        "aurora: epsilon by pld",
    ),
    "a lower second opinion": (
        lambda c: _first(c, epsilon={**c.makers[0].epsilon, "prv": 1.0}),
        "aurora: epsilon by prv",
    ),
    "fewer true positives": (lambda c: _first(c, true_positive_rate=1e-3), "aurora: limit of a membership attack"),
    "the mean over makers": (lambda c: replace(c, federation=c.federation * 0.9), "epsilon of the federation"),
    "people at both makers": (lambda c: replace(c, shared_people=2), "epsilon of the federation"),
    "a delta that hands out a person": (lambda c: replace(c, delta=0.01), "aurora: delta below 1/people"),
    "a budget that was passed": (
        lambda c: _first(c, plan={**c.makers[0].plan, "epsilon_budget": 0.5}),
        "aurora: within its budget",
    ),
    "another model": (lambda c: replace(c, model="0" * 64), "speaks of these weights"),
    "noise from a public seed": (lambda c: replace(c, noise="rehearsal"), "noise is secret"),
    "another unit": (lambda c: replace(c, unit="one window"), "unit is the one that is accounted"),
    "an audit above the claim": (
        lambda c: replace(c, audit=replace(AUDIT, lower_bound=4.1)),
        "audit found nothing above the claim",
    ),
    "an audit with a red check": (
        lambda c: replace(c, audit=replace(AUDIT, red=("r04",))),
        "audit found nothing above the claim",
    ),
    "no makers": (lambda c: replace(c, makers=(), federation=0.0), "says what was released"),
    "no charges": (lambda c: _first(c, charges=()), "says what was released"),
    "an audit of nothing": (
        lambda c: replace(c, audit=replace(AUDIT, claimed=1e9, confidence=0.0)),
        "audit found nothing above the claim",
    ),
    "no audit": (lambda c: replace(c, audit=None), "audited"),
}


def _first(card: PrivacyCard, **changes: Any) -> PrivacyCard:
    return replace(card, makers=(replace(card.makers[0], **changes), *card.makers[1:]))


@pytest.mark.parametrize("lie", LIES)
def test_a_lie_is_seen_although_it_is_signed(card: PrivacyCard, tmp_path: Path, lie: str) -> None:
    tell, seen = LIES[lie]
    assert seen in broken(issued(tell(card), tmp_path))


def test_another_issuer_is_seen(card: PrivacyCard, tmp_path: Path) -> None:
    path = issued(card, tmp_path)
    trusted = read(path)[1]
    issued(card, tmp_path, key=bytes(32))
    assert broken(path) == []
    assert broken(path, issuer=trusted) == ["signed by its issuer and not changed since"]


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"card": {}, "public_key": "", "signature": ""}'])
def test_what_is_no_card_is_refused_in_one_line(tmp_path: Path, text: str) -> None:
    (tmp_path / "privacy.json").write_text(text)
    with pytest.raises(CardError, match=r"privacy\.json") as raised:
        check(tmp_path / "privacy.json")
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("plan", [{}, {"epsilon_budget": None, "nominal_people": 500}, {"nominal_people": 0}])
def test_what_cannot_be_is_one_line(card: PrivacyCard, tmp_path: Path, plan: dict[str, Any]) -> None:
    with pytest.raises(CardError, match=r"privacy\.json: states what cannot be"):
        check(issued(_first(card, plan=plan), tmp_path))


def test_the_page_says_what_protects_nobody(card: PrivacyCard) -> None:
    page = as_markdown(sign(card, KEY))
    assert "epsilon is at most **" in page
    assert "protect no real person" in as_markdown(sign(replace(card, noise="rehearsal"), KEY))
    assert "Nobody is protected" in as_markdown(sign(replace(card, noise="off"), KEY))
    assert "None was run" in as_markdown(sign(replace(card, audit=None), KEY))
    for maker in card.makers:
        assert f"| {maker.name} | {maker.epsilon['pld']:.3f} |" in page
        assert maker.ledger in page


def test_the_signed_card_is_plain_json(card: PrivacyCard) -> None:
    json.dumps(sign(card, KEY), allow_nan=False)


@pytest.mark.parametrize("noise", [0.5, 1.0, 3.0])
@pytest.mark.parametrize("steps", [1, 9])
@pytest.mark.parametrize("rate", [1e-3, 0.05])
def test_an_attack_on_a_gaussian_is_limited_as_in_closed_form(noise: float, steps: int, rate: float) -> None:
    """Neyman and Pearson's test between two normals: Phi(Phi^-1(fpr) + mu). Never below it, and close above."""
    mu = steps**0.5 / noise
    exact = norm.cdf(norm.ppf(rate) + mu)
    limit = attack_limit(gaussian_event(1.0, noise, steps), rate)
    assert exact - 1e-9 <= limit <= exact * 1.01 + 1e-4


def test_an_attack_on_nothing_guesses_and_on_everything_knows() -> None:
    assert attack_limit(gaussian_event(0.1, 2.0, 0), 0.01) == 0.01
    assert attack_limit(gaussian_event(0.1, 0.0, 1), 0.01) == 1.0
