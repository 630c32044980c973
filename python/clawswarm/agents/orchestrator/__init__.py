"""Orchestrator: selects markets and hands out mandates."""
