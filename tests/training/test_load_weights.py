from __future__ import annotations

import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import (
    EASE,
    IntentAlignmentLoss,
    IRLLRec,
    ItemKNN,
    LightGCN,
    Recommender,
)
from pyg_irllrec.training import InteractionDataModule, fit, load_weights
from pyg_irllrec.utils import bipartite_edge_index

DATA = SyntheticIntents(60, 50, num_intents=4)[0]


def build(seed, embedding_dim=8, num_intents=4):
    torch.manual_seed(seed)
    edge_index = bipartite_edge_index(DATA['user', 'rates', 'item'].edge_index, 60, 50)
    texts = {
        kind: torch.cat([DATA['user'][kind], DATA['item'][kind]])
        for kind in ('profile', 'intent')
    }
    backbone = LightGCN(60, 50, embedding_dim, num_intents=num_intents)
    return IRLLRec(backbone, edge_index, alignment=IntentAlignmentLoss(), **texts)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    out = tmp_path_factory.mktemp('run')
    model, data = build(0), InteractionDataModule(DATA, batch_size=64)
    fit(model, data, out, epochs=2, check_every=1, device='cpu', progress=False)
    return model, out / 'best.ckpt'


def test_a_new_model_gets_the_trained_weights(trained):
    model, path = trained
    other = build(1)
    assert not torch.equal(other.get_embeddings()[0], model.get_embeddings()[0])
    load_weights(other, path)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value), name
    for mine, theirs in zip(
        other.eval().get_embeddings(), model.eval().get_embeddings()
    ):
        assert torch.equal(mine, theirs)


def test_a_model_with_other_parts_or_sizes_is_not_changed(trained):
    _, path = trained
    for options in ({'embedding_dim': 16}, {'num_intents': 2}):
        other = build(1, **options)
        before = {name: value.clone() for name, value in other.state_dict().items()}
        with pytest.raises(ValueError, match=r"best.ckpt must hold .*'model', built"):
            load_weights(other, path)
        after = other.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize('other', ['graph', 'profile', 'intent', 'num_layers'])
def test_other_data_is_refused_unless_allowed(trained, other):
    model, path = trained
    mine = build(1)
    if other == 'graph':
        edges = DATA['user', 'rates', 'item'].edge_index[:, 1:]
        mine.edge_index = Recommender(
            mine.backbone, bipartite_edge_index(edges, 60, 50)
        ).edge_index
    elif other == 'num_layers':
        mine.backbone.num_layers = 2
    else:
        setattr(mine, other, getattr(mine, other).flip(0))
    before = mine.backbone.user_embedding.weight.clone()
    with pytest.raises(ValueError, match=rf'best.ckpt was trained with .*{other}'):
        load_weights(mine, path)
    assert torch.equal(mine.backbone.user_embedding.weight, before)
    load_weights(mine, path, check_data=False)
    trained_weight = model.backbone.user_embedding.weight
    assert torch.equal(mine.backbone.user_embedding.weight, trained_weight)


def test_settings_of_training_may_differ(trained):
    _, path = trained
    mine = build(1)
    mine.alignment.translation.temperature = mine.l2_weight = 0.5
    load_weights(mine, path)


@pytest.mark.parametrize(
    ('others', 'message'),
    [
        ({'normalize': False}, "the model's normalize True, not False"),
        ({'companion': EASE}, r"the model's companions\.0 ItemKNN, not EASE"),
        ({'num_neighbors': 3}, r"the model's companions\.0\.num_neighbors 500, not 3"),
    ],
)
def test_a_model_with_other_scores(tmp_path, others, message):
    pairs = DATA['user', 'rates', 'item'].edge_index

    def model(normalize=True, companion=ItemKNN, **options):
        return Recommender(
            LightGCN(60, 50, 8),
            bipartite_edge_index(pairs, 60, 50),
            normalize=normalize,
            companions=[companion(60, 50, pairs, **options)],
        )

    data = InteractionDataModule(DATA, batch_size=64)
    fit(model(), data, tmp_path, epochs=1, device='cpu', progress=False)
    load_weights(model(), tmp_path / 'best.ckpt')
    with pytest.raises(ValueError, match=f'was trained with {message}'):
        load_weights(model(**others), tmp_path / 'best.ckpt')


def test_a_checkpoint_without_a_fingerprint(trained, tmp_path):
    checkpoint = torch.load(trained[1], weights_only=True)
    del checkpoint['fingerprint']
    torch.save(checkpoint, tmp_path / 'best.ckpt')
    with pytest.raises(ValueError, match=r'best\.ckpt holds no fingerprint of its'):
        load_weights(build(1), tmp_path / 'best.ckpt')


def test_invalid_files(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'best\.ckpt does not exist'):
        load_weights(build(0), tmp_path / 'best.ckpt')
    with pytest.raises(ValueError, match=r'is a folder, .*: pass .*best\.ckpt'):
        load_weights(build(0), tmp_path)
    torch.save(build(0).state_dict(), tmp_path / 'state.pt')
    with pytest.raises(ValueError, match=r'a state_dict: model\.load_state_dict'):
        load_weights(build(0), tmp_path / 'state.pt')
    with pytest.raises(ValueError, match="'check_data' must be"):
        load_weights(build(0), tmp_path / 'state.pt', check_data='no')
    (tmp_path / 'best.ckpt').write_bytes(b'not a checkpoint')
    with pytest.raises(ValueError, match='is not a checkpoint, or it is damaged'):
        load_weights(build(0), tmp_path / 'best.ckpt')


def rewrite(path, target, change):
    """Save a checkpoint with changed weights."""
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['state_dict'] = change(checkpoint['state_dict'])
    torch.save(checkpoint, target)
    return target


def as_integers(state):
    return {name: value.long() for name, value in state.items()}


def as_nan(state):
    name = 'model.backbone.user_embedding.weight'
    return state | {name: torch.full_like(state[name], torch.nan)}


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        (list, 'wrong or missing: state_dict'),
        (as_integers, "must hold the weights of 'model', built alike"),
        (as_nan, 'must hold finite weights, got NaN'),
        (lambda state: state | {3: torch.ones(2)}, 'tensors by name'),
        (lambda state: dict.fromkeys(state, 1), 'tensors by name, got a int'),
        (lambda state: dict.fromkeys(state, 'a'), 'tensors by name, got a str'),
        (lambda state: {}, "must hold the weights of 'model'"),
    ],
)
def test_invalid_weights(trained, tmp_path, change, message):
    path = rewrite(trained[1], tmp_path / 'best.ckpt', change)
    other = build(1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(ValueError, match=message):
        load_weights(other, path)
    after = other.state_dict()
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize('dtype', [torch.bfloat16, torch.float16])
def test_a_model_of_half_precision(trained, tmp_path, dtype):
    other = build(1).to(dtype)
    load_weights(other, trained[1])
    assert other.backbone.user_embedding.weight.dtype == dtype
    other.profile = other.profile.flip(0)
    with pytest.raises(ValueError, match="other 'profile'"):
        load_weights(other, trained[1])


def test_weights_in_double_precision(trained, tmp_path):
    model, path = trained
    path = rewrite(
        path,
        tmp_path / 'best.ckpt',
        lambda state: {name: value.double() for name, value in state.items()},
    )
    other = build(1)
    load_weights(other, path)
    for name, value in model.state_dict().items():
        assert torch.equal(other.state_dict()[name], value)
