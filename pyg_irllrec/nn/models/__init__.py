r"""Recommenders: what wraps a backbone, is trained and recommends."""

from .irllrec import IRLLRec
from .ranker import Ranker
from .recommendation import Recommendation
from .recommender import Recommender
from .rlmrec_gen import RLMRecGen

__all__ = [
    'IRLLRec',
    'RLMRecGen',
    'Ranker',
    'Recommendation',
    'Recommender',
]
