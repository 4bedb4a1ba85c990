from __future__ import annotations

from typing import NamedTuple, Optional

from torch import Tensor


class BackboneOutput(NamedTuple):
    r"""The output of a backbone. Rows are users first, then items.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import LightGCN
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [2, 3, 0, 1]])  # users 0, 1
        >>> output = LightGCN(2, 2, embedding_dim=8, num_intents=4)(edge_index)
        >>> output.embedding.shape, output.interaction_intent.shape, output.views
        (torch.Size([4, 8]), torch.Size([4, 8]), ())
    """

    embedding: Tensor
    """Node embeddings :math:`\\mathbf{Z}` for scores, :math:`(|\\mathcal{V}|, d)`."""
    interaction_intent: Optional[Tensor] = None
    """Interaction intents :math:`\\mathbf{r}`, of the same shape."""
    views: tuple[Tensor, ...] = ()
    """The views that :meth:`~Backbone.auxiliary_loss` contrasts, if any."""
