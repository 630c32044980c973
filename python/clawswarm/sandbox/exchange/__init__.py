"""The exchange as a pure state machine: accounts, books, matching, settlement."""
