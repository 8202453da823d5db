"""Jobs of federations: federate, budget, report."""

import dataclasses
import json
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

from tyro.conf import Positional

from commandline import (
    Job,
    Result,
    UsageError,
    at_least_one,
    stage_bars,
    written_folder,
)
from jobs.judging import RUN


@dataclass(frozen=True, kw_only=True)
class Federate(Job):
    """Run an experiment: warm start, private rounds over makers, score, report. Goes on where it stopped.

    Example: everywear federate demo --out runs/demo

    Attributes:
        preset: demo, tiny, or the path of an experiment's JSON file, which has its own seed.
        out: Run folder.
        back_end: in-process, or flower for Flower's own simulation engine.
        epsilon: What training may spend per person and maker; the preset's by default.
        noise: rehearsal (keys from the seed; simulated people only), release (secret keys) or off.
        workers: Processes that simulate; all cores by default.
        print_experiment: Print the experiment as JSON and do nothing.
    """

    goes_on: ClassVar[bool] = True

    preset: Positional[str]
    out: Path = Path("runs/demo")
    back_end: Literal["in-process", "flower"] = "in-process"
    epsilon: float | None = None
    noise: Literal["rehearsal", "release", "off"] | None = None
    workers: int | None = None
    print_experiment: bool = False

    def do(self) -> Result:
        """Do the job."""
        from federated.experiment import load
        from federated.presets import PRESETS
        from federated.run import run
        from federated.study.report import write_report

        if self.workers is not None:
            at_least_one(workers=self.workers)
        if self.preset in PRESETS:
            experiment = dataclasses.replace(PRESETS[self.preset], seed=self.seed)
        elif Path(self.preset).suffix == ".json":
            experiment = load(Path(self.preset))
            if self.seed not in (1, experiment.seed):
                raise UsageError(f"seed {self.seed} is not that of {self.preset}, {experiment.seed}: change it there")
        else:
            raise UsageError(f"preset {self.preset!r} is unknown, expected one of {', '.join(PRESETS)} or a .json file")
        protection = dataclasses.replace(
            experiment.protection,
            epsilon=experiment.protection.epsilon if self.epsilon is None else self.epsilon,
            noise=self.noise or experiment.protection.noise,
            noise_multiplier=experiment.protection.noise_multiplier if self.epsilon is None else 0.0,
        )
        experiment = dataclasses.replace(experiment, protection=protection)
        if self.print_experiment:
            return json.loads(experiment.to_json())  # type: ignore[no-any-return]
        with stage_bars() as watch:
            outcome = run(experiment, self.out, back_end=self.back_end, workers=self.workers, watch=watch)
        report = write_report(self.out)
        return {
            "rounds": outcome.rounds,
            "noise": outcome.noise,
            "epsilon": outcome.epsilon,
            "federation": outcome.federation,
            "delta": outcome.delta,
            "rows": outcome.rows,
            "report": str(report),
        }

    def words(self, result: Result) -> str:
        """The report's headline, and its name last."""
        from federated.study.report import as_text

        if self.print_experiment:
            return json.dumps(result, indent=2)
        return f"{as_text(self.out)}\n\nreport: {result['report']}"


@dataclass(frozen=True, kw_only=True)
class Budget(Job):
    """Tell the epsilon of a plan, or the noise that an epsilon needs, by two accountants.

    Example: everywear budget --people 5000 --rate 0.05 --steps 500 --epsilon 3 --delta 1e-5

    Attributes:
        people: Published number of people of the maker.
        rate: Probability with which a person joins a step.
        steps: Steps over the whole run.
        delta: Probability with which the guarantee may fail.
        epsilon: What may be spent; the answer is the noise.
        noise: Noise multiplier; the answer is the epsilon.
    """

    people: int
    rate: float
    steps: int
    delta: float = 1e-5
    epsilon: float | None = None
    noise: float | None = None

    def do(self) -> Result:
        """Do the job."""
        from privacy.plan import budget_table

        if (self.epsilon is None) == (self.noise is None):
            found = "neither" if self.noise is None else "both"
            raise UsageError(
                "budget needs one of --epsilon (what may be spent; the answer is the noise) and --noise (the answer "
                f"is the epsilon), found {found}"
            )
        return budget_table(
            people=self.people,
            rate=self.rate,
            steps=self.steps,
            delta=self.delta,
            epsilon=self.epsilon,
            noise=self.noise,
        )


@dataclass(frozen=True, kw_only=True)
class Report(Job):
    """Draw the report of a run from its records.

    Example: everywear report runs/demo

    Attributes:
        run: Run folder.
    """

    run: Positional[Path]

    def do(self) -> Result:
        """Do the job."""
        from federated.study.report import write_report

        written_folder(self.run, *RUN)
        return {"path": str(write_report(self.run))}

    def words(self, result: Result) -> str:
        """The report's headline."""
        from federated.study.report import as_text

        return as_text(self.run)
