from __future__ import annotations

from typing import Any

from torch import Tensor

from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.embedding_backbone import EmbeddingBackbone
from pyg_irllrec.utils.checks import check_not_negative, check_positive


class ContrastiveBackbone(EmbeddingBackbone):
    r"""A backbone whose own loss contrasts views of nodes. A subclass writes
    :meth:`contrast`.

    Args:
        *args (optional): Those of :class:`~pyg_irllrec.nn.EmbeddingBackbone`, from
            :obj:`num_users` and :obj:`num_items` on; all after :obj:`num_layers` by
            name.
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.1`)
        temperature (float): Its temperature :math:`\tau`. (default: :obj:`0.2`)
        duplicates (bool): Whether a node that stands in a batch several times
            counts several times. (default: :obj:`False`)
        **kwargs (optional): The same by name.
    """

    def __init__(
        self,
        *args: Any,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        **kwargs: Any,
    ) -> None:
        check_not_negative('contrast_weight', contrast_weight)
        check_positive('temperature', temperature)
        super().__init__(*args, **kwargs)
        self.contrast_weight = contrast_weight
        self.temperature = temperature
        self.duplicates = duplicates

    def contrast(self, output: BackboneOutput, triplets: Tensor) -> Tensor:
        r"""The loss of a batch of triplets, before it is weighted."""
        raise NotImplementedError

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""The weighted contrast, where there are views."""
        if not output.views or self.contrast_weight == 0:
            return {}
        return {'contrast': self.contrast_weight * self.contrast(output, triplets)}
