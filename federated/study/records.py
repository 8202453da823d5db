"""Records: append-only JSON lines, each a finished piece of work with what it takes to repeat it.

A record is written whole and synced; a line cut off by a crash is dropped at the next start, since the work it would
have described is then done again. A record is named by (kind, key): the same piece of work is recorded once.
"""

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from simulator.files import first_fault, sync_folder, write_whole
from simulator.recording import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """One line.

    Attributes:
        kind: What was done: "warm_up", "round", "rows", ...
        key: Which one; (kind, key) is unique in a file.
        experiment: Digest of the experiment.
        seed: Its seed.
        commit: Git commit of the code, "-dirty" appended if it was changed; "unknown" outside a checkout.
        machine: Processor count and platform.
        written: UTC time.
        seconds: Wall time of the work.
        content: The result.
    """

    kind: str
    key: str
    experiment: str
    seed: int
    commit: str
    machine: str
    written: str
    seconds: float
    content: Mapping[str, Any]


class Records:
    """The records of one run, in the order in which the work was finished."""

    def __init__(self, path: Path, experiment: str, seed: int) -> None:
        self.path = path
        self._experiment = experiment
        self._seed = seed
        self._commit = commit()
        self._records = read(path)

    def __iter__(self) -> Any:
        return iter(self._records)

    def has(self, kind: str, key: str) -> bool:
        """Whether this piece of work is recorded."""
        return any((r.kind, r.key) == (kind, key) for r in self._records)

    def add(self, kind: str, key: str, content: Mapping[str, Any], seconds: float) -> None:
        """Record a finished piece of work; a second time it changes nothing."""
        if self.has(kind, key):
            return
        record = Record(
            kind=kind,
            key=key,
            experiment=self._experiment,
            seed=self._seed,
            commit=self._commit,
            machine=machine(),
            written=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
            seconds=round(seconds, 3),
            content=content,
        )
        line = json.dumps(asdict(record), allow_nan=False) + "\n"
        created = not self.path.exists()
        with self.path.open("ab") as file:
            file.write(line.encode())
            file.flush()
            os.fsync(file.fileno())
        if created:
            sync_folder(self.path.parent)
        self._records.append(record)


def read(path: Path) -> list[Record]:
    """All whole records of a file; none if there is no file. A torn last line is cut off.

    Raises:
        DataError: If any other line is not a record; the message names it.
    """
    if not path.exists():
        return []
    content = path.read_bytes()
    whole = content[: content.rfind(b"\n") + 1]
    if whole != content:
        write_whole(path, whole)
    records = []
    for number, line in enumerate(whole.splitlines(), start=1):
        try:
            records.append(_RECORD.validate_python(json.loads(line, parse_constant=_no_number)))
        except ValidationError as error:
            raise DataError(f"{path}, line {number}: not a record ({first_fault(error)})") from error
        except (ValueError, RecursionError) as error:
            raise DataError(f"{path}, line {number}: not a record ({error})") from error
    return records


_RECORD: Final = TypeAdapter(Record)


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no number")


def commit() -> str:
    """Commit of this checkout, for records."""
    here = Path(__file__).resolve().parent
    try:
        shown = subprocess.run(
            ["git", "describe", "--always", "--abbrev=12", "--dirty", "--exclude=*"],
            cwd=here,
            capture_output=True,
            text=True,
            check=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return shown.stdout.strip()


def machine() -> str:
    """Cores and platform, no names."""
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"
