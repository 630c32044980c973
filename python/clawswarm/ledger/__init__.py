"""The ledger: fills with evidence, positions and cash as a projection of journals, reconciliation."""
