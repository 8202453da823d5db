"""Privacy card: what a model's people were promised, on a page and as signed JSON that anybody can check.

Practitioners rarely verify what they are told of differential privacy, so the proof ships with the model: every charge
of every maker's ledger as public numbers, from which a stranger recomputes each epsilon with two accountants, and a
signature over it all. The signature says who issued the card and that it was not changed since; it does not say that
the ledgers are true. That is what the audit is for, whose figures stand on the card too once it was run.

What an attacker can gain is said in attack terms as well: with a false positive rate of 1e-3, no membership attack on
everything that left a maker has a higher true positive rate than the one given [1].

[1] Kairouz, Oh and Viswanath, "The composition theorem for differential privacy", arXiv:1311.0776, theorem 2.1.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final, Literal

import dp_accounting
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import TypeAdapter, ValidationError

from privacy.ledger import Ledger, Release, composed_epsilon
from privacy.plan import ADJACENCY, UNIT, PrivacyError, PrivacyPlan, attack_limit, epsilon

FORMAT: Final = "everywear privacy card 1"
FALSE_POSITIVE_RATE: Final = 1e-3  # at which the attack's limit is given; dp-fl practice (Carlini et al. 2112.03570)
SAME: Final = 1e-6  # relative difference between a stated and a recomputed epsilon that rounding explains
SECOND_MAY_LEAD: Final = 5e-3  # share by which PRV's central estimate may lie above PLD: its own error bound
MOST_CLAIMED: Final = 20.0  # epsilon beyond which an audit doubts nothing
ACCOUNTANTS: Final = ("pld", "prv")
TRUST: Final = {
    "maker": "each person trusts their own maker and nobody else: what leaves a maker is noised there",
}


class CardError(PrivacyError):
    """A card that cannot be read: the message names the file and what was expected."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Charge:
    """Equal releases of a ledger.

    Attributes:
        release: One of them, as `privacy.ledger.Release` takes it, without what tells them apart.
        times: How many there are.
    """

    release: dict[str, Any]
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class MakerFacts:
    """What one maker promised and spent.

    Attributes:
        name: The maker.
        plan: Its privacy plan: clip norm, sampling rate, noise, windows, published number of people, budget, delta.
        ledger: Digest of the ledger's last line, which stands for all lines before it.
        charges: Everything in the ledger.
        epsilon: By accountant.
        true_positive_rate: The most that a membership attack can reach at ``FALSE_POSITIVE_RATE``.
    """

    name: str
    plan: dict[str, Any]
    ledger: str
    charges: tuple[Charge, ...]
    epsilon: dict[str, float]
    true_positive_rate: float

    def event(self) -> Any:
        """All charges as one ``dp_accounting.DpEvent``."""
        alike: dict[str, Any] = {"run": "", "round": 0, "content": ""}
        return dp_accounting.ComposedDpEvent(
            [
                dp_accounting.SelfComposedDpEvent(Release(**alike, **charge.release).event, charge.times)
                for charge in self.charges
            ]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Audited:
    """What an audit found.

    Attributes:
        claimed: The epsilon that was put to the test.
        lower_bound: The larger of the audit's two figures; the Gaussian one is an estimate of a bound (`canaries`).
        ceiling: What the bound tends to for a sound mechanism, with ever more canaries.
        confidence: Of the bound.
        red: Checks that failed.
        command: That repeats it.
        commit: Of the code that was audited.
    """

    claimed: float
    lower_bound: float
    ceiling: float
    confidence: float
    red: tuple[str, ...]
    command: str
    commit: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PrivacyCard:
    """Everything that a person, or a privacy officer for them, needs to know.

    Attributes:
        model: SHA-256 of the weights' file.
        experiment: Digest of the experiment.
        noise: "release", "rehearsal" (keys from a public seed: protects nobody) or "off".
        trust: Who has to be trusted, a key of ``TRUST``.
        makers: The federation's members.
        federation: Epsilon of a person against whoever sees every message.
        shared_people: At how many makers one person may be.
        delta: Of all epsilons.
        audit: What an audit found; None if none was run.
        unit: What is protected.
        adjacency: Which data sets must look alike.
        format: Of the file.
    """

    model: str
    experiment: str
    noise: Literal["release", "rehearsal", "off"]
    trust: Literal["maker"]
    makers: tuple[MakerFacts, ...]
    federation: float
    shared_people: int
    delta: float
    audit: Audited | None = None
    unit: str = UNIT
    adjacency: str = ADJACENCY
    format: str = FORMAT


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing that was checked about a card.

    Attributes:
        what: In words.
        holds: Whether it is as the card says.
        figure: What was found.
    """

    what: str
    holds: bool
    figure: str


def facts(plan: PrivacyPlan, ledger: Ledger) -> MakerFacts:
    """What a maker's plan and ledger say.

    Raises:
        PrivacyError: If the ledger holds what the accountants cannot count.
    """
    charges = _charges(ledger)
    event = ledger.event()
    return MakerFacts(
        name=ledger.vendor,
        plan=asdict(plan),
        ledger=ledger.digest,
        charges=charges,
        epsilon={name: epsilon(event, ledger.delta, name) for name in ACCOUNTANTS},
        true_positive_rate=attack_limit(event, FALSE_POSITIVE_RATE),
    )


def _charges(ledger: Ledger) -> tuple[Charge, ...]:
    """A ledger's releases, equal ones together; which run, round and data they were of is left out."""
    alike = ("run", "round", "content")
    counted = Counter(
        json.dumps({k: v for k, v in asdict(entry.release).items() if k not in alike}, sort_keys=True)
        for entry in ledger.entries
    )
    return tuple(Charge(release=json.loads(text), times=times) for text, times in counted.items())


def sign(card: PrivacyCard, key: bytes) -> dict[str, Any]:
    """The card as JSON with the issuer's public key and an Ed25519 signature.

    Args:
        card: What is signed.
        key: 32 secret bytes of the issuer.
    """
    private = Ed25519PrivateKey.from_private_bytes(key)
    content = json.loads(json.dumps(asdict(card)))
    return {
        "card": content,
        "public_key": private.public_key().public_bytes_raw().hex(),
        "signature": private.sign(_canonical(content)).hex(),
    }


def _canonical(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, sort_keys=True, separators=(",", ":")).encode()


def read(path: Path) -> tuple[PrivacyCard, str, bool]:
    """A card, the public key that it names, and whether that key signed it.

    Raises:
        CardError: If the file is missing or no card.
    """
    try:
        found = json.loads(path.read_bytes())
        content, public, signature = found["card"], found["public_key"], found["signature"]
        card = TypeAdapter(PrivacyCard).validate_python(content, extra="forbid")
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public))
        stamp = bytes.fromhex(signature)
    except FileNotFoundError as error:
        raise CardError(f"{path}: no such file, expected a privacy card") from error
    except ValidationError as error:
        first = error.errors()[0]
        raise CardError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}") from error
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise CardError(f"{path}: is no privacy card ({type(error).__name__}: {error})") from error
    if card.format != FORMAT:
        raise CardError(f"{path}: format {card.format!r}, expected {FORMAT!r}")
    try:
        key.verify(stamp, _canonical(content))
    except InvalidSignature:
        return card, public, False
    return card, public, True


def check(path: Path, weights: Path | None = None, issuer: str | None = None) -> list[Finding]:
    """Everything that a stranger can check about a card without the makers' data.

    Args:
        path: The card.
        weights: The model's weights; by default ``model.safetensors`` beside the card.
        issuer: Public key, in hexadecimal digits, that must have signed; None takes the one on the card, which then
            only shows that nothing was changed since.

    Raises:
        CardError: If the file is no card.
    """
    card, public, signed = read(path)
    try:
        return _findings(
            card, public, signed, path.with_name("model.safetensors") if weights is None else weights, issuer
        )
    except (PrivacyError, KeyError, TypeError, ValueError, ArithmeticError, OSError) as error:
        raise CardError(f"{path}: states what cannot be ({type(error).__name__}: {error})") from error


def _findings(card: PrivacyCard, public: str, signed: bool, weights: Path, issuer: str | None) -> list[Finding]:
    known = issuer is None or issuer.lower() == public
    told = f"key {public[:16]}..." + (", which nobody vouches for: --issuer" if issuer is None else "")
    told += "" if known else f", expected {str(issuer)[:16]}..."
    found = [Finding(what="signed by its issuer and not changed since", holds=signed and known, figure=told)]
    if not signed:  # whatever else it says is anybody's guess
        return found
    if weights.exists():
        digest = hashlib.sha256(weights.read_bytes()).hexdigest()
        found.append(Finding(what="speaks of these weights", holds=digest == card.model, figure=digest[:16]))
    else:
        found.append(Finding(what="speaks of these weights", holds=False, figure=f"{weights} is missing"))
    protects = card.noise == "release"
    found.append(Finding(what="noise is secret", holds=protects, figure=card.noise))
    for name, standard in (("unit", UNIT), ("adjacency", ADJACENCY)):
        stated = getattr(card, name)
        found.append(Finding(what=f"{name} is the one that is accounted", holds=stated == standard, figure=stated))
    told = f"{len(card.makers)} makers, {sum(len(maker.charges) for maker in card.makers)} kinds of charges"
    holds = bool(card.makers) and all(maker.charges for maker in card.makers) and card.shared_people >= 1
    holds &= all(charge.times >= 1 for maker in card.makers for charge in maker.charges)
    found.append(Finding(what="says what was released", holds=holds, figure=told))
    if not holds:
        return found
    for maker in card.makers:
        found += _check_maker(maker, card)
    found += _check_federation(card)
    if card.audit is None:
        found.append(Finding(what="audited", holds=False, figure="no audit was run: everywear audit RUN"))
    else:
        audit = card.audit
        holds = 0 <= audit.lower_bound <= audit.claimed <= MOST_CLAIMED and not audit.red
        holds &= 0.5 < audit.confidence < 1
        figure = f"at least {audit.lower_bound:.2f} of {audit.claimed:.2f} claimed (sound: {audit.ceiling:.2f})"
        red = f"; red: {', '.join(audit.red)}" if audit.red else ""
        found.append(Finding(what="audit found nothing above the claim", holds=holds, figure=figure + red))
    return found


def _check_maker(maker: MakerFacts, card: PrivacyCard) -> list[Finding]:
    event = maker.event()
    found = []
    counted = {name: epsilon(event, card.delta, name) for name in ACCOUNTANTS}
    for name, value in counted.items():
        stated = maker.epsilon.get(name, float("nan"))
        figure = f"stated {stated:.4f}, recomputed {value:.4f}"
        same = abs(stated - value) <= SAME * max(value, 1e-12)
        found.append(Finding(what=f"{maker.name}: epsilon by {name}", holds=same, figure=figure))
    leads = counted["prv"] <= counted["pld"] * (1 + SECOND_MAY_LEAD)
    figure = f"pld {counted['pld']:.4f}, prv {counted['prv']:.4f}"
    found.append(Finding(what=f"{maker.name}: never below the second accountant", holds=leads, figure=figure))
    budget = float(maker.plan["epsilon_budget"])
    figure = f"{counted['pld']:.4f} of {budget:g}"
    found.append(Finding(what=f"{maker.name}: within its budget", holds=counted["pld"] <= budget, figure=figure))
    people = int(maker.plan["nominal_people"])
    figure = f"delta {card.delta:g}, {people} people"
    found.append(Finding(what=f"{maker.name}: delta below 1/people", holds=card.delta < 1 / people, figure=figure))
    limit = attack_limit(event, FALSE_POSITIVE_RATE)
    same = abs(limit - maker.true_positive_rate) <= SAME
    figure = f"{limit:.4f} true positives at {FALSE_POSITIVE_RATE:g} false ones"
    found.append(Finding(what=f"{maker.name}: limit of a membership attack", holds=same, figure=figure))
    return found


def _check_federation(card: PrivacyCard) -> list[Finding]:
    value = composed_epsilon([maker.event() for maker in card.makers], card.delta, card.shared_people)
    figure = f"stated {card.federation:.4f}, recomputed {value:.4f}"
    same = abs(card.federation - value) <= SAME * max(value, 1e-12)
    return [Finding(what="epsilon of the federation", holds=same, figure=figure)]


def as_markdown(signed: Mapping[str, Any]) -> str:
    """A signed card as a page."""
    card = TypeAdapter(PrivacyCard).validate_python(signed["card"])
    lines = ["# Privacy card", ""]
    if card.noise == "rehearsal":
        lines += ["**A rehearsal: the noise is keyed from a public seed. It would protect no real person.**", ""]
    if card.noise == "off":
        lines += ["**Noise was off. Nobody is protected.**", ""]
    lines += [
        f"A person is protected: {card.unit}; adjacency: {card.adjacency}. Against whoever sees every message of the "
        f"federation, epsilon is at most **{card.federation:.3f}** at delta {card.delta:g}, if a person is at no more "
        f"than {card.shared_people} of the makers.",
        "",
        f"Trust: {TRUST[card.trust]}.",
        "",
        "| maker | epsilon (PLD) | second opinion (PRV) | budget | attack's limit | people | joins a step "
        "| noise / clip | clip norm | noised sums |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for maker in card.makers:
        plan = maker.plan
        sums = sum(charge.times * int(charge.release["steps"]) for charge in maker.charges)
        lines.append(
            f"| {maker.name} | {maker.epsilon['pld']:.3f} | {maker.epsilon['prv']:.3f} | {plan['epsilon_budget']:g} | "
            f"{maker.true_positive_rate:.3f} | {plan['nominal_people']} | {plan['sampling_rate']:g} | "
            f"{plan['noise_multiplier']:g} | {plan['clip_norm']:g} | {sums} |"
        )
    lines += [
        "",
        f"The attack's limit: of members, a test that accuses {FALSE_POSITIVE_RATE:.1%} of strangers can find no more.",
        "",
        "## Everything that was released",
        "",
        *(
            f"- {maker.name}: "
            + "; ".join(f"{charge.times} x {_words(charge.release)}" for charge in maker.charges)
            + f". Ledger ends with `{maker.ledger}`."
            for maker in card.makers
        ),
        "",
        "## Audit",
        "",
        _audit_words(card.audit),
        "",
        "## Check it",
        "",
        "`everywear audit --card privacy.json` recomputes every number here and the signature. Weights: SHA-256 "
        f"`{card.model}`. Experiment `{card.experiment}`. Issued under the key `{signed['public_key']}`.",
        "",
    ]
    return "\n".join(lines)


def _words(release: Mapping[str, Any]) -> str:
    return (
        f"{release['purpose']} ({release['steps']} sums, rate {release['sampling_rate']:g}, "
        f"noise {release['noise_multiplier']:g})"
    )


def _audit_words(audit: Audited | None) -> str:
    if audit is None:
        return "None was run. `everywear audit RUN` runs one and issues this card anew."
    red = f" Checks that failed: {', '.join(audit.red)}." if audit.red else " All checks passed."
    return (
        "Canary people went through the same private path under a plan of their own. What an attacker who knows them "
        f"could tell amounts to an epsilon of {audit.lower_bound:.2f} or more, at {audit.confidence:.0%} confidence, "
        f"of {audit.claimed:.2f} claimed; for a sound mechanism it tends to {audit.ceiling:.2f}. It is an estimate, "
        f"since scores are taken as normal.{red} `{audit.command}`, commit `{audit.commit}`."
    )
