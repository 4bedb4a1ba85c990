from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.prompt import read_evidence
from pyg_irllrec.utils.checks import check_fraction, check_positive

_WORD = re.compile(r'[^\W\d_](?:[^\W_]|[\'’-](?=[^\W_])){2,}')
_NO_SUBJECT = frozenset({'rating', 'review'})  # Words of choose_evidence.


class ExtractiveModel:
    r"""Intents without a language model, a network or a key: the terms of the evidence
    that are the most salient by TF-IDF, an intent each, with the terms that stand
    beside it as its reason. It takes the place of a chat model in tests and demos,
    understands nothing, and says so in :meth:`describe`.

    An intent is what several act for: terms of fewer nodes, such as the names in a
    title, are left out, unless a node has no other.

    Args:
        evidence (iterable of Evidence): What words are counted in, to tell rare ones
            from frequent ones: the evidence of all nodes, users and items.
        num_intents (int): The largest number of intents. (default: :obj:`5`)
        min_share (float): The least share of the users, and of the items, whose
            evidence has a term; at least two must. (default: :obj:`0.005`)

    Raises:
        ValueError: If an option is out of range.
    """

    def __init__(
        self,
        evidence: Iterable[Evidence],
        num_intents: int = 5,
        min_share: float = 0.005,
    ) -> None:
        check_positive('num_intents', num_intents)
        check_fraction('min_share', min_share)
        self.num_intents = num_intents
        self.min_share = min_share
        nodes: Counter[str] = Counter()
        found: dict[str, Counter[str]] = {}
        for each in evidence:
            nodes[each.side] += 1
            terms = {term for text in each.texts for term in _terms(text)}
            found.setdefault(each.side, Counter()).update(terms)
        count = nodes.total()
        times = sum(found.values(), Counter())
        self._weight = {
            term: math.log((1 + count) / (1 + n)) + 1 for term, n in times.items()
        }
        self._unseen = math.log(1 + count) + 1
        self._shared = set(times)
        for side, of_side in found.items():
            if not of_side:  # No text at all.
                continue
            least = max(2, min_share * nodes[side])
            self._shared &= {term for term, n in of_side.items() if n >= least}
        content = json.dumps([count, sorted(times.items()), sorted(self._shared)])
        self._sha256 = hashlib.sha256(content.encode()).hexdigest()

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        r"""An answer for each conversation."""
        return [self._answer(read_evidence(c[-1]['content'])) for c in conversations]

    def describe(self) -> dict[str, Any]:
        r"""What the answers were made with; that it was no language model."""
        return {
            'model': type(self).__name__,
            'language_model': False,
            'note': 'salient terms of the evidence by TF-IDF, not a language model',
            'num_intents': self.num_intents,
            'min_share': self.min_share,
            'corpus_sha256': self._sha256,
        }

    def _answer(self, texts: list[str]) -> str:
        terms = [set(_terms(text)) for text in texts]
        if any(some & self._shared for some in terms):
            terms = [some & self._shared for some in terms]
        times = Counter(term for some in terms for term in some)
        score = {
            term: n * self._weight.get(term, self._unseen) for term, n in times.items()
        }
        best = sorted(score, key=lambda term: (-score[term], term))
        intents = [
            {
                'name': term,
                'reason': _beside(term, terms, score),
                'evidence': [n for n, some in enumerate(terms, 1) if term in some],
            }
            for term in best[: self.num_intents]
        ]
        if not intents:  # Nothing but numbers, say.
            intents = [{'name': texts[0][:80], 'reason': 'alone', 'evidence': [1]}]
        return json.dumps({'intents': intents})

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}(num_intents={self.num_intents}, '
            f'min_share={self.min_share})'
        )


def _terms(text: str) -> list[str]:
    return [
        word
        for word in _WORD.findall(text.lower())
        if len(word) <= 40
        if word not in ENGLISH_STOP_WORDS and word not in _NO_SUBJECT
    ]


def _beside(term: str, texts: list[set[str]], score: dict[str, float]) -> str:
    r"""The terms that a term is found with. What is said around them are stop words,
    which weigh nothing where the intents become vectors."""
    others = Counter(w for some in texts if term in some for w in some if w != term)
    best = sorted(others, key=lambda w: (-others[w] * score[w], w))[:4]
    return f'beside {", ".join(best)}' if best else 'alone'
