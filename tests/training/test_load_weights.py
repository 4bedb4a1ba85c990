from __future__ import annotations

import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
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


def test_another_model_becomes_the_trained_one(trained):
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


def test_a_model_of_other_parts_or_sizes_stays_as_it_was(trained):
    _, path = trained
    for options in ({'embedding_dim': 16}, {'num_intents': 2}):
        other = build(1, **options)
        before = {name: value.clone() for name, value in other.state_dict().items()}
        with pytest.raises(ValueError, match=r"best.ckpt must hold .*'model', built"):
            load_weights(other, path)
        after = other.state_dict()
        assert all(torch.equal(after[name], before[name]) for name in before)


def test_files_that_are_none(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'best\.ckpt does not exist'):
        load_weights(build(0), tmp_path / 'best.ckpt')
    with pytest.raises(ValueError, match=r'is a folder, .*: pass .*best\.ckpt'):
        load_weights(build(0), tmp_path)
    torch.save(build(0).state_dict(), tmp_path / 'state.pt')
    with pytest.raises(ValueError, match=r'a state_dict: model\.load_state_dict'):
        load_weights(build(0), tmp_path / 'state.pt')
    (tmp_path / 'best.ckpt').write_bytes(b'not a checkpoint')
    with pytest.raises(ValueError, match='is not a checkpoint, or it is damaged'):
        load_weights(build(0), tmp_path / 'best.ckpt')
