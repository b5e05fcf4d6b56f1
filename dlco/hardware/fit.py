"""Where the constants of `technology` come from: `python -m dlco.hardware.fit` prints them again.

Every curve is the posynomial of at most three terms, exponents in quarters (capacity) and halves (width), that has
the least squared error of the logarithm over the estimates in `data/accelergy_45nm.csv` (Accelergy 0.4 with CACTI 7
and Aladdin, 45 nm). All choices of terms are tried; for each, Gauss-Newton finds the coefficients.
"""

import csv
from dataclasses import dataclass
from importlib.resources import files
from itertools import combinations, product

import torch

from dlco.hardware.posynomial import Posynomial, Term

QUARTERS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
HALVES = (0.0, 0.5, 1.0, 1.5)
# Accelergy's MAC is an exact quadratic in its operand width; more exponents would only fit its rounding.
MAC_EXPONENTS = (1.0, 2.0)


@dataclass(frozen=True)
class Estimates:
    """The estimates of one class of component.

    Attributes:
        size: `[n]`; bits of an SRAM, words of a register file, operand bits of a MAC.
        width: `[n]`; bits an access of an SRAM, 1 for the others (their estimates do not depend on it).
        values: by quantity ("read_pj", "write_pj", "leak_pj", "area_um2"), `[n]` each; units as in `MemoryCost`.
    """

    size: torch.Tensor
    width: torch.Tensor
    values: dict[str, torch.Tensor]


def load_estimates(component: str) -> Estimates:
    """The rows of the table whose class is `component`: "SRAM", "regfile", "intmac" or "DRAM"."""
    with files("dlco.hardware").joinpath("data/accelergy_45nm.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["cls"] == component]

    def column(name: str) -> torch.Tensor:
        return torch.tensor([float(row[name] or "nan") for row in rows], dtype=torch.float64)

    width = column("width_bits")
    sizes = {"SRAM": column("depth") * width, "regfile": column("depth")}
    names = {"read_pj": "read_pj", "write_pj": "write_pj", "leak_pj": "leak_pj_per_cycle", "area_um2": "area_um2"}
    return Estimates(
        size=sizes.get(component, width),
        width=width if component == "SRAM" else torch.ones_like(width),
        values={quantity: column(name) for quantity, name in names.items()},
    )


def best_posynomial(
    size: torch.Tensor,
    width: torch.Tensor,
    value: torch.Tensor,
    size_exponents: tuple[float, ...],
    width_exponents: tuple[float, ...],
    max_terms: int = 3,
) -> Posynomial:
    """The posynomial of least root-mean-square logarithmic error at the points.

    Args:
        size: `[n]` sizes.
        width: `[n]` widths.
        value: `[n]` positive values to meet.
        size_exponents: exponents of the size to choose from.
        width_exponents: exponents of the width to choose from.
        max_terms: terms it may have at most.

    Returns:
        The best one, its coefficients rounded to 6 significant digits.
    """
    menu = torch.tensor(list(product(size_exponents, width_exponents)), dtype=torch.float64)
    laws = size[:, None] ** menu[:, 0] * width[:, None] ** menu[:, 1]  # [n, menu]
    best = (torch.inf, Posynomial(()))
    for count in range(1, min(max_terms, len(menu)) + 1):
        choices = torch.tensor(list(combinations(range(len(menu)), count)))
        coefficients, errors = _fit_logarithms(laws[:, choices].movedim(1, 0), value, steps=10)
        # Ten steps tell which choices are worth a hundred.
        close = errors.topk(min(20, len(errors)), largest=False).indices
        coefficients, errors = _fit_logarithms(laws[:, choices[close]].movedim(1, 0), value, steps=100)
        winner = int(errors.argmin())
        if errors[winner] < best[0] - 1e-9:  # another term must be worth having
            terms = zip(coefficients[winner].tolist(), menu[choices[close[winner]]].tolist(), strict=True)
            best = (float(errors[winner]), Posynomial(tuple(Term(float(f"{c:.6g}"), p, q) for c, (p, q) in terms)))
    return best[1]


def _fit_logarithms(laws: torch.Tensor, value: torch.Tensor, steps: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Coefficients `[choices, terms]` for laws `[choices, n, terms]`, and errors `[choices]` (inf: one is negative).

    A step of Gauss-Newton on sum (log p - log v)^2 with p = laws c is the linear problem (laws / p) c = 1 - log(p / v);
    starting at p = v its first step minimises the relative error.
    """
    scale = laws.mean(1, keepdim=True)
    laws = laws / scale
    fitted = value.expand(laws.shape[:2])
    for _ in range(steps):
        target = 1 - (fitted / value).log()
        c = torch.linalg.lstsq(laws / fitted[..., None], target[..., None]).solution
        valid = (c > 0).all(1)  # fewer terms are tried too, so a choice that wants a negative one can go
        fitted = torch.where(valid, (laws @ c).squeeze(-1), value)
    error = (fitted / value).log().square().mean(-1).sqrt()
    return (c / scale.mT).squeeze(-1), torch.where(valid.squeeze(-1), error, torch.inf)


def refit() -> dict[str, dict[str, Posynomial]]:
    """All curves, by component ("SRAM", "regfile", "intmac") and quantity."""
    curves: dict[str, dict[str, Posynomial]] = {}
    for component in ("SRAM", "regfile", "intmac"):
        rows = load_estimates(component)
        sizes = MAC_EXPONENTS if component == "intmac" else QUARTERS
        widths = HALVES if component == "SRAM" else (0.0,)
        curves[component] = {
            quantity: best_posynomial(rows.size, rows.width, value, sizes, widths)
            for quantity, value in rows.values.items()
            if not value.isnan().any()
        }
    return curves


def relative_error(curve: Posynomial, rows: Estimates, quantity: str) -> torch.Tensor:
    """Signed relative error of a curve at each estimate, `[n]`."""
    return curve(rows.size, rows.width) / rows.values[quantity] - 1


def main() -> None:
    """Print each curve with its mean and largest relative error."""
    for component, curves in refit().items():
        rows = load_estimates(component)
        for quantity, curve in curves.items():
            error = relative_error(curve, rows, quantity).abs()
            print(f"{component:8s}{quantity:9s} mean {error.mean():6.1%}  max {error.max():6.1%}")
            for term in curve.terms:
                print(f"    Term({', '.join(f'{number:.6g}' for number in term)})")


if __name__ == "__main__":
    main()
