from __future__ import annotations

from typing import Any

from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._random_drop import RandomDrop
from pyg_irllrec.typing import GraphData
from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.edge_store import num_nodes, read_edges


@functional_transform('irllrec_drop_nodes')
class DropNodes(RandomDrop):
    r"""Drop all interactions of each user, and of each item, with probability
    :obj:`p`, together with their attributes (functional name:
    :obj:`irllrec_drop_nodes`). The nodes themselves stay, without edges, and so do
    validation and test interactions; reverse interactions are dropped with their
    originals.

    To drop nodes inside a model, on a graph that stays sorted, see
    :func:`~pyg_irllrec.functional.node_dropout`.

    Args:
        p (float): The probability, in :math:`[0, 1)`.
        generator (torch.Generator, optional): The source of the draws.
            (default: :obj:`None`, the global generator)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If :obj:`p` is out of range, there are no interactions of this
            type, ids are out of range, something that was already derived from the
            interactions would keep all, or the graph is the training part of
            :class:`~torch_geometric.transforms.RandomLinkSplit`, whose labelled edges
            would stay.

    Example:
        >>> import torch
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.transforms import DropNodes
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> drop = DropNodes(0.5, generator=torch.Generator().manual_seed(0))
        >>> dropped = drop(data)
        >>> data['rates'].num_edges, dropped['rates'].num_edges
        (32, 6)
    """

    def _kept(self, data: GraphData, store: Any) -> Tensor:
        source, target = read_edges(store)
        if isinstance(data, HeteroData):
            sizes = num_nodes(data, store._key)
            ends = [self._draw(size, source.device) for size in sizes]
        else:
            size = int(data.num_nodes)
            check_node_ids(store.edge_index, size)
            ends = [self._draw(size, source.device)] * 2
        return ends[0][source] & ends[1][target]
