r"""Bundles: trained models with the ids, titles and texts of their users and items,
which recommend, explain, and can be saved and served."""

from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.serving.explanation import Explanation
from pyg_irllrec.serving.frozen_ranker import FrozenRanker
from pyg_irllrec.serving.item_index import ItemIndex
from pyg_irllrec.serving.load import load
from pyg_irllrec.serving.named_intent import NamedIntent
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.recommendations import Recommendations
from pyg_irllrec.serving.similar_user import SimilarUser

__all__ = [
    'Bundle',
    'Explanation',
    'FrozenRanker',
    'ItemIndex',
    'NamedIntent',
    'Nodes',
    'RankedItem',
    'Recommendations',
    'SimilarUser',
    'load',
]
