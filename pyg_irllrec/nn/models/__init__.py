r"""Backbones, and the recommender that wraps them."""

from .backbone import Backbone, BackboneOutput
from .irllrec import IRLLRec, Recommendation
from .light_gcn import LightGCN

__all__ = ['Backbone', 'BackboneOutput', 'IRLLRec', 'LightGCN', 'Recommendation']
