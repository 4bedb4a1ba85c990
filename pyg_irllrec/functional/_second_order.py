from __future__ import annotations

import torch


def refuse_second_order(what: str, instead: str = "impl='eager'") -> None:
    r"""Raises where :obj:`create_graph=True` asks for what is not there: without
    this, second derivatives would be wrong without a word."""
    if torch.is_grad_enabled() and not torch.compiler.is_compiling():
        raise RuntimeError(
            f'{what} has first derivatives only: take {instead} for those of second '
            'order, and for torch.func'
        )
