from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import GraphSAGE, to_hetero

from pyg_irllrec.nn import IRLLRec, ModuleBackbone
from pyg_irllrec.utils import bipartite_edge_index
from tests.examples.run_example import run_example

PARTS = ('lightgcn', 'graphsage', 'hetero-graphsage', 'hetero-conv', 'gat', 'plain')
SMALL = ('--num-users', '120', '--num-items', '60')


def table(stdout: str) -> dict[str, tuple[float, ...]]:
    """Parse lines of code, first loss, last loss and recall, by part."""
    lines = stdout.split('\n\n')[-1].splitlines()[1:]
    rows = {name: values for name, *values in map(str.split, lines)}
    return {name: tuple(map(float, values)) for name, values in rows.items()}


def test_every_part_is_short_and_learns(tmp_path):
    done = run_example('custom_backbone', '--epochs', 2, *SMALL, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    rows = table(done.stdout)
    assert tuple(rows) == PARTS
    for name, (lines, first, last, recall) in rows.items():
        assert 1 <= lines <= 15, name
        assert last < first, name
        assert 0 < recall <= 1, name
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize('args', [('--only', 'gcn'), ('--num-items', '19')])
def test_bad_input_is_one_line(args, tmp_path):
    done = run_example('custom_backbone', *args, cwd=tmp_path)
    assert done.returncode == 2
    assert 'error: ' in done.stderr and 'Traceback' not in done.stderr


def test_only_runs_the_named_parts(tmp_path):
    named = ('--epochs', 1, '--only', 'plain', 'graphsage', *SMALL)
    done = run_example('custom_backbone', *named, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert tuple(table(done.stdout)) == ('plain', 'graphsage')


@pytest.mark.parametrize('hetero', [False, True])
def test_a_module_of_the_wrong_width_is_an_error(hetero):
    module = GraphSAGE(8, 16, num_layers=2)
    if hetero:
        module = to_hetero(module, ModuleBackbone.metadata)
    graph = bipartite_edge_index(torch.tensor([[0, 1, 2], [0, 1, 1]]), 3, 2)
    model = IRLLRec(ModuleBackbone(module, 3, 2, 8, hetero=hetero), graph)
    message = r"'backbone' must return embeddings of shape \(5, 8\), .* got \(5, 16\)"
    with pytest.raises(ValueError, match=message):
        model.loss(torch.tensor([[0], [0], [1]]))
    with pytest.raises(ValueError, match=message):
        model.get_embeddings()
