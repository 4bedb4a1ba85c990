from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_irllrec.utils.argument_checks import (
    as_path,
    check_flag,
    check_instance,
    check_name,
)


def test_paths():
    assert as_path('out', 'a/b') == as_path('out', Path('a/b')) == Path('a/b')
    for value in (None, 3, b'a', ['a'], 'a\0', '\ud800'):
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
    for value in (None, 3, ['a'], b'a'):
        with pytest.raises(ValueError, match=r"^'intent' must be a name, a str, got"):
            check_name('intent', value)
