from __future__ import annotations

import pytest
import torch

from pyg_irllrec.nn import LightGCN, SimGCL
from pyg_irllrec.testing import BackboneTests


class TestSimGCL(BackboneTests):
    def build(self, num_users, num_items, embedding_dim):
        return SimGCL(
            num_users,
            num_items,
            embedding_dim=embedding_dim,
            num_layers=2,
            num_intents=3,
        )


GRAPH = BackboneTests().edge_index


def test_noise_has_one_length_and_the_sign_of_what_it_blurs():
    model = SimGCL(6, 7, embedding_dim=4, num_layers=1, noise=0.3)
    output = model(GRAPH)
    clean = output.embedding - model.node_features()
    for view in output.views:
        noise = view - output.embedding
        connected = clean.abs().sum(dim=1) > 0
        length = torch.full((int(connected.sum()),), 0.3)
        torch.testing.assert_close(noise[connected].norm(dim=1), length)
        assert (noise * clean >= 0).all()
        assert (noise[~connected] == 0).all()
    assert not torch.equal(*output.views)


def test_scores_are_those_of_light_gcn():
    model = SimGCL(6, 7, embedding_dim=4)
    plain = LightGCN(6, 7, embedding_dim=4)
    plain.load_state_dict(model.state_dict())
    assert torch.equal(model(GRAPH).embedding, plain(GRAPH).embedding)


def test_negative_items_are_not_contrasted():
    model = SimGCL(6, 7, embedding_dim=4)
    output = model(GRAPH)
    triplets = BackboneTests.triplets
    other = triplets.clone()
    other[2] = 3
    first, second = (model.auxiliary_loss(output, t) for t in (triplets, other))
    assert first == second and set(first) == {'contrast'}


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'noise' must be at least 0, got -1"):
        SimGCL(6, 7, noise=-1)
