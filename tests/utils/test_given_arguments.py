from __future__ import annotations

from pyg_irllrec.utils.given_arguments import given_arguments


class Base:
    def __init__(self, size, kind='a', *, rate=None):
        self.size, self.kind, self.rate = size, kind, rate


class Derived(Base):
    pass


def test_arguments_that_differ_from_the_default():
    assert given_arguments(Derived(3)) == 'size=3'
    assert given_arguments(Base('x', 'b', rate=(1, 2))) == (
        "size='x', kind='b', rate=(1, 2)"
    )
