"""Polymarket CLOB V2: wire, feeds, order entry, instruments."""
