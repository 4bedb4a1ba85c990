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
    r"""The texts that intents of a node are drawn from.

    Args:
        side (str): The type of the node, such as :obj:`"user"`.
        id (int or str): Its original id.
        texts (tuple of str): The texts, what matters most first. In prompts and
            answers they are numbered from 1.
        sources (tuple): The node that each text is of, as a pair of type and original
            id. (default: :obj:`()`)
        role (str, optional): Which packaged prompt asks about the node, that for users
            (:obj:`"user"`) or that for items (:obj:`"item"`), whatever the node type is
            called. (default: :obj:`None`, :obj:`side`)

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
        # ASCII, as texts from the wild hold halves of characters.
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
    r"""The texts about each user and about each item, within a budget of tokens.

    - For a user: the user's own text, then, for each training interaction, the text
      of the item, with the rating (where ratings differ) and the review.
    - For an item: its own text, then the reviews of training interactions with their
      ratings.

    With users, items and interactions of these types, own texts are
    :obj:`data['user'].text` and :obj:`data['item'].text`, reviews
    :obj:`data['user', 'rates', 'item'].text`; any of them may be missing, and blank
    ones are passed over. Only :obj:`edge_index` and what lies beside it is read, so
    held-out interactions change nothing. Evidence is put together when it is asked
    for: there is never more than that of one node in memory.

    Args:
        data (HeteroData): Users, items and interactions, split. Of the three graphs
            that :class:`~torch_geometric.transforms.RandomLinkSplit` makes, the first.
        sides (str or sequence of str, optional): The types of nodes that evidence is
            for, of those of :obj:`edge_type`. (default: :obj:`None`, both)
        by (str): Which interactions come first: :obj:`"recent"` ones by :obj:`time`,
            or :obj:`"rare"` ones, whose other node has the fewest and which are the
            most specific, or in :obj:`"random"` order. Ties, and all interactions where
            there is no :obj:`time`, are ordered by rarity, then by node.
            (default: :obj:`"recent"`)
        max_evidence_tokens (int): The budget of a node, by
            :func:`approximate_tokens`. (default: :obj:`1000`)
        max_text_tokens (int): Where a single text is cut. (default: :obj:`200`)
        seed (int): The seed of the random order. (default: :obj:`0`)
        source (str): The name of texts, of nodes and interactions.
            (default: :obj:`"text"`)
        unsplit (bool): Whether to take interactions that were not split, all of them.
            (default: :obj:`False`)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the same interactions in reverse.
            (default: :obj:`None`, found likewise)

    Returns:
        For each node its evidence, side by side in the order of nodes. Its method
        :obj:`describe()` returns the options, for a manifest: what was chosen with them
        can be chosen again, as :class:`~pyg_irllrec.transforms.AddIntents` does.

    Raises:
        ValueError: If an argument is out of range, interactions are not split, or
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
    r"""A hash of all evidence, node by node: what
    :class:`~pyg_irllrec.transforms.AddIntents` can expect.

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
    r"""Side by side, and how it was chosen."""

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
        r"""An interaction in words; without a text or a review there are none."""
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
    if isinstance(rates[source], str) or len(rates[source]) != num_edges:
        raise ValueError(
            f"'{source}' of interactions must hold a text per interaction, {num_edges}"
        )
    return rates[source]


def _read_ratings(rates: Any, num_edges: int) -> Optional[npt.NDArray[np.float32]]:
    if 'rating' not in rates or num_edges == 0:
        return None
    check_length('rating', rates.rating, num_edges)
    if torch.equal(rates.rating.min(), rates.rating.max()):
        return None  # It distinguishes nothing.
    return np.asarray(rates.rating.cpu())


def _cut(text: str, max_tokens: int) -> str:
    if approximate_tokens(text) <= max_tokens:
        return text
    # Cut between characters, although tokens count bytes.
    return text.encode()[: 4 * max_tokens].decode(errors='ignore').rstrip()
