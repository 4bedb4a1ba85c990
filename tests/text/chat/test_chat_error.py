from __future__ import annotations

from pyg_irllrec.text import ChatError


def test_passes_unless_told_otherwise():
    error = ChatError('the server is busy')
    assert (str(error), error.kind, error.retry_after) == (
        'the server is busy',
        'passing',
        None,
    )
    error = ChatError('no', 'refused', retry_after=2.5)
    assert (error.kind, error.retry_after) == ('refused', 2.5)
