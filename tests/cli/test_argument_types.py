from __future__ import annotations

from argparse import ArgumentTypeError

import pytest

from pyg_irllrec.cli.argument_types import positive_int


def test_positive_int():
    assert positive_int('12') == 12
    for text in ('0', '-1', '1.5', 'x', ''):
        with pytest.raises(ArgumentTypeError, match='must be a positive integer'):
            positive_int(text)
