from __future__ import annotations

from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional.edge_dropout import edge_dropout
from pyg_irllrec.utils.adjacency import (
    check_edge_index,
    check_node_ids,
    source_and_target,
)
from pyg_irllrec.utils.checks import check_count, check_vector


def node_dropout(
    edge_index: Tensor,
    edge_weight: Tensor,
    num_nodes: int,
    p: float,
    generator: Optional[torch.Generator] = None,
) -> Tensor:
    r"""Drop each node with probability :obj:`p`: set the weights of all its edges to
    zero. This is the node dropout of the `"Self-supervised Graph Learning for
    Recommendation" <https://arxiv.org/abs/2010.10783>`_ paper. As in
    :func:`~pyg_irllrec.functional.edge_dropout`, the edges themselves stay.

    Args:
        edge_index (torch.Tensor): Edges of shape :math:`(2, |\mathcal{E}|)`.
        edge_weight (torch.Tensor): Edge weights of shape :math:`(|\mathcal{E}|)`.
        num_nodes (int): The number of nodes.
        p (float): The probability, in :math:`[0, 1)`.
        generator (torch.Generator, optional): The source of randomness.
            (default: :obj:`None`, torch's own)

    Raises:
        ValueError: If :obj:`p` is out of range, a shape is wrong or, on a CPU, an id is
            out of range.

    Example:
        >>> import torch
        >>> from pyg_irllrec.functional import node_dropout
        >>> edge_index = torch.tensor([[0, 1, 2, 3], [1, 2, 3, 0]])
        >>> generator = torch.Generator().manual_seed(0)
        >>> # Drops the nodes 2 and 3.
        >>> node_dropout(edge_index, torch.ones(4), 4, p=0.3, generator=generator)
        tensor([1., 0., 0., 0.])
    """
    check_vector('edge_weight', edge_weight)
    check_edge_index(edge_index, edge_weight)
    check_count('num_nodes', num_nodes, least=0)
    if edge_index.is_cpu and not torch.compiler.is_compiling():
        check_node_ids(edge_index, num_nodes)
    kept = edge_dropout(edge_weight.new_ones(num_nodes), p, generator)
    source, target = source_and_target(edge_index)
    return edge_weight * kept.index_select(0, source) * kept.index_select(0, target)
