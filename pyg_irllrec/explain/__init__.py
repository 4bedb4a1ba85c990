r"""Explain recommendations in words, by the latent intents of a trained model."""

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
