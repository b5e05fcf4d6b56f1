"""Whole numbers taken apart: primes and divisors, which factors of loops are made of."""

from functools import lru_cache
from math import inf

_LAST_DIVISOR = 10_000  # tried one by one


@lru_cache(maxsize=4096)
def prime_factors(number: int) -> tuple[int, ...]:
    """The primes of a positive integer, smallest first, with multiplicity."""
    primes: list[int] = []
    divisor = 2
    while divisor * divisor <= number:
        if divisor > _LAST_DIVISOR:
            from sympy import factorint  # takes a moment to import, and few bounds have such primes

            rest = factorint(number)
            return (*primes, *(prime for prime in sorted(rest) for _ in range(rest[prime])))
        while number % divisor == 0:
            primes.append(divisor)
            number //= divisor
        divisor += 1
    return (*primes, number) if number > 1 else tuple(primes)


@lru_cache(maxsize=65536)
def divisors(number: int, most: float = inf) -> tuple[int, ...]:
    """The divisors of a positive integer up to a limit, smallest first."""
    found = {1}
    for prime in prime_factors(number):
        found |= {divisor * prime for divisor in found}
    return tuple(sorted(divisor for divisor in found if divisor <= most))
