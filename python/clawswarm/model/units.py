"""Integer units and the only conversions between them and the decimals of a wire.

Prices are integers in 1e-4 (`_e4`), sizes and money integers in 1e-6 (`_e6`, the chain's unit).
"""

from decimal import Context, Inexact, InvalidOperation, Overflow
from functools import lru_cache

from clawswarm.model.errors import WireFault

PRICE_ONE_E4 = 10_000
MICRO = 1_000_000

# What does not fit is refused; the ambient context would round it to 28 digits.
_EXACT = Context(prec=40, Emin=-40, Emax=40, traps=[InvalidOperation, Inexact, Overflow])


def parse_scaled(text: str, scale: int, what: str) -> int:
    """Return the decimal `text` times `scale` as an exact integer.

    Raises WireFault when it is no finite decimal of 40 digits or finer than the scale: unknown is never a value.
    """
    try:
        scaled = _EXACT.multiply(_EXACT.create_decimal(text), scale)
        if scaled == (whole := int(scaled)):
            return whole
    except (ArithmeticError, ValueError) as fault:
        raise WireFault(f"{what} {text!r} is not a decimal number of at most 40 digits") from fault
    raise WireFault(f"{what} {text!r} is finer than 1/{scale}")


def parse_price_e4(text: str) -> int:
    """Read a wire price such as "0.455" (1e-4 at the finest)."""
    return parse_scaled(text, PRICE_ONE_E4, "price")


def parse_e6(text: str) -> int:
    """Read a wire size or amount such as "12.5" (1e-6 at the finest)."""
    return parse_scaled(text, MICRO, "amount")


def format_scaled(value: int, scale: int) -> str:
    """Write `value / scale` as the shortest plain decimal ("0.5", "12", never "1e-4")."""
    sign, whole = ("-" if value < 0 else ""), abs(value)
    integer, rest = divmod(whole, scale)
    if rest == 0:
        return f"{sign}{integer}"
    digits = str(rest).rjust(len(str(scale)) - 1, "0").rstrip("0")
    return f"{sign}{integer}.{digits}"


@lru_cache(PRICE_ONE_E4)
def format_price(price_e4: int) -> str:
    """Write a price in 1e-4 as a decimal."""
    return format_scaled(price_e4, PRICE_ONE_E4)


@lru_cache(PRICE_ONE_E4)
def format_e6(value_e6: int) -> str:
    """Write a size or amount in 1e-6 as a decimal."""
    return format_scaled(value_e6, MICRO)


def notional_e6(price_e4: int, size_e6: int) -> int:
    """Money in 1e-6 that `size_e6` shares cost at `price_e4`, rounded up (never too little is set aside)."""
    return -(-price_e4 * size_e6 // PRICE_ONE_E4)
