"""GUARANTEES: differential privacy for each person, planned, enforced, and written down."""
