"""everywear: synthetic people who wear watches, and foundation models trained on them, across vendors, in private.

The front door: one command, one subcommand a job. Every job has --help with an example, and --json, which prints one
JSON object on standard output; progress and everything else goes to standard error. Exit codes: 0 done, 2 bad input
(one line on standard error), 1 a fault of ours or a red audit, 130 interrupted (the line says whether the same command
goes on).

Each job loads only the room that it needs, so that `everywear simulate` never waits for PyTorch.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any

try:
    from commandline import do_job
    from jobs.auditing import Audit
    from jobs.judging import Evaluate, Robustness
    from jobs.papers import Papers
    from jobs.people import Import, Inject, Merge, Realism, Simulate
    from jobs.rounds import Budget, Federate, Report
    from jobs.training import Export, Train
    from jobs.vendors import Fit, Statistics
except ModuleNotFoundError as missing:
    if __name__ != "__main__":
        raise
    sys.stderr.write(f"everywear: {missing.name} is not installed; run `make install`, then .venv/bin/everywear\n")
    sys.exit(2)

JOBS: dict[str, Callable[..., Any]] = {
    "simulate": Simulate,
    "merge": Merge,
    "import": Import,
    "realism": Realism,
    "inject": Inject,
    "train": Train,
    "evaluate": Evaluate,
    "papers": Papers,
    "export": Export,
    "robustness": Robustness,
    "federate": Federate,
    "budget": Budget,
    "report": Report,
    "audit": Audit,
    "statistics": Statistics,
    "fit": Fit,
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Do one job; the exit code."""
    return do_job(JOBS, __doc__ or "", list(sys.argv[1:] if arguments is None else arguments))


if __name__ == "__main__":
    sys.exit(main())
