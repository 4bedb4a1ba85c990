from __future__ import annotations

import csv
import hashlib
import json
import os

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
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert made_from == {'graph': 'abc', 'sha256': digest}


@pytest.mark.parametrize('full', ['.csv', '.json'])
def test_no_table_lies_beside_the_origin_of_another(tmp_path, monkeypatch, full):
    path, users = tmp_path / 'x.csv', torch.tensor([0, 1])
    write_recommendations(path, users, BEST, ['a', 'b'], ['x', 'y'], {'run': 'old'})

    def replace(source, target):
        if str(target).endswith(full):
            raise OSError(28, 'No space left on device')
        os.rename(source, target)

    monkeypatch.setattr(os, 'replace', replace)
    with pytest.raises(OSError, match='No space left'):
        write_recommendations(path, users, BEST, ['a', 'b'], ['X', 'Y'], {'run': 'new'})
    assert not path.with_suffix('.json').exists()
    assert ('"X"' in path.read_text()) == (full == '.json')


def test_nothing_is_written_where_it_cannot_be(tmp_path):
    (tmp_path / 'file').touch()
    with pytest.raises(OSError, match=r'x\.(csv|json) c(ould not|annot) be '):
        write_recommendations(
            tmp_path / 'file' / 'x.csv', torch.tensor([0]), BEST, [1], [1], {}
        )
