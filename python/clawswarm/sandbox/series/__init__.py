"""Up/down series that roll by themselves, and the standing markets beside them."""
