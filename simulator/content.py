"""Content: one hash of a set of things, whatever the order in which they came and the pieces in which they lie.

A dataset's hash must not depend on workers, shards or order, must be joined from the hashes of parts without reading
them again, and must take no memory for what it has seen. A lattice hash [1, 2] does all that: every element is expanded
to 1,024 numbers of 16 bits, which are added up lane by lane; the SHA-256 of the sums is the hash. Two sets with the
same sums are as hard to find as a short vector of a lattice (about 200 bits for this size [2]), and a thing that
stands twice counts twice.

[1] Bellare & Micciancio, "A new paradigm for collision-free hashing", EUROCRYPT 1997, doi:10.1007/3-540-69053-0_13.
[2] Lewi et al., "Securing update propagation with homomorphic hashing" (LtHash16), IACR eprint 2019/227.
"""

import base64
import binascii
import hashlib
from typing import Final, Self

import numpy as np
from numpy.typing import NDArray

LANES: Final = 1024  # of 16 bits each: LtHash16 of [2]


class Content:
    """A set of elements, of which only the sums are kept.

    >>> one, other = Content(), Content()
    >>> for element in (b"a", b"b"):
    ...     one.add(element)
    >>> other.add(b"b")
    >>> other.join(Content.from_text(Content.of(b"a").text))
    >>> one.sha256 == other.sha256
    True
    """

    def __init__(self) -> None:
        self._sums: NDArray[np.uint16] = np.zeros(LANES, dtype=np.uint16)

    @classmethod
    def of(cls, *elements: bytes) -> Self:
        """The content that holds these elements."""
        content = cls()
        for element in elements:
            content.add(element)
        return content

    @classmethod
    def from_text(cls, text: str) -> Self:
        """What ``text`` gave.

        Raises:
            ValueError: If it is not the text of a content.
        """
        try:
            sums = np.frombuffer(base64.b64decode(text, validate=True), dtype="<u2")
        except (binascii.Error, ValueError) as error:
            raise ValueError(f"content {text!r:.40} is not base64 of {LANES} numbers") from error
        if sums.shape != (LANES,):
            raise ValueError(f"content {text!r:.40} holds {sums.size} numbers, expected {LANES}")
        content = cls()
        content._sums = sums.astype(np.uint16)
        return content

    @property
    def text(self) -> str:
        """The sums as base64, for JSON."""
        return base64.b64encode(self._sums.astype("<u2").tobytes()).decode()

    @property
    def sha256(self) -> str:
        """The hash of the set, in hexadecimal digits."""
        return hashlib.sha256(self._sums.astype("<u2").tobytes()).hexdigest()

    def add(self, element: bytes) -> None:
        """Put an element in."""
        self._sums += np.frombuffer(hashlib.shake_256(element).digest(2 * LANES), dtype="<u2")

    def join(self, other: "Content") -> None:
        """Put all elements of another content in."""
        self._sums += other._sums
