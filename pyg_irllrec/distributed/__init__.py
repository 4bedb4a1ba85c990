r"""Training on several processes: shared losses, sharded tables and graphs."""

from .distributed_loss import DistributedLoss
from .sharded_embedding import ShardedEmbedding
from .sharded_graph import ShardedGraph
from .sharded_info_nce import sharded_info_nce
from .sharded_light_gcn import ShardedLightGCN

__all__ = [
    'DistributedLoss',
    'ShardedEmbedding',
    'ShardedGraph',
    'ShardedLightGCN',
    'sharded_info_nce',
]
