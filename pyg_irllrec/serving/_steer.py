r"""Steering: rankings in which intents in words are promoted or demoted."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Optional

import torch
from torch import Tensor
from torch.nn.functional import normalize

from pyg_irllrec.nn.models._blend import standardise
from pyg_irllrec.serving._encoded import encoded
from pyg_irllrec.serving._intents import intents_of
from pyg_irllrec.serving._per_bundle import PerBundle
from pyg_irllrec.utils.checks import is_number

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

MAX_WEIGHT = 1000.0
"""The largest weight of an intent, and the largest dial."""
_NUM_NEAREST = 50
_ITEMS_PER_NEAREST = 10  # At most a tenth of a small catalogue is nearest.
_TEMPERATURE = 0.1
_KEPT_MATCHES = 64


def item_bonus(
    bundle: Bundle, intents: Optional[Mapping[str, float]], dial: float = 1.0
) -> Optional[Tensor]:
    r"""Return the term that intents add to the standardised scores of each user,

    .. math::
        b_i = \text{dial} \sum_c w_c\, z(\text{match}(c, i)),

    of shape :math:`(I)`, or :obj:`None` if they do not change the scores.

    Raises:
        ValueError: As for :func:`item_effects`.
    """
    effects = item_effects(bundle, intents, dial)
    if not effects:
        return None
    bonus = torch.stack([*effects.values()]).sum(dim=0)
    return bonus.to(bundle.ranker.item_embedding.device)


def item_effects(
    bundle: Bundle, intents: Optional[Mapping[str, float]], dial: float = 1.0
) -> dict[str, Tensor]:
    r"""Return the part of each intent in :func:`item_bonus`, of shape :math:`(I)`, on
    the CPU. Intents with a weight of 0 are left out, and with :obj:`dial=0` all are. An
    intent is a name from :meth:`~pyg_irllrec.serving.Bundle.intents`, or free text.

    Raises:
        ValueError: If a weight or the dial is out of range, or an intent cannot be
            matched.
    """
    weights = _check_weights(intents)
    if not is_number(dial) or not 0 <= dial <= MAX_WEIGHT:
        raise ValueError(f"'dial' must be from 0 to {MAX_WEIGHT:g}, got {dial!r}")
    effects = {
        intent: float(dial) * weight * _match(bundle, intent)
        for intent, weight in weights.items()
        if weight
    }
    return effects if dial else {}


class WordMatch:
    r"""How well items match words, by texts and by embeddings with equal weight. The
    embedding part takes the items whose texts are nearest to the words, and compares
    all items with the weighted mean of their embeddings. Thus items match that are
    chosen by the same people.

    Args:
        bundle (Bundle): The bundle. No reference to it is kept.
    """

    def __init__(self, bundle: Bundle) -> None:
        item = bundle.data['item']
        self._encoder = bundle.encoder
        texts = [item[name] for name in ('profile', 'intent') if name in item]
        # If profiles and intents have different encoders, words match profiles only.
        texts = [text for text in texts if text.size(1) == texts[0].size(1)]
        self._texts = [(text, text.norm(dim=1).clamp(min=1e-12)) for text in texts]
        embedding = bundle.ranker.item_embedding.float().cpu()
        self._direction = normalize(embedding - embedding.mean(dim=0))
        self._example = bundle.items.title(0)
        # Cached, because it calls the encoder.
        self.match = lru_cache(_KEPT_MATCHES)(self._match)

    def _match(self, words: str) -> Tensor:
        text = self.by_text(words)
        both = torch.stack([text, self.by_embedding(text)])
        return _standardised(standardise(both).sum(dim=0))

    def by_text(self, words: str) -> Tensor:
        r"""The cosines of words with the texts of items, of shape :math:`(I)`, averaged
        over profiles and intents."""
        if self._encoder is None or not self._texts:
            raise ValueError(
                "'intents' must be names from bundle.intents(), got "
                f'{words!r}. Other words need a text encoder and text vectors of '
                'items, which this bundle does not have'
            )
        vector = encoded(self._encoder, [words], self._texts[0][0].size(1))
        if not bool(vector.any()):
            raise ValueError(
                f"'intents' must have words that occur in the texts of the encoder, "
                f'such as {self._example!r}, got {words!r}'
            )
        unit = normalize(vector)[0]
        cosines = [text @ unit / length for text, length in self._texts]
        return torch.stack(cosines).mean(dim=0)

    def by_embedding(self, similarity: Tensor) -> Tensor:
        r"""The cosines of item embeddings with the weighted mean embedding of the items
        with the largest similarity, of shape :math:`(I)`."""
        count = min(_NUM_NEAREST, -(-similarity.numel() // _ITEMS_PER_NEAREST))
        best = similarity.topk(count)
        weight = (best.values / _TEMPERATURE).softmax(dim=0)
        wanted = weight @ self._direction[best.indices]
        return self._direction @ normalize(wanted, dim=0)


match_of = PerBundle(WordMatch)
"""How well the items of a bundle match words."""


def _match(bundle: Bundle, intent: str) -> Tensor:
    named = intents_of(bundle)
    number = named.find(intent)
    if number is not None:
        return _standardised(named.item_share[:, number])
    return match_of(bundle).match(intent)


def _standardised(match: Tensor) -> Tensor:
    return standardise(match.unsqueeze(0))[0]


def _check_weights(intents: object) -> dict[str, float]:
    if intents is None:
        return {}
    if not isinstance(intents, Mapping):
        raise ValueError(
            "'intents' must map words to weights, such as {'space': 1.0, 'war': -0.5}, "
            f'got {type(intents).__name__}'
        )
    for intent, weight in intents.items():
        if not isinstance(intent, str) or not intent.strip():
            raise ValueError(
                f"'intents' must map words to weights, got {intent!r} as words"
            )
        if not is_number(weight) or not -MAX_WEIGHT <= weight <= MAX_WEIGHT:
            raise ValueError(
                f"'intents' must hold weights from {-MAX_WEIGHT:g} to {MAX_WEIGHT:g}, "
                f'got {weight!r} for {intent!r}'
            )
    return {intent: float(weight) for intent, weight in intents.items()}
