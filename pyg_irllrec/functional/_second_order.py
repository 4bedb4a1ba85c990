from __future__ import annotations

import torch


def refuse_second_order(what: str, instead: str = "impl='eager'") -> None:
    r"""Raise where :obj:`create_graph=True` asks for what is not there: call it in a
    backward pass that runs with gradients enabled. Without it, second derivatives
    would be silently wrong."""
    if not torch.compiler.is_compiling():
        raise RuntimeError(
            f'{what} has first derivatives only: take {instead} for those of second '
            'order, and for torch.func'
        )
