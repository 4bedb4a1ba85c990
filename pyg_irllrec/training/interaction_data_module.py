from __future__ import annotations

from functools import cached_property
from typing import Any, Optional, Union

import torch
from lightning.pytorch import LightningDataModule
from lightning.pytorch.strategies import DDPStrategy
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import IRLLRec
from pyg_irllrec.training.ranking_loader import RankingLoader
from pyg_irllrec.training.triplet_loader import TripletLoader
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.adjacency import check_edge_index, check_node_ids
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_seed
from pyg_irllrec.utils.edge_store import (
    check_hetero,
    edge_store,
    num_nodes,
    plain,
    read_edges,
)
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.split_layout import (
    HELD_OUT_KEYS,
    LABEL_KEYS,
    SplitLayout,
    positive_edges,
    split_layout,
)
from pyg_irllrec.utils.trained_nodes import hash_nodes
from pyg_irllrec.utils.user_items import UserItems
from pyg_irllrec.utils.warn_caller import warn_caller


class InteractionDataModule(LightningDataModule):
    r"""The data module that samples triplets for training and ranks all items for the
    users of validation and test. Both rankings mask the training items. As in the
    authors' protocol, the test does not mask validation items.

    The interactions can be split in any of these ways:

    - :obj:`val_edge_label_index` and :obj:`test_edge_label_index` beside
      :obj:`edge_index`, as :class:`~pyg_irllrec.transforms.SplitInteractions` returns
      them.
    - Only a test set, :obj:`edge_label_index`, as in
      :class:`~torch_geometric.datasets.AmazonBook` and
      :class:`~torch_geometric.datasets.MovieLens100K`. There is no validation unless
      :class:`~pyg_irllrec.transforms.SplitInteractions` with :obj:`test=0` takes it
      from :obj:`edge_index`.
    - The three graphs of :class:`~torch_geometric.transforms.RandomLinkSplit`. The
      model is trained on the :obj:`edge_index` and the positive edges of the first
      graph, including those that :obj:`disjoint_train_ratio` took out of
      :obj:`edge_index`. The positive edges of the other graphs are held out.

    If :obj:`edge_label` is 0 or 1, edges with label 1 are positive. Other labels are
    ratings, and all edges are positive except those with label 0, which
    :class:`~torch_geometric.transforms.RandomLinkSplit` appends. Negative edges are not
    used, because every epoch samples new negatives and the evaluation ranks all items.

    With several processes, all draw the same batches of triplets, and each computes a
    share of the loss, see :class:`~pyg_irllrec.distributed.DistributedLoss`. Each ranks
    items for its share of users.

    With a trainer on a GPU, each split is copied to the GPU when it is first used and
    freed when the run ends. Batches are drawn on the GPU. The exception is a model with
    :obj:`text_storage="host"`: its batches are drawn on the host and sent one batch
    ahead, with the rows of texts that they need.

    Args:
        data (HeteroData): The graph. With :obj:`val_data` or :obj:`test_data`, it is
            the training part, and the model is trained on its positive labelled edges,
            too. Without them, its labelled edges are a test set.
        val_data (HeteroData, optional): The validation part, whose positive labelled
            edges are held out. (default: :obj:`None`)
        test_data (HeteroData, optional): The test part, whose positive labelled edges
            are held out. (default: :obj:`None`)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the same interactions in reverse.
            (default: :obj:`None`, found in the same way)
        unsplit (bool): Whether to train on all interactions of a graph that is not
            split, to get a model for production. (default: :obj:`False`)
        batch_size (int): The number of triplets per batch. (default: :obj:`4096`)
        batch_by (str): The unit that is shuffled into batches, :obj:`"interaction"` or
            :obj:`"user"`, see :class:`~pyg_irllrec.training.TripletLoader`.
            (default: :obj:`"interaction"`)
        eval_batch_size (int, optional): The number of users to rank items for at once.
            (default: :obj:`None`, that of :class:`~pyg_irllrec.training.RankingLoader`)
        seed (int): The seed of shuffling and negatives. (default: :obj:`0`)

    Attributes:
        train_items (UserItems): The training interactions.
        val_items (UserItems, optional): The validation interactions, if any.
        test_items (UserItems, optional): The test interactions, if any.

    Raises:
        ValueError: If interactions are not found or not split, ids are out of range, a
            split is empty, or all interactions of a held-out split are also in the
            training part or in the other held-out split. If only some are, a warning
            gives their number.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import InteractionDataModule
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> InteractionDataModule(data)
        InteractionDataModule(num_users=12, num_items=10, num_train=32, num_val=14,
        num_test=14)
    """

    def __init__(
        self,
        data: HeteroData,
        val_data: Optional[HeteroData] = None,
        test_data: Optional[HeteroData] = None,
        *,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
        unsplit: bool = False,
        batch_size: int = 4096,
        batch_by: str = 'interaction',
        eval_batch_size: Optional[int] = None,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_seed(seed)
        check_flag('unsplit', unsplit)
        check_hetero(data, type(self).__name__)
        types = find_interaction_types(data, edge_type, rev_edge_type)
        size = num_nodes(data, types.edge_type)
        if val_data is None and test_data is None:
            train = edge_store(data, types.edge_type)
            held_out = _held_out(data, types.edge_type, unsplit)
            interactions = {'train': read_edges(train)} | held_out
            places = dict.fromkeys(interactions, 'data')
        else:
            if unsplit:
                raise ValueError(
                    "'unsplit' must be False with 'val_data' or 'test_data', got True"
                )
            interactions = {'train': _training_part(data, types.edge_type)}
            places = {'train': 'data'}
            for name, part in (('val', val_data), ('test', test_data)):
                if part is not None:
                    places[name] = f'{name}_data'
                    interactions[name] = _held_out_part(
                        places[name], part, types.edge_type, size
                    )
        for name, edge_index in interactions.items():
            _check_interactions(name, edge_index, places[name], types.edge_type, size)
        items = {name: UserItems(edges, *size) for name, edges in interactions.items()}
        _check_held_out(items, places)
        self.train_items: UserItems = items['train']
        self.val_items: Optional[UserItems] = items.get('val')
        self.test_items: Optional[UserItems] = items.get('test')
        self._graph, self._sides = data, (types.edge_type[0], types.edge_type[2])
        self._train = TripletLoader(self.train_items, batch_size, seed, batch_by)
        self._ranking = {
            name: RankingLoader(held, self.train_items, eval_batch_size)
            for name, held in items.items()
            if name != 'train'
        }
        self._sent: dict[tuple[str, torch.device], UserItems] = {}

    @cached_property
    def node_hashes(self) -> dict[str, str]:
        r"""The hashes of the ids and the texts of nodes, see
        :func:`~pyg_irllrec.utils.trained_nodes.hash_nodes`."""
        return hash_nodes(self._graph, self._sides)

    @property
    def sampling(self) -> dict[str, Any]:
        r"""The options of graph sampling. Empty, because the full graph is used."""
        return {}

    def setup(self, stage: str) -> None:
        r"""Check the strategy of the trainer.

        Raises:
            ValueError: If there are several processes without a copy of the whole model
                each.
        """
        trainer = self.trainer
        if (
            stage == 'fit'
            and trainer is not None
            and trainer.world_size > 1
            and not isinstance(trainer.strategy, DDPStrategy)
        ):
            raise ValueError(
                "'strategy' of the Trainer must be 'ddp' for several devices, got "
                f'{type(trainer.strategy).__name__}: each device needs the whole model'
            )

    def teardown(self, stage: str) -> None:
        r"""Free the interactions on a GPU."""
        self._sent = {}

    def train_dataloader(self) -> TripletLoader:
        r"""Return a loader of triplets of shape :math:`(3, B)`."""
        if self.trainer is None or not self._is_on_gpu():
            return self._train
        model = getattr(self.trainer.lightning_module, 'model', None)
        if isinstance(model, IRLLRec) and model.text_storage == 'host':
            return self._train.ahead(model.prefetch)
        return self._train._with(self._send('train', self.train_items))

    def val_dataloader(self) -> Union[RankingLoader, list[RankingLoader]]:
        r"""Return a loader of the users with validation items, or an empty list without
        validation."""
        return self._ranking_loader('val', self.val_items)

    def test_dataloader(self) -> Union[RankingLoader, list[RankingLoader]]:
        r"""Return a loader of the users with test items, or an empty list without a
        test."""
        return self._ranking_loader('test', self.test_items)

    def _ranking_loader(
        self, name: str, held: Optional[UserItems]
    ) -> Union[RankingLoader, list[RankingLoader]]:
        if held is None:
            return []
        loader = self._ranking[name]
        if self.trainer is not None:
            loader = loader._share(self.trainer.global_rank, self.trainer.world_size)
        if not self._is_on_gpu():
            return loader
        train = self._send('train', self.train_items)
        return loader._with(self._send(name, held), train)

    def _is_on_gpu(self) -> bool:
        # Other accelerators lack the generators, or the dtypes, to draw batches.
        return self.trainer is not None and self._device().type == 'cuda'

    def _device(self) -> torch.device:
        assert self.trainer is not None
        return self.trainer.strategy.root_device

    def _send(self, name: str, items: UserItems) -> UserItems:
        place = name, self._device()
        if place not in self._sent:
            self._sent[place] = items.to(place[1])
        return self._sent[place]

    def __repr__(self) -> str:
        held = (self.val_items, self.test_items)
        num_val, num_test = (0 if each is None else each.item.numel() for each in held)
        items = self.train_items
        return (
            f'{type(self).__name__}(num_users={items.num_users}, '
            f'num_items={items.num_items}, num_train={items.item.numel()}, '
            f'num_val={num_val}, num_test={num_test})'
        )

    def __str__(self) -> str:
        # The __str__ of Lightning needs loaders with datasets.
        return repr(self)


def _held_out(
    data: HeteroData, edge_type: EdgeType, unsplit: bool
) -> dict[str, Tensor]:
    r"""Return the held-out interactions of a single graph by name."""
    store = edge_store(data, edge_type)
    layout = split_layout(store)
    if layout is SplitLayout.TRAINING_PART:
        raise ValueError(
            f"'data' holds {layout.value}, so nothing is held out: pass all three, "
            'InteractionDataModule(train_data, val_data, test_data)'
        )
    if unsplit and layout is not SplitLayout.UNSPLIT:
        raise ValueError(
            f"'unsplit' must be False, because 'data' holds {layout.value}: to train "
            'on all interactions, pass the data from before the split'
        )
    if layout is SplitLayout.UNSPLIT:
        if unsplit:
            return {}
        raise ValueError(
            f"'data' holds {layout.value} of {edge_type}: apply SplitInteractions of "
            'pyg_irllrec.transforms (or RandomLinkSplit of torch_geometric.transforms, '
            'and pass its three graphs), or train on all of them with unsplit=True'
        )
    if layout is SplitLayout.TEST_SET:
        return {'test': positive_edges(store)}
    names = {name: f'{name}_edge_label_index' for name in ('val', 'test')}
    for key in names.values():
        if key in store:
            check_edge_index(store[key], name=key)
    return {name: plain(store[key]) for name, key in names.items() if key in store}


def _training_part(data: HeteroData, edge_type: EdgeType) -> Tensor:
    r"""Return the training interactions of :obj:`RandomLinkSplit`."""
    store = edge_store(data, edge_type)
    if any(key in store for key in HELD_OUT_KEYS):
        raise ValueError(
            f"'data' holds {SplitLayout.HELD_OUT.value}: pass it without 'val_data' "
            "and 'test_data'"
        )
    edge_index = read_edges(store)
    if not any(key in store for key in LABEL_KEYS):
        return edge_index
    return torch.cat([edge_index, positive_edges(store).to(edge_index.device)], dim=1)


def _held_out_part(
    name: str, data: HeteroData, edge_type: EdgeType, size: tuple[int, int]
) -> Tensor:
    r"""Return the held-out interactions of a part of :obj:`RandomLinkSplit`."""
    check_hetero(data, f"'{name}'")
    store = edge_store(data, edge_type)
    if not any(key in store for key in LABEL_KEYS):
        others = [
            key for key in store if key.endswith('_index') and key != 'edge_index'
        ]
        raise ValueError(
            f"'{name}' must hold the held-out interactions of {edge_type}, "
            "'edge_label_index' or 'pos_edge_label_index', as RandomLinkSplit names "
            "them with its default, key='edge_label', got "
            f'{", ".join(map(repr, others)) or "neither"}'
        )
    own = num_nodes(data, edge_type)
    if own != size:
        raise ValueError(
            f"'{name}' must have the users and items of 'data', {size[0]} and "
            f'{size[1]}, got {own[0]} and {own[1]}'
        )
    return positive_edges(store)


def _check_interactions(
    name: str,
    edge_index: Tensor,
    place: str,
    edge_type: EdgeType,
    size: tuple[int, int],
) -> None:
    if edge_index.size(1) == 0:
        raise ValueError(
            f"'{place}' must hold {name} interactions, got none of {edge_type}: split "
            'off a larger share, or leave this part out'
        )
    for row, num_rows, side in zip(edge_index, size, ('users', 'items')):
        check_node_ids(row, num_rows, f'{place}: {name} interactions ({side})')


def _check_held_out(items: dict[str, UserItems], places: dict[str, str]) -> None:
    r"""Check that no two splits have the same interactions. :class:`RankingLoader`
    warns if some held-out interactions are trained on."""
    for name, held in items.items():
        if name != 'train' and bool(held.intersect(items['train']).all()):
            train = "'data'" if places[name] != 'data' else 'it'
            raise ValueError(
                f"'{places[name]}' must hold {name} interactions that are not trained "
                f'on, but {train} trains on all {held.item.numel()} of them'
            )
    if 'val' not in items or 'test' not in items:
        return
    sizes = [items[name].item.numel() for name in ('val', 'test')]
    common = int(items['test'].intersect(items['val']).sum())
    if common in sizes:
        raise ValueError(
            f"'{places['test']}' must hold test interactions other than those for "
            f'validation, got {sizes[1]} and {sizes[0]}, of which {common} are the '
            'same: the test would use the interactions that the model is chosen on. '
            'Leave out one of the two splits'
        )
    if common > 0:
        warn_caller(
            f'{common} of {sizes[1]} test interactions are also held out for '
            'validation, on which the model is chosen: remove them from one of the two '
            'splits'
        )
