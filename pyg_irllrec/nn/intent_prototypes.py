from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch.nn import Module, Parameter
from torch.nn.init import xavier_uniform_

from pyg_irllrec.functional import unit_norm
from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.checks import check_count


class IntentPrototypes(Module):
    r"""The mixture of :math:`K` latent intents of each node, from the `"Intent
    Representation Learning with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper:

    .. math::
        \mathbf{H} = \text{softmax}(\mathbf{X} \mathbf{C}) \mathbf{C}^{\top}

    Each column of :math:`\mathbf{C}` is the prototype of an intent. Early in training,
    embeddings are short, so that inner products give all intents nearly the same share.
    With a temperature, the shares are :math:`\text{softmax}(\cos(\mathbf{x},
    \mathbf{c}_k) / \tau)`, which do not depend on the length of embeddings.

    Args:
        embedding_dim (int): The width :math:`d` of nodes and intents.
        num_intents (int): The number :math:`K` of intents.
        temperature (float, optional): :math:`\tau`. (default: :obj:`None`, inner
            products as in the paper)

    Raises:
        ValueError: If an argument is out of range, or the input does not have
            :obj:`embedding_dim` columns.

    Shapes:
        - **input:** :math:`(*, d)`
        - **output:** :math:`(*, d)`

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import IntentPrototypes
        >>> prototypes = IntentPrototypes(16, num_intents=4, temperature=0.1)
        >>> x = torch.randn(5, 16)
        >>> prototypes(x).shape
        torch.Size([5, 16])
        >>> prototypes.assign(x).shape  # the share of each intent
        torch.Size([5, 4])
    """

    def __init__(
        self,
        embedding_dim: int,
        num_intents: int,
        *,
        temperature: Optional[float] = None,
    ) -> None:
        super().__init__()
        check_count('embedding_dim', embedding_dim)
        check_count('num_intents', num_intents)
        if temperature is not None:
            check_temperature('temperature', temperature)
        self.embedding_dim = embedding_dim
        self.num_intents = num_intents
        self.temperature = temperature
        self.weight = Parameter(torch.empty(embedding_dim, num_intents))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Reset the prototypes :math:`\mathbf{C} \in \mathbb{R}^{d \times K}`
        (Xavier-uniform)."""
        xavier_uniform_(self.weight)

    def logits(self, x: Tensor) -> Tensor:
        r"""Return the similarity of each node to each intent, of shape :math:`(*, K)`:
        inner products, or cosines divided by the temperature."""
        if (
            not isinstance(x, Tensor)
            or x.shape[-1:] != self.weight.shape[:1]
            or not x.is_floating_point()
        ):
            got = type(x).__name__
            if isinstance(x, Tensor):
                got = f'shape {tuple(x.shape)} of {x.dtype}'
            raise ValueError(
                "'x' must be a floating-point tensor with 'embedding_dim' = "
                f'{self.embedding_dim} columns, got {got}'
            )
        if self.temperature is None:
            return x @ self.weight
        directions = unit_norm(self.weight.t()).t() / self.temperature
        return unit_norm(x) @ directions

    def assign(self, x: Tensor) -> Tensor:
        r"""Return the share of each intent for each node, the softmax of
        :meth:`logits`, of shape :math:`(*, K)`."""
        return self.logits(x).softmax(dim=-1)

    def forward(self, x: Tensor) -> Tensor:
        r"""Return the mixture of intents of each node."""
        return self.assign(x) @ self.weight.t()

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
