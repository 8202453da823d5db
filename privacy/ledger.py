"""Ledger: every release a vendor ever made about its people, in one file for life, composed exactly.

The file is JSON lines, appended to and never rewritten: a header that names the vendor, its delta and its budget, then
one entry per release. Every line carries a digest of itself and the line before, so an edited, lost or reordered line
is seen.

Why charging comes first. `Ledger.charge` returns only after the entry lies on the disk, and the message is computed
and sent only after `charge` has returned. So a crash can leave an entry whose message never left (budget lost, nobody
harmed), but never a message without its entry. A last line that breaks off is an entry whose ``charge`` never
returned; nothing left the house for it, and cutting it off is sound. Any other damage is refused.

A release is identified by *everything* that was asked. Asking exactly the same again costs nothing, because
`Release.stream` gives its noise an address made of the same facts: the retry is the same message. Whatever differs
is a release of its own, with noise of its own and a price of its own (rule R19).

One thing a file cannot show is that somebody put back an older copy of it: keep ledgers as one keeps bank books.
"""

import fcntl
import hashlib
import json
import math
import os
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from functools import cache
from importlib.metadata import version
from itertools import combinations
from pathlib import Path
from typing import IO, Any

import dp_accounting

from privacy.noise import KeyedStream, sync_folder
from privacy.plan import (
    ADJACENCY,
    UNIT,
    PrivacyError,
    PrivacyPlan,
    check_arithmetic,
    check_mechanism,
    check_truncation,
    epsilon,
    gaussian_event,
)

FORMAT = "everywear privacy ledger 1"
LONGEST_NAME = 100  # of a vendor
BEGUN = ".begun"  # what the name of the mark beside a ledger adds to the ledger's
KINDS = {False: "poisson_gaussian", True: "truncated_poisson_gaussian"}  # by truncation; rate 1 is a plain Gaussian


class LedgerError(PrivacyError):
    """A ledger that cannot be trusted or is not the vendor's: the message names the file and what was expected."""


class BudgetExceeded(PrivacyError):  # noqa: N818 - a gate that closed, not a mistake
    """A release that would spend more than the vendor's budget; nothing was written and nothing may be sent."""


@dataclass(frozen=True, kw_only=True)
class Release:
    """Something a vendor is asked to say about its people: public numbers and what they were asked of.

    Attributes:
        run: Identifier of the run.
        round: Number of the round.
        purpose: What the answer is for, such as "train".
        content: Digest of everything the answer depends on: the incoming model, the config, and the vendor's data
            through `private_digest`, since the same noise over changed data would give the change away.
        sampling_rate: Probability with which each person joins each step.
        noise_multiplier: Noise deviation over one person's largest contribution.
        steps: Noised sums that the answer is made of.
        most_people: Most people of a step; 0: as many as join.
        people: At most so many people there are; 0 where ``most_people`` is.
        arithmetic: How sums and noise were added, "float" or "grid".
    """

    run: str
    round: int
    purpose: str
    content: str
    sampling_rate: float
    noise_multiplier: float
    steps: int
    most_people: int = 0
    people: int = 0
    arithmetic: str = "float"

    def __post_init__(self) -> None:
        check_mechanism(self.noise_multiplier, self.sampling_rate, self.steps)
        check_truncation(self.most_people, self.people)
        check_arithmetic(self.arithmetic)
        for name, kind in {"round": int, "sampling_rate": float, "noise_multiplier": float}.items():
            object.__setattr__(self, name, kind(getattr(self, name)))  # equal releases have to be written alike

    @classmethod
    def of(cls, plan: PrivacyPlan, *, steps: int, **asked: Any) -> "Release":
        """The release of ``steps`` training steps under ``plan``; ``asked`` holds run, round, purpose and content."""
        people, most = plan.truncation or (0, 0)
        return cls(
            **asked,
            sampling_rate=plan.sampling_rate,
            noise_multiplier=plan.noise_multiplier,
            steps=steps,
            most_people=most,
            people=people,
            arithmetic=plan.arithmetic,
        )

    @property
    def event(self) -> Any:
        """What the release costs, as a ``dp_accounting.DpEvent``."""
        truncation = (self.people, self.most_people) if self.most_people else None
        return gaussian_event(self.sampling_rate, self.noise_multiplier, self.steps, truncation)

    @property
    def kind(self) -> str:
        """Which mechanism it was, as the ledger writes it."""
        return KINDS[self.most_people > 0]

    def stream(self, key: bytes) -> KeyedStream:
        """The release's own randomness: the same for the same release, independent for any other.

        What later versions added stands in the address only where it is used, so that older releases stay the same.
        """
        facts, later = asdict(self), {"most_people": 0, "people": 0, "arithmetic": "float"}
        address = {name: value for name, value in facts.items() if name not in later or value != later[name]}
        return KeyedStream(key, "release", json.dumps(address, sort_keys=True))


@cache
def code_digest(*folders: Path) -> bytes:
    """A digest of the code that makes an answer: this room's, the Python files in ``folders``, and the libraries.

    Other code makes another sum of the same people, and under the same noise the difference of both would give them
    away. So it is part of what a release in earnest is: after an upgrade, an answer that was charged but never kept is
    another release (rules R6 and R19).
    """
    digest = hashlib.sha256()
    for folder in (Path(__file__).parent, *folders):
        for path in sorted(folder.glob("*.py")):
            digest.update(path.read_bytes())
    digest.update(" ".join(version(package) for package in ("torch", "numpy", "scipy", "cryptography")).encode())
    return digest.digest()


def private_digest(key: bytes, *parts: bytes) -> str:
    """A digest of private or public bytes that says nothing to whoever lacks the key, for `Release.content`."""
    digest = hashlib.blake2b(key=key, digest_size=32, person=b"content")
    for part in parts:
        digest.update(len(part).to_bytes(8, "little") + part)
    return digest.hexdigest()


@dataclass(frozen=True, kw_only=True)
class Entry:
    """One charged release.

    Attributes:
        release: What was asked.
        epsilon: Everything the vendor has spent with it, by the "pld" accountant.
        time: Seconds since 1970, by the vendor's clock; informative only.
    """

    release: Release
    epsilon: float
    time: float


class Ledger:
    """One vendor's releases for life. Open it with `Ledger.open`; several processes may hold the same one."""

    def __init__(self, path: Path, *, vendor: str, delta: float, epsilon_budget: float) -> None:
        """A view of the file at ``path``; use `Ledger.open`, which makes sure that it may be one."""
        self.path = path
        self.vendor = vendor
        self.delta = delta
        self.epsilon_budget = epsilon_budget
        self._entries: tuple[Entry, ...] = ()
        self._last = ""

    @classmethod
    def open(cls, path: Path, *, vendor: str, delta: float, epsilon_budget: float) -> "Ledger":
        """The vendor's ledger, which is begun if the vendor never had one.

        Beside the ledger lies a small file that says that it was begun, and no folder holds two ledgers of a vendor:
        losing or renaming a ledger is an error, and starting to count from zero again is not possible by accident
        (rule R7).

        Args:
            path: The file. Its name and folder should be the vendor's for life, whatever the run.
            vendor: Whose people it counts.
            delta: As in the plan; fixed for life.
            epsilon_budget: What the vendor may ever spend; fixed for life.

        Raises:
            LedgerError: If the file is damaged, another vendor's or has other constants, or was begun and is gone.
        """
        if not 0 < delta < 1 or not 0 < epsilon_budget < math.inf:
            raise LedgerError(f"{path}: {delta=} is not in (0, 1) or {epsilon_budget=} is not in (0, inf)")
        if not vendor.isprintable() or vendor != vendor.strip() or not 0 < len(vendor) <= LONGEST_NAME:
            raise LedgerError(f"{path}: {vendor=} is no printable name of at most {LONGEST_NAME} letters")
        ledger = cls(Path(path), vendor=vendor, delta=delta, epsilon_budget=epsilon_budget)
        ledger.path.parent.mkdir(parents=True, exist_ok=True)
        begun = ledger.path.with_name(ledger.path.name + BEGUN)
        ledger._refuse_second_life(begun)
        with ledger._locked() as file:
            if not begun.exists():
                ledger._begin(file, begun)
            ledger._read(file)
        return ledger

    @classmethod
    def read(cls, path: Path) -> "Ledger":
        """The ledger at ``path`` with the constants that its first line states, for reports and audits.

        Raises:
            LedgerError: If there is none or it is damaged.
        """
        path = Path(path)
        if not path.exists():
            raise LedgerError(f"{path}: is missing, expected a ledger")
        try:
            with path.open("rb") as file:
                header = json.loads(file.readline())
            facts: dict[str, Any] = {"vendor": str(header["vendor"])}
            facts |= {name: float(header[name] + 0) for name in ("delta", "epsilon_budget")}
        except (ValueError, KeyError, TypeError) as error:
            raise LedgerError(f"{path}: line 1 is damaged, expected the header of a ledger") from error
        return cls.open(path, **facts)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All releases, oldest first, as of the last look at the file."""
        return self._entries

    @property
    def digest(self) -> str:
        """Of the last line, and so of all lines before it, as of the last look at the file."""
        return self._last

    def event(self) -> Any:
        """All releases as one ``dp_accounting.DpEvent``."""
        return dp_accounting.ComposedDpEvent([entry.release.event for entry in self._entries])

    def epsilon(self, accountant: str = "pld") -> float:
        """What all releases together have spent."""
        return epsilon(self.event(), self.delta, accountant)

    def would_exceed(self, release: Release) -> bool:
        """Whether charging ``release`` would spend more than the budget; a recorded one costs nothing."""
        return not self._holds(release) and self._epsilon_with(release) > self.epsilon_budget

    def charge(self, release: Release) -> bool:
        """Writes ``release`` down for good; only then may its message be computed and sent.

        Returns:
            True if it was charged, False if exactly this release is in the ledger already, so that a retry is free.

        Raises:
            BudgetExceeded: If the budget does not suffice. Nothing is written then.
            LedgerError: If the file was damaged since it was opened.
        """
        with self._locked() as file:
            last = self._read(file)
            if self._holds(release):
                os.fsync(file.fileno())  # whoever wrote it may have died before this
                return False
            total = self._epsilon_with(release)
            if total > self.epsilon_budget:
                raise BudgetExceeded(
                    f"vendor {self.vendor!r}: {release.purpose!r} of round {release.round} would bring epsilon to "
                    f"{total:.4g}, above the budget of {self.epsilon_budget:g}"
                )
            entry = Entry(release=release, epsilon=total, time=time.time())
            self._last = _append(file, {"kind": release.kind, **asdict(entry)}, last)
            self._entries += (entry,)
        return True

    def _holds(self, release: Release) -> bool:
        return any(entry.release == release for entry in self._entries)

    def _epsilon_with(self, release: Release) -> float:
        return epsilon(dp_accounting.ComposedDpEvent([self.event(), release.event]), self.delta)

    def _header(self) -> dict[str, Any]:
        facts = {"vendor": self.vendor, "delta": self.delta, "epsilon_budget": self.epsilon_budget}
        return {"format": FORMAT, **facts, "unit": UNIT, "adjacency": ADJACENCY}

    def _refuse_second_life(self, begun: Path) -> None:
        """Refuses to begin a ledger for a vendor who has or had one in this folder."""
        if begun.exists() and not self.path.exists():  # in this order: another process may just be beginning it
            raise LedgerError(f"{self.path}: is gone, but it was begun; what vendor {self.vendor!r} spent is unknown")
        for other in sorted(self.path.parent.glob("*" + BEGUN)):
            if other != begun and other.read_text().removesuffix("\n") == self.vendor:
                name = other.name.removesuffix(BEGUN)
                raise LedgerError(f"{self.path}: vendor {self.vendor!r} has the ledger {name} already, expected that")

    def _begin(self, file: IO[bytes], begun: Path) -> None:
        """Writes the first line, if it is not there yet, and then the mark that the ledger was begun."""
        if b"\n" not in file.read():
            file.truncate(0)  # a first line that was never finished: nothing was charged yet
            _append(file, self._header(), "")
        with begun.open("w") as mark:
            mark.write(f"{self.vendor}\n")
            mark.flush()
            os.fsync(mark.fileno())
        sync_folder(self.path.parent)

    @contextmanager
    def _locked(self) -> Iterator[IO[bytes]]:
        """The file, open for reading and appending, while no other process or thread has it."""
        with self.path.open("a+b") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            file.seek(0)
            yield file

    def _read(self, file: IO[bytes]) -> str:
        """Reads all entries anew, cuts off a torn last line, and returns the digest of the last whole line.

        Raises:
            LedgerError: If anything but a torn last line is wrong.
        """
        file.seek(0)
        *lines, rest = file.read().split(b"\n")
        kept = rest if _holds_json(rest) else b""  # a whole line that lost its end is charged; a part of one was not
        found, last = self._parse(0, lines[0], "") if lines else ({}, "")
        for name, value in self._header().items():
            if found.get(name) != value:
                raise LedgerError(f"{self.path}: {name} is {found.get(name)!r}, expected {value!r}")
        entries = []
        for number, line in enumerate([*lines[1:], kept] if kept else lines[1:], start=1):
            found, last = self._parse(number, line, last)
            entries.append(self._entry(number, found))
        if rest:
            file.truncate(sum(len(line) + 1 for line in lines) + len(kept))
            file.write(b"\n" if kept else b"")
            file.flush()
            os.fsync(file.fileno())
        self._entries, self._last = tuple(entries), last
        return last

    def _parse(self, number: int, line: bytes, before: str) -> tuple[dict[str, Any], str]:
        """The content of a line and its digest, which has to follow from the content and the line before."""
        try:
            content = json.loads(line)
            digest = content.pop("digest")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise LedgerError(f"{self.path}: line {number + 1} is damaged, expected a JSON object") from error
        if digest != _digest(content, before):
            raise LedgerError(f"{self.path}: line {number + 1} was changed or does not follow the line before it")
        return content, digest

    def _entry(self, number: int, content: dict[str, Any]) -> Entry:
        kind = content.pop("kind", None)
        if kind not in KINDS.values():
            known = " or ".join(map(repr, KINDS.values()))
            raise LedgerError(f"{self.path}: line {number + 1} is not of kind {known}, the only ones known")
        try:
            release = Release(**content["release"])
            if kind != release.kind:
                raise PrivacyError(f"{release.kind!r} is called {kind!r}")
            return Entry(**{**content, "release": release})
        except (KeyError, TypeError, PrivacyError) as error:
            raise LedgerError(f"{self.path}: line {number + 1} has other fields than a release: {error}") from error


def federation_epsilon(ledgers: Sequence[Ledger], shared_people: bool | int = False) -> float:
    """The epsilon of a person against whoever sees all vendors' messages (rule R8).

    Args:
        ledgers: One per vendor, all with the same delta.
        shared_people: At how many vendors one person may be: False or 1 for one, True for all of them.

    Returns:
        The largest of the vendors' if their people are disjoint (parallel composition); otherwise the largest over
        all groups of that many vendors, each group's releases composed in one distribution.

    Raises:
        PrivacyError: If the deltas differ or ``shared_people`` is not a number of vendors.
    """
    deltas = {ledger.delta for ledger in ledgers}
    if len(deltas) > 1:
        raise PrivacyError(f"the vendors' deltas {sorted(deltas)} differ: epsilons at different deltas do not compare")
    return composed_epsilon([ledger.event() for ledger in ledgers], max(deltas, default=0.5), shared_people)


def composed_epsilon(events: Sequence[Any], delta: float, shared_people: bool | int = False) -> float:
    """`federation_epsilon` of what vendors released, one ``dp_accounting.DpEvent`` each.

    Raises:
        PrivacyError: If ``shared_people`` is not a number of vendors.
    """
    if not events:
        return 0.0
    at_once = len(events) if shared_people is True else max(int(shared_people), 1)
    if not 0 <= shared_people <= len(events):
        raise PrivacyError(f"{shared_people=} is not in [0, {len(events)}], the number of vendors")
    return max(epsilon(dp_accounting.ComposedDpEvent(list(group)), delta) for group in combinations(events, at_once))


def _append(file: IO[bytes], content: dict[str, Any], before: str) -> str:
    """Writes one line behind the line with digest ``before``, waits until it is on the disk, and gives its digest."""
    digest = _digest(content, before)
    file.seek(0, os.SEEK_END)
    file.write(json.dumps({**content, "digest": digest}).encode() + b"\n")
    file.flush()
    os.fsync(file.fileno())
    return digest


def _digest(content: dict[str, Any], before: str) -> str:
    return hashlib.blake2b((before + json.dumps(content)).encode(), digest_size=16).hexdigest()


def _holds_json(text: bytes) -> bool:
    """Whether the text begins with a whole JSON object, which no part of a line does."""
    try:
        json.JSONDecoder().raw_decode(text.decode(errors="replace"))
    except json.JSONDecodeError:
        return False
    return True
