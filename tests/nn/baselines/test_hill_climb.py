from __future__ import annotations

import pytest

from pyg_irllrec.nn.baselines._hill_climb import best_point, climb


def test_each_step_of_the_first_axis_has_the_best_of_the_others():
    """The gain has a ridge along a diagonal: a step along one axis improves nothing."""
    grids = {name: tuple(map(float, range(5))) for name in 'xy'}
    gain = lambda point: point['x'] - 9 * abs(point['x'] - point['y'])  # noqa: E731
    best = best_point({'x': 0.0, 'y': 0.0}, grids, gain)
    assert best == {'x': 4.0, 'y': 4.0}


@pytest.mark.parametrize(
    ('start', 'values', 'found'),
    [(2, [0, 1, 2, 3], 3), (2, [9, 4, 2, 1], 0), (1, [1, 2, 1, 9], 1), (0, [1, 1], 0)],
)
def test_climbs(start, values, found):
    grid = tuple(map(float, range(len(values))))
    options = {'x': float(start), 'y': 1.0}
    best = climb(options, 'x', grid, lambda o: values[int(o['x'])])
    assert best == {'x': found, 'y': 1.0}
