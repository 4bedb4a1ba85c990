r"""Why something is recommended, in words: what a trained model makes of intents."""

from .intent_explainer import IntentExplainer
from .node_explanation import ActivePrototype, NodeExplanation
from .prototype_explanation import PrototypeExplanation
from .recommendation_explanation import RecommendationExplanation

__all__ = [
    'ActivePrototype',
    'IntentExplainer',
    'NodeExplanation',
    'PrototypeExplanation',
    'RecommendationExplanation',
]
