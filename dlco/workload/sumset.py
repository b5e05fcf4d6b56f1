"""How many values a sum of dimensions, each times a coefficient, takes: the positions of a rank that some MAC uses."""

from collections.abc import Iterable
from itertools import combinations
from math import gcd

Term = tuple[int, int]  # coefficient, bound

_LARGEST_TABLE = 1 << 26  # bits


def distinct_sums(terms: Iterable[Term]) -> int:
    """The number of distinct values of sum_i c_i x_i over integers 0 <= x_i < b_i.

    Exact by arithmetic for two terms, and for more where they fill an arithmetic progression or lie apart; else counted
    in a table of bits. Where that would take more than 8 MiB it is a number that is not above the truth.

    Args:
        terms: (c_i, b_i), positive integers.

    Examples:
        >>> distinct_sums([(1, 3), (1, 12)]), distinct_sums([(1, 2), (3, 6)])
        (14, 12)
    """
    left = sorted((c, b) for c, b in terms if b > 1)
    if not left:
        return 1
    if len(left) == 1:
        return left[0][1]
    common = gcd(*(c for c, _ in left))
    left = [(c // common, b) for c, b in left]
    if len(left) == 2:
        # x and y meet what x - c2 and y + c1 meet, and nothing else does: one of each pair counts.
        (c1, b1), (c2, b2) = left
        return b1 * b2 - max(0, b1 - c2) * max(0, b2 - c1)
    step, last, apart = left[0][0], 0, []
    for c, b in left:
        if c % step == 0 and c <= last + step:  # the progression 0, step .. last goes on without a gap
            last += c * (b - 1)
        else:
            apart.append((c, b))
    if not apart:
        return last // step + 1
    if gcd(*(c for c, _ in apart)) > last:  # copies of the progression that do not touch
        return (last // step + 1) * distinct_sums(apart)
    if sum(c * (b - 1) for c, b in left) < _LARGEST_TABLE:
        return _counted(left)
    return max(distinct_sums(pair) for pair in combinations([*left, (step, last // step + 1)], 2))


def _counted(terms: list[Term]) -> int:
    """The number of values, as bits of a number that are set."""
    table = 1
    for c, b in terms:
        done = 1
        while done < b:
            more = min(done, b - done)
            table |= table << c * more
            done += more
    return table.bit_count()
