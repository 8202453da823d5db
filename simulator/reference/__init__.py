"""Raw reference paths: a few hours at sensor rate, slow and exact, that the fast minute signals are held to."""
