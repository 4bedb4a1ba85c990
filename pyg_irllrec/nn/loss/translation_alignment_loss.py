from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.functional._shared_info_nce import shared_info_nce
from pyg_irllrec.functional.info_nce import IMPLEMENTATIONS, check_temperature
from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.checks import (
    check_choice,
    check_generator,
    check_matrix,
    check_not_negative,
    check_same_shape,
)
from pyg_irllrec.utils.ranks import Ranks


class TranslationAlignmentLoss(Module):
    r"""The alignment of the text intents of all nodes with their noisy graph
    embeddings, from the `"Intent Representation Learning with Large Language Model for
    Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper (translation alignment):

    .. math::
        \mathcal{L} = \frac{1}{|\mathcal{V}|} \sum_k -\log \left(
        \frac{\exp(\cos(\mathbf{x}_k, \mathbf{y}_k) / \tau)}
        {\sum_j \exp(\cos(\mathbf{x}_k, \mathbf{y}_j) / \tau)} + \epsilon \right),
        \qquad \mathbf{x} = \mathbf{q} + \sigma \, \mathbf{q} \circ
        \boldsymbol{\varepsilon}_1, \quad \mathbf{y} = \mathbf{z} + \sigma \,
        \mathbf{z} \circ \boldsymbol{\varepsilon}_2, \quad
        \boldsymbol{\varepsilon} \sim \mathcal{N}(0, 1)

    Noise is drawn in training mode only: in evaluation mode the loss is deterministic.

    Args:
        temperature (float): :math:`\tau`. (default: :obj:`1.0`)
        noise (float): :math:`\sigma`. (default: :obj:`1.0`)
        eps (float): :math:`\epsilon`. The authors use :obj:`1e-8`, which damps the
            gradient for millions of nodes. (default: :obj:`0.0`)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import TranslationAlignmentLoss
        >>> loss_fn = TranslationAlignmentLoss(noise=0.5)
        >>> text, embedding = torch.randn(8, 16), torch.randn(8, 16)
        >>> loss_fn(text, embedding).shape
        torch.Size([])
    """

    ranks: Optional[Ranks] = None

    def __init__(
        self,
        temperature: float = 1.0,
        noise: float = 1.0,
        eps: float = 0.0,
        impl: str = 'auto',
    ) -> None:
        super().__init__()
        check_temperature('temperature', temperature)
        check_not_negative('noise', noise)
        check_not_negative('eps', eps)
        check_choice('impl', impl, ('auto', *IMPLEMENTATIONS))
        self.temperature = temperature
        self.noise = noise
        self.eps = eps
        self.impl = impl

    def forward(
        self,
        text: Tensor,
        embedding: Tensor,
        generator: Optional[torch.Generator] = None,
    ) -> Tensor:
        r"""Return the mean loss of all nodes.

        Args:
            text (torch.Tensor): Text intents :math:`\mathbf{q}` of shape
                :math:`(|\mathcal{V}|, d)`.
            embedding (torch.Tensor): Graph embeddings :math:`\mathbf{z}` of the
                same shape.
            generator (torch.Generator, optional): The random number generator of the
                noise. (default: :obj:`None`, torch's default generator)

        Raises:
            ValueError: If a shape or dtype is invalid.
        """
        check_matrix('text', text)
        check_matrix('embedding', embedding)
        check_same_shape('embedding', embedding, 'text', text)
        check_generator(generator)
        return self._unchecked(text, embedding, generator)

    def _unchecked(
        self, text: Tensor, embedding: Tensor, generator: Optional[torch.Generator]
    ) -> Tensor:
        r"""Return the same loss, without checks of the input."""
        if self.training and self.noise > 0:
            text, embedding = (self._blur(x, generator) for x in (text, embedding))
        return shared_info_nce(
            self.ranks,
            text,
            embedding,
            temperature=self.temperature,
            eps=self.eps,
            impl=self.impl,
        )

    def _blur(self, x: Tensor, generator: Optional[torch.Generator]) -> Tensor:
        r"""Multiply by one plus noise."""
        draw = torch.randn(x.shape, dtype=x.dtype, device=x.device, generator=generator)
        return x * (1 + self.noise * draw)

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
