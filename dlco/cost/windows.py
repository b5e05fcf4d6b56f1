"""Windows over children where tiles are cut short: which of the children need the same words at once, exactly.

Two dimensions a and b of one rank, coefficients c and k, lie over the children of one level: child (i, j) holds the
words from s_a i + s_b j on, s being coefficients times what children are apart. Who receives the same words as another
child at the same step is served together with it. In each dimension there are few situations of a group of children:
all A of them have a whole tile, or the last of them one that is cut short; or there are fewer. Of every pair of
situations the children with whole tiles both ways form a grid, those cut short a row, a column and a corner. With g
the greatest common divisor of s_a and s_b,

    within the grid     (A - s_b/g)+ (B - s_a/g)+ children repeat another one's words;
    row and column      repeat each other's where their words are as many: wherever they begin at one place.

What slides in along a is what the tile before it did not hold. It is as much for whole tiles of b as for cut ones, but
begins further on by their difference: then the row may also repeat the grid's words.

The children's words, each pair of situations as often as it comes, add up to what is asked for. Where windows lie over
children of several levels in turn (those between bypassing the words), or have three dimensions, children are listed
(`dlco.cost.listing`).
"""

from dataclasses import dataclass
from functools import cached_property

import torch


@dataclass(frozen=True)
class Line:
    """Tiles of one dimension, over the children of one level; `[k]` whole numbers all.

    Attributes:
        coefficient: words that one iteration moves by.
        bound: iterations.
        extent: iterations of a whole tile.
        stride: tiles that the loop which slides a tile steps by; `period`: its iterations, 1 where none slides it.
        inner: tiles that a child gets one after the other.
        children: of a group.
    """

    coefficient: torch.Tensor
    bound: torch.Tensor
    extent: torch.Tensor
    stride: torch.Tensor
    period: torch.Tensor
    inner: torch.Tensor
    children: torch.Tensor

    @property
    def apart(self) -> torch.Tensor:
        """Words from a child to the next."""
        return self.coefficient * self.extent * self.inner

    @property
    def slide(self) -> torch.Tensor:
        """Iterations that a tile slides by."""
        return self.extent * self.stride

    @cached_property
    def situations(self) -> "Situations":
        """All that a group of children may be in."""
        n, inner = self.children, self.inner
        tiles = (self.bound / self.extent).ceil()
        groups = (tiles / (n * inner)).ceil()
        left = tiles - (groups - 1) * n * inner  # tiles of the last group
        working = (left / inner).ceil()
        last = left - (working - 1) * inner  # tiles of its last child, the last of which may be cut short
        cut = self.bound - (tiles - 1) * self.extent
        within = self.stride < n * inner  # whether the slide is one of the tiles of a child
        turns = torch.where(within, self.period, 1.0)
        slid = (torch.where(within, 1.0, self.stride / (n * inner)), torch.where(within, 1.0, self.period))
        begins = firsts(groups, *slid) - firsts(groups - 1, *slid)

        def begun(until: torch.Tensor) -> torch.Tensor:
            return begins * (until / turns).ceil()

        rows = [
            (n, self.extent, (groups - 1) * inner, firsts(groups - 1, *slid) * (inner / turns).ceil()),
            (working, cut, torch.ones_like(last), begun(last) - begun(last - 1)),
        ]
        if bool((inner > 1).any()):
            rows.append((working, self.extent, last - 1, begun(last - 1)))
            rows.append((working - 1, self.extent, inner - last, begun(inner) - begun(last)))
        return Situations(*(torch.stack(column) for column in zip(*rows, strict=True)))


@dataclass(frozen=True)
class Situations:
    """What groups of children are in, `[situations, k]`.

    Attributes:
        children: that work; `last`: iterations of the last one's tile, those of others are whole.
        comes: how often; `first`: of these, at how many steps no tile slides.
    """

    children: torch.Tensor
    last: torch.Tensor
    comes: torch.Tensor
    first: torch.Tensor

    def laid(self, axis: int) -> "Situations":
        """Against those of another dimension: `[situations, 1, k]`, or `[1, situations, k]`."""
        rows = (self.children, self.last, self.comes, self.first)
        return Situations(*(row.unsqueeze(axis) for row in rows))


def firsts(count: torch.Tensor, stride: torch.Tensor, period: torch.Tensor) -> torch.Tensor:
    """How many of the numbers below `count` a loop is at its first iteration for, that steps by `stride`."""
    turn = stride * period
    whole = (count / turn).floor()
    return whole * stride + torch.minimum(count - whole * turn, stride)


def asked_share(a: Line, b: Line) -> torch.Tensor:
    """Words that children ask for together over those that they receive, `[k]`; at most one of the lines slides."""
    one, other = a.situations.laid(1), b.situations.laid(0)
    asked, received = words_at(a, one, b, other, slides=False)
    often = one.first * other.first
    asked, received = (asked * often).sum((0, 1)), (received * often).sum((0, 1))
    for line, own, across, rest in ((a, one, b, other), (b, other, a, one)):
        if bool((line.period > 1).any()):
            often = (own.comes - own.first) * rest.comes
            more, every = words_at(line, own, across, rest, slides=True)
            asked, received = asked + (more * often).sum((0, 1)), received + (every * often).sum((0, 1))
    return asked / received


def words_at(
    a: Line, one: Situations, b: Line, other: Situations, *, slides: bool
) -> tuple[torch.Tensor, torch.Tensor]:
    """(words that children ask for together, words that they receive) at a step at which tiles slide along `a`, or not.

    Of all pairs of the lines' situations, `laid` against each other.
    """
    cut_a, cut_b = (one.last < a.extent).to(a.extent), (other.last < b.extent).to(b.extent)
    many_a, many_b = one.children - cut_a, other.children - cut_b  # with whole tiles
    box = 1 + a.coefficient * (a.extent - 1) + b.coefficient * (b.extent - 1)
    less_a, less_b = a.coefficient * (a.extent - one.last), b.coefficient * (b.extent - other.last)
    held = (box - a.coefficient * a.slide).clamp(min=0) if slides else torch.zeros_like(box)
    held_cut = (held - less_b).clamp(min=0)
    grid, row = box - held, box - less_b - held_cut
    received = many_b * (many_a * grid + cut_a * (grid - less_a)) + cut_b * (many_a * row + cut_a * (row - less_a))
    step = torch.gcd(a.apart.long(), b.apart.long()).to(box)
    again = (many_a - b.apart / step).clamp(min=0) * (many_b - a.apart / step).clamp(min=0) * grid
    on_grid, on_column = (cut_b > 0) & (row == grid), (cut_a > 0) & (cut_b > 0) & (row == grid - less_a)
    if bool((on_grid | on_column).any()):
        nearest, crossings = _meetings(a.apart, b.apart, held - held_cut, many_a, many_b)
        again = again + row * (on_grid * (many_a - nearest).clamp(min=0) + on_column * crossings)
    return received - again, received


def _meetings(
    a: torch.Tensor, b: torch.Tensor, ahead: torch.Tensor, many_a: torch.Tensor, many_b: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """(least u, number of u up to `many_a`) of a u = b v - ahead, for some v of 1 .. `many_b`."""
    shape = torch.broadcast_shapes(ahead.shape, many_a.shape, many_b.shape)
    nearest, crossings = torch.full(shape, torch.inf, dtype=a.dtype, device=a.device), a.new_zeros(shape)
    for v in range(1, int(many_b.max()) + 1):
        u = (b * v - ahead) / a
        meets = (u == u.round()) & (v <= many_b)
        nearest = torch.minimum(nearest, torch.where(meets, u, torch.inf))
        crossings = crossings + (meets & (u <= many_a))
    return nearest, crossings
