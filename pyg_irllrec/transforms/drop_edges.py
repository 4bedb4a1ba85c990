from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._random_drop import RandomDrop
from pyg_irllrec.typing import GraphData
from pyg_irllrec.utils.edge_store import read_edges


@functional_transform('irllrec_drop_edges')
class DropEdges(RandomDrop):
    r"""Drop each interaction with probability :obj:`p`, together with its attributes
    (functional name: :obj:`irllrec_drop_edges`). Validation and test interactions stay;
    reverse interactions are dropped with their originals. In an undirected
    :class:`~torch_geometric.data.Data`, all edges between two nodes, in both
    directions, are kept or dropped together.

    To drop edges inside a model, on a graph that stays sorted, see
    :func:`~pyg_irllrec.functional.edge_dropout`.

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
            type, something that was already derived from them would keep all, or the
            graph is the training part of
            :class:`~torch_geometric.transforms.RandomLinkSplit`, whose labelled edges
            would stay.

    Example:
        >>> import torch
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.transforms import DropEdges
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> drop = DropEdges(0.5, generator=torch.Generator().manual_seed(0))
        >>> dropped = drop(data)
        >>> data['rates'].num_edges, dropped['rates'].num_edges
        (32, 13)
    """

    def _kept(self, data: GraphData, store: Any) -> Tensor:
        edge_index = read_edges(store)
        pair = None if isinstance(data, HeteroData) else _pairs(edge_index)
        count = edge_index.size(1) if pair is None else int(pair.max()) + 1
        kept = self._draw(count, edge_index.device)
        return kept if pair is None else kept[pair]


def _pairs(edge_index: Tensor) -> Optional[Tensor]:
    r"""Number the pair of nodes of each edge, if the graph is undirected."""
    if edge_index.size(1) == 0:
        return None
    size = int(edge_index.max()) + 1
    source, target = edge_index
    forward, backward = source * size + target, target * size + source
    if not torch.equal(forward.sort().values, backward.sort().values):
        return None
    pair: Tensor = torch.minimum(forward, backward).unique(return_inverse=True)[1]
    return pair
