r"""From a trained model to a service: models with the ids and titles of what they
recommend, saved in one piece."""

from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.serving.frozen_ranker import FrozenRanker
from pyg_irllrec.serving.load import load
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.serving.recommendations import Recommendations

__all__ = ['Bundle', 'FrozenRanker', 'Nodes', 'Recommendations', 'load']
