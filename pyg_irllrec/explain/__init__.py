r"""Why something is recommended, in words: what a trained model makes of intents."""

from .intent_explainer import IntentExplainer
from .node_explanation import FiredPrototype, NodeExplanation
from .prototype_explanation import PrototypeExplanation
from .recommendation_explanation import RecommendationExplanation

__all__ = [
    'FiredPrototype',
    'IntentExplainer',
    'NodeExplanation',
    'PrototypeExplanation',
    'RecommendationExplanation',
]
