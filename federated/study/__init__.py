"""Experiments as records, and reports drawn from records alone."""
