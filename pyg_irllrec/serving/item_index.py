from __future__ import annotations

import math
from typing import Optional

import torch
from torch import Tensor

from pyg_irllrec.functional.top_k_items import check_exclude
from pyg_irllrec.nn import Recommendation
from pyg_irllrec.utils.checks import (
    check_count,
    check_matrix,
    check_vectors,
)
from pyg_irllrec.utils.optional import import_optional

_MIN_PROBES = 8  # A tenth of few cells is too few.


class ItemIndex:
    r"""An approximate search for the items with the largest inner products with users,
    by `faiss <https://faiss.ai>`_, for catalogues of 100 000 items and more. The index
    is an inverted file: k-means divides the items into cells. A search visits the cells
    with the nearest centroids, and computes the inner products with their items
    exactly.

    Excluded items are removed from the result. To make up for them, the search returns
    more candidates, and visits more cells if necessary, so that a user gets :obj:`k`
    items if :obj:`k` are left.

    Args:
        item_embedding (torch.Tensor): The item embeddings, of shape :math:`(I, d)`.
        num_cells (int, optional): The number of cells. (default: :obj:`None`,
            :math:`\sqrt{I}`)
        num_probes (int, optional): The minimum number of cells that a search visits.
            More cells give better results but take longer. (default: :obj:`None`, a
            tenth of the cells, but at least 8)

    Raises:
        ValueError: If the embeddings are not a finite matrix, or a number is less
            than 1.
        ImportError: If faiss is not installed.

    Example:
        >>> import torch
        >>> from pyg_irllrec.serving import ItemIndex
        >>> index = ItemIndex(torch.randn(100, 8))
        >>> index
        ItemIndex(num_items=100, num_cells=10, num_probes=8)
        >>> index.search(torch.randn(2, 8), k=3).item.shape
        torch.Size([2, 3])
    """

    def __init__(
        self,
        item_embedding: Tensor,
        *,
        num_cells: Optional[int] = None,
        num_probes: Optional[int] = None,
    ) -> None:
        check_matrix('item_embedding', item_embedding)
        if item_embedding.size(1) == 0:  # faiss would crash.
            raise ValueError(
                "'item_embedding' must have at least one column, got shape "
                f'{tuple(item_embedding.shape)}'
            )
        num_items = item_embedding.size(0)
        check_vectors('item_embedding', item_embedding, num_items, 'per item')
        if num_cells is None:
            num_cells = math.isqrt(num_items)
        check_count('num_cells', num_cells)
        self.num_cells = min(int(num_cells), num_items)
        if num_probes is None:
            num_probes = max(_MIN_PROBES, math.ceil(self.num_cells / 10))
        check_count('num_probes', num_probes)
        self.num_probes = min(int(num_probes), self.num_cells)
        self.num_items = num_items
        self.dim = item_embedding.size(1)
        self._faiss = import_optional('faiss', type(self).__name__, 'serve')
        vectors = item_embedding.detach().float().cpu().contiguous().numpy()
        centroids = self._faiss.IndexFlatIP(self.dim)
        self._index = self._faiss.IndexIVFFlat(
            *(centroids, self.dim, self.num_cells, self._faiss.METRIC_INNER_PRODUCT)
        )
        self._index.cp.min_points_per_centroid = 1  # No warning about few items.
        self._index.train(vectors)
        self._index.add(vectors)

    @torch.no_grad()
    def search(
        self, user: Tensor, k: int, exclude: Optional[tuple[Tensor, Tensor]] = None
    ) -> Recommendation:
        r"""Search the items with the largest inner products.

        Args:
            user (torch.Tensor): The user embeddings, of shape :math:`(B, d)`.
            k (int): The number of items. More than :math:`I` gives :math:`I`.
            exclude (tuple, optional): Rows of :obj:`user`, and for each row an item to
                leave out. (default: :obj:`None`)

        Returns:
            The items and scores, best first, both of shape :math:`(B, k)`. If fewer
            items are left, the rest is -1 and :math:`-\infty`.

        Raises:
            ValueError: If a shape or an id is invalid.
        """
        check_matrix('user', user, may_be_empty=True)
        num_users = user.size(0)
        check_vectors('user', user, num_users, 'per user')
        if user.size(1) != self.dim:
            raise ValueError(
                f"'user' must have {self.dim} columns, as the items, got {user.size(1)}"
            )
        check_count('k', k)
        k = min(int(k), self.num_items)
        row, item = (torch.empty(0, dtype=torch.long),) * 2
        if exclude is not None:
            check_exclude(exclude, num_users, self.num_items)
            row, item = (each.cpu().long() for each in exclude)
        banned = (row * self.num_items + item).unique()
        count = torch.bincount(banned // self.num_items, minlength=num_users)
        # Users with a similar number of excluded items are searched together.
        needed = (k + count).double().log2().ceil().exp2().long()
        found = Recommendation(
            torch.full((num_users, k), -1), torch.full((num_users, k), -torch.inf)
        )
        vectors = user.detach().float().cpu()
        for size in needed.unique().tolist():
            rows = (needed == size).nonzero().flatten()
            self._search(vectors, rows, min(size, self.num_items), banned, found)
        return Recommendation(*(each.to(user.device) for each in found))

    def _search(
        self,
        vectors: Tensor,
        rows: Tensor,
        size: int,
        banned: Tensor,
        found: Recommendation,
    ) -> None:
        r"""Fill rows of :obj:`found` from :obj:`size` candidates for each row."""
        k, probes = found.item.size(1), self.num_probes
        while rows.numel() > 0:
            params = self._faiss.SearchParametersIVF(nprobe=probes)
            near = self._index.search(vectors[rows].numpy(), size, params=params)
            score, item = map(torch.from_numpy, near)
            key = rows.unsqueeze(1) * self.num_items + item
            left = (item >= 0) & ~torch.isin(key, banned)
            place = (~left).to(torch.uint8).argsort(dim=1, stable=True)[:, :k]
            kept = left.gather(1, place)
            found.item[rows] = item.gather(1, place).where(kept, torch.tensor(-1))
            found.score[rows] = score.gather(1, place).where(
                kept, torch.tensor(-torch.inf)
            )
            if probes >= self.num_cells:
                return
            rows = rows[~kept.all(dim=1)]
            probes = min(4 * probes, self.num_cells)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_items={self.num_items}, '
            f'num_cells={self.num_cells}, num_probes={self.num_probes})'
        )
