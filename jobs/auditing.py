"""The job that doubts: audit."""

import dataclasses
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tyro.conf import Positional

from commandline import Job, Result, UsageError, stage_bars


@dataclass(frozen=True, kw_only=True)
class Audit(Job):
    """Try to refute the guarantee: exact checks of the private path, a run's books, and an attack with canary people.

    With a run folder, its ledgers, answers and model are checked, and the exact checks use its own model and plan on
    simulated people. The attack sends canary people through the private path under a plan of ``--epsilon`` and says how
    much epsilon it proves. Exit code 1 if any verdict is red.

    Example: everywear audit runs/demo

    Attributes:
        run: Run folder; without one, the checks use a small model.
        epsilon: The claim that the canaries doubt.
        delta: Of that claim.
        canaries: Canary people, half of them included by coins; 0 leaves the attack out.
        confidence: Of the lower bounds, one-sided.
        membership: Shadow trainings of the run's model on simulated twins, at least 8, from which an attack learns to
            tell who was in; 64 take minutes. 0 leaves this attack out.
        card: Privacy card to check, such as models/theirs/privacy.json; the weights lie beside it.
        issuer: Public key, in hexadecimal digits, that must have signed the card; by default the one it names.
    """

    run: Positional[Path | None] = None
    epsilon: float = 4.0
    delta: float = 1e-5
    canaries: int = 2000
    confidence: float = 0.99
    membership: int = 0
    card: Path | None = None
    issuer: str | None = None

    def do(self) -> Result:
        """Do the job."""
        if self.card is not None:
            return self._check_card(self.card)
        if self.issuer is not None:
            raise UsageError(f"issuer {self.issuer!r}: is of a card, expected --card")
        import torch

        from federated.auditing import audit_run, subject_of
        from federated.experiment import load
        from federated.membership import attack_membership
        from privacy.audit import FAIL, gray_box, toy_subject
        from privacy.canaries import CanaryDesign, audit_canaries
        from privacy.plan import PrivacyError
        from simulator.recording import DataError

        if self.canaries < 0:
            raise UsageError(f"canaries {self.canaries} is below 0")
        if self.membership and (self.membership < 8 or self.run is None):
            raise UsageError(f"membership {self.membership}: expected at least 8 shadow trainings, of a run")
        torch.set_num_threads(1)  # small tensors; threads would only wait for each other
        design = CanaryDesign(
            epsilon=self.epsilon,
            delta=self.delta,
            canaries=self.canaries or 4,
            confidence=self.confidence,
            arithmetic="float" if self.run is None else load(self.run / "experiment.json").protection.arithmetic,
        )
        started = time.monotonic()
        checks = [] if self.run is None else audit_run(self.run)
        subject = toy_subject(design.plan()) if self.run is None else subject_of(self.run)
        with stage_bars() as watch:
            checks += gray_box(subject, self.seed, progress=lambda done, total: watch("checks", done, total))
            result = {
                "checks": [dataclasses.asdict(check) for check in checks],
                "check_seconds": time.monotonic() - started,
                "lower_bound": None,
                "claimed": None,
            }
            red = any(check.verdict == FAIL for check in checks)
            if self.canaries:
                found = audit_canaries(design, self.seed, progress=lambda done, total: watch("canaries", done, total))
                red |= found.red
                result |= {
                    "lower_bound": found.lower_bound,
                    "claimed": found.claimed,
                    "delta": found.delta,
                    "canary_audit": dataclasses.asdict(found),
                }
            if self.membership and self.run is not None:
                attacked = attack_membership(
                    self.run,
                    self.seed,
                    shadows=self.membership,
                    progress=lambda done, total: watch("shadow models", done, total),
                )
                red |= attacked.red
                result["membership"] = dataclasses.asdict(attacked)
        if self.run is not None and self.canaries and (self.run / "model" / "privacy.json").exists():
            try:
                self._issue_card(self.run, found, [check.name for check in checks if check.verdict == FAIL])
            except (PrivacyError, DataError, OSError) as error:  # what the audit found must not be lost over a card
                red, result["card_error"] = True, f"no card was issued: {error}"
        return {**result, "verdict": "red" if red else "green"}

    def _issue_card(self, run: Path, found: Any, red: list[str]) -> None:
        """The run's card with what the audit found."""
        from federated.run import issue_card
        from federated.study.records import commit
        from privacy.card import Audited

        command = f"everywear audit {run} --epsilon {self.epsilon:g} --delta {self.delta:g} --canaries {self.canaries}"
        issue_card(
            run,
            Audited(
                claimed=found.claimed,
                lower_bound=found.lower_bound,
                ceiling=found.limit,
                confidence=found.confidence,
                red=tuple(red),
                command=f"{command} --confidence {self.confidence:g} --seed {self.seed}",
                commit=commit(),
            ),
        )

    def _check_card(self, card: Path) -> Result:
        """What a stranger can check of a card."""
        from privacy.card import check

        if self.run is not None or self.membership:
            raise UsageError(f"--card {card}: is checked alone, leave RUN and --membership out")
        found = check(card, issuer=self.issuer)
        verdict = "green" if all(finding.holds for finding in found) else "red"
        return {"card": [dataclasses.asdict(finding) for finding in found], "verdict": verdict}

    def words(self, result: Result) -> str:
        """A table of checks, and what the attack proves."""
        if "card" in result:
            wide = 2 + max(len(row["what"]) for row in result["card"])
            told = [
                f"{'holds' if row['holds'] else 'NOT':<7}{row['what']:<{wide}}{row['figure']}" for row in result["card"]
            ]
            return "\n".join([*told, "", f"{result['verdict']}"])
        lines = [f"{'rule':<5}{'check':<28}{'verdict':<9}{'figure':>10}  {'bound':>10}  what"]
        for check in result["checks"]:
            numbers = ["" if check[name] is None else f"{check[name]:.4g}" for name in ("figure", "bound")]
            figure, bound = numbers if check["verdict"] != "skipped" else ("", "")
            lines.append(
                f"{check['rule']:<5}{check['name']:<28}{check['verdict']:<9}{figure:>10}  {bound:>10}  {check['note']}"
            )
        canary = result.get("canary_audit")
        if canary:
            gaussian, counting = canary["gaussian"], canary["counting"]
            lines += [
                "",
                f"canaries: {canary['canaries']}, of them {canary['included']} in; claimed epsilon "
                f"{result['claimed']:.3f} at delta {result['delta']:g}; confidence {canary['confidence']:g}",
                f"  Gaussian bound  {gaussian['epsilon']:.3f}   (estimate {gaussian['estimate']:.3f}; a sound build "
                f"tends to {canary['limit']:.3f} with ever more canaries)",
                f"  counting bound  {counting['epsilon']:.3f}   (cannot exceed {counting['ceiling']:.3f}: "
                f"{counting['right']} of {counting['guesses']} guesses right)",
            ]
        attacked = result.get("membership")
        if attacked:
            low, high = attacked["interval"]
            lines += [
                "",
                f"membership: {attacked['shadows']} trainings on {attacked['twins']} twins, score {attacked['score']}, "
                f"AUROC {attacked['auroc']:.3f}",
                f"  finds {attacked['true_positive_rate']:.4f} of members ({low:.4f} to {high:.4f}) at a false "
                f"positive rate of {attacked['false_positive_rate']:.4f}",
                f"  the accountant permits {attacked['limit_at_rate']:.4f} at a rate of 0.001, and "
                f"{attacked['limit']:.4f} at the upper end of the measured one",
                f"  so few trainings could refute no epsilon above {attacked['ceiling']:.2f}",
            ]
        if "card_error" in result:
            lines += ["", result["card_error"]]
        seconds = result["check_seconds"] + (canary["seconds"] if canary else 0.0)
        return "\n".join([*lines, "", f"{result['verdict']} after {math.ceil(seconds)} s"])

    def exit_code(self, result: Result) -> int:
        """1 if anything is red."""
        return int(result["verdict"] == "red")
