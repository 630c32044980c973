"""The nouns every room shares; this room imports no other."""
