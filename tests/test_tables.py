"""Tables as one private release: what a person can change, what the noise is, and what consistency keeps."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from privacy.plan import PrivacyError, epsilon, gaussian_event
from privacy.tables import DRAWN, TableDesign, consistent, estimated_people, noise_multiplier, noised, total_variation

SMALL = TableDesign(bins=(3, 2, 4), pairs=((0, 1), (1, 2)))


@st.composite
def designs(draw: st.DrawFn) -> TableDesign:
    bins = tuple(draw(st.lists(st.integers(1, 5), min_size=1, max_size=6)))
    every = [(a, b) for a in range(len(bins)) for b in range(a + 1, len(bins))]
    pairs = draw(st.lists(st.sampled_from(every), unique=True)) if every else []
    return TableDesign(bins=bins, pairs=tuple(pairs))


def rows(data: st.DataObject, design: TableDesign, people: int) -> NDArray[np.uint8]:
    """Any bytes at all, also such as are no bin."""
    cells = data.draw(
        st.lists(st.integers(0, 255), min_size=people * len(design.bins), max_size=people * len(design.bins))
    )
    return np.array(cells, dtype=np.uint8).reshape(people, len(design.bins))


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_adding_any_person_changes_all_cells_by_the_bound_and_no_more(data: st.DataObject) -> None:
    design = data.draw(designs())
    people = rows(data, design, data.draw(st.integers(0, 6)))
    another = rows(data, design, 1)
    change = design.count(np.concatenate([people, another])) - design.count(people)
    assert np.linalg.norm(change) == pytest.approx(design.sensitivity, rel=1e-12)  # exactly, whoever it is
    assert change.min() >= 0
    assert change.sum() == len(design.tables)
    assert len(change) == design.cells  # a shape that nobody changes


@given(st.data())
@settings(max_examples=30, deadline=None)
def test_counts_are_those_of_a_loop_over_people(data: st.DataObject) -> None:
    design = data.draw(designs())
    people = rows(data, design, 5)
    slow = {table: np.zeros(design.shape(table), dtype=np.int64) for table in design.tables}
    for person in people:
        for table in design.tables:
            slow[table][tuple(min(int(person[a]), design.bins[a] - 1) for a in table)] += 1
    found = design.split(design.count(people))
    assert all((found[table] == slow[table]).all() for table in design.tables)
    assert (design.join(found) == design.count(people)).all()


def test_noise_has_the_deviation_that_rho_asks_for_and_no_mean() -> None:
    rho, draws = 0.1, 40
    counts = np.arange(SMALL.cells)
    noise = np.concatenate([noised(counts, SMALL, rho) - counts for _ in range(draws)])
    deviation = SMALL.sensitivity * noise_multiplier(rho) * DRAWN
    assert noise.dtype == np.int64
    assert abs(noise.mean()) < 5 * deviation / math.sqrt(len(noise))
    assert abs(noise.var() / deviation**2 - 1) < 5 * math.sqrt(2 / len(noise))


@pytest.mark.parametrize("rho", [0.01, 0.1, 1.0])
@pytest.mark.parametrize("delta", [1e-8, 1e-5, 1e-3])
def test_a_discrete_gaussian_on_many_tables_costs_what_the_gaussian_event_says(rho: float, delta: float) -> None:
    """The exact delta of the privacy loss of 64 cells that move by one, at the epsilon that the ledger charges."""
    tables, multiplier = 64, noise_multiplier(rho)
    deviation = math.sqrt(tables) * multiplier * DRAWN
    charged = epsilon(gaussian_event(1.0, multiplier, 1), delta)
    reach = round(12 * deviation)
    x = np.arange(-reach, reach + 1)
    one = np.exp(-(x**2) / (2 * deviation**2))
    one /= one.sum()
    n = 1 << math.ceil(math.log2(tables * (2 * reach + 1)))
    total = np.fft.irfft(np.fft.rfft(one, n) ** tables, n)[: tables * 2 * reach + 1]  # of the sum of the 64 noises
    moved = np.arange(len(total)) - tables * reach
    for loss in ((moved * 2 + tables) / (2 * deviation**2), (tables - moved * 2) / (2 * deviation**2)):
        spent = float((np.maximum(total, 0) * np.maximum(1 - np.exp(charged - loss), 0)).sum())
        assert delta * 0.95 < spent <= delta


def test_tables_become_shares_that_are_possible_and_agree() -> None:
    rng = np.random.default_rng(1)
    people = np.stack([rng.integers(0, 3, 4000), rng.integers(0, 2, 4000), rng.integers(0, 3, 4000)], axis=1)
    people[:, 2] = np.where(people[:, 1] == 1, people[:, 2], 0)  # dependent, and a bin that nobody is in
    true = {table: cells / 4000 for table, cells in SMALL.split(SMALL.count(people)).items()}
    noisy = noised(SMALL.count(people), SMALL, 0.02)
    shares = consistent(noisy, SMALL)
    assert estimated_people(noisy, SMALL) == pytest.approx(4000, rel=0.05)
    for table, cells in shares.items():
        assert cells.min() >= 0
        assert cells.sum() == pytest.approx(1)
        if len(table) == 2:
            assert cells.sum(axis=1) == pytest.approx(shares[table[:1]], abs=1e-6)
            assert cells.sum(axis=0) == pytest.approx(shares[table[1:]], abs=1e-6)
        raw = SMALL.split(noisy)[table] / 4000
        assert total_variation(cells, true[table]) <= total_variation(raw, true[table]) + 0.005


def test_no_people_at_all_is_a_release_like_any_other() -> None:
    noisy = noised(SMALL.count(np.zeros((0, 3), dtype=np.uint8)), SMALL, 0.1)
    assert noisy.shape == (SMALL.cells,)
    assert all(np.isfinite(cells).all() for cells in consistent(noisy, SMALL).values())


@pytest.mark.parametrize(
    "what",
    [
        lambda: TableDesign(bins=()),
        lambda: TableDesign(bins=(2, 0)),
        lambda: TableDesign(bins=(2, 2), pairs=((1, 0),)),
        lambda: TableDesign(bins=(2, 2), pairs=((0, 1), (0, 1))),
        lambda: noise_multiplier(0.0),
        lambda: noise_multiplier(math.inf),
        lambda: SMALL.count(np.zeros((4, 2), dtype=np.uint8)),
    ],
)
def test_what_cannot_be_released_is_refused(what: object) -> None:
    assert callable(what)
    with pytest.raises(PrivacyError):
        what()
