r"""The best items for users, a batch at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple, Optional

import torch
from torch import Tensor
from tqdm.auto import tqdm

from pyg_irllrec.nn import Recommendation
from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.nn.models.recommendation import check_best
from pyg_irllrec.serving._index_search import index_search
from pyg_irllrec.serving._steer import item_bonus
from pyg_irllrec.serving.recommendations import Recommendations
from pyg_irllrec.typing import NodeId
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_choice, check_count

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle


_MAX_SCORES = 6_000_000  # 24 MB.

Pairs = tuple[Tensor, Tensor]
"""Rows of a batch of users, and for each row an item to leave out."""
Search = Callable[[Tensor, Pairs], Recommendation]


class Query(NamedTuple):
    r"""The options of a recommendation, as rows and tensors."""

    k: int
    """The number of items per user, at most the number of candidates."""
    among: Optional[Tensor]
    """The rows of the candidates, or :obj:`None` for all items."""
    exclude: Tensor
    """The rows of items to recommend to no one."""
    bonus: Optional[Tensor]
    """The term to add to the standardised scores of each item."""


def read_query(
    bundle: Bundle,
    k: int,
    among: Optional[Iterable[NodeId]],
    exclude: Optional[Iterable[NodeId]],
    intents: Optional[Mapping[str, float]],
    dial: float,
) -> Query:
    r"""Convert ids to rows and intents to a bonus, on the device of the scores.

    Raises:
        ValueError: If an id is unknown or an option is invalid.
    """
    check_count('k', k)
    device = bundle.ranker.device
    rows = None
    if among is not None:
        rows = bundle.items.rows(among, 'among').unique().to(device)
    left_out = bundle.items.rows(() if exclude is None else exclude, 'exclude')
    width = bundle.ranker.num_items if rows is None else rows.numel()
    bonus = item_bonus(bundle, intents, dial)
    return Query(min(int(k), width), rows, left_out.unique().to(device), bonus)


def best_items(scores: Tensor, query: Query, pairs: Pairs) -> Recommendation:
    r"""Return the best items for each row of scores.

    Args:
        scores (torch.Tensor): The scores of all items, of shape :math:`(B, I)`. They
            are overwritten.
        query (Query): The options.
        pairs (tuple): Rows of :obj:`scores`, and for each row an item to leave out.
    """
    if query.bonus is not None:
        scores = standardise(scores).add_(query.bonus)
    scores[pairs] = -torch.inf
    scores[:, query.exclude] = -torch.inf
    if query.among is not None:
        scores = scores[:, query.among]
    if query.k == 0:
        return Recommendation(scores[:, :0].long(), scores[:, :0])
    value, place = scores.topk(query.k, dim=-1)
    item = place if query.among is None else query.among[place]
    return Recommendation(item.where(value > -torch.inf, item.new_tensor(-1)), value)


def rank(
    bundle: Bundle,
    rows: Tensor,
    query: Query,
    seen: bool,
    index: str,
    batch_size: int,
    progress: bool,
) -> Iterator[Recommendations]:
    r"""Recommend items to users, a batch at a time. The call itself checks the
    arguments, before the first batch is computed.

    Raises:
        ValueError: If an option is invalid.
    """
    check_flag('seen', seen)
    check_choice('index', index, ('exact', 'faiss'))
    check_count('batch_size', batch_size)
    check_flag('progress', progress)
    search = _search(bundle, query, index)
    return _rank(bundle, rows, search, seen, int(batch_size), progress)


def _rank(
    bundle: Bundle,
    rows: Tensor,
    search: Search,
    seen: bool,
    batch_size: int,
    progress: bool,
) -> Iterator[Recommendations]:
    device = bundle.ranker.device
    left_out = None if seen else bundle.seen.to(device)
    quiet = None if progress else True  # None shows a bar only on a terminal.
    with tqdm(total=rows.numel(), unit=' users', disable=quiet) as bar:
        for batch in rows.split(min(batch_size, max(rows.numel(), 1))):
            batch = batch.to(device)
            none = batch[:0]
            pairs = (none, none) if left_out is None else left_out.lookup(batch)
            best = search(batch, pairs)
            if best.score.size(1) > 0:
                check_best(best.score, batch)
            ids = [bundle.users[row] for row in batch.tolist()]
            yield Recommendations(ids, bundle.items, *best)
            bar.update(batch.numel())


def _search(bundle: Bundle, query: Query, index: str) -> Search:
    # An index can rank only all items, and only by their embeddings.
    steered = query.among is not None or query.bonus is not None
    by_text = bundle.ranker.by_text.numel() > 0
    if index == 'faiss' and not steered and not by_text:
        find = index_search(bundle, query.k)
        return lambda users, pairs: find(users, _with_all(pairs, users, query.exclude))
    scorer = bundle.ranker.scorer()
    return lambda users, pairs: best_items(scorer(users), query, pairs)


def _with_all(pairs: Pairs, users: Tensor, items: Tensor) -> Pairs:
    r"""Add the pairs of all users with these items."""
    row = torch.arange(users.numel(), device=users.device)
    return (
        torch.cat([pairs[0], row.repeat_interleave(items.numel())]),
        torch.cat([pairs[1], items.repeat(users.numel())]),
    )


def fitting_batch_size(num_items: int) -> int:
    r"""The number of users whose scores fit into memory that the allocator reuses.
    Larger batches get new memory each time, which takes longer than to fill it."""
    return max(1, min(128, _MAX_SCORES // num_items))
