"""Gray-box audit: does private training do, number by number, what its plan says? Seconds, and hard to fool.

An audit gets a `Subject`, a private training as somebody would run it, and sends chosen people through the triple that
`make_private` gives. Whatever lies inside, it may only be seen from outside: what people were asked for, and what the
optimiser was told to do. Each `Check` carries a rule of the project's list, a figure and the bound it has to keep:

* exact ones: person gradients against automatic differentiation of that person alone; the clip norm; how far one
  person moves a sum under the same key; what a person whose numbers are not finite changes;
* statistical ones, five standard errors wide: the size of the noise where nobody joined, its independence over steps,
  parameters, releases and vendors, how often people join.

`privacy.canaries` asks the same question end to end: how much epsilon does an attack prove?

[1] McKenna, McMahan et al., jax-privacy, "Common pitfalls"; [2] "Re:cord-play", arXiv:2602.17454: neighbouring people
under the same randomness show what chance hides.
"""

import math
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any

import torch
from torch import Tensor, nn

from privacy import mechanism
from privacy.canaries import Gauge, MakePrivate, Progress, Recorder
from privacy.noise import KeyedStream, rehearsal_key
from privacy.plan import PrivacyPlan

Z = 5.0  # standard errors; a sound build fails a statistic once in two million
CORRELATION_Z = 6.0  # of many pairs
SAME = 1e-4  # relative, of gradients in float32 that were summed in another order
EXACT = 1e-6  # relative, of what is clipped
COINS = 20_000  # tossed to see how often people join
SEEN_PEOPLE = 6  # of a subject's, in exact checks
NOT_FINITE = (math.nan, math.inf)
PASS, FAIL, SKIPPED = "pass", "fail", "skipped"


@dataclass(frozen=True, kw_only=True)
class Check:
    """One verdict.

    Attributes:
        rule: Number on the list of rules, such as "R1".
        name: What was looked at.
        verdict: "pass", "fail", or "skipped" where there is nothing to look at.
        figure: What was measured.
        bound: What it may be at most.
        note: What the figure is.
    """

    rule: str
    name: str
    verdict: str
    figure: float | None
    bound: float | None
    note: str


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A private training as somebody would run it.

    Attributes:
        plan: Under which plan.
        module: Makes the module, the same each time, on the CPU; a loss per window, [people, windows].
        people: Whom to send through; real people's own windows are used where there are any.
        draw: As `make_private` takes it.
        collate: As `make_private` takes it.
        fill: ``fill(windows, value)`` gives the same windows with all measured values replaced by one number.
        frozen: As `make_private` takes it.
    """

    plan: PrivacyPlan
    module: Callable[[], nn.Module]
    people: Sequence[str]
    draw: Callable[[str, int, KeyedStream], Any]
    collate: Callable[[list[Any]], Any]
    fill: Callable[[Any, float], Any]
    frozen: Mapping[str, Tensor] = field(default_factory=dict)


def gray_box(
    subject: Subject,
    seed: int = 1,
    make: MakePrivate | None = None,
    progress: Progress | None = None,
    names: Collection[str] | None = None,
) -> list[Check]:
    """All checks of a subject.

    Args:
        subject: What is audited.
        seed: Of the draws and, as in a rehearsal, the noise.
        make: What makes training private; `privacy.mechanism.make_private` unless a test plants a fault.
        progress: Told of the checks that are done, and of how many there are.
        names: Only these.
    """
    bench = _Bench(subject, seed, make)
    asked = [name for name in CHECKS if names is None or name in names]
    checks = []
    for done, name in enumerate(asked, start=1):
        rule, ask = CHECKS[name]
        figure, bound, note = ask(bench)
        verdict = SKIPPED if figure is None else PASS if figure <= bound else FAIL  # what is no number fails
        checks.append(Check(rule=rule, name=name, verdict=verdict, figure=figure, bound=bound, note=note))
        if progress is not None:
            progress(done, len(asked))
    return checks


Finding = tuple[float | None, float, str]  # what was measured (None: nothing), what it may be, and what it is


class _Bench:
    """Sends people through the private triple and notes what comes out."""

    def __init__(self, subject: Subject, seed: int, make: MakePrivate | None) -> None:
        self.subject = subject
        self.plan = subject.plan
        self.seed = seed
        self.people = list(subject.people[:SEEN_PEOPLE])
        self._make = make

    def stream(self, *address: str | int, vendor: str = "a") -> KeyedStream:
        return KeyedStream(rehearsal_key(self.seed, f"audit of {vendor}"), "audit", *address)

    def send(
        self,
        people: Sequence[str],
        plan: PrivacyPlan,
        *,
        steps: range = range(1),
        streams: KeyedStream | None = None,
        micro_batch: int = 64,
        filled: Mapping[str, float] | None = None,
        module: nn.Module | None = None,
        rate: Callable[[int], float] = lambda _: 1.0,
    ) -> "_Seen":
        """What is seen from outside when these people train under a plan."""
        module = self.subject.module() if module is None else module
        seen = _Seen(Recorder(module), {})

        def draw(person: str, step: int, stream: KeyedStream) -> Any:
            item = self.subject.draw(person, step, stream)
            if item is not None and filled and person in filled:
                item = self.subject.fill(item, filled[person])
            seen.items[person] = item
            return item

        module, optimizer, loader = (self._make or mechanism.make_private)(
            module,
            seen.recorder,
            replace(plan, steps=max(plan.steps, steps.stop)),
            people=list(people),
            draw=draw,
            collate=self.subject.collate,
            streams=streams or self.stream("step"),
            steps=steps,
            micro_batch=micro_batch,
            learning_rate=rate,
            frozen=self.subject.frozen,
        )
        module.train()
        for batch in loader:
            optimizer.zero_grad()
            module(batch).mean().backward()
            optimizer.step()
        return seen

    def certain(self, **changes: Any) -> PrivacyPlan:
        """The plan without noise, in which everybody joins and one is divided by."""
        everybody = {"sampling_rate": 1.0, "nominal_people": 1, "noise_multiplier": 0.0, "delta": 1e-9}
        return replace(self.plan, **{**everybody, "epsilon_budget": math.inf, **changes})

    def free(self) -> Tensor:
        """True for entries of the flat model that are not frozen."""
        masks = self.subject.frozen
        parts = [
            (~masks[name] if name in masks else torch.ones_like(p, dtype=torch.bool)).flatten()
            for name, p in self.subject.module().named_parameters()
            if p.requires_grad
        ]
        return torch.cat(parts)

    def alone(self, item: Any) -> Tensor:
        """The gradient of one person's mean loss by automatic differentiation, flat float64, zero where frozen."""
        module = self.subject.module().train()
        module(self.subject.collate([item])).mean().backward()
        parts = [
            (torch.zeros_like(p) if p.grad is None else p.grad).double().flatten()
            for p in module.parameters()
            if p.requires_grad
        ]
        return torch.cat(parts) * self.free()


@dataclass(frozen=True)
class _Seen:
    recorder: Recorder
    items: dict[str, Any]

    @property
    def updates(self) -> list[Tensor]:
        return self.recorder.updates

    @property
    def update(self) -> Tensor:
        (only,) = self.recorder.updates
        return only


def _gradients(bench: _Bench) -> Finding:
    """The sum over people is that of their own gradients, each clipped, whatever is inside the mechanism."""
    worst = 0.0
    typical = _median_norm(bench)
    for clip in (1e6, 0.5 * typical):
        plan = bench.certain(clip_norm=clip)
        seen = bench.send(bench.people, plan)
        expected = torch.zeros_like(seen.update)
        for item in seen.items.values():
            if item is not None:
                own = bench.alone(item)
                expected += own * min(1.0, clip / max(float(own.norm()), 1e-300))
        worst = max(worst, _relative(seen.update, expected))
    return (worst, SAME, "relative distance to each person alone, clipped and added")


def _clip_norm(bench: _Bench) -> Finding:
    """Nobody's contribution is longer than the clip norm, however loud."""
    worst = 0.0
    clip = min(bench.plan.clip_norm, 0.5 * _median_norm(bench))
    loud = [{bench.people[0]: value} for value in (5.0, 1e6)]
    for person, filled in [*((p, {}) for p in bench.people[:4]), *((bench.people[0], spoilt) for spoilt in loud)]:
        moved = bench.send([person], bench.certain(clip_norm=clip), filled=filled)
        worst = max(worst, float(moved.update.norm()) / clip)
    return (worst, 1 + EXACT, "largest contribution of one person, in clip norms")


def _neighbours(bench: _Bench) -> Finding:
    """Under the same key, one person more or less moves no step's sum by more than the clip norm."""
    plan, steps = replace(bench.plan, sampling_rate=max(bench.plan.sampling_rate, 0.5)), range(2)
    whole = bench.send(bench.people, plan, steps=steps).updates
    worst, slack, largest = 0.0, 0.0, plan.divisor / plan.clip_norm
    for person in bench.people[:2]:
        rest = [other for other in bench.people if other != person]
        without = bench.send(rest, plan, steps=steps).updates
        loud = bench.send(bench.people, plan, steps=steps, filled={person: 1e3}).updates
        for more, less in zip([*whole, *loud], [*without, *without], strict=True):
            worst = max(worst, float((more - less).norm()) * largest)
            slack = max(slack, float(more.norm()) * largest * 2.0**-23)  # a float32's last digit, where it is one
    note = "how far one person moves a noised sum under the same key, in clip norms"
    return (worst, 1 + EXACT + slack, note)


def _public_values(bench: _Bench) -> Finding:
    """Steps, learning rates, divisor and shapes are the same with a person, without, and with nobody."""
    plan, steps = replace(bench.plan, noise_multiplier=1.0, epsilon_budget=math.inf), range(4)
    rate = lambda step: 0.5**step  # noqa: E731 (a schedule)
    found = []
    for people in (bench.people, bench.people[1:], []):
        seen = bench.send(people, plan, steps=steps, rate=rate, micro_batch=2)
        groups = seen.recorder.param_groups
        shapes = [tuple(p.shape) for group in groups for p in group["params"]]
        found.append((len(seen.updates), [group["lr"] for group in groups], shapes))
    odd = sum(other != found[0] for other in found[1:]) + (found[0][0] != len(steps)) + (found[0][1] != [0.5**3])
    clip = 1e-3 * _median_norm(bench)
    certain = bench.certain(clip_norm=clip, nominal_people=40)
    for people in ([bench.people[0]], bench.people[:3]):
        seen = bench.send(people, certain)
        owned = [bench.alone(item) for item in seen.items.values() if item is not None]
        expected = torch.stack([clip * own / own.norm().clamp(min=1e-300) for own in owned]).sum(0) / 40
        odd += _relative(seen.update, expected) > SAME
    return (float(odd), 0.0, "values that differ with a person, without, or with nobody")


def _joining(bench: _Bench) -> Finding:
    """Everybody joins each step by an independent coin of the plan's probability."""
    n = 100
    steps = COINS // n
    names = [f"person {i}" for i in range(n)]
    joined = torch.zeros(steps, n, dtype=torch.float64)

    def draw(person: str, step: int, stream: KeyedStream) -> None:
        del stream
        joined[step, names.index(person)] += 1

    module, q = Gauge(2), bench.plan.sampling_rate
    _, _, loader = (bench._make or mechanism.make_private)(
        module,
        Recorder(module),
        replace(bench.plan, steps=steps),
        people=names,
        draw=draw,
        collate=list,
        streams=bench.stream("coins"),
        steps=range(steps),
        micro_batch=8,
        learning_rate=lambda _: 1.0,
    )
    list(loader)
    if q == 1.0:
        missed = float((joined != 1).sum())
        return (missed, 0.0, "people missing from steps that everybody joins")
    worst = abs(float(joined.sum()) - joined.numel() * q) / math.sqrt(joined.numel() * q * (1 - q))
    worst = max(worst, float((joined > 1).sum()) * 100)  # twice in a step
    for axis, trials in ((0, steps), (1, n)):
        count = joined.shape[1 - axis]
        spread = float(joined.sum(axis).var()) / (trials * q * (1 - q))
        worst = max(worst, abs(spread - 1) / math.sqrt(2 / (count - 1)))
    agree = float((joined[1:] == joined[:-1]).double().mean())
    hope = q * q + (1 - q) ** 2
    worst = max(worst, abs(agree - hope) / math.sqrt(hope * (1 - hope) / joined[1:].numel()))
    return (worst, Z, f"standard errors from independent coins of probability {q:g}")


def _empty_steps(bench: _Bench) -> Finding:
    """Steps that drew nobody are taken, with noise of the plan's size and nothing else."""
    if bench.plan.noise_multiplier == 0:
        return (None, 0.0, "the plan has no noise")
    free, steps = bench.free(), range(4)
    scale = bench.plan.noise_multiplier * bench.plan.clip_norm / bench.plan.divisor
    updates = bench.send([], bench.plan, steps=steps).updates
    scores = [_chi_square(update[free] / scale) for update in updates]
    worst = max(map(abs, scores), default=math.inf) if len(updates) == len(steps) else math.inf
    return (worst, Z, "standard errors of its sum of squares from the plan's")


def _not_finite(bench: _Bench) -> Finding:
    """Somebody whose numbers are not finite changes nothing."""
    plan, person = bench.certain(), bench.people[1]
    expected = bench.send([other for other in bench.people if other != person], plan).update
    worst = 0.0
    for value in NOT_FINITE:
        moved = bench.send(bench.people, plan, filled={person: value}).update
        finite = bool(moved.isfinite().all())
        # a model that hides what is not finite may still count the person: bounded then, and that is allowed
        off = float((moved - expected).norm()) / plan.clip_norm if finite else math.inf
        worst = max(worst, off)
    return (worst, 1 + EXACT, "what a person of NaN or infinity changes, in clip norms")


def _independence(bench: _Bench) -> Finding:
    """Noise is unrelated over steps, parameters, releases, vendors; and a release that is tried again repeats it."""
    if bench.plan.noise_multiplier == 0:
        return (None, 0.0, "the plan has no noise")
    free = bench.free()
    draws, streams = [], [bench.stream("round", 0), bench.stream("round", 1), bench.stream("round", 0, vendor="b")]
    for stream in streams:
        draws += [update[free] for update in bench.send([], bench.plan, steps=range(2), streams=stream).updates]
    again = bench.send([], bench.plan, steps=range(2), streams=bench.stream("round", 0)).updates
    repeats = all(torch.equal(a[free], b) for a, b in zip(again, draws, strict=False))
    n = len(draws[0]) // 2
    halves = torch.stack([part for draw in draws for part in (draw[:n], draw[n : 2 * n])])
    halves -= halves.mean(1, keepdim=True)
    halves /= halves.norm(dim=1, keepdim=True).clamp(min=1e-300)
    related = (halves @ halves.T).abs()
    worst = max(float(related[i, j]) for i, j in combinations(range(len(halves)), 2)) * math.sqrt(n)
    distinct = draws[0].unique().numel() > 0.999 * draws[0].numel()  # parameters that share draws hold each twice
    return (
        worst if repeats and distinct else math.inf,
        CORRELATION_Z,
        "largest correlation over steps, halves, releases and vendors, in standard errors",
    )


def _buffers(bench: _Bench) -> Finding:
    """What a module keeps beside its parameters is not moved by people: running statistics have no noise."""
    module = bench.subject.module()
    before = {name: buffer.clone() for name, buffer in module.named_buffers()}
    bench.send(bench.people, bench.plan, module=module)
    moved = sum(not torch.equal(buffer, before[name]) for name, buffer in module.named_buffers())
    return (float(moved), 0.0, f"buffers that private training moved without noise, of {len(before)}")


def _micro_batches(bench: _Bench) -> Finding:
    """How many people pass at a time changes nothing, noise included."""
    plan = replace(bench.plan, sampling_rate=1.0, epsilon_budget=math.inf)
    first, *others = [bench.send(bench.people, plan, micro_batch=size).update for size in (len(bench.people), 1, 4)]
    worst = max(_relative(other, first) for other in others)
    return (worst, SAME, "relative distance between updates of different micro-batches")


def _clip_constant(bench: _Bench) -> Finding:
    """The clip norm that is used is the plan's at every step, whatever the gradients are."""
    person, clip, worst = bench.people[0], 0.01 * _median_norm(bench), 0.0
    for filled in (None, {person: 100.0}, None):
        seen = bench.send([person], bench.certain(clip_norm=clip), steps=range(4), filled=filled)
        if any(item is None for item in seen.items.values()):
            continue
        worst = max([worst, *(abs(float(update.norm()) / clip - 1) for update in seen.updates)])
    room = mechanism.room_to_round(int(bench.free().sum())) if bench.plan.arithmetic == "grid" else 1.0
    return (worst, 1e-4 + (1 - room), "distance of a loud person's share from the plan's norm")


def _schema(bench: _Bench) -> Finding:
    """Entries that the public schema freezes get neither gradient nor noise."""
    free = bench.free()
    if bool(free.all()):
        return (None, 0.0, "the vendor's schema freezes none")
    moved = bench.send(bench.people, bench.plan).update[~free].abs().max()
    return (float(moved), 0.0, f"largest move of {int((~free).sum())} frozen entries")


def _precision(bench: _Bench) -> Finding:
    """Noise is drawn in float64: a float64 model gets more digits than a float32 has (scaled by powers of two)."""
    if bench.plan.noise_multiplier == 0:
        return (None, 0.0, "the plan has no noise")
    plan = bench.certain(noise_multiplier=1.0, clip_norm=1.0)
    noise = bench.send([], plan, module=bench.subject.module().double()).update[bench.free()]
    if plan.arithmetic == "grid":
        steps = noise * plan.divisor * mechanism.GRID / plan.clip_norm
        return (float((steps - steps.round()).abs().max()), 1e-3, "distance of noise from whole steps of the grid")
    single = float((noise.float().double() == noise).double().mean())
    return (single, 0.01, "share of noise values that a float32 holds exactly")


def _accountants(bench: _Bench) -> Finding:
    """Two accountants agree on the plan's epsilon."""
    plan = bench.plan
    if plan.noise_multiplier == 0:
        return (None, 0.0, "the plan has no noise, and so an infinite epsilon")
    pld, prv = plan.epsilon(), plan.epsilon(accountant="prv")
    return (abs(pld - prv) / max(pld, prv), 0.03, f"PLD says {pld:.4f}, PRV {prv:.4f}")


def _median_norm(bench: _Bench) -> float:
    """The median norm of a person's gradient, of a scale for what is loud."""
    norms = [float(bench.send([p], bench.certain(clip_norm=1e6)).update.norm()) for p in bench.people[:3]]
    return max(sorted(norms)[len(norms) // 2], 1e-12)


def _relative(found: Tensor, expected: Tensor) -> float:
    return float((found - expected).norm() / expected.norm().clamp(min=1e-300))


def _chi_square(standard: Tensor) -> float:
    """How many standard errors a sum of squares of standard normals is off."""
    n = standard.numel()
    return (float(standard.square().sum()) - n) / math.sqrt(2 * n)


CHECKS: dict[str, tuple[str, Callable[[_Bench], Finding]]] = {
    "person gradients": ("R1", _gradients),
    "clipped norm": ("R1", _clip_norm),
    "neighbouring people": ("R1", _neighbours),
    "public values": ("R2", _public_values),
    "sampling": ("R3", _joining),
    "noise where nobody joined": ("R4", _empty_steps),
    "not finite": ("R5", _not_finite),
    "independent noise": ("R6", _independence),
    "buffers": ("R12", _buffers),
    "micro-batches": ("R13", _micro_batches),
    "constant clip norm": ("R14", _clip_constant),
    "frozen entries": ("R15", _schema),
    "noise in float64": ("R16", _precision),
    "two accountants": ("R17", _accountants),
}


class Toy(nn.Module):
    """What an audit trains where there is no run: one of each layer of the real model, about 20,000 parameters."""

    def __init__(self) -> None:
        """The same weights each time."""
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(0)
            self.embed = nn.Linear(4, 64)
            self.place = nn.Embedding(10, 64)
            self.norm = nn.LayerNorm(64)
            self.hidden = nn.Linear(64, 140)
            self.out = nn.Linear(140, 64)
            self.head = nn.Linear(64, 4)

    def forward(self, x: Tensor) -> Tensor:
        """[people, windows, 10, 4] -> [people, windows]."""
        places = torch.arange(x.shape[-2]).expand(*x.shape[:2], -1)
        h = self.norm(self.embed(x) + self.place(places))
        h = h + self.out(torch.tanh(self.hidden(h)))
        loss: Tensor = (self.head(h) - x).square().mean((2, 3))
        return loss


def toy_subject(plan: PrivacyPlan) -> Subject:
    """A small model and a few people under a plan, for an audit without a run."""

    def draw(person: str, step: int, stream: KeyedStream) -> Tensor:
        del step
        own = KeyedStream(bytes(32), "toy", person).normal(16 * 10 * 4).reshape(16, 10, 4)
        return torch.from_numpy(own[stream.choice(16, plan.windows_per_person)]).float()

    return Subject(
        plan=plan,
        module=Toy,
        people=[f"person {i}" for i in range(SEEN_PEOPLE)],
        draw=draw,
        collate=torch.stack,
        fill=torch.full_like,
    )
