r"""Datasets of interactions and texts."""

from .irllrec_dataset import IRLLRecDataset
from .synthetic_intents import SyntheticIntents

__all__ = ['IRLLRecDataset', 'SyntheticIntents']
