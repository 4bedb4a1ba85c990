from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_irllrec.utils.argument_checks import (
    as_names,
    as_path,
    check_encoder,
    check_flag,
    check_instance,
    check_name,
    check_transform,
    each_of,
    is_iterable,
)


def test_paths():
    assert as_path('out', 'a/b') == as_path('out', Path('a/b')) == Path('a/b')
    for value in (None, 3, b'a', ['a'], 'a\0', '\ud800', ''):
        with pytest.raises(ValueError, match=r"^'out' must be a path"):
            as_path('out', value)


def test_instances_flags_and_names():
    check_instance('k', 3, int)
    with pytest.raises(ValueError, match=r"^'x' must be a Tensor, got list: stack it$"):
        check_instance('x', [], torch.Tensor, 'stack it')
    with pytest.raises(ValueError, match=r"^'x' must be an OSError, got int$"):
        check_instance('x', 3, OSError)
    check_flag('resume', True)
    check_flag('resume', np.bool_(False))
    for value in ('no', 1, None, torch.tensor(True)):
        with pytest.raises(ValueError, match=r"^'resume' must be True or False, got"):
            check_flag('resume', value)
    check_name('intent', 'intent_text')
    for value in (None, 3, ['a'], b'a', '', 'a\ud800'):
        with pytest.raises(ValueError, match=r"^'intent' must be a name \(a non-"):
            check_name('intent', value)


def test_several_values():
    many = (['a'], ('a',), {'a'}, np.array(['a']), (x for x in 'a'), torch.ones(1))
    one = ('a', b'a', {'a': 1}, 3, None, np.array(1), torch.tensor(1))
    assert all(map(is_iterable, many)) and not any(map(is_iterable, one))
    assert list(each_of('texts', ('a', 'b'), str)) == ['a', 'b']
    with pytest.raises(ValueError, match=r"^'texts' must be a list of texts, got a"):
        list(each_of('texts', 'a', str))
    with pytest.raises(ValueError, match=r"^'x' must be a list of int objects"):
        list(each_of('x', None, int))
    with pytest.raises(ValueError, match=r"^'texts' must hold texts, got 3 in row 1"):
        list(each_of('texts', ['a', 3], str))
    assert as_names('sides', 'user') == as_names('sides', ['user']) == ('user',)
    with pytest.raises(ValueError, match=r"^'sides' must be a name or a list of names"):
        as_names('sides', 3)
    with pytest.raises(ValueError, match=r"^'sides' must be a name \(a non-"):
        as_names('sides', ['user', 3])


def test_callables():
    check_encoder(len)
    check_transform(None)
    with pytest.raises(ValueError, match=r"^'encoder' must be callable with a list"):
        check_encoder('x')
    with pytest.raises(ValueError, match=r"^'transform' must be callable .* got str"):
        check_transform('x')
