from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, Optional

import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training._derive_seed import derive_seed
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.training.subgraph_sampler import (
    SampledBatch,
    SubgraphSampler,
    read_num_neighbors,
)
from pyg_irllrec.training.triplet_loader import TripletLoader
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.checks import check_count


class SampledDataModule(InteractionDataModule):
    r"""The :class:`~pyg_irllrec.training.InteractionDataModule` of a graph whose
    activations do not fit: each batch of triplets comes with the part of the graph that
    its loss reads, see :class:`~pyg_irllrec.training.SubgraphSampler`.

    The memory of a step is that of the sampled nodes and edges, beside what the model
    keeps: the graph, the tables of embeddings, their gradient, and two more tables in
    Adam. Validation and test propagate over the full graph, without gradients. Training
    takes one device, and its steps run eagerly.

    Args:
        data (HeteroData): The graph.
        val_data (HeteroData, optional): The validation part. (default: :obj:`None`)
        test_data (HeteroData, optional): The test part. (default: :obj:`None`)
        num_neighbors (sequence of int): The number of neighbours per node and hop,
            outwards from the batch, with one entry per layer; :obj:`-1` takes all.
        num_samples (int): The number of nodes, and of items, that represent all.
            (default: :obj:`4096`)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found in :obj:`data`)
        rev_edge_type (tuple, optional): The type of their reverse.
            (default: :obj:`None`, found in the same way)
        unsplit (bool): Whether to train on all interactions, with nothing held out.
            (default: :obj:`False`)
        batch_size (int): The number of triplets per batch. (default: :obj:`4096`)
        batch_by (str): :obj:`"interaction"` or :obj:`"user"`, see
            :class:`~pyg_irllrec.training.TripletLoader`.
            (default: :obj:`"interaction"`)
        eval_batch_size (int, optional): How many users are ranked at once.
            (default: :obj:`None`, that of :class:`~pyg_irllrec.training.RankingLoader`)
        seed (int): The seed of shuffling, negatives and sampling. (default: :obj:`0`)

    Raises:
        ValueError: If an argument is out of range. Training raises it if a part of the
            model needs the full graph, or there are several devices.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.training import SampledDataModule
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> SampledDataModule(data, num_neighbors=[5, 3])  # fit(model, ..., 'run')
        SampledDataModule(num_users=12, num_items=10, num_train=..., ...)
    """

    def __init__(
        self,
        data: HeteroData,
        val_data: Optional[HeteroData] = None,
        test_data: Optional[HeteroData] = None,
        *,
        num_neighbors: Sequence[int],
        num_samples: int = 4096,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
        unsplit: bool = False,
        batch_size: int = 4096,
        batch_by: str = 'interaction',
        eval_batch_size: Optional[int] = None,
        seed: int = 0,
    ) -> None:
        self.num_neighbors = read_num_neighbors(num_neighbors)
        check_count('num_samples', num_samples)
        self.num_samples = int(num_samples)
        super().__init__(
            *(data, val_data, test_data),
            edge_type=edge_type,
            rev_edge_type=rev_edge_type,
            unsplit=unsplit,
            batch_size=batch_size,
            batch_by=batch_by,
            eval_batch_size=eval_batch_size,
            seed=seed,
        )

    @property
    def sampling(self) -> dict[str, Any]:
        r"""What decides how batches are sampled."""
        return {
            'num_neighbors': self.num_neighbors,
            'num_samples': self.num_samples,
        }

    def setup(self, stage: str) -> None:
        r"""Check that the loss of the model can be sampled.

        Raises:
            ValueError: If it cannot, or if several processes train.
        """
        super().setup(stage)
        if stage == 'fit' and self.trainer is not None:
            model = getattr(self.trainer.lightning_module, 'model', None)
            self.check_model(model, self.trainer.world_size)

    def check_model(self, model: object, num_devices: int) -> None:
        r"""Raise a :class:`ValueError` unless the loss of a model can be sampled, and
        it is trained on one device."""
        if num_devices > 1:
            raise ValueError(
                "'devices' must be 1 with a SampledDataModule, got "
                f'{num_devices}: train on several with an InteractionDataModule'
            )
        SubgraphSampler(model, **self.sampling)  # type: ignore[arg-type]

    def train_dataloader(self) -> TripletLoader:
        r"""Return a loader of :class:`~pyg_irllrec.training.SampledBatch`, or of
        triplets before there is a model."""
        loader = self._train
        if self.trainer is None:
            return loader
        if self._is_on_gpu():
            loader = loader._with(self._send('train', self.train_items))
        model = getattr(self.trainer.lightning_module, 'model', None)
        assert isinstance(model, Recommender)  # setup() has checked it.
        return SampledLoader(loader, model, self.sampling)


class SampledLoader(TripletLoader):
    r"""Batches of another loader, each with its part of the graph."""

    def __init__(
        self, loader: TripletLoader, model: Recommender, sampling: dict[str, Any]
    ) -> None:
        self.__dict__.update(copy.copy(loader).__dict__)
        self._model, self._sampling = model, sampling

    def __iter__(self) -> Iterator[SampledBatch]:  # type: ignore[override]
        sampler = SubgraphSampler(self._model, **self._sampling)
        generator = torch.Generator(self._model.device)
        generator.manual_seed(derive_seed(self.seed, self.epoch, 'neighbors'))
        for triplets in super().__iter__():
            yield sampler.sample(triplets, generator)
