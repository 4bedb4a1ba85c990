from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

from pyg_irllrec.text.chat_model import Conversation
from pyg_irllrec.text.evidence import Evidence
from pyg_irllrec.text.prompt import read_evidence
from pyg_irllrec.utils.checks import check_positive

_WORD = re.compile(r'[^\W\d_](?:[^\W_]|[\'’-](?=[^\W_])){2,}')
_NO_SUBJECT = frozenset({'rating', 'review'})  # Words of choose_evidence.


class ExtractiveModel:
    r"""Intents without a language model, a network or a key: the terms of the evidence
    that are the most salient by TF-IDF, an intent each, with the terms that stand
    beside it as its reason. It takes the place of a chat model in tests and demos,
    understands nothing, and says so in :meth:`describe`.

    Args:
        evidence (iterable of Evidence): What words are counted in, to tell rare ones
            from frequent ones: the evidence of all nodes, users and items.
        num_intents (int): The largest number of intents. (default: :obj:`5`)
    """

    def __init__(self, evidence: Iterable[Evidence], num_intents: int = 5) -> None:
        check_positive('num_intents', num_intents)
        self.num_intents = num_intents
        found: Counter[str] = Counter()
        count = 0
        for each in evidence:
            count += 1
            found.update({term for text in each.texts for term in _terms(text)})
        self._weight = {
            term: math.log((1 + count) / (1 + times)) + 1
            for term, times in found.items()
        }
        self._unseen = math.log(1 + count) + 1
        content = json.dumps([count, sorted(found.items())])
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
            'corpus_sha256': self._sha256,
        }

    def _answer(self, texts: list[str]) -> str:
        terms = [set(_terms(text)) for text in texts]
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
        return f'{type(self).__name__}(num_intents={self.num_intents})'


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
