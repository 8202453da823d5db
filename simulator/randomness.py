"""Named random streams: every draw has an address, so order, neighbours and workers never matter.

A stream is a counter-based generator (Philox [1]) keyed by a hash of the seed and the names that lead to it.
Adding a person, a day or a signal opens new addresses and leaves every other stream as it was.

[1] Salmon et al., "Parallel random numbers: as easy as 1, 2, 3", SC 2011, doi:10.1145/2063384.2063405.
"""

import hashlib

import numpy as np


def stream(seed: int, *names: str | int) -> np.random.Generator:
    """The generator that lives at ``names`` under ``seed``.

    Args:
        seed: The seed of the whole population, run or test.
        names: The address, from coarse to fine, for example ``(person, day, "sleep")``.

    Returns:
        A fresh generator at its start; the same address always gives the same one.

    >>> bool(stream(1, 7, "sleep").random() == stream(1, 7, "sleep").random())
    True
    >>> bool(stream(1, 7, "sleep").random() == stream(1, 8, "sleep").random())
    False
    """
    return np.random.Generator(np.random.Philox(key=stream_key(seed, *names)))


def stream_key(seed: int, *names: str | int) -> int:
    """128-bit key of an address; distinct addresses collide with probability below 2**-64 for 2**32 of them.

    Raises:
        TypeError: If a name is neither ``str`` nor ``int``.
    """
    parts = [f"i{int(seed)}"]
    for name in names:
        if isinstance(name, str):
            parts.append(f"s{len(name)}:{name}")
        elif isinstance(name, int | np.integer):
            parts.append(f"i{int(name)}")
        else:
            raise TypeError(f"{name=} of type {type(name).__name__}: a stream's name is a str or an int")
    digest = hashlib.blake2b("/".join(parts).encode(), digest_size=16).digest()
    return int.from_bytes(digest, "little")
