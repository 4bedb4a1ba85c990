from __future__ import annotations

from typing import Any, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.transforms._check_order import check_copies, check_unsplit
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.transforms._last_of_pairs import last_of_pairs
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.adjacency import check_node_ids
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_fraction,
    check_seed,
)
from pyg_irllrec.utils.edge_store import num_nodes, read_edges, read_time
from pyg_irllrec.utils.select_edges import select_columns, select_edges
from pyg_irllrec.utils.select_rows import select_rows
from pyg_irllrec.utils.split_layout import (
    LABEL_KEYS,
    SplitLayout,
    positive_edges,
    positive_mask,
)
from pyg_irllrec.utils.time_units import check_one_unit
from pyg_irllrec.utils.warn_caller import warn_caller

TRAIN, VAL, TEST, LEFT_OUT = range(4)


@functional_transform('irllrec_split_interactions')
class SplitInteractions(InteractionTransform):
    r"""Split interactions for training, validation and test (functional name:
    :obj:`irllrec_split_interactions`). Training interactions stay in :obj:`edge_index`
    with their attributes (and in the reverse, if there is one); held-out interactions
    move to :obj:`val_edge_label_index` and :obj:`test_edge_label_index`. Each part
    keeps its order. A share of 0 adds no index.

    - :obj:`by="random"`: the shares :obj:`val` and :obj:`test` of each user's
      interactions, rounded to whole numbers, are drawn at random.
    - :obj:`by="time"`: in these shares, each user's newest interactions are the test
      part, and the next newest the validation part.
    - :obj:`by="leave_one_out"`: each user's last interaction is for the test, and the
      one before it for validation: last by :obj:`time` if there is one, else at random.

    **Repeated interactions** count once: of the interactions of a user with an item,
    only the last is kept, by :obj:`time` if there is one, then by position. This
    happens before anything is counted, so no pair is in two parts. The seed breaks ties
    in time. The order in which interactions are stored does not change the split.

    **Short users**: a user who would have fewer than :obj:`min_train` training
    interactions keeps all of them for training. With one cut for all users
    (:obj:`per_user=False`), this would train on interactions from after the cut; there
    :obj:`min_train` is 0 by default.

    **A given test set**, :obj:`edge_label_index` as in
    :class:`~torch_geometric.datasets.AmazonBook` and
    :class:`~torch_geometric.datasets.MovieLens100K`, is kept with :obj:`test=0`: it
    becomes :obj:`test_edge_label_index` (its ratings become :obj:`test_edge_label`, and
    negative edges are removed), and only validation interactions are taken from
    :obj:`edge_index`.

    **Cold items** are held out but never trained on. A warning counts them, and the
    mask :obj:`data['item'].cold`, of shape :math:`(I)`, marks them.

    Args:
        by (str): :obj:`"random"`, :obj:`"leave_one_out"` or :obj:`"time"`.
            (default: :obj:`"random"`)
        val (float): The share for validation; not used by :obj:`"leave_one_out"`.
            (default: :obj:`0.1`)
        test (float): The share for the test; not used by :obj:`"leave_one_out"`, but 0
            keeps a given test set. (default: :obj:`0.2`)
        seed (int): The seed of all draws, the same on every device.
            (default: :obj:`0`)
        per_user (bool): Whether the shares apply to each user's interactions, or to
            all interactions together. (default: :obj:`True`)
        min_train (int, optional): The smallest number of training interactions per
            user. (default: :obj:`None`, 1 if :obj:`per_user`, else 0)
        cold (str): Whether to :obj:`"keep"` or to :obj:`"drop"` the held-out
            interactions of cold items. (default: :obj:`"keep"`)
        edge_type (tuple, optional): The type of the interactions in a
            :class:`~torch_geometric.data.HeteroData`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If an argument is out of range, there are no interactions,
            :obj:`time` is missing, is not integer or mixes units, ids are out of range,
            interactions are already split, or something was already derived from them.

    Example:
        >>> import torch
        >>> from torch_geometric.data import HeteroData
        >>> from pyg_irllrec.transforms import SplitInteractions
        >>> data = HeteroData()
        >>> data['user'].num_nodes, data['item'].num_nodes = 2, 3
        >>> rates = data['user', 'rates', 'item']
        >>> rates.edge_index = torch.tensor([[0, 0, 0, 1, 1], [0, 1, 2, 0, 2]])
        >>> rates.time = torch.tensor([30, 10, 50, 20, 40])
        >>> data = SplitInteractions(by='leave_one_out')(data)
        >>> data['rates'].edge_index[1], data['rates'].test_edge_label_index[1]
        (tensor([1, 0, 2]), tensor([2]))
    """

    def __init__(
        self,
        by: str = 'random',
        val: float = 0.1,
        test: float = 0.2,
        seed: int = 0,
        per_user: bool = True,
        min_train: Optional[int] = None,
        cold: str = 'keep',
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_choice('by', by, ('random', 'leave_one_out', 'time'))
        check_fraction('val', val)
        check_fraction('test', test)
        check_fraction('val + test', val + test)
        check_seed(seed)
        if min_train is not None:
            check_count('min_train', min_train, least=0)
        check_choice('cold', cold, ('keep', 'drop'))
        if by == 'leave_one_out' and not per_user:
            raise ValueError("'per_user' must be True with by='leave_one_out'")
        self.by = by
        self.val = val
        self.test = test
        self.seed = seed
        check_flag('per_user', per_user)
        self.per_user = per_user
        self.min_train = min_train
        self.cold = cold
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with training interactions and, beside them, the held-out ones."""
        edge_type, store, reverse = self._find(data)
        layout = check_unsplit(
            data, store, reverse, type(self).__name__, allowed=(SplitLayout.TEST_SET,)
        )
        check_copies(data, store, reverse, type(self).__name__)
        num_users, num_items = num_nodes(data, edge_type)
        given = None
        if layout is SplitLayout.TEST_SET:
            given = self._read_test_set(store, num_users, num_items)
        user, item = read_edges(store)
        if user.numel() == 0:
            raise ValueError("'edge_index' must hold at least one edge, got none")
        time = read_time(store, user.numel(), required=self.by == 'time')
        if time is not None and self.by != 'random':
            check_one_unit(time)

        pair, last = last_of_pairs(user * num_items + item, time)
        if time is not None:
            time = time[last]
        users = pair // num_items
        del pair  # As large as a row of edges.
        split = torch.full_like(user, LEFT_OUT, dtype=torch.uint8)
        split[last] = self._split(users, time, num_users, given is None)
        del users, last, time
        if given is not None:  # Items of a given test set may be cold, too.
            item = torch.cat([item, given[1]])
            split = torch.cat([split, split.new_full(given[1].shape, TEST)])
        cold = _cold_items(item, split, num_items)
        self._treat_cold(cold, item, split)
        data[edge_type[2]].cold = cold
        edge_index, count = store.edge_index, user.numel()
        train, val, test = (
            (split[:count] == side).nonzero().flatten() for side in (TRAIN, VAL, TEST)
        )
        select_edges(data, store, train, reverse)
        if self.val > 0 or self.by == 'leave_one_out':
            store.val_edge_label_index = select_columns(edge_index, val)
        if given is not None:
            _rename_test_set(store, given, split[count:] == TEST)
        elif self.test > 0 or self.by == 'leave_one_out':
            store.test_edge_label_index = select_columns(edge_index, test)
        return data

    def _read_test_set(self, store: Any, num_users: int, num_items: int) -> Tensor:
        r"""Return the given test set, checked."""
        if self.test != 0:
            raise ValueError(
                "'data' already holds a test set, 'edge_label_index' or "
                "'pos_edge_label_index': pass test=0 to keep it and take "
                f"validation from 'edge_index', or delete it, got test={self.test}"
            )
        test = positive_edges(store)
        check_node_ids(test[0], num_users, 'edge_label_index[0] (users)')
        check_node_ids(test[1], num_items, 'edge_label_index[1] (items)')
        return test

    def _split(
        self, user: Tensor, time: Optional[Tensor], num_users: int, with_test: bool
    ) -> Tensor:
        r"""The part of each interaction, of shape :math:`(|\mathcal{E}|)`. Interactions
        are sorted by user, so that memory is read in order."""
        group = user if self.per_user else user.new_zeros(1).expand_as(user)
        order = self._order(group, time)
        count = torch.bincount(group, minlength=num_users)
        if self.by == 'leave_one_out':
            num_test = num_val = (count >= 2).long()
        else:
            num_test, num_val = _share(count, self.test), _share(count, self.val)
        if not with_test:
            num_test = torch.zeros_like(num_val)
        # How many of its group follow. `order` moves interactions only within a group.
        behind = count.cumsum(0)[group].sub_(1)
        behind -= torch.arange(group.numel(), device=group.device)
        part = torch.full_like(user, TRAIN, dtype=torch.uint8)
        part[behind < (num_test + num_val)[group]] = VAL
        part[behind < num_test[group]] = TEST
        split = torch.empty_like(part)
        split[order] = part
        trained = torch.bincount(user[split == TRAIN], minlength=num_users)
        least = int(self.per_user) if self.min_train is None else self.min_train
        split[(trained < least)[user]] = TRAIN
        return split

    def _order(self, group: Tensor, time: Optional[Tensor]) -> Tensor:
        r"""Interactions by group, and within a group in the order in which the last are
        held out: at random, or by time with ties at random."""
        generator = torch.Generator().manual_seed(self.seed)
        draw = torch.randint(2**32, group.shape, generator=generator)
        key = draw.to(group.device).bitwise_or_(group << 32)
        del draw
        order = key.argsort(stable=True)
        if time is None or self.by == 'random':
            return order
        if (int(group.max()) + 1) * (int(time.max()) - int(time.min()) + 1) >= 2**63:
            time = time.unique(return_inverse=True)[1]  # Only their order matters.
        low, high = time.aminmax()
        key = (group * (high - low + 1)).add_(time).sub_(low)[order]
        return order[key.argsort(stable=True)]

    def _treat_cold(self, cold: Tensor, item: Tensor, split: Tensor) -> None:
        is_cold = cold[item] & (split != LEFT_OUT)
        if not bool(is_cold.any()):
            return
        held = (split == VAL) | (split == TEST)
        done = (
            'dropped' if self.cold == 'drop' else "kept (pass cold='drop' to drop them)"
        )
        warn_caller(
            f'{int(cold.sum())} of {cold.numel()} items are held out but never trained '
            f'on: {int(is_cold.sum())} of {int(held.sum())} held-out interactions are '
            f'theirs and are {done}'
        )
        if self.cold == 'drop':
            split[is_cold] = LEFT_OUT


def _rename_test_set(store: Any, given: Tensor, kept: Tensor) -> None:
    index = kept.nonzero().flatten()
    store.test_edge_label_index = select_columns(given, index)
    labels = store.get('pos_edge_label')
    if 'edge_label' in store:
        mask = positive_mask(store).nonzero().flatten()
        labels = select_rows(store.edge_label, mask)
    if labels is not None:
        store.test_edge_label = select_rows(labels, index)
    for key in (*LABEL_KEYS, 'neg_edge_label_index'):
        for each in (key, key.removesuffix('_index')):
            if each in store:
                del store[each]


def _share(count: Tensor, share: float) -> Tensor:
    return (count.double() * share + 0.5).floor().long()


def _cold_items(item: Tensor, split: Tensor, num_items: int) -> Tensor:
    r"""The mask of items that are held out but never trained on, of shape
    :math:`(I)`."""
    count = torch.bincount(item[split != LEFT_OUT], minlength=num_items)
    trained = torch.bincount(item[split == TRAIN], minlength=num_items)
    return (count > 0) & (trained == 0)
