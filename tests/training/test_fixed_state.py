from __future__ import annotations

import copy

import pytest
import torch

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training._fixed_state import _as_read, find_change, fixed_state

DATA = SyntheticIntents(20, 15, num_intents=2)[0]


@pytest.fixture
def trained():
    torch.manual_seed(0)
    model = build_model(DATA, alignment='full')
    rate = torch.tensor(1e-2)
    optimizer = torch.optim.Adam(model.parameters(), lr=rate, fused=True)
    model.loss(torch.tensor([[0, 1], [2, 3], [4, 5]])).total.backward()
    optimizer.step()
    return model, optimizer


def change_values(model, optimizer):
    """Change values that kernels read from memory."""
    optimizer.param_groups[0]['lr'].mul_(0.5)
    optimizer.param_groups[0]['capturable'] = True
    model.load_state_dict({name: x + 1 for name, x in model.state_dict().items()})


def change_rate(model, optimizer):
    optimizer.param_groups[0]['lr'] = 0.5


def add_group(model, optimizer):
    optimizer.add_param_group({'params': [torch.nn.Parameter(torch.ones(1))]})


def change_term(model, optimizer):
    model.alignment.weights['intent'] *= 2


def change_momentum(model, optimizer):
    model.intent_projector.momentum = 0.5


def evaluate_part(model, optimizer):
    model.alignment.translation.eval()


def replace_texts(model, optimizer):
    model.intent = model.intent.flip(0)


def move_weights(model, optimizer):
    for weight in model.parameters():
        weight.data = weight.data.clone()


@pytest.mark.parametrize(
    ('change', 'name'),
    [
        (change_values, None),
        (change_rate, "the optimizer's 'lr'"),
        (add_group, "the optimizer's 'lr'"),
        (change_term, 'a setting of the model'),
        (change_momentum, 'a setting of the model'),
        (evaluate_part, 'a setting of the model'),
        (replace_texts, 'a buffer of the model'),
        (move_weights, 'a weight of the model'),
    ],
)
def test_names_what_has_changed(change, name, trained):
    before = fixed_state(*trained)
    change(*trained)
    assert find_change(before, fixed_state(*trained)) == name


def test_names_a_state_that_was_loaded(trained):
    model, optimizer = trained
    before = fixed_state(model, optimizer)
    rate = optimizer.param_groups[0]['lr']
    optimizer.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    optimizer.param_groups[0]['lr'] = rate
    now = fixed_state(model, optimizer)
    assert find_change(before, now) == 'the state of the optimizer'


def test_a_new_option_is_a_change(trained):
    before = fixed_state(*trained)
    trained[1].param_groups[0]['initial_lr'] = 0.1
    assert find_change(before, fixed_state(*trained)) == 'the optimizer'


def test_a_tensor_on_another_device_is_read_by_value():
    """A fused optimizer launches kernels with the value of a rate on the CPU."""
    rate = torch.tensor(0.5)
    assert _as_read(rate, torch.device('cuda', 0)) == 0.5
    assert _as_read(rate, torch.device('cpu')) is rate


@pytest.mark.skipif(
    not hasattr(torch.backends.cuda.matmul, 'fp32_precision'), reason='older torch'
)
def test_reads_a_precision_that_was_set_by_backend(trained):
    """torch.get_float32_matmul_precision() would raise an error."""
    before, matmul = fixed_state(*trained), torch.backends.cuda.matmul
    precision = matmul.fp32_precision
    matmul.fp32_precision = 'tf32'
    try:
        assert find_change(before, fixed_state(*trained)) == 'the precision'
    finally:
        matmul.fp32_precision = precision
