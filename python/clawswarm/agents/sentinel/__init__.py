"""Data sentinel: keeps the venue's market data and streams it to the quoters."""
