from __future__ import annotations

import pytest
import torch
from torch.nn import Linear
from torch.nn.modules.module import register_module_forward_hook

from pyg_irllrec.nn import IntentLGConv, LightGCN, PairwiseAlignmentLoss
from pyg_irllrec.nn._plain_module import is_plain


def test_new_modules_are_plain():
    for module in (Linear(1, 1), PairwiseAlignmentLoss(), IntentLGConv()):
        assert is_plain(module, type(module))
    assert is_plain(LightGCN(2, 2, 2, num_intents=2), LightGCN)


def test_another_class_is_not():
    class Mine(Linear):
        pass

    assert not is_plain(Mine(1, 1), Linear)
    assert not is_plain(None, Linear)


@pytest.mark.parametrize(
    'hook',
    [
        'register_forward_hook',
        'register_forward_pre_hook',
        'register_full_backward_hook',
        'register_full_backward_pre_hook',
    ],
)
def test_a_hook_counts_until_it_is_removed(hook):
    module = Linear(1, 1)
    handle = getattr(module, hook)(lambda *args: None)
    assert not is_plain(module, Linear)
    handle.remove()
    assert is_plain(module, Linear)


def test_a_hook_on_all_modules_counts():
    handle = register_module_forward_hook(lambda *args: None)
    assert not is_plain(Linear(1, 1), Linear)
    handle.remove()
    assert is_plain(Linear(1, 1), Linear)


def test_a_method_of_the_instance_counts():
    module = Linear(1, 1)
    module.forward = torch.neg
    assert not is_plain(module, Linear)
    compiled = Linear(1, 1)
    compiled.compile(backend='eager')
    assert not is_plain(compiled, Linear)
