from __future__ import annotations

import pytest
import torch
from torch_geometric.nn import LGConv
from torch_geometric.nn import LightGCN as PyGLightGCN

from pyg_irllrec.functional import info_nce
from pyg_irllrec.nn import SGL, LightGCN, ModuleBackbone, RLMRecGen
from pyg_irllrec.testing import BackboneTests

TESTS = BackboneTests()
PROFILE = TESTS.texts()['profile']


def build(backbone=None, **options) -> RLMRecGen:
    torch.manual_seed(0)
    backbone = LightGCN(6, 7, 4) if backbone is None else backbone
    options = {'profile': PROFILE, **options}
    return RLMRecGen(backbone, TESTS.edge_index, **options)


def test_equals_the_formula():
    model = build(mask_ratio=0.4, weight=0.3, temperature=0.5)
    generator = torch.Generator().manual_seed(3)
    masked = torch.randperm(13, generator=generator)[:5]
    x = model.backbone.node_features().detach().clone()
    x[masked] = model.mask_token.detach()
    z = model.backbone(TESTS.edge_index, x=x).embedding
    text = model.reconstructor(z)[masked]
    expected = 0.3 * info_nce(text, PROFILE[masked], temperature=0.5)
    terms = model.loss(TESTS.triplets, generator=generator.manual_seed(3)).terms
    assert set(terms) == {'ranking', 'l2', 'reconstruction'}
    torch.testing.assert_close(terms['reconstruction'], expected)


def test_a_masked_node_is_not_shown_to_the_backbone():
    model = build(mask_ratio=1.0)
    total = model.loss(TESTS.triplets).terms['reconstruction']
    tables = [
        model.backbone.user_embedding.weight,
        model.backbone.item_embedding.weight,
    ]
    grads = torch.autograd.grad(total, [*tables, model.mask_token], allow_unused=True)
    assert all(grad is None or (grad == 0).all() for grad in grads[:2])
    assert grads[2].abs().sum() > 0


def test_any_backbone_with_features():
    for backbone in (
        SGL(6, 7, embedding_dim=4),
        ModuleBackbone(LGConv(), 6, 7, 4),
    ):
        if isinstance(backbone, ModuleBackbone):
            backbone.module.forward = lambda x, edge_index: x
        model = build(backbone)
        terms = model.loss(TESTS.triplets).terms
        assert 'reconstruction' in terms
        model.loss(TESTS.triplets).total.backward()
        assert model.mask_token.grad is not None


def test_nothing_is_masked_in_evaluation():
    model = build().eval()
    assert set(model.loss(TESTS.triplets).terms) == {'ranking', 'l2'}
    assert torch.equal(
        torch.cat(model.get_embeddings()),
        model.backbone.get_embedding(TESTS.edge_index),
    )


def test_training_lowers_the_loss():
    model = build(mask_ratio=0.5)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-2)
    losses = []
    for _ in range(30):
        optimizer.zero_grad()
        generator = torch.Generator().manual_seed(0)
        total = model.loss(TESTS.triplets, generator=generator).total
        total.backward()
        optimizer.step()
        losses.append(total.item())
    assert losses[-1] < losses[0]


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'profile': PROFILE[:4]}, "'profile' must have a row per node.*13 rows"),
        ({'mask_ratio': 0}, "'mask_ratio' must be above 0 and at most 1, got 0"),
        ({'profile': None}, "'profile' must be a tensor, got NoneType"),
        ({'max_rows': 0}, "'max_rows' must be an integer of at least 1, got 0"),
        ({'impl': 'fast'}, "'impl' must be one of 'auto', 'eager'"),
        ({'weight': -1}, "'weight' must be at least 0, got -1"),
        ({'temperature': 0}, "'temperature' must be at least 1e-30, got 0"),
        ({'l2_weight': -1}, "'l2_weight' must be at least 0, got -1"),
    ],
)
def test_wrong_arguments(change, message):
    with pytest.raises(ValueError, match=message):
        build(**change)


def test_a_backbone_without_features_is_refused():
    module = PyGLightGCN(13, 4, 2)
    backbone = ModuleBackbone(module, 6, 7, 4, in_channels=0, method='get_embedding')
    with pytest.raises(ValueError, match='node features that can be masked'):
        build(backbone)


def test_the_text_term_counts_some_of_many_masked_nodes():
    few = build(mask_ratio=1.0, max_rows=2)
    rows = []
    few.reconstructor.register_forward_hook(lambda *args: rows.append(len(args[-1])))
    few.loss(TESTS.triplets)
    every = build(mask_ratio=1.0, max_rows=None)
    every.reconstructor.register_forward_hook(lambda *args: rows.append(len(args[-1])))
    every.loss(TESTS.triplets)
    assert rows == [2, 13]
