"""What a buffer still holds when a sliding window starts anew: the rules that keep more than "refetch" does.

With loops as in `dlco.cost.traffic`, every loop j outside the sliding loop k restarts the slide (n_j - 1)
prod_{i>j} n_i times, and each restart fetches D_j words of the tile's S: all of them under "refetch",

    overlap:   S - prod_r max(0, b_r - |v_r|),  v = s_j - sum_{k<=i<j} (n_i - 1) s_i   the tile's true move
    timeloop:  0 if t = 0;  S - O if t = s_k;  S otherwise,  t = s_j - sum_{k<=i<j} s_i

where b are the tile's extents and s_i the step of loop i, rank by rank. Timeloop's t is the move as it sees it
after running two iterations of each loop (nest analysis with temporal extrapolation).
"""

import torch

from dlco.cost.nest import Nest, Row, is_one


def restart_savings(nest: Nest, level: int, space: int, rule: str) -> torch.Tensor:
    """Words that a tile does not fetch at restarts although "refetch" would, `[...]`."""
    loops = [loop for outer in range(level + 1, nest.levels) for loop in _ordered_loops(nest, outer, space)]
    box = nest.boxes[level][space]
    words = torch.as_tensor(nest.words[level][space])
    if not loops:
        return torch.zeros_like(words)
    savings = torch.zeros_like(loops[0][0] * words)
    sliding = torch.zeros_like(savings, dtype=torch.bool)
    travelled = [torch.zeros_like(savings) for _ in box]
    slide = [torch.zeros_like(savings) for _ in box]
    outside = _outer_products([n for n, _ in loops])
    for (n, steps), repeats in zip(loops, outside, strict=True):
        exists = n > 1
        move = [s - t for s, t in zip(steps, travelled, strict=True)]
        if rule == "overlap":
            kept = _overlap(box, move)
        else:
            still = _all(m == 0 for m in move)
            again = _all(m == s for m, s in zip(move, slide, strict=True))
            kept = torch.where(still, words, torch.where(again, _overlap(box, slide), 0))
        savings = savings + torch.where(exists & sliding, (n - 1) * repeats * kept, 0)
        starts = exists & ~sliding & ~_all(s == 0 for s in steps)
        slide = [torch.where(starts, s, old) for s, old in zip(steps, slide, strict=True)]
        sliding = sliding | starts
        reach = n - 1 if rule == "overlap" else torch.ones_like(n)
        travelled = [t + torch.where(exists & sliding, reach * s, 0) for t, s in zip(travelled, steps, strict=True)]
    return savings


def _ordered_loops(nest: Nest, level: int, space: int) -> list[tuple[torch.Tensor, list[torch.Tensor]]]:
    """(bound, step along each rank) of a level's temporal loops, innermost first."""
    live = [d for d in nest.shape.live if not is_one(nest.temporal[level][d])]
    if not live:
        return []
    bounds = [torch.as_tensor(nest.temporal[level][d]) for d in live]
    ranks = nest.shape.spaces[space].ranks
    steps: list[list[Row]] = []
    for d in live:
        row = [next((c for e, c in rank if e == d), 0) for rank in ranks]
        steps.append([c * nest.spread[level][d] for c in row])
    positions = [nest.position[level][d] for d in live]
    if all(isinstance(p, int) for p in positions):
        order = sorted(range(len(live)), key=lambda i: positions[i])
        return [(bounds[i], [torch.as_tensor(s, dtype=bounds[i].dtype) for s in steps[i]]) for i in order]
    shape = torch.broadcast_shapes(*(b.shape for b in bounds), *(p.shape for p in positions))  # type: ignore[union-attr]

    def sort(rows: list[Row]) -> list[torch.Tensor]:
        stacked = torch.stack([torch.as_tensor(row, dtype=bounds[0].dtype).expand(shape) for row in rows], dim=-1)
        return list(stacked.gather(-1, index).unbind(-1))

    index = torch.stack([torch.as_tensor(p).expand(shape) for p in positions], dim=-1).argsort(-1)
    by_rank = [sort([row[r] for row in steps]) for r in range(len(ranks))]
    return [(n, [by_rank[r][i] for r in range(len(ranks))]) for i, n in enumerate(sort(list(bounds)))]


def _outer_products(bounds: list[torch.Tensor]) -> list[torch.Tensor]:
    """Product of all bounds outside each loop."""
    products = [torch.ones_like(bounds[-1])]
    for n in reversed(bounds[1:]):
        products.append(products[-1] * n)
    return products[::-1]


def _overlap(box: tuple[Row, ...], move: list[torch.Tensor]) -> torch.Tensor:
    kept = torch.ones_like(move[0])
    for b, m in zip(box, move, strict=True):
        kept = kept * torch.clamp(b - m.abs(), min=0)
    return kept


def _all(flags) -> torch.Tensor:  # type: ignore[no-untyped-def]
    result = None
    for flag in flags:
        result = flag if result is None else result & flag
    return result  # type: ignore[return-value]
