r"""Choose options by hill climbing on a grid."""

from __future__ import annotations

from collections.abc import Callable

Options = dict[str, float]
Gain = Callable[[Options], float]


def best_point(
    start: Options, grids: dict[str, tuple[float, ...]], gain: Gain
) -> Options:
    r"""Climb along the first axis. At each of its values, climb along the other axes
    until no step improves the gain."""
    first, *others = start

    def refine(point: Options) -> Options:
        before: Options = {}
        while point != before:
            before = point
            for name in others:
                point = climb(point, name, grids[name], gain)
        return point

    return climb(start, first, grids[first], gain, refine)


def climb(
    point: Options,
    name: str,
    grid: tuple[float, ...],
    gain: Gain,
    refine: Callable[[Options], Options] = lambda point: point,
) -> Options:
    r"""Climb along one axis. Each point is refined before it is compared."""
    place = grid.index(point[name])
    start = best = refine(point)
    for step in (1, -1):
        while 0 <= place + step < len(grid):
            other = refine({**best, name: grid[place + step]})
            if gain(other) <= gain(best):
                break
            best, place = other, place + step
        if best != start:
            break
    return best
