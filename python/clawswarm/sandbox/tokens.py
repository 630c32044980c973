"""Ids of the venue's markets: hashes of seed and slug, so the same scenario has the same markets in every run."""

import hashlib

_TOKEN_DIGITS = 77


def condition_of(seed: int, slug: str) -> str:
    """Condition id."""
    return _hash("condition", seed, slug)


def question_id_of(seed: int, slug: str) -> str:
    """Question id."""
    return _hash("question", seed, slug)


def token_of(seed: int, slug: str, *, is_yes: bool) -> str:
    """Token id of an outcome: 77 decimal digits."""
    smallest: int = 10 ** (_TOKEN_DIGITS - 1)
    root = f"{'yes' if is_yes else 'no'}:{seed}:{slug}"
    number = int.from_bytes(hashlib.sha256(root.encode()).digest(), "big")
    return str(smallest + number % (9 * smallest))


def _hash(what: str, seed: int, slug: str) -> str:
    return "0x" + hashlib.sha256(f"{what}:{seed}:{slug}".encode()).hexdigest()
