r"""Modules: layers, losses, backbones and the recommender."""

from .conv import IntentLGConv
from .intent_prototypes import IntentPrototypes
from .loss import (
    IntentAlignmentLoss,
    InteractionTextMatchingLoss,
    LossOutput,
    PairwiseAlignmentLoss,
    TranslationAlignmentLoss,
)
from .models import Backbone, BackboneOutput, IRLLRec, LightGCN, Recommendation
from .momentum_encoder import MomentumEncoder
from .text_projector import TextProjector

__all__ = [
    'Backbone',
    'BackboneOutput',
    'IRLLRec',
    'IntentAlignmentLoss',
    'IntentLGConv',
    'IntentPrototypes',
    'InteractionTextMatchingLoss',
    'LightGCN',
    'LossOutput',
    'MomentumEncoder',
    'PairwiseAlignmentLoss',
    'Recommendation',
    'TextProjector',
    'TranslationAlignmentLoss',
]
