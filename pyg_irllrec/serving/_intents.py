r"""The latent intents of a bundle in words, and the shares of users and items in them.

An intent is an item prototype. Users and items are embedded in one space, so the share
of a user is computed as for an item. But if the prototypes of users and items were
trained to represent the same clusters of texts, users have their own prototypes."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from copy import deepcopy
from typing import TYPE_CHECKING, Optional

import torch
from torch import Tensor

from pyg_irllrec.nn import IntentPrototypes
from pyg_irllrec.serving._kept_data import TEXTS
from pyg_irllrec.serving._per_bundle import PerBundle
from pyg_irllrec.serving.named_intent import NamedIntent
from pyg_irllrec.text.intents.intent_keywords import intent_keywords
from pyg_irllrec.utils.node_data import read_texts

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

_NUM_WORDS = 4
_NUM_TITLES = 3
_BATCH_SIZE = 65_536  # Users whose shares are computed at once.


class Intents:
    r"""The intents of a bundle. Prototypes with the same words are merged into one
    intent, whose share is the sum of theirs.

    Args:
        bundle (Bundle): The bundle. No reference to it is kept.

    Attributes:
        names (list): The words of each of the :math:`K` intents, in lower case.
        item_share (torch.Tensor): The shares of items, of shape :math:`(I, K)`.
        user_mean (torch.Tensor): The mean shares of users, of shape :math:`(K)`.
    """

    def __init__(self, bundle: Bundle) -> None:
        self.names: list[str] = []
        self._numbers: dict[frozenset[str], int] = {}
        self.item_share = torch.empty(len(bundle.items), 0)
        self.user_mean = self.item_mean = torch.empty(0)
        self._titles: list[list[str]] = []
        prototypes = bundle.model.backbone.item_prototypes
        texts = _texts_of_items(bundle)
        if prototypes is None or texts is None:
            return
        of_items = deepcopy(prototypes).cpu().float()
        share = _assign(of_items, bundle.ranker.item_embedding)
        try:
            words = intent_keywords(texts, share, _NUM_WORDS)
        except ValueError:  # The texts contain no words.
            return
        self._of_users = of_items
        own = bundle.model.backbone.user_prototypes
        if own is not None and getattr(bundle.model, 'cluster', None) is not None:
            self._of_users = deepcopy(own).cpu().float()
        for each in words:
            if frozenset(each) not in self._numbers:
                self._numbers[frozenset(each)] = len(self.names)
                self.names.append(', '.join(each))
        self._column = torch.tensor([self._numbers[frozenset(each)] for each in words])
        self.item_share = self._merged(share)
        self.item_mean = self.item_share.mean(dim=0)
        self._embedding = bundle.ranker.user_embedding
        parts = self._embedding.split(_BATCH_SIZE)
        sums = [self._shares_of(part).sum(dim=0) for part in parts]
        self.user_mean = torch.stack(sums).sum(dim=0) / len(self._embedding)
        nearest = self.item_share.topk(min(_NUM_TITLES, len(share)), dim=0).indices
        self._titles = [
            [bundle.items.title(row) for row in rows] for rows in nearest.t().tolist()
        ]

    def user_share(self, user: int) -> Tensor:
        r"""The shares of a user, of shape :math:`(K)`."""
        if not self.names:
            return torch.empty(0)
        return self._shares_of(self._embedding[user : user + 1])[0]

    def find(self, name: str) -> Optional[int]:
        r"""Return the index of the intent with these words, in any order, or
        :obj:`None`."""
        words = frozenset(word.strip() for word in name.lower().split(','))
        return self._numbers.get(words)

    def of_all(self) -> list[NamedIntent]:
        r"""All intents with the mean shares of users, by descending share."""
        return self._named(self.user_mean, self.user_mean, self.user_mean)

    def of_user(self, user: int) -> list[NamedIntent]:
        r"""The intents of a user, by descending lift."""
        share = self.user_share(user)
        return self._named(share, self.user_mean, share / _above_zero(self.user_mean))

    def of_item(self, item: int) -> list[NamedIntent]:
        r"""The intents of an item, by descending lift."""
        share = self.item_share[item]
        return self._named(share, self.item_mean, share / _above_zero(self.item_mean))

    def _named(self, share: Tensor, mean: Tensor, order: Tensor) -> list[NamedIntent]:
        lift = (share / _above_zero(mean)).tolist()
        values = share.tolist()
        best = order.argsort(descending=True, stable=True).tolist()
        return [
            NamedIntent(self.names[k], values[k], lift[k], self._titles[k])
            for k in best
        ]

    def _shares_of(self, embedding: Tensor) -> Tensor:
        return self._merged(_assign(self._of_users, embedding))

    def _merged(self, share: Tensor) -> Tensor:
        out = share.new_zeros(len(share), len(self.names))
        return out.index_add(1, self._column, share)


intents_of = PerBundle(Intents)
"""The intents of a bundle, computed once."""


@torch.no_grad()
def _assign(prototypes: IntentPrototypes, embedding: Tensor) -> Tensor:
    return prototypes.assign(embedding.cpu().float())


def _above_zero(mean: Tensor) -> Tensor:
    # An intent with no share anywhere has a lift of 0, not NaN.
    return mean.clamp(min=torch.finfo(mean.dtype).tiny)


def _texts_of_items(bundle: Bundle) -> Optional[Sequence[str]]:
    r"""The texts of each item, joined without duplicates."""
    data = bundle.data
    columns: list[Iterator[str]] = [
        iter(read_texts(data, 'item', name)) for name in TEXTS if name in data['item']
    ]
    if not columns:
        return None
    return [' '.join(dict.fromkeys(row)) for row in zip(*columns)]
