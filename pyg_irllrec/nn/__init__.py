r"""Modules: layers, losses, backbones and the recommender."""

from .backbones import (
    BIGCF,
    DCCF,
    SGL,
    AlphaRec,
    Backbone,
    BackboneOutput,
    ContrastiveBackbone,
    EmbeddingBackbone,
    IntentNodeBackbone,
    LightGCN,
    ModuleBackbone,
    SimGCL,
    TwoViewBackbone,
)
from .conv import IntentLGConv
from .intent_prototypes import IntentPrototypes
from .loss import (
    IntentAlignmentLoss,
    InteractionTextMatchingLoss,
    LossOutput,
    PairwiseAlignmentLoss,
    TranslationAlignmentLoss,
)
from .models import IRLLRec, Recommendation, Recommender, RLMRecGen
from .momentum_encoder import MomentumEncoder
from .text_projector import TextProjector

__all__ = [
    'BIGCF',
    'DCCF',
    'SGL',
    'AlphaRec',
    'Backbone',
    'BackboneOutput',
    'ContrastiveBackbone',
    'EmbeddingBackbone',
    'IRLLRec',
    'IntentAlignmentLoss',
    'IntentLGConv',
    'IntentNodeBackbone',
    'IntentPrototypes',
    'InteractionTextMatchingLoss',
    'LightGCN',
    'LossOutput',
    'ModuleBackbone',
    'MomentumEncoder',
    'PairwiseAlignmentLoss',
    'RLMRecGen',
    'Recommendation',
    'Recommender',
    'SimGCL',
    'TextProjector',
    'TranslationAlignmentLoss',
    'TwoViewBackbone',
]
