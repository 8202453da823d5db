"""Secret random streams with addresses: who is drawn into a step, and the noise that hides them.

A `KeyedStream` is AES-256 in counter mode [1], keyed by a vendor's secret and an address such as
``("round 3", step, "encoder.weight")``. The same address always gives the same draws, so a step that is tried again
after a crash is *the same release* and not a second look at the data; any other address is independent, so no two
vendors, rounds, steps or parameters ever share noise (rule R6). A generator with a running state could promise neither.

Noise is a continuous Gaussian approximated in float64, cut at 8.4 standard deviations (mass 5e-17) and rounded once
when it is added. It is not hardened against attacks on the last bits of floating-point numbers [2] (rule R16).

[1] NIST SP 800-38A, "Recommendation for Block Cipher Modes of Operation", doi:10.6028/NIST.SP.800-38A.
[2] Mironov, "On significance of the least significant bits for differential privacy", doi:10.1145/2382196.2382264.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from numpy.typing import NDArray
from scipy.special import ndtri

from privacy.plan import PrivacyError

KEY_BYTES = 32  # AES-256
WORD_BYTES = 8  # one draw is one 64-bit word
MANTISSA_BITS = 53  # of a float64


class KeyedStream:
    """The stream of draws that lives at an address under a secret key.

    A stream moves on with every draw, like a generator; a child depends on the address alone, wherever its parent is.

    >>> a, b = KeyedStream(bytes(32), "round", 1), KeyedStream(bytes(32), "round", 1)
    >>> bool((a.normal(3) == b.normal(3)).all()), bool((a.normal(3) == b.child("step", 1).normal(3)).any())
    (True, False)
    """

    def __init__(self, key: bytes, *address: str | int) -> None:
        """A stream at its start.

        Args:
            key: 32 secret bytes.
            address: Where the stream lives, from coarse to fine.

        Raises:
            PrivacyError: If the key has another length.
            TypeError: If a part of the address is neither ``str`` nor ``int``.
        """
        if len(key) != KEY_BYTES:
            raise PrivacyError(f"a key of {len(key)} bytes is not {KEY_BYTES} bytes long")
        self._key = bytes(key)
        self.address = address
        self._place = hashlib.blake2b(_encode(address), digest_size=KEY_BYTES, key=self._key, person=b"place").digest()
        self._words = Cipher(AES(self._place), CTR(bytes(16))).encryptor()

    def __repr__(self) -> str:
        return f"KeyedStream(address={self.address})"  # never the key

    def child(self, *address: str | int) -> "KeyedStream":
        """The stream further down the address, at its start."""
        return KeyedStream(self._key, *self.address, *address)

    def words(self, n: int) -> NDArray[np.uint64]:
        """The next ``n`` uniform 64-bit words, [n]."""
        return np.frombuffer(self._words.update(bytes(WORD_BYTES * n)), dtype="<u8").astype(np.uint64, copy=False)

    def uniform(self, n: int) -> NDArray[np.float64]:
        """The next ``n`` uniforms inside (0, 1), [n]: the midpoints of 2**52 equal cells, so never 0 and never 1."""
        return _unit(self.words(n))

    def normal(self, n: int) -> NDArray[np.float64]:
        """The next ``n`` standard normals, [n], by inverting the distribution function.

        One bit is the sign and 53 are the lower tail's probability: symmetric by construction, and the far tail is as
        finely resolved as the centre, unlike a uniform near 1.
        """
        words = self.words(n)
        tail = ((words >> np.uint64(64 - MANTISSA_BITS)).astype(np.float64) + 0.5) * 2.0 ** -(MANTISSA_BITS + 1)
        positive = (words & np.uint64(1)).astype(np.bool_)
        distance: NDArray[np.float64] = -ndtri(tail)
        return np.where(positive, distance, -distance)

    def integers(self, high: int, n: int) -> NDArray[np.int64]:
        """The next ``n`` integers in [0, ``high``), [n], without bias: words beyond the last full multiple are redrawn.

        Raises:
            ValueError: If ``high`` is not in [1, 2**63].
        """
        if not 1 <= high <= 2**63:
            raise ValueError(f"{high=} is not in [1, 2**63]")
        last = np.uint64(2**64 - 1 - (2**64 % high))  # the last word below which every remainder is equally frequent
        found = np.empty(0, np.uint64)
        while len(found) < n:
            words = self.words(n - len(found))
            found = np.concatenate([found, words[words <= last]])
        return (found % np.uint64(high)).astype(np.int64)

    def choice(self, population: int, n: int) -> NDArray[np.int64]:
        """``n`` different integers of [0, ``population``), [n], in random order.

        Raises:
            ValueError: If ``n`` is not in [0, ``population``].
        """
        if not 0 <= n <= population:
            raise ValueError(f"{n=} is not in [0, {population=}]")
        return np.argsort(self.words(population), kind="stable")[:n].astype(np.int64)

    def chance(self, name: str) -> float:
        """One uniform inside (0, 1) that belongs to ``name`` at this address, without moving the stream.

        The coin of one person among thousands: a keyed hash, some ten times cheaper than a child's first draw.
        """
        digest = hashlib.blake2b(name.encode(), digest_size=WORD_BYTES, key=self._place, person=b"chance").digest()
        return float(_unit(np.frombuffer(digest, dtype="<u8"))[0])

    def generator(self) -> np.random.Generator:
        """A NumPy generator seeded by the stream's next draws.

        For choices whose secrecy no guarantee rests on, such as which windows of a person and which masks; never for
        noise or for who takes part.
        """
        low, high = self.words(2)
        return np.random.Generator(np.random.Philox(key=int(low) | int(high) << 64))


def new_key() -> bytes:
    """A vendor's secret: 32 bytes from the operating system's entropy. Release mode."""
    return os.urandom(KEY_BYTES)


def rehearsal_key(seed: int, vendor: str) -> bytes:
    """A key that anybody can compute, for simulated people only: it gives NO PRIVACY GUARANTEE AT ALL.

    Rehearsals repeat byte for byte from their seed, so whoever knows the seed can subtract the noise.
    """
    return hashlib.blake2b(_encode((seed, vendor)), digest_size=KEY_BYTES, person=b"rehearsal").digest()


def load_or_create_key(path: Path) -> bytes:
    """The secret in the file at ``path``, drawn from the operating system's entropy if there is no file yet.

    The file is readable by its owner only and appears whole or not at all. Losing it costs no privacy, but a release
    that was interrupted can then not be repeated and has to be charged again.

    Raises:
        PrivacyError: If the file does not hold 32 bytes or others may read it.
    """
    path = Path(path)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f".{path.name}.")  # its mode is 600
        draft = Path(name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(new_key())
                file.flush()
                os.fsync(file.fileno())
            with contextlib.suppress(FileExistsError):  # another process was faster, and its key stays:
                os.link(draft, path)  # unlike a rename, a link never replaces
        finally:
            draft.unlink()
        sync_folder(path.parent)
    if path.stat().st_mode & 0o077:
        raise PrivacyError(f"{path}: the key's mode {path.stat().st_mode & 0o777:o} lets others read it, expected 600")
    key = path.read_bytes()
    if len(key) != KEY_BYTES:
        raise PrivacyError(f"{path}: holds {len(key)} bytes, expected a key of {KEY_BYTES}")
    return key


def sync_folder(folder: Path) -> None:
    """Waits until the folder's list of names is on the disk, so that a new file survives a power cut."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _unit(words: NDArray[np.uint64]) -> NDArray[np.float64]:
    """Words as midpoints of 2**52 cells of (0, 1); 53 bits and a half would round to 1."""
    return ((words >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _encode(address: tuple[str | int, ...]) -> bytes:
    """An address as bytes, different for different addresses: every part carries its type and length."""
    parts = []
    for part in address:
        if isinstance(part, str):
            text, kind = part.encode(), "s"
        elif isinstance(part, int | np.integer):
            text, kind = str(int(part)).encode(), "i"
        else:
            raise TypeError(f"{part=} of type {type(part).__name__}: an address is made of str and int")
        parts.append(f"{kind}{len(text)}:".encode() + text)
    return b"".join(parts)
