"""The papers' tables, re-made on simulated people."""
