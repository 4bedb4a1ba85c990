r"""Explanations of recommendations in plain sentences."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from textwrap import shorten
from typing import TYPE_CHECKING, Optional

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pyg_irllrec.serving._info import blend_of
from pyg_irllrec.serving._intents import intents_of
from pyg_irllrec.serving._per_bundle import PerBundle
from pyg_irllrec.serving.explanation import Explanation
from pyg_irllrec.serving.named_intent import NamedIntent
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.typing import RATES, NodeId
from pyg_irllrec.utils import UserItems

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

_QUOTES = re.compile('["“”„]')
_NUM_SIMILAR = 3
_NUM_INTENTS = 3
_MAX_TITLE_LENGTH = 80
_MAIN_SHARE = 0.5
_DEVIATIONS = 3.0  # By chance, 1 in 700 unrelated items exceeds them.


def explain(bundle: Bundle, user: NodeId, items: Sequence[NodeId]) -> list[Explanation]:
    r"""Explain items for a user, with one scoring of the user."""
    (row,) = bundle.users.rows([user], 'user').tolist()
    columns = bundle.items.rows(items, 'item').tolist()
    scores = bundle.ranker.score(torch.tensor([row], device=bundle.ranker.device))
    unseen = _unseen(bundle, row)
    return [_explain(bundle, row, each, scores[0].cpu(), unseen) for each in columns]


def _explain(
    bundle: Bundle, user: int, item: int, scores: Tensor, unseen: Tensor
) -> Explanation:
    better = scores[unseen] > scores[item]
    rank = 1 + int(better.sum()) if unseen[item] else None
    nearest = _most_similar(bundle, user, item)
    intents = _shared(bundle, user, item)
    sentences = [
        _rank_sentence(bundle, user, item, rank, len(better)),
        _similarity_sentence(bundle, user, item, [each for each, _ in nearest]),
        _intents_sentence(intents),
        _graph_sentence(bundle),
    ]
    return Explanation(
        bundle.users[user],
        bundle.items[item],
        bundle.items.title(item),
        ' '.join(filter(None, sentences)),
        float(scores[item]),
        rank,
        [
            RankedItem(bundle.items[each], bundle.items.title(each), cosine)
            for each, cosine in nearest
        ],
        intents,
    )


def _unseen(bundle: Bundle, user: int) -> Tensor:
    r"""A mask of the items that a user has not seen, of shape :math:`(I)`."""
    unseen = torch.ones(len(bundle.items), dtype=torch.bool)
    unseen[_items_of(bundle.seen, user)] = False
    return unseen


def _most_similar(bundle: Bundle, user: int, item: int) -> list[tuple[int, float]]:
    r"""The user's own items that are most similar to an item, with their cosines, if
    these exceed the cosine of unrelated items."""
    own = _others(bundle, user, item)
    embedding = bundle.ranker.item_embedding
    rows = torch.cat([own, torch.tensor([item])]).to(embedding.device)
    unit = normalize(embedding[rows].float()).cpu()
    best = (unit[:-1] @ unit[-1]).topk(min(_NUM_SIMILAR, len(own)))
    found = zip(own[best.indices].tolist(), best.values.tolist())
    return [(each, cosine) for each, cosine in found if cosine >= _min_cosine(bundle)]


def _others(bundle: Bundle, user: int, item: int) -> Tensor:
    r"""The training items of a user, without one item."""
    own = _items_of(_own_items(bundle), user)
    return own[own != item]


def _threshold(bundle: Bundle) -> float:
    r"""The cosine from which two items count as similar: the mean of all pairs plus
    three standard deviations of the cosine of two random directions in :math:`d`
    dimensions, :math:`1 / \sqrt{d}` each; for few dimensions, 0.9 instead of these
    three."""
    unit = normalize(bundle.ranker.item_embedding.float())
    mean = float(unit.mean(dim=0).square().sum())
    return mean + (1 - mean) * min(0.9, _DEVIATIONS / math.sqrt(unit.size(1)))


_min_cosine = PerBundle(_threshold)


def _training_items(bundle: Bundle) -> UserItems:
    sizes = len(bundle.users), len(bundle.items)
    return UserItems(bundle.data[RATES].edge_index, *sizes)


_own_items = PerBundle(_training_items)
"""The training items of users."""


def _items_of(items: UserItems, user: int) -> Tensor:
    users = torch.tensor([user], device=items.rowptr.device)
    return items.lookup(users)[1].cpu()


def _shared(bundle: Bundle, user: int, item: int) -> list[NamedIntent]:
    r"""The intents above the mean for both, by the descending product of lifts."""
    intents = intents_of(bundle)
    lift = {each.name: each.lift for each in intents.of_item(item)}
    shared = [
        each for each in intents.of_user(user) if each.lift > 1 and lift[each.name] > 1
    ]
    shared.sort(key=lambda each: -each.lift * lift[each.name])
    return shared[:_NUM_INTENTS]


def _rank_sentence(
    bundle: Bundle, user: int, item: int, rank: Optional[int], num_unseen: int
) -> str:
    name, who = _item_name(bundle, item), _user_name(bundle, user)
    name = name[0].upper() + name[1:]
    if rank is None:
        return f'{name} is one of the items that {who} has seen.'
    return f'{name} is number {rank} of the {num_unseen} items that {who} has not seen.'


def _similarity_sentence(
    bundle: Bundle, user: int, item: int, nearest: Sequence[int]
) -> str:
    who = _user_name(bundle, user)
    if not nearest:
        others = len(_others(bundle, user, item)) > 0
        return f'No item that {who} chose is similar to it.' if others else ''
    *first, last = (_item_name(bundle, each) for each in nearest)
    names = f'{", ".join(first)} and {last}' if first else last
    return f'Among the items that {who} chose, it is most similar to {names}.'


def _intents_sentence(intents: Sequence[NamedIntent]) -> str:
    if not intents:
        return ''
    return f'Shared intents: {"; ".join(each.name for each in intents)}.'


def _graph_sentence(bundle: Bundle) -> str:
    r"""Return a sentence on the weight of the graph, which similarity and intents
    describe, if most of the score comes from companions."""
    blend = blend_of(bundle.model)
    if blend.get('graph', 1) >= _MAIN_SHARE:
        return ''
    return (
        'Similar items and intents are those of the graph, whose weight in the score '
        f'is {blend["graph"]:g}.'
    )


def _user_name(bundle: Bundle, user: int) -> str:
    return f'user {bundle.users[user]}'


def _item_name(bundle: Bundle, item: int) -> str:
    title = bundle.items.title(item)
    if title == str(bundle.items[item]):  # There is no title.
        return f'item {title}'
    title = shorten(title, _MAX_TITLE_LENGTH, placeholder=' ...')
    inner = _QUOTES.sub("'", title)
    return f'"{inner}"'
