from __future__ import annotations

import copy

import pytest
import torch
from torch import nn

from pyg_irllrec.nn import MomentumEncoder, TextProjector


def encoder() -> nn.Module:
    return nn.Sequential(
        nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Dropout(0.5), nn.Linear(4, 2)
    )


def changed(wrapper: MomentumEncoder) -> MomentumEncoder:
    with torch.no_grad():
        for weight in wrapper.encoder.parameters():
            weight += 1
    wrapper.train()(torch.randn(8, 3))  # Moves the running statistics.
    return wrapper


def test_starts_as_an_exact_copy():
    wrapper = MomentumEncoder(encoder())
    student, teacher = wrapper.encoder.state_dict(), wrapper.teacher.state_dict()
    assert student.keys() == teacher.keys()
    assert all(torch.equal(student[name], teacher[name]) for name in student)
    x = torch.randn(5, 3)
    assert torch.equal(wrapper.eval()(x), wrapper.teach(x))


def test_update_moves_parameters_and_buffers():
    wrapper = changed(MomentumEncoder(encoder(), momentum=0.9))
    before = copy.deepcopy(wrapper.teacher.state_dict())
    wrapper.update()
    student, after = wrapper.encoder.state_dict(), wrapper.teacher.state_dict()
    for name, value in after.items():
        if value.is_floating_point():
            expected = 0.9 * before[name] + 0.1 * student[name]
            torch.testing.assert_close(value, expected)
        else:
            assert torch.equal(value, student[name])
    assert after['1.num_batches_tracked'] == 1


@pytest.mark.parametrize(('momentum', 'same'), [(0.0, 'encoder'), (1.0, 'before')])
def test_ends_of_the_range(momentum, same):
    wrapper = changed(MomentumEncoder(encoder(), momentum))
    before = copy.deepcopy(wrapper.teacher)
    wrapper.update()
    expected = wrapper.encoder if same == 'encoder' else before
    torch.testing.assert_close(wrapper.teacher[0].weight, expected[0].weight.detach())


def test_no_optimizer_can_reach_the_teacher():
    wrapper = MomentumEncoder(encoder())
    assert len(list(wrapper.parameters())) == len(list(wrapper.encoder.parameters()))
    before = copy.deepcopy(wrapper.teacher.state_dict())
    optimizer = torch.optim.AdamW(wrapper.parameters(), lr=1.0, weight_decay=1.0)
    wrapper(torch.randn(8, 3)).sum().backward()
    optimizer.step()
    after = wrapper.teacher.state_dict()
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_the_teacher_is_never_in_training_mode_and_has_no_gradient():
    wrapper = MomentumEncoder(encoder()).train()
    assert wrapper.encoder.training and not wrapper.teacher.training
    x = torch.randn(8, 3, requires_grad=True)
    assert torch.equal(wrapper.teach(x), wrapper.teach(x))
    assert not wrapper.teach(x).requires_grad


def test_saved_restored_moved_and_copied_with_the_model():
    wrapper = changed(MomentumEncoder(encoder(), momentum=0.5))
    wrapper.update()
    other = MomentumEncoder(encoder())
    other.load_state_dict(wrapper.state_dict())
    x = torch.randn(5, 3)
    assert torch.equal(other.teach(x), wrapper.teach(x))
    assert copy.deepcopy(wrapper).double().teach(x.double()).dtype == torch.float64


def test_reset_teacher():
    wrapper = changed(MomentumEncoder(encoder()))
    wrapper.reset_teacher()
    student, teacher = wrapper.encoder.state_dict(), wrapper.teacher.state_dict()
    assert all(torch.equal(student[name], teacher[name]) for name in student)


@pytest.mark.parametrize(
    ('module', 'args'),
    [
        (TextProjector(3, 2), (torch.randn(4, 3),)),
        (nn.LSTM(3, 2), (torch.randn(4, 3),)),
        (nn.MultiheadAttention(4, 2), (torch.randn(2, 4),) * 3),
        (nn.Embedding(5, 2), (torch.tensor([1, 4]),)),
        (nn.Identity(), (torch.randn(4, 3),)),
    ],
)
def test_any_module(module, args):
    wrapper = MomentumEncoder(module, momentum=0.0)
    with torch.no_grad():
        for weight in wrapper.encoder.parameters():
            weight.mul_(2)
    wrapper.update()
    student, teacher = wrapper(*args), wrapper.teach(*args)
    first = student[0] if isinstance(student, tuple) else student
    torch.testing.assert_close(
        teacher[0] if isinstance(teacher, tuple) else teacher, first
    )


def test_tied_weights_stay_tied():
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    wrapper = MomentumEncoder(module, momentum=0.5)
    before = wrapper.teacher[0].weight.clone()
    with torch.no_grad():
        module[0].weight += 1
    wrapper.update()
    assert wrapper.teacher[0].weight is wrapper.teacher[1].weight
    torch.testing.assert_close(wrapper.teacher[1].weight, before + 0.5)
    wrapper.reset_teacher()
    torch.testing.assert_close(wrapper.teacher[1].weight, module[0].weight.detach())


@pytest.mark.parametrize('move', [nn.Module.double, lambda module: module.to('meta')])
def test_tied_weights_move(move):
    """Moving ends the tie of the teacher's buffers, and can end the encoder's."""
    module = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))
    module[1].weight = module[0].weight
    wrapper = move(MomentumEncoder(module, momentum=0.5))
    with torch.no_grad():
        module[0].weight += 1
    before = wrapper.teacher[0].weight.clone()
    wrapper.update()
    for layer, student in zip(wrapper.teacher, module):
        if not layer.weight.is_meta:
            torch.testing.assert_close(layer.weight, before + 0.5)
        assert layer.weight.dtype == student.weight.dtype
    wrapper.reset_teacher()


def test_reset_parameters_draws_the_encoder_and_copies_it():
    wrapper = changed(MomentumEncoder(encoder()))
    before = wrapper.encoder[0].weight.clone()
    wrapper.reset_parameters()
    assert not torch.equal(wrapper.encoder[0].weight, before)
    assert (wrapper.encoder[1].running_mean == 0).all()
    student, teacher = wrapper.encoder.state_dict(), wrapper.teacher.state_dict()
    assert all(torch.equal(student[name], teacher[name]) for name in student)


def test_compiles_without_graph_breaks():
    wrapper = MomentumEncoder(TextProjector(3, 2))
    x = torch.randn(4, 3)
    compiled = torch.compile(wrapper.teach, fullgraph=True, backend='aot_eager')
    torch.testing.assert_close(compiled(x), wrapper.teach(x))


@pytest.mark.parametrize('momentum', [-0.1, 1.1, float('nan'), None])
def test_wrong_momentum(momentum):
    with pytest.raises(ValueError, match="'momentum' must be from 0 to 1"):
        MomentumEncoder(nn.Identity(), momentum)


def test_an_encoder_that_is_no_module():
    with pytest.raises(
        ValueError, match=r"'encoder' must be a torch.nn.Module, got in"
    ):
        MomentumEncoder(3)
