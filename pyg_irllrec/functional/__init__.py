r"""Pure functions on tensors: losses, propagation, dropout and ranking."""

from .alignment_uniformity_loss import alignment_uniformity_loss
from .approximation_error import ApproximationError, approximation_error
from .bpr_loss import bpr_loss
from .edge_dropout import edge_dropout
from .info_nce import info_nce
from .intent_propagate import intent_propagate
from .matching_loss import matching_loss
from .node_dropout import node_dropout
from .propagate import propagate
from .softmax_loss import softmax_loss
from .top_k_items import top_k_items
from .unit_norm import unit_norm

__all__ = [
    'ApproximationError',
    'alignment_uniformity_loss',
    'approximation_error',
    'bpr_loss',
    'edge_dropout',
    'info_nce',
    'intent_propagate',
    'matching_loss',
    'node_dropout',
    'propagate',
    'softmax_loss',
    'top_k_items',
    'unit_norm',
]
