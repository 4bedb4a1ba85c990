from __future__ import annotations

import pytest

from pyg_irllrec.cli.find_nodes import find_nodes


def test_by_their_ids_as_text():
    assert find_nodes('--why', ['7', '5', '7'], [5, 6, 7]) == [2, 0]
    assert find_nodes('--why', ['b'], ['a', 'b']) == [1]
    assert find_nodes('--why', [], [5]) == []


def test_unknown_ids():
    with pytest.raises(ValueError, match=r'--why must name .* got 9, which is not \(3'):
        find_nodes('--why', ['5', '9'], [5, 6, 7], [4, 5])
    with pytest.raises(ValueError, match='got 4, which has too few'):
        find_nodes('--why', ['4'], [5, 6, 7], [4, 5])
    with pytest.raises(ValueError, match='in the graph, which has none'):
        find_nodes('--why', ['4'], [])


def test_ids_are_cleaned_as_in_tables():
    assert find_nodes('--users', [' anna ', 'e\u0301'], ['anna', 'é']) == [0, 1]
    assert find_nodes('--users', ['7 ', '8'], [7, 8]) == [0, 1]
