r"""Recommenders, which wrap a backbone, are trained and recommend items."""

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
