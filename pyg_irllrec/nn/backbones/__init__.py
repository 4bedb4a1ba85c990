r"""Backbones, which embed users and items."""

from .alpha_rec import AlphaRec
from .backbone import Backbone
from .backbone_output import BackboneOutput
from .bigcf import BIGCF
from .contrastive_backbone import ContrastiveBackbone
from .dccf import DCCF
from .embedding_backbone import EmbeddingBackbone
from .intent_node_backbone import IntentNodeBackbone
from .light_gcn import LightGCN
from .module_backbone import ModuleBackbone
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
    'IntentNodeBackbone',
    'LightGCN',
    'ModuleBackbone',
    'SimGCL',
    'TwoViewBackbone',
]
