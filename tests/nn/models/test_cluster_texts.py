from __future__ import annotations

import pytest
import torch
from sklearn.metrics import normalized_mutual_info_score

from pyg_irllrec.nn.models import cluster_texts as module
from pyg_irllrec.nn.models.cluster_texts import cluster_texts
from pyg_irllrec.utils import bipartite_edge_index, symmetric_norm


def two_tastes(noise):
    """20 users and 30 items of two tastes; interactions are within a taste."""
    generator = torch.Generator().manual_seed(0)
    users, items = torch.arange(20) % 2, torch.arange(30) % 2
    pairs = (users[:, None] == items).nonzero().t()
    graph = bipartite_edge_index(pairs, 20, 30)
    truth = torch.cat([users, items])
    text = torch.eye(2)[truth] @ torch.randn(2, 8, generator=generator)
    text = text + noise * torch.randn(50, 8, generator=generator)
    return text, graph, symmetric_norm(graph, 50), truth


def agreement(found, truth):
    return normalized_mutual_info_score(truth, found)


def test_users_and_items_of_one_taste_share_a_cluster():
    text, graph, weight, truth = two_tastes(noise=0.1)
    text[:20] += 5  # User texts use other words.
    found = cluster_texts([text, -text], 20, graph, weight, 2)
    assert found.dtype == torch.long and agreement(found, truth) == pytest.approx(1)


def test_neighbours_correct_what_texts_get_wrong():
    text, graph, weight, truth = two_tastes(noise=3)
    alone = cluster_texts([text], 20, graph, weight, 2, num_layers=0)
    found = cluster_texts([text], 20, graph, weight, 2)
    assert agreement(alone, truth) < 0.5 < agreement(found, truth)


def test_wide_texts_are_reduced_and_rows_sampled(monkeypatch):
    text, graph, weight, truth = two_tastes(noise=0.1)
    monkeypatch.setattr(module, '_WIDTH', 3)
    monkeypatch.setattr(module, '_ROWS_PER_CLUSTER', 7)
    found = cluster_texts([text], 20, graph, weight, 2)
    assert agreement(found, truth) == pytest.approx(1)


def test_a_node_without_a_text_has_that_of_its_neighbours():
    text, graph, weight, truth = two_tastes(noise=0.1)
    text[:20] = 0
    assert agreement(cluster_texts([text], 20, graph, weight, 2), truth) == 1


def test_fewer_texts_than_clusters():
    text, graph, weight, _ = two_tastes(noise=0.1)
    found = cluster_texts([torch.ones_like(text)], 20, graph, weight, 60)
    assert 0 <= found.min() and found.max() < 60
    assert text.equal(two_tastes(noise=0.1)[0])


@pytest.mark.parametrize('name', ['num_clusters', 'num_layers'])
def test_wrong_numbers(name):
    text, graph, weight, _ = two_tastes(noise=0.1)
    with pytest.raises(ValueError, match=f"'{name}' must be an integer"):
        cluster_texts([text], 20, graph, weight, **{'num_clusters': 2, name: -1})
