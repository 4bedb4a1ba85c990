from __future__ import annotations

import copy
from functools import partial

import pytest
import torch

from pyg_irllrec.nn import TextProjector
from pyg_irllrec.nn import _text_storage as storage
from tests.nn.text_models import PAIRWISE, TRIPLETS, WIDTH, build, step

CPU = torch.device('cpu')


@pytest.mark.parametrize('loss', [{}, PAIRWISE, {'user_negatives': 'all', **PAIRWISE}])
def test_texts_of_the_host_give_the_same_step(loss, monkeypatch):
    total, grads = step(build('device', **loss))
    same, same_grads = step(build('host', **loss))
    assert torch.equal(total, same)
    assert all(map(torch.equal, grads, same_grads))
    monkeypatch.setattr(storage, '_ROWS_AT_ONCE', 4)
    near, near_grads = step(build('host', **loss))
    torch.testing.assert_close(near, total)
    torch.testing.assert_close(near_grads, grads)


@pytest.mark.parametrize('at_once', [4, 100])
def test_half_rounds_texts_alone(at_once, monkeypatch):
    monkeypatch.setattr(storage, '_ROWS_AT_ONCE', at_once)
    rounded = build('device')
    for name in ('profile', 'intent', 'features'):
        text = getattr(rounded, name)
        setattr(rounded, name, text.bfloat16().float())
    half = build('half')
    assert half.profile.dtype == half.features.dtype == torch.bfloat16
    torch.testing.assert_close(step(half), step(rounded))
    total = step(build('device'))[0]
    assert 0 < abs(step(half)[0] - total) < 0.02 * total


@pytest.mark.parametrize('kind', ['half', 'host'])
def test_texts_keep_their_place_and_their_width_when_the_model_moves(kind):
    model = build(kind)
    dtype = model.profile.dtype
    assert dtype == (torch.bfloat16 if kind == 'half' else torch.float32)
    moved = copy.deepcopy(model).double()
    assert moved.edge_weight.dtype == torch.float64 and moved.profile.dtype == dtype
    assert step(moved)[0].dtype == torch.float64
    away = copy.deepcopy(model).to('meta')
    assert away.edge_index.device.type == 'meta' == next(away.parameters()).device.type
    assert away.profile.device.type == ('meta' if kind == 'half' else 'cpu')
    assert [name for name, _ in away.named_buffers()] == [
        name for name, _ in build('device').named_buffers()
    ]
    other = build('device')
    other.load_state_dict(model.state_dict())


def test_a_failed_move_leaves_the_texts(monkeypatch):
    model = build('host')
    with pytest.raises(RuntimeError, match='no room'):

        def fail(_):
            raise RuntimeError('no room')

        model._apply(fail)
    assert model.profile.shape == (21, WIDTH)


@pytest.mark.parametrize('kind', ['half', 'host'])
def test_chunks_take_memory_one_at_a_time(kind, monkeypatch):
    """Apart from the output, what autograd saves does not grow with the rows."""
    monkeypatch.setattr(storage, '_ROWS_AT_ONCE', 10)
    text = storage.store_text(torch.randn(95, 7), kind)
    tower, rows, kept = TextProjector(7, 2), [], []
    tower.register_forward_pre_hook(lambda _, given: rows.append(len(given[0])))
    with torch.autograd.graph.saved_tensors_hooks(
        lambda x: kept.append(x) or x, lambda x: x
    ):
        out = storage.project_all(tower, text, kind, CPU)
    assert rows == [10] * 9 + [5]
    place = text.untyped_storage().data_ptr()
    assert {x.untyped_storage().data_ptr() for x in kept if x.numel() > 0} == {place}
    (grad,) = torch.autograd.grad(out.square().sum(), [tower[0].weight])
    assert sorted(rows) == sorted(([10] * 9 + [5]) * 2)
    whole = tower(text.float())
    torch.testing.assert_close(out, whole)
    (expected,) = torch.autograd.grad(whole.square().sum(), [tower[0].weight])
    torch.testing.assert_close(grad, expected)


def test_both_towers_read_texts_in_one_pass(monkeypatch):
    monkeypatch.setattr(storage, '_ROWS_AT_ONCE', 10)
    model, read = build('host', features=False, profile_weight=0.0), []
    towers = model.intent_projector
    for name, tower in (('student', towers.encoder), ('teacher', towers.teacher)):
        tower.register_forward_pre_hook(
            lambda _, given, name=name: read.append((name, given[0].data_ptr()))
        )
    total = model.loss(TRIPLETS).total
    assert [name for name, _ in read] == ['student', 'teacher'] * 3
    assert all(read[at][1] == read[at + 1][1] for at in (0, 2, 4))
    total.backward()
    # Only the student is recomputed in the backward pass.
    assert [name for name, _ in read[6:]] == ['student'] * 3


def test_chunks_are_recomputed_under_the_same_autocast(monkeypatch):
    monkeypatch.setattr(storage, '_ROWS_AT_ONCE', 10)
    tower, seen = TextProjector(7, 2), set()
    tower[0].register_forward_hook(lambda *given: seen.add(given[-1].dtype))
    with torch.autocast('cpu', dtype=torch.bfloat16):
        out = storage.project_all(tower, torch.randn(25, 7), 'host', CPU)
    out.float().sum().backward()
    assert seen == {torch.bfloat16}


@pytest.mark.parametrize('fits', [True, False])
def test_texts_of_the_host_are_pinned_for_a_gpu(fits, monkeypatch):
    text, pinned = torch.randn(3, 2), torch.randn(3, 2)

    def pin(self):
        if not fits:
            raise RuntimeError('no memory can be pinned\nand more')
        return pinned

    monkeypatch.setattr(torch.Tensor, 'is_pinned', lambda self: self is pinned)
    monkeypatch.setattr(torch.Tensor, 'pin_memory', pin)
    move = partial(storage.move_text, fn=None, storage='host')
    assert move(text, device=CPU) is text
    gpu = torch.device('cuda', 0)
    if fits:
        assert move(text, device=gpu) is pinned is move(pinned, device=gpu)
    else:
        with pytest.warns(UserWarning, match='not in pinned memory: no memory .*ed$'):
            assert move(text, device=gpu) is text


def test_an_unknown_storage():
    with pytest.raises(ValueError, match="'text_storage' must be one of 'device', 'h"):
        build('disk')
