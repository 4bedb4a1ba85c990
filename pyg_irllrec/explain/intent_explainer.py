from __future__ import annotations

import operator
from collections.abc import Sequence
from copy import deepcopy
from typing import Any, Optional, Union

import torch
from torch import Tensor
from torch.nn.functional import cosine_similarity
from torch_geometric.data import HeteroData

from pyg_irllrec.explain.node_explanation import ActivePrototype, NodeExplanation
from pyg_irllrec.explain.prototype_explanation import PrototypeExplanation
from pyg_irllrec.explain.recommendation_explanation import RecommendationExplanation
from pyg_irllrec.nn import AlphaRec, Recommender
from pyg_irllrec.nn.models._own_interactions import check_interactions
from pyg_irllrec.text.intents.intent_keywords import intent_keywords
from pyg_irllrec.typing import EdgeType
from pyg_irllrec.utils.adjacency import (
    check_edge_index,
    check_node_ids,
)
from pyg_irllrec.utils.argument_checks import check_instance, check_name
from pyg_irllrec.utils.checks import check_choice, check_count, check_finite
from pyg_irllrec.utils.digest import same_sketch, sketch
from pyg_irllrec.utils.edge_store import check_hetero, num_nodes, plain, read_edges
from pyg_irllrec.utils.evaluating import evaluating
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.node_data import read_ids, read_texts
from pyg_irllrec.utils.trained_nodes import check_trained_nodes


class IntentExplainer:
    r"""Explain a trained model in words: each latent intent (prototype), each user and
    item, and each recommendation.

    A :obj:`side` is a node type of the data. If the interactions have the type
    :obj:`('user', 'rates', 'movie')`, :obj:`explain.node('movie', 17)` explains a
    movie.

    The share of a prototype in a node comes from
    :meth:`~pyg_irllrec.nn.IntentPrototypes.assign`, applied to the embedding that
    scores. Without a temperature, the share depends on inner products, and embeddings
    with small norms have nearly equal shares of all prototypes. The prototypes of a
    node are therefore ranked by their *lift*: the share in this node divided by the
    mean share over all nodes. The words of a prototype match the
    texts best if the model was trained with a :obj:`prototype_weight` (see
    :class:`~pyg_irllrec.nn.IRLLRec`). An explanation describes what the model has
    learned. It does not show what caused a score.

    Args:
        model (Recommender): The model. Its embeddings are computed once, in evaluation
            mode, when the explainer is created. A backbone without intents
            (:obj:`num_intents=0`) has no prototypes; similar items are still found.
        data (HeteroData): The graph that the model was built from, with texts of users
            and items. Only the training interactions are used.
        sources (str or sequence of str): The attributes that hold the texts of nodes.
            The first non-blank text of a node is shown.
            (default: :obj:`("title", "text", "profile_text")`)
        intents (str): The attribute that holds the intent texts. It may be missing.
            (default: :obj:`"intent_text"`)
        num_words (int): The number of words per prototype, chosen by
            :func:`~pyg_irllrec.text.intent_keywords` from all these texts.
            (default: :obj:`4`)
        num_nearest (int): The number of nodes shown per prototype, and of similar
            items per recommendation. (default: :obj:`3`)
        exclude (torch.Tensor, optional): The pairs of user and item that are not
            recommended, of shape :math:`(2, E)`, as in
            :meth:`~pyg_irllrec.nn.Recommender.recommend`.
            (default: :obj:`None`, the training interactions)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found by the same function)

    Raises:
        ValueError: If :obj:`data` differs from the graph of the model in its sizes,
            interactions or vectors, or in its ids or texts (these are compared if the
            model was trained or loaded in this process); if an embedding is not
            finite; if a side has no texts; or if :obj:`exclude` has ids out of range.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.explain import IntentExplainer
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> explain = IntentExplainer(build_model(data, alignment='full'), data)
        >>> explain.node('user', 3).text
        'Enjoys the oven stone and the dough scraper; mostly about home baking.'
        >>> len(explain.prototypes('user')[0].words)
        4
        >>> len(explain.recommendation(user=3, item=7).similar)
        3
    """

    def __init__(
        self,
        model: Recommender,
        data: HeteroData,
        sources: Union[str, Sequence[str]] = ('title', 'text', 'profile_text'),
        intents: str = 'intent_text',
        num_words: int = 4,
        num_nearest: int = 3,
        exclude: Optional[Tensor] = None,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        if not isinstance(model, Recommender):
            raise ValueError(
                f"'model' must be a Recommender, got {type(model).__name__}: "
                'IntentExplainer(model, data)'
            )
        check_hetero(data, "'data'")
        check_count('num_words', num_words)
        check_count('num_nearest', num_nearest)
        types = find_interaction_types(data, edge_type, rev_edge_type)
        sizes = num_nodes(data, types.edge_type)
        if sizes != (model.num_users, model.num_items):
            raise ValueError(
                f"'data' must have the users and items of 'model', {model.num_users} "
                f'and {model.num_items}, got {sizes[0]} and {sizes[1]}'
            )
        if exclude is not None:
            check_edge_index(exclude, name='exclude')
            exclude = plain(exclude).cpu().long()
            for row, size, side in zip(exclude, sizes, ('users', 'items')):
                check_node_ids(row, size, f'exclude ({side})')
        sources = (sources,) if isinstance(sources, str) else sources
        check_instance('sources', sources, Sequence)
        for name in (*sources, intents):
            check_name('intents' if name is intents else 'sources', name)
        names = (*sources, intents)
        self.sides = types.edge_type[0], types.edge_type[2]
        self._texts = {side: _read_all(data, side, names) for side in self.sides}
        self._ids = {side: read_ids(data, side) for side in self.sides}
        self._intents = intents
        self._num_words = num_words
        self._num_nearest = num_nearest
        self._train = read_edges(data[types.edge_type]).cpu()
        check_interactions(model, self._train)
        _check_vectors(model, data, self.sides)
        check_trained_nodes(model, data, self.sides)
        self._exclude = self._train if exclude is None else exclude
        self._embedding: dict[str, Tensor] = {}
        self._share: dict[str, Tensor] = {}
        prototypes = model.backbone.user_prototypes, model.backbone.item_prototypes
        with torch.no_grad(), evaluating(model):
            embeddings = model.get_embeddings()
            self._scorer = model.scorer() if model.blends else None
            self._device = model.device
            for side, embedding, intent in zip(self.sides, embeddings, prototypes):
                check_finite(f'{side} embeddings of model', embedding)
                # In float32, because shares in bfloat16 would tie.
                x = embedding.float()
                share = x.new_empty(len(x), 0)
                if intent is not None:
                    share = deepcopy(intent).float().assign(x)
                self._embedding[side], self._share[side] = x.cpu(), share.cpu()
        self._mean = {side: share.mean(dim=0) for side, share in self._share.items()}
        self._prototypes: dict[str, list[PrototypeExplanation]] = {}

    def embedding(self, side: str) -> Tensor:
        r"""The embeddings that score, of shape :math:`(N, d)`.

        Args:
            side (str): The node type of users or of items.
        """
        check_choice('side', side, self.sides)
        return self._embedding[side]

    def share(self, side: str) -> Tensor:
        r"""The share of each prototype in each node, of shape :math:`(N, K)`.

        Args:
            side (str): The node type of users or of items.
        """
        check_choice('side', side, self.sides)
        return self._share[side]

    def lift(self, side: str) -> Tensor:
        r"""Each share divided by the mean share of its prototype, of shape
        :math:`(N, K)`.

        Args:
            side (str): The node type of users or of items.
        """
        return _lift(self.share(side), self._mean[side])

    def prototypes(self, side: str) -> list[PrototypeExplanation]:
        r"""All prototypes of a side in words, ordered by number. The first call
        computes them, and later calls reuse them.

        Args:
            side (str): The node type of users or of items.

        Raises:
            ValueError: If :obj:`side` is not a node type of the data, or if its texts
                have no words.
        """
        share = self.share(side)
        if share.size(1) == 0:
            return []
        if side not in self._prototypes:
            texts = [self._all_texts(side, node) for node in range(len(share))]
            try:
                words = intent_keywords(texts, share, self._num_words)
            except ValueError as error:
                raise ValueError(f"data['{side}']: {error}") from None
            nearest = share.topk(min(self._num_nearest, len(share)), dim=0).indices.t()
            self._prototypes[side] = [
                PrototypeExplanation(
                    side, k, mean, some, nodes, [self._text(side, n) for n in nodes]
                )
                for k, (mean, some, nodes) in enumerate(
                    zip(self._mean[side].tolist(), words, nearest.tolist())
                )
            ]
        return self._prototypes[side]

    def node(self, side: str, node: int, num_prototypes: int = 3) -> NodeExplanation:
        r"""Describe a user or an item in words.

        Args:
            side (str): The node type of users or of items.
            node (int): The index of the node, from 0.
            num_prototypes (int): The largest number of prototypes. Of prototypes with
                the same words, only the one with the largest lift counts.
                (default: :obj:`3`)

        Raises:
            ValueError: If an argument is out of range.
        """
        check_count('num_prototypes', num_prototypes)
        check_choice('side', side, self.sides)
        node = self._check_node(side, node)
        prototypes = self.prototypes(side)
        own = self._share[side][node]
        share, lift = own.tolist(), _lift(own, self._mean[side]).tolist()
        active: dict[frozenset[str], ActivePrototype] = {}
        for k in sorted(range(len(lift)), key=lambda k: (-lift[k], k)):
            words = frozenset(prototypes[k].words)
            active.setdefault(words, ActivePrototype(prototypes[k], share[k], lift[k]))
        intents = self._texts[side].get(self._intents)
        return NodeExplanation(
            side,
            node,
            self._ids[side][node],
            self._text(side, node),
            '' if intents is None else intents[node],
            list(active.values())[:num_prototypes],
        )

    def recommendation(
        self, user: int, item: int, num_prototypes: int = 3
    ) -> RecommendationExplanation:
        r"""Explain in words why an item is recommended to a user.

        Args:
            user (int): The index of the user, from 0.
            item (int): The index of the item, from 0.
            num_prototypes (int): The largest number of prototypes per node.
                (default: :obj:`3`)

        Raises:
            ValueError: If an argument is out of range.
        """
        user_type, item_type = self.sides
        user = self._check_node(user_type, user)
        item = self._check_node(item_type, item)
        explained_user = self.node(user_type, user, num_prototypes)
        explained_item = self.node(item_type, item, num_prototypes)
        items = self._embedding[item_type]
        scores = self._scores(user)
        chosen = self._train[1, self._train[0] == user].unique()
        excluded = self._exclude[1, self._exclude[0] == user]
        rank = 0
        if not (excluded == item).any():
            better = scores > scores[item]
            better[excluded] = False
            rank = 1 + int(better.sum())
        others = chosen[chosen != item]
        similarity = cosine_similarity(items[others], items[item].unsqueeze(0))
        best = similarity.topk(min(self._num_nearest, len(others)))
        similar = [
            (self.node(item_type, other, num_prototypes), value)
            for other, value in zip(others[best.indices].tolist(), best.values.tolist())
        ]
        score = float(scores[item])
        return RecommendationExplanation(
            explained_user, explained_item, score, rank, similar
        )

    def _scores(self, user: int) -> Tensor:
        r"""The scores of all items for a user, by the blended scorer if there is
        one."""
        if self._scorer is None:
            user_type, item_type = self.sides
            return self._embedding[item_type] @ self._embedding[user_type][user]
        with torch.no_grad():
            return self._scorer(torch.tensor([user], device=self._device))[0].cpu()

    def _check_node(self, side: str, node: object) -> int:
        r"""Return a node index as an :obj:`int` after a range check."""
        last = len(self._share[side]) - 1
        try:
            number = operator.index(node)  # type: ignore[arg-type]
        except TypeError:
            number = -1
        if not 0 <= number <= last or isinstance(node, bool):
            raise ValueError(
                f"'{side}' must be a node index from 0 to {last}, got {node!r}"
            )
        return number

    def _text(self, side: str, node: int) -> str:
        r"""The first text of a node that is not blank. Intents come last."""
        found = (texts[node] for texts in self._texts[side].values())
        return next((text for text in found if text.strip()), '')

    def _all_texts(self, side: str, node: int) -> str:
        r"""All distinct texts of a node, joined."""
        found = (texts[node] for texts in self._texts[side].values())
        return ' '.join(dict.fromkeys(found))

    def __repr__(self) -> str:
        users, items = (len(self._share[side]) for side in self.sides)
        return f'{type(self).__name__}(num_users={users}, num_items={items})'


def _check_vectors(
    model: Recommender, data: HeteroData, sides: tuple[str, str]
) -> None:
    r"""Raise a :class:`ValueError` if the text vectors in :obj:`data` differ from those
    of the model."""
    text = model.backbone.text if isinstance(model.backbone, AlphaRec) else None
    for name, held, used in (
        ('profile', getattr(model, 'profile', None), sides),
        ('intent', getattr(model, 'intent', None), sides),
        ('profile', None if text is None else text[model.num_users :], sides[1:]),
    ):
        parts = [data[side].get(name) for side in used]
        if not isinstance(held, Tensor) or not all(
            isinstance(part, Tensor) for part in parts
        ):
            continue
        given = torch.cat(parts)
        given = given if given.is_floating_point() else given.float()
        if held.shape != given.shape or not same_sketch(sketch(held), sketch(given)):
            places = ' and '.join(f"data['{side}'].{name}" for side in used)
            raise ValueError(
                f"'data' must have the text vectors of 'model', got different vectors "
                f'in {places}: pass the graph that the model was built from'
            )


def _lift(share: Tensor, mean: Tensor) -> Tensor:
    # A prototype whose mean share is 0 has lift 0, not NaN.
    return share / mean.clamp(min=torch.finfo(mean.dtype).tiny)


def _read_all(data: HeteroData, side: str, names: Sequence[str]) -> dict[str, Any]:
    r"""The texts of a side by attribute, without missing attributes."""
    found = {name: read_texts(data, side, name) for name in names if name in data[side]}
    if not found:
        raise ValueError(
            f"data['{side}'] must have texts in one of {', '.join(names)}, got none"
        )
    return found
