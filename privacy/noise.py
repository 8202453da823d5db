"""Secret random streams with addresses: who is drawn into a step, and the noise that hides them.

A `KeyedStream` is AES-256 in counter mode [1], keyed by a vendor's secret and an address such as
``("round 3", step, "encoder.weight")``. The same address always gives the same draws, so a step that is tried again
after a crash is *the same release* and not a second look at the data; any other address is independent, so no two
vendors, rounds, steps or parameters ever share noise (rule R6). A generator with a running state could promise neither.

Noise is a continuous Gaussian approximated in float64, cut at 8.4 standard deviations (mass 5e-17) and rounded once
when it is added. It is not hardened against attacks on the last bits of floating-point numbers [2] (rule R16).

The hardened mode's noise is `KeyedStream.rounded_normal`: a Gaussian rounded to integers, drawn exactly. On a sum of
integers it is the rounded sum with the continuous Gaussian, ``s + round(z) = round(s + z)``, so it is post-processing
of the Gaussian mechanism on integers, in any dimension and under any subsampling, and costs what that costs; a discrete
Gaussian [3] would need a distribution of its own. A draw is the interval of normals that its 64 random bits allow. The
interval's place is computed in float64; where rounding could depend on the error of that, which is allowed to be
hundreds of times what is published for ``ndtri``, the draw is decided by arithmetic of 60 digits and further bits.

[1] NIST SP 800-38A, "Recommendation for Block Cipher Modes of Operation", doi:10.6028/NIST.SP.800-38A.
[2] Mironov, "On significance of the least significant bits for differential privacy", doi:10.1145/2382196.2382264.
[3] Canonne, Kamath, Steinke, "The discrete Gaussian for differential privacy", arXiv:2004.00010.
"""

import contextlib
import hashlib
import os
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR
from mpmath import mp
from numpy.typing import NDArray
from scipy.special import ndtri

from privacy.plan import PrivacyError

KEY_BYTES = 32  # AES-256
WORD_BYTES = 8  # one draw is one 64-bit word
MANTISSA_BITS = 53  # of a float64
UNSURE = 1e-12  # standard deviations by which a computed normal may be off; Cephes' ndtri: 2e-15 of its value
FAR = 5.0  # standard deviations beyond which 64 bits leave an interval too wide to overlook
DIGITS = 60  # of the arithmetic that decides the unsure draws


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

    def rounded_normal(self, n: int, deviation: float) -> NDArray[np.int64]:
        """The next ``n`` normals of standard deviation ``deviation`` rounded to integers, [n], exactly.

        Raises:
            ValueError: If ``deviation`` is not in [0, 2**40]: beyond, most draws would need the slow arithmetic.
        """
        if not 0 <= deviation <= 2**40:
            raise ValueError(f"{deviation=} is not in [0, 2**40]")
        words = self.words(n)
        tail = words >> np.uint64(1)  # the tail's probability lies in [tail, tail + 1) / 2**64
        distance = -ndtri((tail.astype(np.float64) + 0.5) * 2.0**-64)
        scaled = distance * deviation
        found = np.rint(scaled)
        from_half = np.abs(scaled - np.floor(scaled) - 0.5)
        for i in np.flatnonzero((from_half <= UNSURE * deviation) | (distance > FAR)):
            more = self.child("further bits", int(i), int(words[i]))
            found[i] = _decided(int(tail[i]), more, deviation, int(found[i]))
        return np.where(words & np.uint64(1), found, -found).astype(np.int64)

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


def _decided(tail: int, more: KeyedStream, deviation: float, guess: int) -> int:
    """Which integer a positive normal is nearest to, by 64 bits of its tail's probability and as many more as needed.

    It is ``k`` exactly if the probability lies between the tails beyond ``k + 1/2`` and beyond ``k - 1/2``.
    """
    if deviation == 0:
        return 0
    bits = 64
    with mp.workdps(DIGITS):

        def beyond(k: int) -> Any:
            return mp.erfc((mp.mpf(2 * k + 1) / 2) / mp.mpf(deviation) / mp.sqrt(2)) / 2

        while True:
            low, high = mp.mpf(tail) / mp.mpf(2) ** bits, mp.mpf(tail + 1) / mp.mpf(2) ** bits
            if high <= beyond(guess):
                guess += 1
            elif guess > 0 and low >= beyond(guess - 1):
                guess -= 1
            elif low >= beyond(guess) and (guess == 0 or high <= beyond(guess - 1)):
                return guess
            else:
                tail, bits = tail << 64 | int(more.words(1)[0]), bits + 64


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
