"""Market quoter: prices, skews against inventory, keeps two-sided quotes."""
