"""The simulated venues and their participants, on the same wire as the real ones; never uses `_core`."""
