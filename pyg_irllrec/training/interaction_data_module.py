from __future__ import annotations

from lightning.pytorch import LightningDataModule
from torch_geometric.data import HeteroData

from pyg_irllrec.training.ranking import RankingLoader
from pyg_irllrec.training.triplet_loader import TripletLoader
from pyg_irllrec.utils import UserItems


class InteractionDataModule(LightningDataModule):
    r"""Triplets to train on, and users to rank items for in validation and test.
    Training items are masked in both; validation items are not masked in the test,
    as in the authors' protocol.

    Args:
        data (HeteroData): :obj:`data['user', 'rates', 'item']` with
            :obj:`edge_index`, :obj:`val_edge_label_index` and
            :obj:`test_edge_label_index`.
        batch_size (int): The number of triplets a batch. (default: :obj:`4096`)
        eval_batch_size (int): How many users are ranked at once.
            (default: :obj:`128`)
        seed (int): The seed of shuffling and negatives. (default: :obj:`0`)

    Raises:
        ValueError: If ids are out of range or a split is empty.
    """

    def __init__(
        self,
        data: HeteroData,
        batch_size: int = 4096,
        eval_batch_size: int = 128,
        seed: int = 0,
    ) -> None:
        super().__init__()
        size = (int(data['user'].num_nodes), int(data['item'].num_nodes))
        rates = data['user', 'rates', 'item']
        self.train_items = UserItems(rates.edge_index, *size)
        self.val_items = UserItems(rates.val_edge_label_index, *size)
        self.test_items = UserItems(rates.test_edge_label_index, *size)
        for name in ('train', 'val', 'test'):
            if getattr(self, f'{name}_items').item.numel() == 0:
                raise ValueError(f"'data' must hold {name} interactions, got none")
        self._train = TripletLoader(self.train_items, batch_size, seed)
        self._val = RankingLoader(self.val_items, self.train_items, eval_batch_size)
        self._test = RankingLoader(self.test_items, self.train_items, eval_batch_size)

    def train_dataloader(self) -> TripletLoader:
        r"""Triplets of shape :math:`(3, B)`."""
        return self._train

    def val_dataloader(self) -> RankingLoader:
        r"""Users with validation items."""
        return self._val

    def test_dataloader(self) -> RankingLoader:
        r"""Users with test items."""
        return self._test
