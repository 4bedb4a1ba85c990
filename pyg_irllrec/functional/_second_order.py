from __future__ import annotations

import torch


def refuse_second_order(what: str, instead: str = "impl='eager'") -> None:
    r"""Raise a :class:`RuntimeError` in a backward pass with :obj:`create_graph=True`,
    whose second derivatives would be silently wrong. Call it in a backward pass if
    gradients are enabled."""
    if not torch.compiler.is_compiling():
        raise RuntimeError(
            f'{what} has first derivatives only: use {instead} for second derivatives '
            'and for torch.func'
        )
