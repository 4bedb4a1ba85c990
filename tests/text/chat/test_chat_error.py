from __future__ import annotations

from pyg_irllrec.text import ChatError


def test_the_default_kind_is_passing():
    error = ChatError('the server is busy')
    assert (str(error), error.kind, error.retry_after) == (
        'the server is busy',
        'passing',
        None,
    )
    error = ChatError('no', 'refused', retry_after=2.5)
    assert (error.kind, error.retry_after) == ('refused', 2.5)
