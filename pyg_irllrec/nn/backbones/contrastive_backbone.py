from __future__ import annotations

from typing import Optional

from torch import Tensor

from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.nn.backbones.backbone_output import BackboneOutput
from pyg_irllrec.nn.backbones.embedding_backbone import EmbeddingBackbone
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_not_negative, check_triplets
from pyg_irllrec.utils.ranks import Ranks


class ContrastiveBackbone(EmbeddingBackbone):
    r"""The base class of backbones with a contrastive loss over views of nodes. A
    subclass implements :meth:`contrast`.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.
        embedding_dim (int): The width :math:`d` of the embeddings.
            (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`3`)
        num_intents (int): The number of intent prototypes per side, 0 for none.
            (default: :obj:`0`)
        intent_temperature (float, optional): The temperature of
            :class:`~pyg_irllrec.nn.IntentPrototypes`. (default: :obj:`None`, inner
            products)
        contrast_weight (float): The weight of the contrast. (default: :obj:`0.1`)
        temperature (float): The temperature :math:`\tau` of the contrast.
            (default: :obj:`0.2`)
        duplicates (bool): Whether a node that occurs several times in a batch counts
            each time. (default: :obj:`False`)
        impl (str): The implementation of :class:`~pyg_irllrec.nn.IntentLGConv`.
            (default: :obj:`"auto"`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import info_nce
        >>> from pyg_irllrec.nn import ContrastiveBackbone
        >>> class TwoDepths(ContrastiveBackbone):
        ...     def encode(self, x, edge_index, edge_weight):
        ...         layers = self.layers(x, edge_index, edge_weight)
        ...         output = super().encode(x, edge_index, edge_weight)
        ...         return output._replace(views=(layers[0], layers[-1]))
        ...     def contrast(self, output, triplets):
        ...         users = triplets[0]
        ...         return info_nce(*(view[users] for view in output.views))
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> backbone = TwoDepths(2, 2, embedding_dim=8, contrast_weight=0.2)
        >>> triplets = torch.tensor([[0, 1], [0, 1], [1, 0]])
        >>> list(backbone.auxiliary_loss(backbone(edge_index), triplets))
        ['contrast']
    """

    ranks: Optional[Ranks] = None

    def __init__(
        self,
        num_users: int,
        num_items: int,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_intents: int = 0,
        intent_temperature: Optional[float] = None,
        contrast_weight: float = 0.1,
        temperature: float = 0.2,
        duplicates: bool = False,
        impl: str = 'auto',
    ) -> None:
        check_not_negative('contrast_weight', contrast_weight)
        check_temperature('temperature', temperature)
        check_flag('duplicates', duplicates)
        super().__init__(
            num_users,
            num_items,
            embedding_dim,
            num_layers=num_layers,
            num_intents=num_intents,
            intent_temperature=intent_temperature,
            impl=impl,
        )
        self.contrast_weight = contrast_weight
        self.temperature = temperature
        self.duplicates = duplicates

    def contrast(self, output: BackboneOutput, triplets: Tensor) -> Tensor:
        r"""Return the unweighted contrastive loss of a batch of triplets."""
        raise NotImplementedError

    def auxiliary_loss(
        self, output: BackboneOutput, triplets: Tensor
    ) -> dict[str, Tensor]:
        r"""Return the weighted contrast, if the output has views."""
        if not isinstance(output, BackboneOutput):
            raise ValueError(
                f"'output' must be a BackboneOutput, got {type(output).__name__}"
            )
        if not output.views or self.contrast_weight == 0:
            return {}
        check_triplets(triplets, self.num_users, self.num_items)
        return {'contrast': self.contrast_weight * self.contrast(output, triplets)}
