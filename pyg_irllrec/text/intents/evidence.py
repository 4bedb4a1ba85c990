from __future__ import annotations

import hashlib
import json
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import Any, Optional, Union, overload

import numpy as np
import numpy.typing as npt
import torch
from torch_geometric.data import HeteroData

from pyg_irllrec.text._to_single_line import to_single_line
from pyg_irllrec.text.chat.approximate_tokens import approximate_tokens
from pyg_irllrec.typing import EdgeType, NodeId
from pyg_irllrec.utils.argument_checks import check_name, each_of
from pyg_irllrec.utils.checks import check_choice, check_count, check_length, check_seed
from pyg_irllrec.utils.edge_store import check_hetero, num_nodes, read_edges, read_time
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.node_data import check_sides, check_split, read_ids, read_texts
from pyg_irllrec.utils.order_interactions import order_interactions


@dataclass(frozen=True)
class Evidence:
    r"""The evidence of a node: texts from which a model infers intents.

    Args:
        side (str): The node type, such as :obj:`"user"`.
        id (int or str): The original id of the node.
        texts (tuple of str): The texts, most important first. Prompts and answers
            number them from 1.
        sources (tuple): For each text, the node that it belongs to, as a pair of node
            type and original id. (default: :obj:`()`)
        role (str, optional): The packaged prompt for the node, for users
            (:obj:`"user"`) or for items (:obj:`"item"`).
            (default: :obj:`None`, :obj:`side`)

    Example:
        >>> from pyg_irllrec.text import Evidence
        >>> evidence = Evidence('user', 7, ('A calm film', 'A slow book'))
        >>> len(evidence.sha256)
        64
    """

    side: str
    id: NodeId
    texts: tuple[str, ...]
    sources: tuple[tuple[str, NodeId], ...] = ()
    role: Optional[str] = None

    @property
    def sha256(self) -> str:
        r"""A hash of the texts."""
        # ASCII, because real texts may contain lone surrogates.
        return hashlib.sha256(json.dumps(self.texts).encode()).hexdigest()


def choose_evidence(
    data: HeteroData,
    sides: Union[str, Sequence[str], None] = None,
    by: str = 'recent',
    max_evidence_tokens: int = 1000,
    max_text_tokens: int = 200,
    seed: int = 0,
    source: str = 'text',
    unsplit: bool = False,
    edge_type: Optional[EdgeType] = None,
    rev_edge_type: Optional[EdgeType] = None,
) -> Sequence[Evidence]:
    r"""Choose the texts about each user and each item, within a token budget.

    - For a user: the user's own text, then one text per training interaction, with the
      text of the item, the rating (if ratings differ) and the review.
    - For an item: its own text, then one text per training interaction, with the
      rating and the review.

    The texts of nodes are in :obj:`data['user'].text` and :obj:`data['item'].text`,
    reviews in :obj:`data['user', 'rates', 'item'].text`. Each of them may be missing,
    and blank texts are skipped. Only training interactions (:obj:`edge_index`) and
    their attributes are read, so held-out interactions have no effect. The evidence of
    a node is built on access; at most one node's evidence is in memory.

    Args:
        data (HeteroData): Users, items and split interactions. If
            :class:`~torch_geometric.transforms.RandomLinkSplit` made the split, pass
            the first of its graphs.
        sides (str or sequence of str, optional): The node types to choose evidence
            for. (default: :obj:`None`, both)
        by (str): The order of interactions: :obj:`"recent"` (by :obj:`time`, latest
            first), :obj:`"rare"` (fewest interactions of the other node first, which
            are the most specific) or :obj:`"random"`. Ties, and interactions without
            :obj:`time`, are ordered by rarity, then by node.
            (default: :obj:`"recent"`)
        max_evidence_tokens (int): The token budget per node, counted by
            :func:`approximate_tokens`. (default: :obj:`1000`)
        max_text_tokens (int): The largest number of tokens per text. Longer texts are
            cut. (default: :obj:`200`)
        seed (int): The seed of the random order. (default: :obj:`0`)
        source (str): The attribute of nodes and interactions that holds the texts.
            (default: :obj:`"text"`)
        unsplit (bool): Whether to accept interactions that are not split, and use all
            of them. (default: :obj:`False`)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found by the same function)

    Returns:
        A sequence with the evidence of each node, first all nodes of the first side,
        then all of the second. Its method :obj:`describe()` returns the options. They
        are saved in the manifest, so that
        :class:`~pyg_irllrec.transforms.AddIntents` can choose the same evidence again.

    Raises:
        ValueError: If an argument is out of range, the interactions are not split, or
            there are no texts.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.text import choose_evidence
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> evidence = choose_evidence(data, source='profile_text')
        >>> len(evidence), evidence[12].side
        (22, 'item')
        >>> evidence[0].texts[0]
        'Enjoys the rucksack, ...; mostly about hiking.'
    """
    check_choice('by', by, ('recent', 'rare', 'random'))
    check_count('max_evidence_tokens', max_evidence_tokens)
    check_count('max_text_tokens', max_text_tokens)
    check_seed(seed)
    check_name('source', source)
    check_hetero(data, 'choose_evidence')
    given_reverse = rev_edge_type
    edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
    both = edge_type[0], edge_type[2]
    sides = both if sides is None else check_sides(sides)
    for side in sides:
        check_choice('sides', side, both)
    check_split(data, edge_type, unsplit)
    options = (by, max_evidence_tokens, max_text_tokens, seed, source)
    return _ChosenEvidence(
        [_SideEvidence(data, side, *options, edge_type) for side in sides],
        {
            'sides': list(sides),
            'by': by,
            'max_evidence_tokens': max_evidence_tokens,
            'max_text_tokens': max_text_tokens,
            'seed': seed,
            'source': source,
            'unsplit': unsplit,
            'edge_type': list(edge_type),
            'rev_edge_type': None if given_reverse is None else list(given_reverse),
        },
    )


def evidence_sha256(evidence: Iterable[Evidence]) -> str:
    r"""Hash all evidence, node by node, to check that intents were extracted from it
    (:obj:`expect` of :class:`~pyg_irllrec.transforms.AddIntents`).

    Args:
        evidence (iterable of Evidence): The evidence.

    Example:
        >>> from pyg_irllrec.text import Evidence, evidence_sha256
        >>> before = [Evidence('user', 7, ('A calm film',))]
        >>> after = [Evidence('user', 7, ('A calm film', 'A slow book'))]
        >>> evidence_sha256(before) == evidence_sha256(after)
        False
    """
    digest = hashlib.sha256()
    for each in each_of('evidence', evidence, Evidence):
        digest.update(json.dumps([each.side, each.id, each.sha256]).encode())
    return digest.hexdigest()


class _ChosenEvidence(Sequence[Evidence]):
    r"""The evidence of all sides, with the options that it was chosen with."""

    def __init__(self, parts: list[_SideEvidence], options: dict[str, Any]) -> None:
        self._parts = parts
        self._options = options
        self._end = list(accumulate(map(len, parts)))

    def describe(self) -> dict[str, Any]:
        return dict(self._options)

    def __len__(self) -> int:
        return self._end[-1]

    @overload
    def __getitem__(self, index: int) -> Evidence: ...

    @overload
    def __getitem__(self, index: slice) -> list[Evidence]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Evidence, list[Evidence]]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        part = bisect_right(self._end, row)
        start = 0 if part == 0 else self._end[part - 1]
        return self._parts[part].read(row - start)


class _SideEvidence:
    def __init__(
        self,
        data: HeteroData,
        side: str,
        by: str,
        max_evidence_tokens: int,
        max_text_tokens: int,
        seed: int,
        source: str,
        edge_type: EdgeType,
    ) -> None:
        user_type, _, item_type = edge_type
        is_user = side == user_type
        self._side = side
        self._role = 'user' if is_user else 'item'
        self._other = item_type if is_user else user_type
        self._max_evidence_tokens = max_evidence_tokens
        self._max_text_tokens = min(max_text_tokens, max_evidence_tokens)
        num_users, num_items = num_nodes(data, edge_type)
        sizes = {user_type: num_users, item_type: num_items}
        self._ids = {each: read_ids(data, each) for each in sizes}
        texts = {
            each: read_texts(data, each, source) if source in data[each] else None
            for each in sizes
        }
        self._own_text = texts[side]
        self._item_text = texts[item_type] if is_user else None
        rates = data[edge_type]
        edges = read_edges(rates).cpu().numpy()
        self._review = _read_reviews(rates, source, edges.shape[1])
        self._rating = _read_ratings(rates, edges.shape[1])
        if self._review is None and not any(t is not None for t in texts.values()):
            raise ValueError(
                f"'data' must hold texts: data['{item_type}'].{source}, "
                f"data['{user_type}'].{source} or {source} of {edge_type}, got none"
            )
        group, other = edges if is_user else edges[::-1]
        when = read_time(rates, group.size) if by == 'recent' else None
        time = None if when is None else when.cpu().numpy()
        draw = None
        if by == 'random':
            draw = np.random.default_rng(seed).permutation(group.size)
        order = order_interactions(group, other, sizes[self._other], time, draw)
        self._edge, self._node = order, other[order]
        count = np.bincount(group[order], minlength=sizes[side])
        self._start = np.concatenate([[0], count.cumsum()])

    def __len__(self) -> int:
        return len(self._start) - 1

    def read(self, row: int) -> Evidence:
        texts: list[str] = []
        sources: list[tuple[str, NodeId]] = []
        left = self._max_evidence_tokens
        for text, side, node in self._candidates(row):
            text = _cut(to_single_line(text), self._max_text_tokens)
            tokens = approximate_tokens(text)
            if tokens == 0:
                continue
            if tokens > left:
                break
            left -= tokens
            texts.append(text)
            sources.append((side, self._ids[side][node]))
        name = self._ids[self._side][row]
        return Evidence(self._side, name, tuple(texts), tuple(sources), self._role)

    def _candidates(self, row: int) -> Iterator[tuple[str, str, int]]:
        if self._own_text is not None:
            yield self._own_text[row], self._side, row
        if self._review is None and self._item_text is None:
            return
        for place in range(self._start[row], self._start[row + 1]):
            node, edge = int(self._node[place]), int(self._edge[place])
            yield self._describe(node, edge), self._other, node

    def _describe(self, node: int, edge: int) -> str:
        r"""Describe an interaction. It is blank without a text and a review."""
        title = '' if self._item_text is None else self._item_text[node].strip()
        review = '' if self._review is None else self._review[edge].strip()
        if not title and not review:
            return ''
        rating = '' if self._rating is None else f'rating: {self._rating[edge]:g}'
        parts = [title, rating, f'review: {review}' if review else '']
        return ' | '.join(part for part in parts if part)


def _read_reviews(rates: Any, source: str, num_edges: int) -> Any:
    if source not in rates:
        return None
    texts = rates[source]
    if isinstance(texts, str) or len(texts) != num_edges:
        got = 'a single text' if isinstance(texts, str) else len(texts)
        raise ValueError(
            f"'{source}' of interactions must have one text per interaction, "
            f'{num_edges}, got {got}'
        )
    return texts


def _read_ratings(rates: Any, num_edges: int) -> Optional[npt.NDArray[np.float32]]:
    if 'rating' not in rates or num_edges == 0:
        return None
    check_length('rating', rates.rating, num_edges)
    if torch.equal(rates.rating.min(), rates.rating.max()):
        return None  # Equal ratings carry no information.
    return np.asarray(rates.rating.cpu())


def _cut(text: str, max_tokens: int) -> str:
    if approximate_tokens(text) <= max_tokens:
        return text
    # Tokens count bytes, but the cut must be between characters.
    return text.encode()[: 4 * max_tokens].decode(errors='ignore').rstrip()
