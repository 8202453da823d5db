"""PEOPLE -> RECORDINGS: simulated people, their days, and what a watch makes of them. Never imports torch."""
