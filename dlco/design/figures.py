"""Numbers as people read them: with decimal prefixes, units, and in bytes."""

import re
from math import floor, isfinite, log10

_PREFIXES = {-15: "f", -12: "p", -9: "n", -6: "u", -3: "m", 0: "", 3: "k", 6: "M", 9: "G", 12: "T", 15: "P"}
RAISED = str.maketrans("0123456789-", "⁰¹²³⁴⁵⁶⁷⁸⁹⁻")
_UNPREFIXED = ("mm2", "pJ x cycles")  # a prefix of a square or a product would not say of what
_MICRO = re.compile(r"(?<=\d) u(?=[JWs]\b)")
_POWER = re.compile(r"(?<=\d)e\+?(-?\d+)(?= pJ x cycles)")


def si(value: float, unit: str = "") -> str:
    """Three significant digits with a decimal prefix: 0.0123 and "J" make "12.3 mJ"; whole numbers below 1000 as is."""
    if not isfinite(value) or (value == int(value) and abs(value) < 1000):
        return f"{value:g} {unit}".rstrip()
    exponent = floor(log10(abs(float(f"{value:.2e}"))))  # of the rounded value: 999.9 is 1.00 k
    power = exponent // 3 * 3
    if power not in _PREFIXES:
        return f"{value:.2e} {unit}".rstrip()
    return f"{value / 10.0**power:.{2 - (exponent - power)}f} {_PREFIXES[power]}{unit}".rstrip()


def with_unit(value: float, unit: str) -> str:
    """A value with its unit; prefixes only where the unit takes them."""
    return f"{value:.4g} {unit}" if unit in _UNPREFIXED else si(value, unit)


def pretty(text: str) -> str:
    """A text with units as they are printed: mm², µ, powers of ten, and a dot between factors."""
    text = _POWER.sub(lambda m: f"×10{str(int(m.group(1))).translate(RAISED)}", text)
    return _MICRO.sub(" µ", text.replace("mm2", "mm²").replace("pJ x cycles", "pJ·cycles"))


def scaled(largest: float, unit: str) -> tuple[float, str]:
    """What to divide by, and the unit, so that values up to `largest` read well: (1e-3, "mJ") for 0.02 J."""
    if unit in _UNPREFIXED or not isfinite(largest) or largest <= 0:
        return 1.0, unit
    power = min(max(floor(log10(largest)) // 3 * 3, -15), 15)
    return 10.0**power, _PREFIXES[power] + unit


def memory_text(bits: float) -> str:
    """A number of bits as people read the size of a memory, such as "182 KiB"."""
    return f"{bits / 8192:,.3g} KiB" if bits < 8192 * 1024 else f"{bits / 8192 / 1024:.3g} MiB"
