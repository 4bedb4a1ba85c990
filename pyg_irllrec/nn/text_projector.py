from __future__ import annotations

from typing import Optional, cast

import torch
from torch import Tensor
from torch.nn import LeakyReLU, Linear, Sequential
from torch.nn.init import xavier_uniform_
from torch.nn.utils import skip_init

from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.utils.checks import check_count


class TextProjector(Sequential):
    r"""The text tower of the `"Intent Representation Learning with Large Language Model
    for Recommendation" <https://arxiv.org/abs/2502.03307>`_ paper: an MLP with two
    linear layers, which maps text embeddings to the width of the graph embeddings.

    .. math::
        \mathbf{p} = \mathbf{W}_2 \, \text{LeakyReLU}_{0.01}(\mathbf{W}_1
        \mathbf{t} + \mathbf{b}_1) + \mathbf{b}_2

    Args:
        in_channels (int): The width of the text embeddings.
        out_channels (int): The width of the graph embeddings.
        hidden_channels (int, optional): The width of the hidden layer.
            (default: :obj:`None`, half the sum of the other two)

    Shapes:
        - **input:** :math:`(*, F_{in})`
        - **output:** :math:`(*, F_{out})`

    Raises:
        ValueError: If a width is below 1, or the texts do not have :obj:`in_channels`
            columns.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import TextProjector
        >>> projector = TextProjector(384, 64)
        >>> projector
        TextProjector(in_channels=384, out_channels=64, hidden_channels=224)
        >>> projector(torch.randn(10, 384)).shape
        torch.Size([10, 64])
    """

    def __init__(
        self, in_channels: int, out_channels: int, hidden_channels: Optional[int] = None
    ) -> None:
        check_count('in_channels', in_channels)
        check_count('out_channels', out_channels)
        if hidden_channels is None:
            hidden_channels = (in_channels + out_channels) // 2
        check_count('hidden_channels', hidden_channels)
        device = torch.get_default_device()  # skip_init() ignores the default device.
        super().__init__(
            skip_init(Linear, in_channels, hidden_channels, device=device),
            LeakyReLU(0.01, inplace=True),  # Its input is not needed again.
            skip_init(Linear, hidden_channels, out_channels, device=device),
        )
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.hidden_channels = hidden_channels
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Reset the weights (Xavier-uniform) and the biases (torch's default)."""
        for layer in self:
            if isinstance(layer, Linear):
                layer.reset_parameters()
                xavier_uniform_(layer.weight)

    def forward(self, x: Tensor) -> Tensor:
        r"""Project text embeddings, in the dtype of the weights."""
        if not isinstance(x, Tensor) or x.shape[-1:] != (self.in_channels,):
            got = x.shape if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(
                f"'x' must be a tensor of shape (*, {self.in_channels}), got {got}"
            )
        # Not next(self.parameters()): a teacher has buffers instead.
        x = x.to(cast(Linear, self[0]).weight.dtype)
        for layer in self:
            x = layer(x)
        return x

    def __repr__(self) -> str:
        return f'{type(self).__name__}({repr_arguments(self)})'
