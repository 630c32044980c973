"""The order path, first version: one process owns the account, every quoter trades through it.

It stands where the Rust engine will stand and speaks the same port; pure parts: gate, orders, budget.
"""
