"""Timings anyone can repeat: `make bench`."""
