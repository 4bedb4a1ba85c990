from __future__ import annotations

from typing import Optional

import torch
from sklearn.cluster import MiniBatchKMeans
from torch import Tensor
from torch.nn.functional import embedding_bag, normalize
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import INTENT, EdgeType
from pyg_irllrec.utils.argument_checks import check_flag, check_name
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_positive,
    check_seed,
)
from pyg_irllrec.utils.edge_store import num_nodes, read_edges
from pyg_irllrec.utils.node_data import check_split, read_vectors

_ROWS = 65536  # The number of nodes that are compared with all intents at once.


@functional_transform('irllrec_intent_nodes')
class IntentNodes(InteractionTransform):
    r"""Add intents as nodes (functional name: :obj:`irllrec_intent_nodes`): the vectors
    of items, such as those of their written intents, are clustered, and each cluster
    becomes a node of type :obj:`"intent"`.
    :class:`~pyg_irllrec.nn.IntentNodeBackbone` propagates over them.

    An item is connected to the :obj:`per_item` nearest cluster centres
    :math:`\mathbf{c}_k` with the weights :math:`b_{ik}`, and a user to the
    :obj:`per_user` intents with the largest mean weight over the training items,

    .. math::
        b_{ik} = \frac{\exp(\cos(\mathbf{p}_i, \mathbf{c}_k) / \tau)}
        {\sum_{k^{\prime}} \exp(\cos(\mathbf{p}_i, \mathbf{c}_{k^{\prime}}) / \tau)},
        \qquad b_{uk} = \frac{1}{|\mathcal{N}(u)|} \sum_{i \in \mathcal{N}(u)} b_{ik},

    where :math:`k^{\prime}` runs over the nearest centres of the item. Items with a
    zero vector (for example without a text) get no intents, nor do users who have only
    such items.

    Of the interactions, only :obj:`edge_index` is read: apply the transform after
    :class:`~pyg_irllrec.transforms.SplitInteractions`, so that held-out interactions
    change no edge. The graph gets

    - :obj:`data['intent'].x`, the centres, of shape :math:`(K, D_t)`,
    - :obj:`data['user', 'has', 'intent']` and :obj:`data['item', 'has', 'intent']`,
      named after the types of users and items, each with :obj:`edge_index` and
      :obj:`edge_weight`. Other transforms and models do not read them as interactions.

    Args:
        num_intents (int): The number of clusters :math:`K`. (default: :obj:`64`)
        source (str): The attribute name of the vectors. (default: :obj:`"intent"`)
        users_by (str): What connects users to intents: their :obj:`"items"`, as above,
            or their own :obj:`"vectors"`, by the formula of items.
            (default: :obj:`"items"`)
        per_item (int): The largest number of intents per item. (default: :obj:`3`)
        per_user (int): The largest number of intents per user. (default: :obj:`10`)
        temperature (float): :math:`\tau`. (default: :obj:`0.1`)
        seed (int): The seed of k-means. (default: :obj:`0`)
        unsplit (bool): Whether to accept interactions that are not split, and read all
            of them. (default: :obj:`False`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If an argument is out of range, interactions are not split, vectors
            are missing, or fewer than :obj:`num_intents` of them are distinct.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.transforms import IntentNodes
        >>> data = SyntheticIntents(30, 20, num_intents=6)[0]
        >>> data = IntentNodes(num_intents=4, per_item=2)(data)
        >>> data['intent'].x.shape
        torch.Size([4, 26])
        >>> data['item', 'has', 'intent'].edge_index.shape
        torch.Size([2, 40])
    """

    def __init__(
        self,
        num_intents: int = 64,
        source: str = 'intent',
        users_by: str = 'items',
        per_item: int = 3,
        per_user: int = 10,
        temperature: float = 0.1,
        seed: int = 0,
        unsplit: bool = False,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_count('num_intents', num_intents)
        self.num_intents = num_intents
        check_name('source', source)
        self.source = source
        check_choice('users_by', users_by, ('items', 'vectors'))
        self.users_by = users_by
        check_count('per_item', per_item)
        self.per_item = per_item
        check_count('per_user', per_user)
        self.per_user = per_user
        check_positive('temperature', temperature)
        self.temperature = temperature
        check_seed(seed, bits=32)
        self.seed = seed
        check_flag('unsplit', unsplit)
        self.unsplit = unsplit
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with intents as nodes."""
        edge_type, rates, _ = self._find(data)
        user_type, _, item_type = edge_type
        if INTENT in (user_type, item_type):
            raise ValueError(
                f"'data' must not use '{INTENT}' as the node type of users or items"
            )
        check_split(data, edge_type, self.unsplit)
        size = num_nodes(data, edge_type)
        vectors = normalize(read_vectors(data, item_type, self.source))
        centres = self._cluster(vectors)
        share = self._assign(vectors, centres, self.per_item)
        if self.users_by == 'items':
            of_user = _mean_of_items(read_edges(rates).to(share.device), share, size)
        else:
            own = normalize(read_vectors(data, user_type, self.source))
            if own.size(1) != vectors.size(1):
                raise ValueError(
                    f"'{self.source}' must have one width for {user_type} and "
                    f'{item_type}, got {own.size(1)} and {vectors.size(1)}'
                )
            of_user = self._assign(own, centres, self.per_user)
        data[INTENT].x = centres
        for side, weights, most in (
            (user_type, of_user, self.per_user),
            (item_type, share, self.per_item),
        ):
            store = data[side, 'has', INTENT]
            store.edge_index, store.edge_weight = _largest(weights, most)
        return data

    def _cluster(self, vectors: Tensor) -> Tensor:
        r"""The centres, of unit length, of shape :math:`(K, D_t)`."""
        rows = vectors[(vectors != 0).any(dim=1)].cpu().numpy()
        distinct = len({hash(row.tobytes()) for row in rows})
        if distinct < self.num_intents:
            raise ValueError(
                f"'num_intents' must be at most {distinct}, the number of distinct "
                f"vectors of items in '{self.source}', got {self.num_intents}"
            )
        model = MiniBatchKMeans(
            self.num_intents, batch_size=4096, n_init=3, random_state=self.seed
        )
        centres = torch.from_numpy(model.fit(rows).cluster_centers_).to(vectors)
        return normalize(centres)

    def _assign(self, vectors: Tensor, centres: Tensor, most: int) -> Tensor:
        r"""The share of each intent in each node, of shape :math:`(N, K)`."""
        out = vectors.new_zeros(vectors.size(0), centres.size(0))
        most = min(most, centres.size(0))
        for rows, part in zip(vectors.split(_ROWS), out.split(_ROWS)):
            near = (rows @ centres.t()).topk(most, dim=1)
            value = (near.values / self.temperature).softmax(dim=1)
            part.scatter_(1, near.indices, value)
        out[(vectors == 0).all(dim=1)] = 0
        return out


def _mean_of_items(edges: Tensor, share: Tensor, size: tuple[int, int]) -> Tensor:
    r"""The mean share over the distinct items of each user, of shape
    :math:`(U, K)`."""
    pair = (edges[0] * size[1] + edges[1]).unique()
    count = torch.bincount(pair // size[1], minlength=size[0])
    start = count.cumsum(0) - count
    return embedding_bag(pair % size[1], share, start, mode='mean')


def _largest(share: Tensor, most: int) -> tuple[Tensor, Tensor]:
    r"""The edges with the largest positive shares of each node, sorted, and these
    shares."""
    value, intent = share.topk(min(most, share.size(1)), dim=1)
    intent, order = intent.sort(dim=1)
    value = value.gather(1, order)
    node, place = (value > 0).nonzero(as_tuple=True)
    return torch.stack([node, intent[node, place]]), value[node, place]
