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
from pyg_irllrec.text.intents.prompt import WRITTEN, read_evidence
from pyg_irllrec.utils.argument_checks import each_of
from pyg_irllrec.utils.checks import check_choice, check_count, check_fraction

_WORD = re.compile(r'[^\W\d_](?:[^\W_]|[\'’-](?=[^\W_])){2,}')
_EVIDENCE_WORDS = frozenset({'rating', 'review'})  # Added by choose_evidence.


class ExtractiveModel:
    r"""A stand-in for a chat model, for tests and demos. It needs no language model, no
    network and no key. Each intent is a term of the evidence with a high TF-IDF weight,
    and its reason lists the terms that occur with it. :meth:`describe` records that it
    is not a language model.

    Rare terms, such as names in a title, are skipped unless a node has no other terms.

    Args:
        evidence (iterable of Evidence): The evidence of all users and items, for the
            document frequencies of terms.
        num_intents (int): The largest number of intents per node.
            (default: :obj:`5`)
        min_share (float): A term is rare unless at least this share of the users, and
            of the items, has it in the evidence, and at least two of each.
            (default: :obj:`0.005`)
        what (str): The kind of answers, :obj:`"intents"` or :obj:`"profiles"`. A
            profile consists of the best terms, at most four per possible intent.
            (default: :obj:`"intents"`)

    Raises:
        ValueError: If an option is out of range.

    Example:
        >>> from pyg_irllrec.text import Evidence, ExtractiveModel, Prompt
        >>> evidence = [
        ...     Evidence('user', 'ann', ('A calm film about the sea',)),
        ...     Evidence('user', 'bob', ('A calm book about a storm at sea',)),
        ... ]
        >>> model = ExtractiveModel(evidence, num_intents=1)
        >>> prompt = Prompt.packaged('user')
        >>> messages = prompt.messages(evidence[0].texts, max_intents=1)
        >>> print(*model([messages]))
        {"intents": [{"name": "calm", "reason": "beside sea", "evidence": [1]}]}
    """

    def __init__(
        self,
        evidence: Iterable[Evidence],
        num_intents: int = 5,
        min_share: float = 0.005,
        what: str = 'intents',
    ) -> None:
        check_choice('what', what, WRITTEN)
        self.what = what
        check_count('num_intents', num_intents)
        check_fraction('min_share', min_share)
        self.num_intents = num_intents
        self.min_share = min_share
        nodes: Counter[str] = Counter()
        found: dict[str, Counter[str]] = {}
        for each in each_of('evidence', evidence, Evidence):
            nodes[each.side] += 1
            terms = {term for text in each.texts for term in _terms(text)}
            found.setdefault(each.side, Counter()).update(terms)
        count = nodes.total()
        frequency = sum(found.values(), Counter())
        self._weight = {
            term: math.log((1 + count) / (1 + n)) + 1 for term, n in frequency.items()
        }
        self._unseen_weight = math.log(1 + count) + 1
        self._shared = set(frequency)
        for side, of_side in found.items():
            if not of_side:  # The side has no texts.
                continue
            minimum = max(2, min_share * nodes[side])
            self._shared &= {term for term, n in of_side.items() if n >= minimum}
        content = json.dumps([count, sorted(frequency.items()), sorted(self._shared)])
        self._sha256 = hashlib.sha256(content.encode()).hexdigest()

    def __call__(self, conversations: Sequence[Conversation]) -> list[str]:
        r"""Return one answer per conversation."""
        return [self._answer(read_evidence(c[-1]['content'])) for c in conversations]

    def describe(self) -> dict[str, Any]:
        r"""Return the model and its options, to be saved with its answers."""
        return {
            'model': type(self).__name__,
            'language_model': False,
            'note': 'salient terms of the evidence by TF-IDF, not a language model',
            'num_intents': self.num_intents,
            'min_share': self.min_share,
            'what': self.what,
            'corpus_sha256': self._sha256,
        }

    def _answer(self, texts: list[str]) -> str:
        terms = [set(_terms(text)) for text in texts]
        if any(some & self._shared for some in terms):
            terms = [some & self._shared for some in terms]
        frequency = Counter(term for some in terms for term in some)
        score = {
            term: n * self._weight.get(term, self._unseen_weight)
            for term, n in frequency.items()
        }
        best = sorted(score, key=lambda term: (-score[term], term))
        if self.what == 'profiles':
            words = ', '.join(best[: 4 * self.num_intents])
            return json.dumps({'profile': words[:1000] or texts[0][:80]})
        intents = [
            {
                'name': term,
                'reason': _cooccurring(term, terms, score),
                'evidence': [n for n, some in enumerate(terms, 1) if term in some],
            }
            for term in best[: self.num_intents]
        ]
        if not intents:  # There are no terms, for example only numbers.
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
        if word not in ENGLISH_STOP_WORDS and word not in _EVIDENCE_WORDS
    ]


def _cooccurring(term: str, texts: list[set[str]], score: dict[str, float]) -> str:
    r"""Return the terms that occur with a term, as a reason. The words 'beside' and
    'alone' are stop words, which have no weight in TF-IDF vectors of the intents."""
    others = Counter(w for some in texts if term in some for w in some if w != term)
    best = sorted(others, key=lambda w: (-others[w] * score[w], w))[:4]
    return f'beside {", ".join(best)}' if best else 'alone'
