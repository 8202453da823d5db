"""Hypothesis strategies: sizes, seeds and masks; never float tensors."""

from hypothesis import strategies as st

from model.masking import Grid, MaskMix

seeds = st.integers(0, 2**32 - 1)
grids = st.builds(Grid, rows=st.integers(2, 26), columns=st.integers(2, 40))
shares = st.floats(0.05, 0.95)
odds = st.lists(st.integers(0, 3), min_size=1, max_size=7).filter(any).map(tuple)
mixes = st.builds(MaskMix, random=shares, time=shares, signal=shares, columns=shares, end=shares, weights=odds)
