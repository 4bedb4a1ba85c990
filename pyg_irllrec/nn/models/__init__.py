r"""Backbones, and the recommenders that wrap them."""

from .alpha_rec import AlphaRec
from .backbone import Backbone
from .backbone_output import BackboneOutput
from .bigcf import BIGCF
from .contrastive_backbone import ContrastiveBackbone
from .dccf import DCCF
from .embedding_backbone import EmbeddingBackbone
from .irllrec import IRLLRec
from .light_gcn import LightGCN
from .module_backbone import ModuleBackbone
from .recommendation import Recommendation
from .recommender import Recommender
from .rlmrec_gen import RLMRecGen
from .sgl import SGL
from .sim_gcl import SimGCL
from .two_view_backbone import TwoViewBackbone

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
    'LightGCN',
    'ModuleBackbone',
    'RLMRecGen',
    'Recommendation',
    'Recommender',
    'SimGCL',
    'TwoViewBackbone',
]
