r"""Datasets of interactions and texts."""

from .goodreads import Goodreads
from .interaction_dataset import InteractionDataset
from .irllrec_dataset import IRLLRecDataset
from .last_fm import LastFM
from .movie_lens import MovieLens
from .synthetic_intents import SyntheticIntents

__all__ = [
    'Goodreads',
    'IRLLRecDataset',
    'InteractionDataset',
    'LastFM',
    'MovieLens',
    'SyntheticIntents',
]
