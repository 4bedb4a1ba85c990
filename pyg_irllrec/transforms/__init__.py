r"""PyG transforms of interactions, graphs and texts."""

from .add_intents import AddIntents
from .add_profiles import AddProfiles
from .binarize_ratings import BinarizeRatings
from .drop_edges import DropEdges
from .drop_nodes import DropNodes
from .encode_text import EncodeText
from .intent_nodes import IntentNodes
from .k_core import KCore
from .profile_texts import ProfileTexts
from .profile_vectors import ProfileVectors
from .reduce_text import ReduceText
from .remap_ids import RemapIds
from .split_interactions import SplitInteractions
from .symmetric_adjacency import SymmetricAdjacency

__all__ = [
    'AddIntents',
    'AddProfiles',
    'BinarizeRatings',
    'DropEdges',
    'DropNodes',
    'EncodeText',
    'IntentNodes',
    'KCore',
    'ProfileTexts',
    'ProfileVectors',
    'ReduceText',
    'RemapIds',
    'SplitInteractions',
    'SymmetricAdjacency',
]
