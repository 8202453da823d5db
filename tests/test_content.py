"""The hash of a set: order, pieces and the way there change nothing, every element does."""

import hashlib
from random import Random

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulator.content import LANES, Content


@given(st.lists(st.binary(max_size=8), max_size=6), st.integers(0, 6), st.randoms(use_true_random=False))
def test_order_and_pieces_change_nothing(elements: list[bytes], cut: int, random: Random) -> None:
    whole = Content.of(*elements)
    shuffled = list(elements)
    random.shuffle(shuffled)
    joined = Content.from_text(Content.of(*shuffled[:cut]).text)
    joined.join(Content.of(*shuffled[cut:]))
    assert joined.sha256 == whole.sha256
    assert joined.text == whole.text


@given(st.lists(st.binary(max_size=8), max_size=5), st.binary(max_size=8))
def test_one_more_element_changes_it_also_if_it_is_there_already(elements: list[bytes], more: bytes) -> None:
    assert Content.of(*elements).sha256 != Content.of(*elements, more).sha256


def test_it_is_the_sum_that_a_loop_finds() -> None:
    sums = [0] * LANES
    for element in (b"one", b"two", b"two"):
        expanded = hashlib.shake_256(element).digest(2 * LANES)
        for lane in range(LANES):
            sums[lane] = (sums[lane] + int.from_bytes(expanded[2 * lane : 2 * lane + 2], "little")) % 2**16
    expected = hashlib.sha256(np.array(sums, dtype="<u2").tobytes()).hexdigest()
    assert Content.of(b"two", b"one", b"two").sha256 == expected


@pytest.mark.parametrize("text", ["?", "AAAA", "ä"])
def test_what_is_no_content_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="content"):
        Content.from_text(text)
