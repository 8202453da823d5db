"""How real a dataset looks: published norms, computed on it, each with an interval, a band and a verdict."""
