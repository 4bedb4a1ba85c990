from __future__ import annotations

from torch import Tensor
from torch.nn import Linear
from torch.nn.init import normal_

from pyg_irllrec.utils.checks import check_count


class FeatureMap(Linear):
    r"""The linear map of text embeddings that is added to the features of nodes:
    :math:`\mathbf{E}_0 + \mathbf{T} \mathbf{W}`. At first, it maps texts of unit length
    to a length of about 2. They then outweigh the shorter rows of the embedding tables,
    which need not learn again what the texts contain.

    Args:
        in_channels (int): The width of the text embeddings.
        out_channels (int): The width :math:`d` of the features.

    Shapes:
        - **input:** :math:`(*, F_{in})`
        - **output:** :math:`(*, F_{out})`

    Raises:
        ValueError: If a width is below 1, or the texts do not have :obj:`in_channels`
            columns.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import FeatureMap
        >>> text = torch.randn(5, 48)  # one text embedding per node
        >>> FeatureMap(48, 16)(text).shape
        torch.Size([5, 16])
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        check_count('in_channels', in_channels)
        check_count('out_channels', out_channels)
        super().__init__(in_channels, out_channels, bias=False)

    def reset_parameters(self) -> None:
        r"""Reset the weights (normal distribution)."""
        normal_(self.weight, std=2 * self.out_features**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        r"""Map text embeddings, in the dtype of the weights."""
        if not isinstance(x, Tensor) or x.shape[-1:] != (self.in_features,):
            got = x.shape if isinstance(x, Tensor) else type(x).__name__
            raise ValueError(
                f"'x' must be a tensor of shape (*, {self.in_features}), got {got}"
            )
        return super().forward(x.to(self.weight.dtype))
