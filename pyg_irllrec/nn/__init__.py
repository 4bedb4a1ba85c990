r"""Neural network modules: layers, losses, backbones and recommenders."""

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
from .baselines import EASE, ItemKNN, Popularity
from .conv import IntentLGConv
from .feature_map import FeatureMap
from .intent_prototypes import IntentPrototypes
from .loss import (
    BPRLoss,
    DirectAULoss,
    IntentAlignmentLoss,
    InteractionTextMatchingLoss,
    LossOutput,
    PairwiseAlignmentLoss,
    SoftmaxLoss,
    TranslationAlignmentLoss,
)
from .models import IRLLRec, Ranker, Recommendation, Recommender, RLMRecGen
from .momentum_encoder import MomentumEncoder
from .text_projector import TextProjector

__all__ = [
    'BIGCF',
    'DCCF',
    'EASE',
    'SGL',
    'AlphaRec',
    'BPRLoss',
    'Backbone',
    'BackboneOutput',
    'ContrastiveBackbone',
    'DirectAULoss',
    'EmbeddingBackbone',
    'FeatureMap',
    'IRLLRec',
    'IntentAlignmentLoss',
    'IntentLGConv',
    'IntentNodeBackbone',
    'IntentPrototypes',
    'InteractionTextMatchingLoss',
    'ItemKNN',
    'LightGCN',
    'LossOutput',
    'ModuleBackbone',
    'MomentumEncoder',
    'PairwiseAlignmentLoss',
    'Popularity',
    'RLMRecGen',
    'Ranker',
    'Recommendation',
    'Recommender',
    'SimGCL',
    'SoftmaxLoss',
    'TextProjector',
    'TranslationAlignmentLoss',
    'TwoViewBackbone',
]
