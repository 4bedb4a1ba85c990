from __future__ import annotations

from typing import NamedTuple, Optional

from torch import Tensor


class BackboneOutput(NamedTuple):
    r"""What a backbone computes, users first, then items."""

    embedding: Tensor
    """Node embeddings :math:`\\mathbf{Z}` that score, :math:`(|\\mathcal{V}|, d)`."""
    interaction_intent: Optional[Tensor] = None
    """Interaction intents :math:`\\mathbf{r}`, of the same shape."""
    views: tuple[Tensor, ...] = ()
    """What the backbone's own :meth:`~Backbone.auxiliary_loss` contrasts."""
