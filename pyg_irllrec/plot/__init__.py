r"""Plots of training runs and of what a model has learned (extra :obj:`plot`)."""

from .intent_map import draw_intent_map
from .learning_curves import learning_curves
from .project_to_plane import project_to_plane

__all__ = ['draw_intent_map', 'learning_curves', 'project_to_plane']
