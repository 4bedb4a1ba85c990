from __future__ import annotations

import csv
import json

import pytest
import torch

from pyg_irllrec.cli.write_recommendations import write_recommendations
from pyg_irllrec.nn import Recommendation

BEST = Recommendation(
    torch.tensor([[1, 0], [0, -1]]), torch.tensor([[0.25, -1.5], [1e-9, -torch.inf]])
)


def test_a_table_and_what_it_was_made_from(tmp_path):
    path = tmp_path / 'new' / 'recommendations.csv'
    users = torch.tensor([2, 0])
    write_recommendations(
        path, users, BEST, [-1, 5, -7], ['=a,"b"', 'x\ny'], {'graph': 'abc'}
    )
    with open(path, newline='') as file:
        rows = list(csv.reader(file, quoting=csv.QUOTE_NONNUMERIC))
    assert rows == [
        ['user', 'item', 'rank', 'score'],
        [-7, 'x\ny', 1, 0.25],
        [-7, '\'=a,"b"', 2, -1.5],
        [-1, '\'=a,"b"', 1, 0],
    ]
    made_from = json.loads(path.with_suffix('.json').read_text())
    assert made_from == {'graph': 'abc'}


def test_nothing_is_written_where_it_cannot_be(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'json could not be written: (File|Not a dir)'):
        write_recommendations(
            tmp_path / 'file' / 'x.csv', torch.tensor([0]), BEST, [1], [1], {}
        )
