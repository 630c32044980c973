"""Shapes of JSON: which names and types a body has, and what one body lacks of another's."""

from collections.abc import Iterator

_NAMES = {dict: "object", list: "array", str: "string", bool: "boolean", int: "number", float: "number"}


def kind(value: object) -> str:
    """JSON's name of a value's type."""
    return "null" if value is None else _NAMES[type(value)]


def differences(expected: object, found: object, where: str = "$") -> Iterator[str]:
    """Names of `expected` that `found` lacks, and values of another type.

    Names that only `found` has are no difference. Of an array the first element stands for all; an empty one
    says nothing. In an object keyed by token ids, order ids or conditions any key stands for any other.
    """
    if kind(expected) != kind(found):
        yield f"{where}: {kind(expected)} expected, {kind(found)} found"
    elif isinstance(expected, dict) and isinstance(found, dict):
        if expected and found and _is_keyed_by_ids(expected):
            first, other = next(iter(expected.values())), next(iter(found.values()))
            yield from differences(first, other, f"{where}.*")
            return
        for name, value in expected.items():
            if name in found:
                yield from differences(value, found[name], f"{where}.{name}")
            else:
                yield f"{where}.{name}: missing"
    elif isinstance(expected, list) and isinstance(found, list) and expected and found:
        yield from differences(expected[0], found[0], f"{where}[]")


def _is_keyed_by_ids(body: dict[str, object]) -> bool:
    return all(name.isdigit() or name.startswith("0x") for name in body)
