from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn.functional import normalize
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.argument_checks import check_flag, check_name
from pyg_irllrec.utils.checks import check_choice, check_length
from pyg_irllrec.utils.csr_matrix import csr_matrix
from pyg_irllrec.utils.edge_store import num_nodes, read_edges
from pyg_irllrec.utils.node_data import check_split, read_vectors


@functional_transform('irllrec_profile_vectors')
class ProfileVectors(InteractionTransform):
    r"""Compute profiles of users as vectors, without a language model (functional name:
    :obj:`irllrec_profile_vectors`): the weighted mean of the vectors of their training
    items, scaled to unit length,

    .. math::
        \mathbf{p}_u \propto \sum_{i \in \mathcal{N}(u)} w_{ui} \mathbf{p}_i, \qquad
        w_{ui} = r_{ui} \left( 1 + \log \frac{1 + U}{1 + |\mathcal{N}(i)|} \right),

    where :math:`r_{ui}` is the :obj:`rating`, or 1 if there are no ratings. Users
    without training interactions get zeros. The result is one sparse product, in
    :math:`O(|\mathcal{E}| + (U + I) D_t)` memory.

    Of the interactions, only :obj:`edge_index` and its :obj:`rating` are read: apply
    the transform after :class:`~pyg_irllrec.transforms.SplitInteractions`, so that
    held-out interactions change no vector. Of the three graphs that
    :class:`~torch_geometric.transforms.RandomLinkSplit` returns, apply it to the first.

    Args:
        source (str): The attribute name of the items' vectors, of shape
            :math:`(I, D_t)`, and of the users' vectors, of shape :math:`(U, D_t)` in
            :obj:`float32`. (default: :obj:`"profile"`)
        weight (str): :obj:`"idf"`, as above, or :obj:`"uniform"`, which sets all
            :math:`w_{ui}` to 1. (default: :obj:`"idf"`)
        unsplit (bool): Whether to accept interactions that are not split, and read all
            of them. (default: :obj:`False`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If interactions are not split, items have no vectors, or a rating
            is negative or not finite.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.transforms import ProfileVectors
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> data = ProfileVectors()(data)
        >>> data['user'].profile.shape, data['item'].profile.shape
        (torch.Size([12, 22]), torch.Size([10, 22]))
    """

    def __init__(
        self,
        source: str = 'profile',
        weight: str = 'idf',
        unsplit: bool = False,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_choice('weight', weight, ('idf', 'uniform'))
        check_name('source', source)
        self.source = source
        self.weight = weight
        check_flag('unsplit', unsplit)
        self.unsplit = unsplit
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with one vector per user."""
        edge_type, rates, _ = self._find(data)
        check_split(data, edge_type, self.unsplit)
        size = num_nodes(data, edge_type)
        user_type, _, item_type = edge_type
        vectors = read_vectors(data, item_type, self.source)
        user, item = read_edges(rates).to(vectors.device)
        weight = self._weigh(rates, item, size).to(vectors.device)
        # Products with a CSR matrix are faster than those with a COO matrix.
        order = user.argsort(stable=True)
        start = torch.bincount(user, minlength=size[0]).cumsum(0)
        rowptr = torch.cat([start.new_zeros(1), start])
        matrix = csr_matrix(rowptr, item[order], weight[order], size)
        data[user_type][self.source] = normalize(matrix @ vectors)
        return data

    def _weigh(self, rates: Any, item: Tensor, size: tuple[int, int]) -> Tensor:
        r"""The weight of each interaction, of shape :math:`(|\mathcal{E}|)`."""
        if self.weight == 'uniform':
            return torch.ones_like(item, dtype=torch.float)
        num_users, num_items = size
        # With repeated interactions, the count may exceed the number of users.
        count = torch.bincount(item, minlength=num_items).clamp(max=num_users)
        weight = (1 + ((1 + num_users) / (1 + count)).log())[item]
        if 'rating' not in rates:
            return weight
        rating: Tensor = rates.rating
        check_length('rating', rating, item.numel())
        bad = (~(rating >= 0) | rating.isinf()).nonzero().flatten()
        if bad.numel() > 0:
            raise ValueError(
                f"'rating' must hold finite weights of at least 0, got "
                f'{float(rating[bad[0]])} in {bad.numel()} interactions (first: '
                f'interaction {int(bad[0])})'
            )
        return weight * rating.to(weight)
