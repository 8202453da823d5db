"""Noise addressed by time: the normal of minute m is the same whoever asks, and whenever.

``randomness.stream`` hands out generators that are read from their start. The body needs something else: a slow
process that passes through midnight, where day 3 must end with the values that day 4 begins with although each is
made alone. So here the counter is the absolute minute (day times 1,440 plus minute), and an autoregressive process
is run up to the asked minute from so far back that its start is forgotten.

A number is a keyed hash of its counter: the SplitMix64 finaliser [1] with the second half of the key injected
between its rounds, so that two people's sequences do not become shifted copies of one another. Normals come from a
ziggurat of 256 layers [2], exact in the tails, with what a rejection needs drawn from a chain that hangs on the
same counter. Where very many are wanted and each is only one of a sum (every heartbeat, every step of a slow process),
``quantile_normal`` reads them from a table of quantiles instead: five from one word, for a shift and a load each.

[1] Steele, Lea & Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, doi:10.1145/2660193.2660195.
[2] Marsaglia & Tsang, "The ziggurat method for generating random variables", J. Stat. Softw. 5(8), 2000,
    doi:10.18637/jss.v005.i08.
[3] Wellons, "Prospecting for hash functions", 2018, nullprogram.com/blog/2018/07/31 (the improved lowbias32).
"""

from collections.abc import Callable
from functools import lru_cache
from typing import Final, TypeVar

import numba
import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtri

from simulator.randomness import stream_key

Floats = NDArray[np.float64]
Key = tuple[np.uint64, np.uint64]
_Function = TypeVar("_Function", bound=Callable[..., object])

_GOLDEN: Final = np.uint64(0x9E3779B97F4A7C15)  # odd, 2**64 over the golden ratio [1]
_ROUND_1: Final = np.uint64(0xBF58476D1CE4E5B9)  # [1]
_ROUND_2: Final = np.uint64(0x94D049BB133111EB)  # [1]
_LANE: Final = np.uint64(0xD1342543DE82EF95)  # odd, keeps the lanes of one key apart
_BASE: Final = 3.6541528853610088  # where the ziggurat's tail begins, 256 layers [2]
_AREA: Final = 0.00492867323399  # area of each layer [2]
_HALF_RANGE: Final = 2**23  # of 32 bits 8 choose the layer and 24 the signed place in it
_KNOTS_PER_TIME_CONSTANT: Final = 32  # grid of a slow process: linear between knots costs 1 % of its variance
_MEMORY: Final = 10  # time constants after which a start is forgotten: exp(-10) = 5e-5 standard deviations


def compiled(function: _Function) -> _Function:
    """The function as machine code, kept on disk between processes where there is a place to keep it.

    Numba refuses to compile at all with ``cache=True`` when it finds no directory that it may write to (a read-only
    installation without a home); then each process compiles for itself.
    """
    try:
        machine_code: _Function = numba.njit(cache=True, error_model="numpy")(function)
    except RuntimeError:
        machine_code = numba.njit(error_model="numpy")(function)
    return machine_code


def compiled_fused(function: _Function) -> _Function:
    """As ``compiled``, where a product and a sum may become one instruction with one rounding.

    A fifth faster in chains of them. Machines whose processors have that instruction agree to the bit; one without
    (none made since about 2013) differs in the sixteenth digit.
    """
    try:
        machine_code: _Function = numba.njit(cache=True, error_model="numpy", fastmath={"contract"})(function)
    except RuntimeError:
        machine_code = numba.njit(error_model="numpy", fastmath={"contract"})(function)
    return machine_code


@lru_cache(maxsize=64)  # of a person's few, each asked for on every day
def time_key(seed: int, *names: str | int) -> Key:
    """The two words that key the noise living at ``names`` under ``seed``; see ``randomness.stream_key``."""
    key = stream_key(seed, *names)
    return np.uint64(key & 0xFFFF_FFFF_FFFF_FFFF), np.uint64(key >> 64)


@compiled
def bits(key: Key, counter: np.uint64) -> np.uint64:
    """64 random bits at an address."""
    x = (counter + np.uint64(1)) * _GOLDEN + key[0]
    x = (x ^ (x >> np.uint64(30))) * _ROUND_1 + key[1]
    x = (x ^ (x >> np.uint64(27))) * _ROUND_2
    return x ^ (x >> np.uint64(31))


@compiled
def scrambled(counter: np.uint32, key: np.uint32, other: np.uint32) -> np.uint32:
    """32 random bits of a counter under two words of 32 bits; of such many are made at a time.

    The finaliser of lowest known bias with two multiplications [3], the second word injected between its rounds.
    The words have to be random themselves, such as the halves of ``bits``: under neighbouring ones results correlate.
    """
    x = np.uint32(np.uint32(counter * np.uint32(0x9E3779B1)) + key)
    x = np.uint32(x ^ np.uint32(x >> np.uint32(16)))
    x = np.uint32(np.uint32(x * np.uint32(0x21F0AAAD)) + other)
    x = np.uint32(x ^ np.uint32(x >> np.uint32(15)))
    x = np.uint32(x * np.uint32(0xD35A2D97))
    return np.uint32(x ^ np.uint32(x >> np.uint32(15)))


@compiled
def lane_key(key: Key, lane: int) -> Key:
    """The key of one of many independent sequences under ``key``."""
    return bits(key, np.uint64(lane) * _LANE), key[1]


@compiled
def unit(word: np.uint64) -> float:
    """A uniform number in (0, 1) from 64 bits."""
    return (np.float64(word >> np.uint64(12)) + 0.5) / 4503599627370496.0  # 2**52


@compiled
def low_half(word: np.uint64) -> int:
    """The lower 32 bits of a word."""
    return int(np.int64(word & np.uint64(0xFFFFFFFF)))


@compiled
def high_half(word: np.uint64) -> int:
    """The upper 32 bits of a word."""
    return int(np.int64(word >> np.uint64(32)))


def _ziggurat_layers() -> tuple[NDArray[np.int64], Floats, Floats]:
    """Acceptance bound, width and height of each of the 256 layers [2]."""
    width = np.empty(256)
    height = np.empty(256)
    accept = np.zeros(256)
    edge = _BASE
    width[0] = _AREA / np.exp(-0.5 * edge * edge)
    accept[0] = edge / width[0]
    width[255] = edge
    height[255] = np.exp(-0.5 * edge * edge)
    for i in range(254, 0, -1):
        outer = edge
        edge = np.sqrt(-2.0 * np.log(_AREA / outer + np.exp(-0.5 * outer * outer)))
        accept[i + 1] = edge / outer
        width[i] = edge
        height[i] = np.exp(-0.5 * edge * edge)
    height[0] = 1.0
    return (accept * _HALF_RANGE).astype(np.int64), width / _HALF_RANGE, height


_ACCEPT, _WIDTH, _HEIGHT = _ziggurat_layers()  # constants of the compiled code; as arguments they cost ten times a draw


@compiled
def _rare_normal(half: int, word: np.uint64) -> float:
    """What ``normal`` does in one draw of eighty: the tail, a layer's edge, or another attempt."""
    chain = (word, word ^ _LANE)
    attempt = np.uint64(0)
    while True:
        layer = half & 255
        place = (half >> 8) - _HALF_RANGE
        x = place * _WIDTH[layer]
        if abs(place) < _ACCEPT[layer]:
            return float(x)
        if layer == 0:
            while True:
                over = -np.log(unit(bits(chain, attempt))) / _BASE
                drop = -np.log(unit(bits(chain, attempt + np.uint64(1))))
                attempt += np.uint64(2)
                if drop + drop >= over * over:
                    return float(_BASE + over if place >= 0 else -_BASE - over)
        share = unit(bits(chain, attempt))
        if _HEIGHT[layer] + share * (_HEIGHT[layer - 1] - _HEIGHT[layer]) < np.exp(-0.5 * x * x):
            return float(x)
        half = high_half(bits(chain, attempt + np.uint64(1)))
        attempt += np.uint64(2)


@compiled
def normal(half: int, word: np.uint64) -> float:
    """A standard normal number.

    Args:
        half: The 32 random bits, as a non-negative integer, that decide it in 79 of 80 cases.
        word: A word of the same address, from which the rare cases draw on.
    """
    layer = half & 255
    place = (half >> 8) - _HALF_RANGE
    if abs(place) < _ACCEPT[layer]:
        return float(place * _WIDTH[layer])
    return _rare_normal(half, word)


@compiled
def normal_at(key: Key, counter: np.uint64) -> float:
    """The standard normal number at an address."""
    word = bits(key, counter)
    return normal(low_half(word), word)


def _quantile_means(cells: int) -> Floats:
    """The mean of a standard normal within each of ``cells`` equally likely cells, scaled to variance 1."""
    edges = ndtri(np.arange(cells + 1) / cells)
    density = np.exp(-0.5 * edges**2) / np.sqrt(2.0 * np.pi)
    means = cells * (density[:-1] - density[1:])
    means = 0.5 * (means - means[::-1])  # odd to the last bit, so that the mean is 0
    scaled: Floats = means / means.std()
    return scaled


_QUANTILES: Final = _quantile_means(4096).astype(np.float32)  # half of a core's nearest cache, which others need too
_QUANTILE_BITS: Final = np.uint64(12)
_QUANTILE_MASK: Final = np.uint64(4095)
NORMALS_PER_WORD: Final = 5


@compiled
def quantile_normal(word: np.uint64, place: int) -> float:
    """One of the five independent, nearly standard normal numbers that a word holds; a tenth of an exact one's cost.

    It takes 4,096 equally likely values: mean 0 and variance 1 exactly, kurtosis 2.997, right to within 0.0004 of the
    normal's quantile between -3 and 3, none beyond 3.74. Made for sums; where a single number's tail counts (an event
    that happens beyond 3.5 standard deviations), take ``normal``.

    Args:
        word: 64 random bits, from ``bits``.
        place: 0 to 4; which twelve bits to read. Bits 60 to 63 stay unread, and so do places not asked for.
    """
    return float(_QUANTILES[(word >> (np.uint64(place) * _QUANTILE_BITS)) & _QUANTILE_MASK])


@compiled
def white(key: Key, lane: int, first_minute: int, n: int) -> Floats:
    """Independent standard normals of ``n`` minutes from ``first_minute`` on (absolute, may be negative)."""
    own = lane_key(key, lane)
    out = np.empty(n)
    for i in range(n):
        out[i] = normal_at(own, np.uint64(first_minute + i))
    return out


@compiled
def uniform(key: Key, lane: int, first_minute: int, n: int) -> Floats:
    """Independent uniform numbers in (0, 1) of ``n`` minutes from ``first_minute`` on."""
    own = lane_key(key, lane)
    out = np.empty(n)
    for i in range(n):
        out[i] = unit(bits(own, np.uint64(first_minute + i)))
    return out


@compiled
def wander(key: Key, lane: int, time_constant_minutes: float, first_minute: int, n: int) -> Floats:
    """A slow process of mean 0 and standard deviation 1 whose autocorrelation falls as exp(-lag/time constant).

    An AR(1) process on a grid as coarse as the time constant allows, linear in between. Whoever asks for overlapping
    stretches gets the same values to within 1e-4.

    Args:
        key: From ``time_key``.
        lane: Which of many independent processes.
        time_constant_minutes: At least 1.
        first_minute: Absolute minute of the first value.
        n: How many minutes.
    """
    out = np.zeros(n)
    add_wander(out, 1.0, key, lane, time_constant_minutes, first_minute)
    return out


@compiled
def add_wander(
    out: NDArray[np.floating], size: float, key: Key, lane: int, time_constant_minutes: float, first_minute: int
) -> None:
    """Add ``size`` times ``wander`` to the minutes of ``out``, in place, in its precision."""
    own = lane_key(key, lane)
    step = max(1, int(time_constant_minutes / _KNOTS_PER_TIME_CONSTANT))
    keep = np.exp(-step / time_constant_minutes)
    gain = size * np.sqrt(1.0 - keep * keep)
    knot = first_minute // step
    here = 0.0
    for k in range(knot - int(_MEMORY * time_constant_minutes / step) - 1, knot + 1):
        here = keep * here + gain * quantile_normal(bits(own, np.uint64(k)), 0)
    if step == 1:
        for i in range(out.size):
            out[i] += here
            here = keep * here + gain * quantile_normal(bits(own, np.uint64(knot + 1 + i)), 0)
        return
    following = keep * here + gain * quantile_normal(bits(own, np.uint64(knot + 1)), 0)
    place = first_minute - knot * step
    for i in range(out.size):
        if place == step:
            place = 0
            knot += 1
            here = following
            following = keep * here + gain * quantile_normal(bits(own, np.uint64(knot + 1)), 0)
        out[i] += here + place * (following - here) / step
        place += 1
