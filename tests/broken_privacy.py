"""Ways to make training private that are broken, each around the real one and blind to what is inside it.

They are what ``privacy.audit`` and ``privacy.canaries`` have to see. ``python -m tests.broken_privacy --seeds 3`` sends
canaries through the real one and each of them, and prints the table of ``docs/audit.md``.
"""

import argparse
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import torch

from privacy import mechanism
from privacy.canaries import CanaryAudit, CanaryDesign, audit_canaries
from privacy.noise import KeyedStream
from privacy.plan import PrivacyPlan

Make = Callable[..., Any]


def noise_times(factor: float) -> Make:
    """Noise of another size than is accounted."""

    def make(module: Any, optimizer: Any, plan: PrivacyPlan, **rest: Any) -> Any:
        return mechanism.make_private(
            module, optimizer, replace(plan, noise_multiplier=factor * plan.noise_multiplier), **rest
        )

    return make


def no_clipping(module: Any, optimizer: Any, plan: PrivacyPlan, **rest: Any) -> Any:
    """The noise that is accounted, and a bound that nobody reaches."""
    wide = replace(plan, clip_norm=1e3 * plan.clip_norm, noise_multiplier=1e-3 * plan.noise_multiplier)
    return mechanism.make_private(module, optimizer, wide, **rest)


def clip_each_window(module: Any, optimizer: Any, plan: PrivacyPlan, *, people: Any, draw: Any, **rest: Any) -> Any:
    """Every window is a person of its own, as in sample-level DP; a person's windows still join together."""

    class Together(KeyedStream):
        def child(self, *address: str | int) -> "Together":
            return Together(self._key, *self.address, *address)

        def chance(self, name: str) -> float:
            return super().chance(name.rpartition("#")[0])

    def one(name: str, step: int, stream: KeyedStream) -> Any:
        person, _, number = name.rpartition("#")
        items = draw(person, step, stream)
        return None if items is None else items[int(number)][None]

    windows = [f"{person}#{i}" for person in people for i in range(plan.windows_per_person)]
    streams = rest.pop("streams")
    together = Together(streams._key, *streams.address)
    return mechanism.make_private(module, optimizer, plan, people=windows, draw=one, streams=together, **rest)


class Repeating(KeyedStream):
    """A stream whose noise forgets a part of its address."""

    forgets = ""

    def child(self, *address: str | int) -> KeyedStream:
        """As a sound stream's, but for noise."""
        if address[0] != "noise":
            return type(self)(self._key, *self.address, *address)
        _, step, name = address
        base = () if self.forgets == "release" else self.address
        return KeyedStream(
            self._key,
            *base,
            "noise",
            0 if self.forgets == "step" else step,
            "" if self.forgets == "parameter" else name,
        )


def noise_repeats_over(part: str) -> Make:
    """The same noise in every step, parameter or release."""
    stream = type("Repeats", (Repeating,), {"forgets": part})

    def make(module: Any, optimizer: Any, plan: PrivacyPlan, *, streams: KeyedStream, **rest: Any) -> Any:
        return mechanism.make_private(module, optimizer, plan, streams=stream(streams._key, *streams.address), **rest)

    return make


FAULTS: dict[str, Make | None] = {
    "none": None,
    "noise / 1.25": noise_times(0.8),
    "noise / 2": noise_times(0.5),
    "no noise": noise_times(0.0),
    "no clipping": no_clipping,
    "clipping by window": clip_each_window,
    "noise repeats over steps": noise_repeats_over("step"),
    "noise repeats over releases": noise_repeats_over("release"),
    "noise repeats over parameters": noise_repeats_over("parameter"),
}


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--canaries", type=int, default=2000)
    parser.add_argument("--confidence", type=float, default=0.99)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    design = CanaryDesign(canaries=arguments.canaries, confidence=arguments.confidence)
    print("| fault | claimed | Gaussian bound | counting bound (its ceiling) | seconds |\n|---|---|---|---|---|")
    for name, make in FAULTS.items():
        audits = [audit_canaries(design, s + 1, make) for s in range(arguments.seeds)]
        print(f"| {name} | {row(audits)} |", flush=True)


def row(audits: list[CanaryAudit]) -> str:
    """Figures of all seeds, side by side."""
    return " | ".join(
        (
            f"{audits[0].claimed:.2f}",
            ", ".join(f"{a.gaussian.epsilon:.2f}" for a in audits),
            ", ".join(f"{a.counting.epsilon:.2f} ({a.counting.ceiling:.2f})" for a in audits),
            ", ".join(f"{a.seconds:.0f}" for a in audits),
        )
    )


if __name__ == "__main__":
    main()
