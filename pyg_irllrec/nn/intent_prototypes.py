from __future__ import annotations

from typing import NoReturn

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.init import xavier_uniform_

from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.checks import check_count


class IntentPrototypes(Module):
    r""":math:`K` latent intents, and what a node's share of each adds up to, from
    the `"Intent Representation Learning with Large Language Model for
    Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper:

    .. math::
        \mathbf{H} = \text{softmax}(\mathbf{X} \mathbf{C}) \mathbf{C}^{\top}

    Args:
        embedding_dim (int): The width :math:`d` of nodes and intents.
        num_intents (int): The number :math:`K` of intents.

    Raises:
        ValueError: If a size is out of range, or nodes have another width.

    Shapes:
        - **input:** :math:`(*, d)`
        - **output:** :math:`(*, d)`
    """

    def __init__(self, embedding_dim: int, num_intents: int) -> None:
        super().__init__()
        check_count('embedding_dim', embedding_dim)
        check_count('num_intents', num_intents)
        self.embedding_dim = embedding_dim
        self.num_intents = num_intents
        self.weight = Parameter(torch.empty(embedding_dim, num_intents))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Draws the prototypes :math:`\mathbf{C} \in \mathbb{R}^{d \times K}`
        anew (Xavier-uniform)."""
        xavier_uniform_(self.weight)

    def assign(self, x: Tensor) -> Tensor:
        r"""Each node's share of every intent, :math:`\text{softmax}(\mathbf{X}
        \mathbf{C})`, of shape :math:`(*, K)`."""
        if (
            not isinstance(x, Tensor)
            or x.shape[-1:] != self.weight.shape[:1]
            or not x.is_floating_point()
        ):
            self._refuse(x)
        return (x @ self.weight).softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        r"""The mixture of intents of each node."""
        if (
            not isinstance(x, Tensor)
            or x.shape[-1:] != self.weight.shape[:1]
            or not x.is_floating_point()
        ):
            self._refuse(x)
        return (x @ self.weight).softmax(dim=-1) @ self.weight.t()

    def _refuse(self, x: object) -> NoReturn:
        got = type(x).__name__
        if isinstance(x, Tensor):
            got = f'shape {tuple(x.shape)} of {x.dtype}'
        raise ValueError(
            f"'x' must be a floating-point tensor of width {self.embedding_dim}, "
            f"'embedding_dim', got {got}"
        )

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
