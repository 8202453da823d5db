"""The job that re-makes the papers' tables: papers."""

import math
import os
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, ClassVar

from commandline import Job, Result, UsageError, at_least_one, known, names_in, progress_bar


@dataclass(frozen=True, kw_only=True)
class Papers(Job):
    """Re-make LSM-1's and LSM-2's tables on simulated people, the papers' numbers beside ours. Goes on if stopped.

    Example: everywear papers --out runs/papers

    Attributes:
        out: Run folder: records, people, models, and a table of each kind as text, Markdown and JSON.
        preset: hour (of two cores), short (a third of it), or tiny (for tests).
        only: Comma-separated tables, such as "3a,gains", and whatever they need; all by default (--plan names them).
        page: Also write the page there, such as docs/papers.md, with its pictures beside it.
        workers: Processes; all cores by default.
        minutes: Begin nothing after so many, and write the tables of what is done; 0: finish everything.
        plan: Print how large everything is and how long it may take, and do nothing.
    """

    goes_on: ClassVar[bool] = True

    out: Path = Path("runs/papers")
    preset: str = "hour"
    only: str = ""
    page: Path | None = None
    workers: int = 0
    minutes: float = 0.0
    plan: bool = False

    def do(self) -> Result:
        """Do the job."""
        from federated.study.records import Records
        from model.papers.bench import Bench
        from model.papers.page import write_page
        from model.papers.pieces import pieces_of, seconds
        from model.papers.plan import PRESETS, TABLES
        from model.papers.run import run
        from model.papers.tables import Told, tables, write_tables

        known("preset", self.preset, PRESETS)
        workers = self.workers or os.cpu_count() or 1
        at_least_one(workers=workers)
        if not self.minutes >= 0:
            raise UsageError(f"minutes {self.minutes} is below 0")
        wanted = names_in("table", self.only, TABLES) if self.only else list(TABLES)
        wanted = [table for table in TABLES if table in wanted]
        plan = PRESETS[self.preset]
        if self.out.exists() and not self.out.is_dir():
            raise UsageError(f"{self.out}: is a file, expected a folder")
        work = pieces_of(plan, self.seed, wanted)
        estimate = seconds(work)
        if self.plan:
            return {"preset": self.preset, "cpu_seconds": round(estimate), "tables": TABLES, "plan": asdict(plan)}
        identity = plan.digest(self.seed)
        self.out.mkdir(parents=True, exist_ok=True)
        records = Records(self.out / "records.jsonl", identity, self.seed)
        if any(record.experiment != identity for record in records):
            raise UsageError(f"{self.out} holds another preset, seed or size; expected another folder")
        sys.stderr.write(
            f"about {estimate / 60:.0f} CPU minutes, on {workers} processes at best {estimate / 60 / workers:.0f}\n"
        )
        bench = Bench(plan=plan, seed=self.seed, folder=self.out)
        with progress_bar("CPU seconds", round(estimate)) as bar:

            def watch(done: float, total: float, note: str) -> None:
                bar(round(done), note)

            run(bench, work, records, workers, watch, self.minutes or math.inf)
        told = Told.of(self.preset, plan, self.seed, list(records))
        found = tables(told, wanted)
        write_tables(found, self.out / "tables")
        result: dict[str, Any] = {
            "tables": [table.key for table in found],
            "lines": sum(len(table.lines) for table in found),
            "cpu_seconds": told.cpu_seconds,
            "path": str(self.out),
        }
        if self.page is not None:
            result["page"] = str(write_page(told, found, self.page))
        return result
