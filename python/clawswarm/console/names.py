"""Names of markets as a person reads them."""


def shortened(name: str, width: int) -> str:
    """A long name with both its ends: markets of a series differ in the last one."""
    tail = width // 2
    return name if len(name) <= width else f"{name[: width - tail - 1]}…{name[-tail:]}"
