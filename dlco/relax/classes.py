"""What is fixed in a relaxed problem, and how it improves between two solves.

The class of a layer's mapping says in which order the temporal loops of every level stand and which loops exist at
all. Within a class the model is smooth. Between solves, at the factors found: the orders of single levels and of pairs
of levels are tried side by side; every dimension of a level with two axes goes to one of them; and at each level the
loops that move a dataspace are dropped together where that pays, so that it stays in place through the level.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import combinations

import torch

from dlco.mapping.mapping import SPATIAL_X, SPATIAL_Y, TEMPORAL
from dlco.search.group import Group

BARELY = 1e-9  # the log of a factor of a loop that is there, but does next to nothing

Merit = Callable[[torch.Tensor, "Classes"], torch.Tensor]
"""Of logs `[..., starts, layers, slots, live]` and classes of the same leading dimensions: `[..., starts, layers]`,
lower is better."""


@dataclass(frozen=True)
class Classes:
    """The class of every start and layer of one group.

    Attributes:
        position: `[starts, layers, levels, dims]` place of each temporal loop in its level, int8.
        open: BoolTensor `[starts, layers, slots, live]`: where factors may be above 1; the others are 1.
    """

    position: torch.Tensor
    open: torch.Tensor

    def select(self, starts: torch.Tensor) -> "Classes":
        """Those of some starts."""
        return Classes(self.position[starts], self.open[starts])

    def where(self, mask: torch.Tensor, other: "Classes") -> "Classes":
        """These for starts in the mask `[starts]`, the other for all else."""
        wide = mask[:, None, None, None]
        return Classes(torch.where(wide, self.position, other.position), torch.where(wide, self.open, other.open))


def draw_classes(group: Group, starts: int, generator: torch.Generator) -> Classes:
    """Random orders, all classes of a level equally often among the starts; open what the constraints leave open."""
    device = group.primes.device
    table = group.order_table
    size = (starts, len(group.layers), group.levels)
    shuffled = torch.rand(size, generator=generator, device=generator.device).argsort(0)
    first = torch.randint(len(table), size[1:], generator=generator, device=generator.device)
    picked = (shuffled + first) % len(table)
    open_ = (group.open_slots & (group.bounds[:, None, :] > 1))[..., group.live]
    return Classes(table[picked.to(device)], open_.expand(starts, -1, -1, -1).clone())


def draw_factors(group: Group, classes: Classes, generator: torch.Generator) -> torch.Tensor:
    """Random logs of factors, `[starts, layers, slots, live]`: each dimension shared out evenly among open slots."""
    chance = torch.rand(classes.open.shape, generator=generator, device=generator.device, dtype=torch.float64)
    share = torch.where(classes.open, -chance.to(classes.open.device).clamp(min=1e-6).log(), 0.0)
    return share / share.sum(2, keepdim=True).clamp(min=1e-12) * group.bounds.log()[:, None, group.live]


def inward(group: Group, x: torch.Tensor, classes: Classes, share: float) -> torch.Tensor:
    """Logs of factors moved a share of the way to the same factor in every open slot of a dimension."""
    slots = classes.open.sum(2, keepdim=True).clamp(min=1)
    even = torch.where(classes.open, group.bounds.log()[:, None, group.live] / slots, 0.0)
    return (1 - share) * x + share * even


def adopt(x: torch.Tensor, classes: Classes, merit: Merit) -> tuple[torch.Tensor, Classes]:
    """Every second start takes over a layer's factors and class from another start that does better with them.

    Each on its own machine. The starts between keep theirs, for variety.
    """
    starts = len(x)
    found = merit(
        x[:, None].expand(starts, *x.shape),
        replace(classes, position=classes.position[:, None].expand(-1, starts, -1, -1, -1)),
    )  # [from, start, layer]
    least, source = found.min(0)
    takes = (least < found.diagonal().mT - 1e-9) & (torch.arange(starts, device=x.device) % 2 == 0)[:, None]
    source = torch.where(takes, source, torch.arange(starts, device=x.device)[:, None])
    layers = torch.arange(x.shape[1], device=x.device)
    return x[source, layers], Classes(classes.position[source, layers], classes.open[source, layers])


def better_orders(group: Group, x: torch.Tensor, classes: Classes, merit: Merit) -> Classes:
    """The best orders found at these factors: of each level, then of each pair of levels, all others as they are."""
    table = group.order_table
    position = classes.position.clone()
    best = merit(x, classes)
    levels = range(1, group.levels)  # nothing lies inside the innermost level's loops but the MACs
    for chosen in [*combinations(levels, 1), *combinations(levels, 2)]:
        options = torch.cartesian_prod(*[torch.arange(len(table), device=x.device)] * len(chosen))
        options = options.view(-1, len(chosen))
        tried = position.expand(len(options), *position.shape).clone()
        tried[..., list(chosen), :] = table[options][:, None, None]
        found = merit(x.expand(len(options), *x.shape), replace(classes, position=tried)).min(0)
        better = found.values < best - 1e-12
        best = torch.where(better, found.values, best)
        picked = position.clone()
        picked[..., list(chosen), :] = table[options[found.indices]]
        position = torch.where(better[..., None, None], picked, position)
    return replace(classes, position=position)


def one_axis(
    group: Group, x: torch.Tensor, classes: Classes, room: torch.Tensor, generator: torch.Generator
) -> tuple[torch.Tensor, Classes]:
    """Each dimension of a level with two axes on one of them: the largest first, where more room is left.

    Args:
        group: the layers.
        x: logs of the factors `[starts, layers, slots, live]`.
        classes: their classes.
        room: logs of the fan-outs `[starts, levels, 2]`.
        generator: draws the noise that makes starts differ.

    Returns:
        (logs of the factors, classes).
    """
    slots = list(group.space.slots)
    x, open_ = x.clone(), classes.open.clone()
    for level in range(group.levels):
        if (level, SPATIAL_X) not in slots or (level, SPATIAL_Y) not in slots:
            continue
        pair = [slots.index((level, SPATIAL_X)), slots.index((level, SPATIAL_Y))]
        mass = x[:, :, pair].sum(2)
        noise = torch.rand(mass.shape, generator=generator, device=generator.device, dtype=mass.dtype).to(mass.device)
        choice = open_[:, :, pair].all(2)
        left = room[:, None, level].expand(*mass.shape[:2], 2) - torch.where(
            choice[:, :, None], 0.0, x[:, :, pair]
        ).sum(-1)
        for rank in (mass * (1 + 0.3 * noise)).argsort(-1, descending=True).unbind(-1):
            d = rank[..., None]
            axis = left.argmax(-1, keepdim=True)
            onto = torch.nn.functional.one_hot(axis[..., 0], 2).bool()
            moves = choice.gather(-1, d)
            here = mass.gather(-1, d)
            left = left - torch.where(onto & moves, here, 0.0)
            for k, slot in enumerate(pair):
                column = x[:, :, slot].gather(-1, d)
                column = torch.where(moves, torch.where(onto[..., k, None], here, 0.0), column)
                x[:, :, slot] = x[:, :, slot].scatter(-1, d, column)
                was = open_[:, :, slot].gather(-1, d)
                open_[:, :, slot] = open_[:, :, slot].scatter(-1, d, was & (~moves | onto[..., k, None]))
    return x, replace(classes, open=open_)


def drop_loops(group: Group, x: torch.Tensor, classes: Classes, merit: Merit) -> tuple[torch.Tensor, Classes]:
    """Close, level by level, the temporal loops that move a dataspace, where that pays at once.

    Their factors go to the next open temporal slot further out or further in.
    """
    slots = list(group.space.slots)
    temporal = [slot for slot, (_, axis) in enumerate(slots) if axis == TEMPORAL]
    live = group.live.tolist()
    sets = {tuple(d in space.relevant for d in live) for space in group.shape.spaces}
    best = merit(x, classes)
    for at, slot in enumerate(temporal):
        if slots[slot][0] == 0:
            continue
        for chosen in sorted(sets):
            dims = torch.tensor(chosen, device=x.device)
            for others in (temporal[at + 1 :], temporal[:at][::-1]):
                if not others:
                    continue
                may = classes.open[:, :, others]
                first = may.int().argmax(2, keepdim=True)  # the nearest open one
                closing = dims & may.any(2) & classes.open[:, :, slot]
                moved = torch.where(closing, x[:, :, slot], 0.0)
                trial, open_ = x.clone(), classes.open.clone()
                added = torch.zeros_like(x[:, :, others]).scatter(2, first, moved[:, :, None])
                trial[:, :, others] += added
                trial[:, :, slot] -= moved
                open_[:, :, slot] &= ~closing
                option = replace(classes, open=open_)
                found = merit(trial, option)
                there = trial.clone()
                there[:, :, slot] += torch.where(closing, BARELY, 0.0)
                saved = merit(there, classes) - found  # by the loops' absence, not by their factors' being elsewhere
                better = ((found < best - 1e-9) & (saved > 1e-6))[..., None, None]
                x = torch.where(better, trial, x)
                classes = replace(classes, open=torch.where(better, open_, classes.open))
                best = torch.where(better[..., 0, 0], found, best)
    return x, classes
