from __future__ import annotations

from typing import Any, Optional

import torch
import torch.distributed as dist
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.distributed._row_exchange import RowLookup, gather_sizes
from pyg_irllrec.distributed.sharded_embedding import ShardedEmbedding
from pyg_irllrec.distributed.sharded_graph import ShardedGraph
from pyg_irllrec.distributed.sharded_info_nce import sharded_info_nce
from pyg_irllrec.functional.bpr_loss import unchecked_bpr_loss
from pyg_irllrec.functional.info_nce import check_temperature
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_not_negative,
    check_rows,
    check_triplets,
)


class ShardedLightGCN(Module):
    r"""LightGCN with texts for graphs that do not fit on one device. Embeddings, texts
    and edges are sharded, and every rank trains on its own triplets:

    .. math::
        \mathcal{L} = \mathcal{L}_{\mathrm{BPR}}(\mathbf{Z}) + \lambda
        \sum_{s \in \{\mathrm{users}, \mathrm{items}\}}
        \mathrm{InfoNCE}(\mathbf{Z}_s, p(\mathbf{T}_s)), \qquad
        \mathbf{Z} = \sum_{l=0}^{L} \mathbf{E}_l

    The losses are over the users and the positive items of the triplets of all ranks.
    Every rank has a copy of the projector :math:`p`. Pass :meth:`parameter_groups` to
    the optimizer; its weight decay takes the place of the L2 term.

    Args:
        graph (ShardedGraph): The graph.
        embedding_dim (int): The embedding dimension :math:`d`. (default: :obj:`32`)
        num_layers (int): The number of layers :math:`L`. (default: :obj:`3`)
        num_slices (int): The number of column slices in which layers are computed, see
            :meth:`ShardedGraph.propagate`. (default: :obj:`1`)
        text (torch.Tensor, optional): Text embeddings of this rank's nodes, users
            first, of shape :math:`(n, w)`. (default: :obj:`None`, no contrast)
        projector (torch.nn.Module, optional): The module that maps text embeddings to
            width :math:`d`. All ranks start with the weights of the first rank.
            (default: :obj:`None`, texts are used as they are, with :math:`w = d`)
        text_weight (float): The weight :math:`\lambda` of the contrast.
            (default: :obj:`1.0`)
        temperature (float): The temperature of the contrast. (default: :obj:`0.2`)
        negatives (str): Whether the contrast is with the texts of :obj:`"all"` users
            (or items), or of those in the :obj:`"batch"` of all ranks.
            (default: :obj:`"all"`)
        impl (str): :obj:`"moments"` or :obj:`"ring"`, see
            :func:`~pyg_irllrec.distributed.sharded_info_nce`.
            (default: :obj:`"moments"`)
        generator (torch.Generator, optional): The generator of this rank's initial
            embeddings. Use a different seed on each rank.
            (default: :obj:`None`, torch's own)

    Raises:
        ValueError: If an argument has a wrong type or is out of range.

    Example:
        >>> import torch
        >>> import torch.distributed as dist
        >>> from torch.distributed.device_mesh import init_device_mesh
        >>> from pyg_irllrec.distributed import ShardedGraph, ShardedLightGCN
        >>> store = dist.HashStore()  # torchrun: init_process_group('gloo') suffices
        >>> dist.init_process_group('gloo', store=store, rank=0, world_size=1)
        >>> interactions = torch.tensor([[0, 1, 2], [0, 0, 1]])
        >>> mesh = init_device_mesh('cpu', (1,))
        >>> model = ShardedLightGCN(ShardedGraph(interactions, 3, 2, mesh), 8)
        >>> model.loss(torch.tensor([[0, 2], [0, 1], [1, 0]])).backward()
        >>> model().shape
        torch.Size([5, 8])
        >>> dist.destroy_process_group()
    """

    def __init__(
        self,
        graph: ShardedGraph,
        embedding_dim: int = 32,
        *,
        num_layers: int = 3,
        num_slices: int = 1,
        text: Optional[Tensor] = None,
        projector: Optional[Module] = None,
        text_weight: float = 1.0,
        temperature: float = 0.2,
        negatives: str = 'all',
        impl: str = 'moments',
        generator: Optional[torch.Generator] = None,
    ) -> None:
        super().__init__()
        check_instance('graph', graph, ShardedGraph)
        check_count('embedding_dim', embedding_dim)
        check_count('num_layers', num_layers)
        check_count('num_slices', num_slices)
        check_not_negative('text_weight', text_weight)
        check_temperature('temperature', temperature)
        check_choice('negatives', negatives, ('all', 'batch'))
        check_choice('impl', impl, ('moments', 'ring'))
        if text is not None:
            check_rows('text', text, graph.num_nodes, 'per node of this rank')
        if projector is not None:
            check_instance('projector', projector, Module)
        elif text is not None and text.size(1) != embedding_dim:
            raise ValueError(
                f"'text' must be as wide as 'embedding_dim', {embedding_dim}, without "
                f"a 'projector', got {text.size(1)}"
            )
        self.graph = graph
        self.num_layers = num_layers
        self.num_slices = num_slices
        self.text_weight = text_weight
        self.temperature = temperature
        self.negatives = negatives
        self.impl = impl
        self.group = graph.mesh.get_group()
        self.users, self.items = (
            ShardedEmbedding(
                ranges.num_rows, embedding_dim, graph.mesh, generator=generator
            )
            for ranges in graph.ranges
        )
        self.projector = projector
        for weight in [] if projector is None else projector.parameters():
            dist.broadcast(weight.detach(), group=self.group, group_src=0)
            weight.register_hook(self._sum_over_ranks)
        self.text: Optional[Tensor]
        self.register_buffer('text', text, persistent=False)

    def _sum_over_ranks(self, grad: Tensor) -> Tensor:
        total = grad.clone()
        dist.all_reduce(total, group=self.group)
        return total

    def parameter_groups(self) -> list[dict[str, Any]]:
        r"""Return the parameter groups for an optimizer: sharded parameters in one
        group, replicated ones in another. PyTorch cannot update both kinds in one fused
        or foreach call."""
        groups = [{'params': [self.users.weight, self.items.weight]}]
        if self.projector is not None:
            groups.append({'params': list(self.projector.parameters())})
        return groups

    def forward(self) -> Tensor:
        r"""Return the embeddings :math:`\mathbf{Z}` of this rank's nodes, users first,
        of shape :math:`(n, d)`. All ranks must call it together."""
        x = torch.cat([self.users.own, self.items.own])
        return self.graph.propagate(x, self.num_layers, num_slices=self.num_slices)

    def loss(self, triplets: Tensor) -> Tensor:
        r"""Compute this rank's share of the loss. The shares add up to the loss of all
        triplets, and after :meth:`~torch.Tensor.backward` every rank has the gradient
        of this sum with respect to its own parameters. All ranks must call it together.

        Args:
            triplets (torch.Tensor): User, positive item and negative item ids, each
                from zero, of shape :math:`(3, B)`. Other ranks may own these nodes, and
                :math:`B` may differ between ranks. Some ranks may have no triplets.

        Raises:
            ValueError: If a shape, dtype or id is not as above, or no rank has
                triplets.
        """
        ranges = self.graph.ranges
        nodes = ranges.users.num_rows, ranges.items.num_rows
        check_triplets(triplets, *nodes, may_be_empty=True)
        size = sum(gather_sizes(triplets.size(1), triplets.device, self.group))
        if size == 0:
            raise ValueError(
                "'triplets' must have at least one column on some rank, got none"
            )
        position = torch.cat(
            [
                ranges.user_position(triplets[0]),
                ranges.item_position(triplets[1:].flatten()),
            ]
        )
        block = ranges.block
        lookup = RowLookup(position // block, position % block, self.group)
        z = self()
        user, positive, negative = lookup(z).chunk(3)
        loss = unchecked_bpr_loss(user, positive, negative, 'sum') / size
        if self.text is None:
            return loss
        return loss + self.text_weight * self._contrast(user, positive, lookup)

    def _contrast(self, user: Tensor, item: Tensor, lookup: RowLookup) -> Tensor:
        assert self.text is not None
        user_keys = item_keys = None
        if self.negatives == 'all':
            keys = self._project(self.text)
            counts = self.users.own.size(0), self.items.own.size(0)
            user_keys, item_keys = keys.split(counts)
            user_text, item_text, _ = lookup(keys).chunk(3)
        else:
            user_text, item_text, _ = self._project(lookup(self.text)).chunk(3)
        sides = (user, user_text, user_keys), (item, item_text, item_keys)
        terms = [
            sharded_info_nce(
                *side,
                mesh=self.graph.mesh,
                temperature=self.temperature,
                impl=self.impl,
            )
            for side in sides
        ]
        return terms[0] + terms[1]

    def _project(self, text: Tensor) -> Tensor:
        if self.projector is None:
            return text
        rows: Tensor = self.projector(text)
        return rows
