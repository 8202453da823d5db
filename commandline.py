"""The command line: what is typed becomes a job, and what the job says becomes words or JSON, bars and an exit code.

A job is a frozen dataclass whose fields are its options; this file knows none of them. Exit codes: 0 done, 2 bad input
(one line on standard error), 1 a fault of ours or a red verdict of `everywear audit`, 130 interrupted, 143 ended by
SIGTERM.
"""

import contextlib
import dataclasses
import difflib
import fnmatch
import io
import json
import math
import os
import re
import signal
import sys
import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import tyro
from tqdm import tqdm

Result = Mapping[str, Any]
Jobs = dict[str, Callable[..., Any]]


class UsageError(ValueError):
    """A command line that asks for something impossible: one line, exit code 2."""


class Terminated(KeyboardInterrupt):
    """The system asked this process to end (SIGTERM): as an interrupt, but for the exit code."""


@dataclass(frozen=True, kw_only=True)
class Job(ABC):
    """What every job takes.

    Attributes:
        seed: Decides everything that is random.
        json: Print one JSON object on standard output instead of words.
    """

    goes_on: ClassVar[bool] = False  # whether the same command goes on where it was interrupted

    seed: int = 1
    json: bool = False

    @abstractmethod
    def do(self) -> Result:
        """Do the job; what it says with --json."""

    def words(self, result: Result) -> str:
        """What it says without --json."""
        return in_words(result)

    def exit_code(self, result: Result) -> int:
        """0; a job that judges may say 1 where its verdict is red."""
        del result
        return 0


def do_job(jobs: Jobs, description: str, arguments: list[str]) -> int:
    """Do one job; the exit code.

    Args:
        jobs: Every job by name: a dataclass whose fields are its options.
        description: What --help says first.
        arguments: As typed, without the program's name.
    """
    os.environ.setdefault("FLWR_TELEMETRY_ENABLED", "0")  # Flower reports home unless told otherwise
    os.environ.setdefault("FLWR_DISABLE_UPDATE_CHECK", "1")
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault(
        "OMP_WAIT_POLICY", "PASSIVE"
    )  # threads that spin while they wait triple a busy machine's time
    _open_stdout()
    job: Job | int = 0
    try:
        job = parse(jobs, description, arguments)
        if isinstance(job, int):
            return job
        with _terminable():
            result = job.do()
        if job.json:
            sys.stdout.write(json.dumps(plain(result), allow_nan=False) + "\n")
        else:
            sys.stdout.write(job.words(result) + "\n")
        sys.stdout.flush()
        code = job.exit_code(result)
    except KeyboardInterrupt as interrupt:
        goes_on = not isinstance(job, int) and job.goes_on
        what = "the same command goes on where it stopped" if goes_on else "nothing was finished"
        sys.stderr.write(f"\ninterrupted; {what}\n")
        return 143 if isinstance(interrupt, Terminated) else 130
    except BrokenPipeError:
        _close_stdout()
        return 130
    except Exception as error:
        if not isinstance(error, bad_input()):
            raise
        sys.stderr.write(f"everywear: {' '.join(str(error).split())}\n")
        try:
            sys.stdout.flush()
        except OSError:  # the disk is full; Python would say so again at its end
            _close_stdout()
        return 2
    return code


MAP = tyro.conf.arg(aliases=("--map",))
SIGNALS = tyro.conf.arg(aliases=("--signals",))
"""Jobs that take columns by other names than ours take either word for it."""


@contextlib.contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM end a job as an interrupt does, so that it closes what it has open and says whether it goes on."""

    def end(*_: object) -> None:
        raise Terminated

    if threading.current_thread() is not threading.main_thread():  # Python lets no other thread set handlers
        yield
        return
    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _open_stdout() -> None:
    """Make standard output take whatever we write, also where the caller closed it or a path is no UTF-8."""
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w")  # noqa: SIM115 (stays open to the end)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _close_stdout() -> None:
    """Write to nowhere from now on, so that nothing is said of lost output when Python ends."""
    with contextlib.suppress(OSError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def parse(jobs: Jobs, description: str, arguments: list[str]) -> Job | int:
    """The job that a command line asks for, or the exit code where it asks for help or for something impossible."""
    said = io.StringIO()
    if not arguments:
        with contextlib.redirect_stdout(sys.stderr):
            parse(jobs, description, ["--help"])
    slip = _slip(jobs, arguments)
    if slip:
        sys.stderr.write(f"everywear: {slip}\n")
        return 2
    try:
        with contextlib.redirect_stderr(said):
            return tyro.extras.subcommand_cli_from_dict(  # type: ignore[no-any-return]
                jobs,
                args=arguments,
                prog="everywear",
                description=description,
                use_underscores=False,
            )
    except SystemExit as end:
        if end.code in (0, None):
            sys.stdout.flush()
            return 0
        told = _plainly(_one_line(said.getvalue()), arguments)
        sys.stderr.write(f"everywear: {told}; see everywear {arguments[0]} --help\n")
        return 2


def _slip(jobs: Jobs, arguments: list[str]) -> str | None:
    """What is wrong with the names in a command line, with the one that was probably meant; None if nothing is."""
    if not arguments:
        return f"no job is named, expected one of {', '.join(jobs)}"
    job, *rest = arguments
    if job.startswith("-"):
        return None
    if job not in jobs:
        return f"job {job!r} is unknown, expected one of {', '.join(jobs)}"
    fields = dataclasses.fields(jobs[job])  # type: ignore[arg-type]
    options = [f"--{field.name.replace('_', '-')}" for field in fields]
    options += [alias for field in fields for hint in _annotations(field.type) for alias in hint.aliases or ()]
    for word in rest:
        name = word.partition("=")[0].replace("_", "-")
        if (
            name.startswith("--")
            and name not in (*options, "--help")
            and f"--{name.removeprefix('--no-')}" not in options
        ):
            near = difflib.get_close_matches(name[2:], [option[2:] for option in options], 1)
            meant = f"did you mean --{near[0]}?" if near else f"see everywear {job} --help"
            return f"{job} has no {name}; {meant}"
    return None


def _annotations(kind: Any) -> list[Any]:
    """What an option's type says of its names."""
    return [hint for hint in getattr(kind, "__metadata__", ()) if hasattr(hint, "aliases")]


def _one_line(boxed: str) -> str:
    """The first paragraph of an error that comes in a box, of lines or, where the terminal has none, of dashes."""
    lines = [re.sub(r"[\u2500-\u257f]|-{3,}", " ", line).strip() for line in boxed.splitlines()]
    words: list[str] = []
    for line in lines[1:] if len(lines) > 1 else lines:
        if not line and not words:
            continue
        if not line:
            break
        words.append(line)
    return " ".join(" ".join(words).split())


_EXPECTED = {
    "invalid literal for int": "a whole number",
    "could not convert string to float": "a number",
    "Invalid isoformat string": "a date such as 2024-03-01",
    "INT could be instantiated": "a whole number",
    "FLOAT could be instantiated": "a number",
}
"""By what Python or tyro says of a value that is not of an option's type: what was expected."""


def _plainly(said: str, arguments: list[str]) -> str:
    """The same of a value that is not of its option's type, with option, value and what was expected."""
    option = re.match(r"Error parsing (--[a-z-]+)", said)
    expected = next((words for sign, words in _EXPECTED.items() if sign in said), None)
    found = re.findall(r"'([^']*)'", said)
    if option is None or expected is None or not found:
        return said
    return f"{option[1]} {found[-1]!r} is not {expected}"


_REFUSALS = {
    "simulator.engines": "WorkerLostError",
    "privacy.plan": "PrivacyError",
    "federated.strategy": "RefusedError",
}
"""By module: what a room that need not be loaded says of bad input, or of a machine too small for what was asked."""


def bad_input() -> tuple[type[BaseException], ...]:
    """Errors that speak of what the user gave, from the rooms that are loaded."""
    from simulator.recording import DataError

    kinds: list[type[BaseException]] = [UsageError, DataError, OSError]
    kinds += [getattr(sys.modules[module], name) for module, name in _REFUSALS.items() if module in sys.modules]
    return tuple(kinds)


def in_words(result: Result) -> str:
    """A result for people: a line a fact; long lists are counted."""
    lines = []
    for name, value in result.items():
        if isinstance(value, list) and len(value) > 8:
            value = f"{len(value)} (see --json)"
        elif isinstance(value, Mapping):
            value = ", ".join(f"{key} {_short(item)}" for key, item in value.items()) or "none"
        lines.append(f"{name.replace('_', ' ')}: {_short(value)}")
    return "\n".join(lines)


def plain(value: Any) -> Any:
    """What JSON can hold: infinity (an epsilon without noise) as the word "inf", what is not a number as null."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None if math.isnan(value) else f"{value:g}"
    return value


def _short(value: object) -> str:
    return f"{value:.5g}" if isinstance(value, float) else str(value)


class Bar:
    """A progress bar that is told how much is done, and what else there is to say."""

    def __init__(self, bar: "tqdm[Any]") -> None:
        self._bar = bar
        self.waited = 0.0  # seconds left out of the rate

    def __call__(self, done: int, note: str = "") -> None:
        """``done`` of all, from the beginning."""
        self._bar.set_postfix_str(note, refresh=False)
        self._bar.update(done - self._bar.n)

    def wait(self, seconds: float) -> None:
        """Leave so much time out of the rate."""
        self.waited += seconds
        self._bar.start_t += seconds
        self._bar.last_print_t += seconds


@contextlib.contextmanager
def progress_bar(unit: str, total: int) -> Iterator[Bar]:
    """A bar on standard error, of so many units."""
    with tqdm(total=total, desc=unit, file=sys.stderr, mininterval=0.5, dynamic_ncols=True) as bar:
        shown = Bar(bar)
        with compiling(shown.wait):
            yield shown


class _Compiling:
    """Hears of Numba's compiling: says so once, and what each stretch of it took."""

    def __init__(self, took: Callable[[float], None]) -> None:
        self._took = took
        self._depth = 0  # one function's compiling compiles those that it calls
        self._began = 0.0
        self._said = False

    def notify(self, event: Any) -> None:
        """What Numba calls."""
        if event.is_start:
            self._depth += 1
            if self._depth > 1:
                return
            self._began = time.monotonic()
            if not self._said:
                self._said = True
                tqdm.write("compiling the simulator, once per installation: a minute or so", file=sys.stderr)
        else:
            self._depth -= 1
            if not self._depth:
                self._took(time.monotonic() - self._began)


@contextlib.contextmanager
def compiling(took: Callable[[float], None]) -> Iterator[None]:
    """Say on standard error when Numba compiles, which it does where nothing that it kept is found.

    Args:
        took: Told the seconds of each stretch of compiling.
    """
    if "numba" not in sys.modules:  # then nothing here is compiled
        yield
        return
    from numba.core import event

    class Listener(_Compiling, event.Listener):  # type: ignore[misc]
        on_start = on_end = _Compiling.notify

    with event.install_listener("numba:compile", Listener(took)):
        yield


@contextlib.contextmanager
def stage_bars() -> Iterator[Any]:
    """A bar for each stage of a run."""
    bars: dict[str, Any] = {}

    def wait(seconds: float) -> None:
        if bars:
            Bar(list(bars.values())[-1]).wait(seconds)

    def watch(stage: str, done: int, total: int, note: str = "") -> None:
        if stage not in bars:
            for bar in bars.values():
                bar.close()
            bars[stage] = tqdm(total=total, desc=stage, file=sys.stderr, mininterval=0.5, dynamic_ncols=True)
        Bar(bars[stage])(done, note)

    try:
        with compiling(wait):
            yield watch
    finally:
        for bar in bars.values():
            bar.close()


@contextlib.contextmanager
def checked() -> Iterator[None]:
    """Turn what a config class says of its fields into a usage error."""
    try:
        yield
    except ValueError as error:
        raise UsageError(str(error)) from error


def names_in(what: str, text: str, among: Any) -> list[str]:
    """Names separated by commas, each known and once.

    Raises:
        UsageError: If one is not.
    """
    names = [name.strip() for name in text.split(",")]
    for name in names:
        known(what, name, among)
        if names.count(name) > 1:
            raise UsageError(f"{what} {name!r} stands twice")
    return names


def numbers_in(what: str, text: str) -> list[float]:
    """Numbers separated by commas.

    Raises:
        UsageError: If one is none.
    """
    try:
        return [float(part) for part in text.split(",")]
    except ValueError as error:
        raise UsageError(f"{what} {text!r}: expected numbers, comma-separated") from error


def output_folder(out: Path, job: str, ours: Collection[str], apart: Path | None = None) -> None:
    """Refuse a folder for results that holds anything else, before any work is done.

    Args:
        out: The folder; need not exist.
        job: What writes it.
        ours: Names, or patterns such as "*.png", of the files that the job writes; hidden files are let be.
        apart: A dataset folder that it must not lie in.

    Raises:
        UsageError: If it is a file, lies in the dataset, or holds a file or folder of another name.
    """
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out}: is a file, expected a folder")
    if apart is not None and out.resolve().is_relative_to(apart.resolve()):
        raise UsageError(f"--out {out}: lies in the dataset, whose files are its own; choose a folder beside it")
    names = sorted(path.name for path in out.iterdir()) if out.exists() else []
    for name in names:
        if name[0] != "." and not any(fnmatch.fnmatchcase(name, pattern) for pattern in ours):
            raise UsageError(
                f"{out}: is not empty and no folder that everywear {job} wrote, since it holds {name}; "
                "expected a new folder or one to go on with"
            )


def written_folder(folder: Path, holds: str, what: str) -> None:
    """Refuse what is no folder of ours, before any work is done.

    Args:
        folder: As it was given.
        holds: The file that tells such a folder.
        what: What was expected, and which job writes it.

    Raises:
        UsageError: If there is no such folder, or the file is not in it.
    """
    if not folder.is_dir():
        raise UsageError(f"{folder}: no such folder, expected {what}")
    if not (folder / holds).is_file():
        raise UsageError(f"{folder}: holds no {holds}, expected {what}")


def pairs_in(text: str, what: str = "map", *, several: bool = False) -> dict[str, str] | None:
    """Pairs such as "a=b,c=d" as a mapping; None if empty.

    Args:
        text: The pairs.
        what: The option's name, for messages.
        several: Whether several columns may be the same signal.

    Raises:
        UsageError: If they are no pairs, or a name stands twice.
    """
    if not text:
        return None
    pairs = [part.split("=") for part in text.split(",")]
    if any(len(pair) != 2 for pair in pairs):
        raise UsageError(f"{what} {text!r} is not column=signal pairs, comma-separated")
    for side, names in zip(("column", "signal"), zip(*pairs, strict=True), strict=True):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None and not (several and side == "signal"):
            raise UsageError(f"{what} {text!r}: {side} {twice!r} stands twice")
    return dict(pairs)


def known(what: str, name: str, among: Any) -> None:
    """Refuse a name that is not ``among`` those there are.

    Raises:
        UsageError: With all of them.
    """
    if name not in among:
        raise UsageError(f"{what} {name!r} is unknown, expected one of {', '.join(sorted(among))}")


def at_least_one(**counts: int) -> None:
    """Refuse counts below 1, by their options' names.

    Raises:
        UsageError: With the first.
    """
    for name, count in counts.items():
        if count < 1:
            raise UsageError(f"{name} {count} is below 1")
