from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Optional

from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Recommender
from pyg_irllrec.nn.models.recommendation import check_pairs
from pyg_irllrec.serving._kept_data import all_interactions, kept_of, titles_of
from pyg_irllrec.serving.frozen_ranker import FrozenRanker
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.serving.recommendations import Recommendations
from pyg_irllrec.typing import SIDES, EdgeType, NodeId, PathLike, TextEncoder
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.edge_store import check_hetero, num_nodes
from pyg_irllrec.utils.interaction_types import find_interaction_types
from pyg_irllrec.utils.node_data import read_ids


class Bundle:
    r"""A trained model with the ids, titles and texts of its users and items: what
    recommends by the names that people know, is saved in one piece and served.

    .. code-block:: python

        bundle = Bundle(model, data, metrics=result.test)
        bundle.save('runs/books/bundle')
        bundle = load('runs/books/bundle')
        bundle.recommend(['anna'], k=10).to_pandas()

    Args:
        model (Recommender): The model, with its trained weights.
        data (HeteroData): The graph that it was built from. Of nodes, their
            :obj:`id`, :obj:`title`, :obj:`text`, :obj:`profile_text` and
            :obj:`intent_text` are kept, as far as there are any, and the vectors
            :obj:`profile` and :obj:`intent`; of interactions, those of training and
            those that are held out.
        encoder (callable, optional): What turned texts into the vectors of
            :obj:`data`: with it, words steer and new items with a text are ranked.
            (default: :obj:`None`)
        seen (torch.Tensor, optional): The interactions that are not recommended again,
            users above items, of shape :math:`(2, E)`. (default: :obj:`None`, all of
            :obj:`data`, be they held out or not)
        metrics (dict, optional): Its test metrics, for :meth:`info` and the model card.
            (default: :obj:`None`)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found in :obj:`data`)
        rev_edge_type (tuple, optional): The type of their reverse.
            (default: :obj:`None`, found in :obj:`data`)

    Attributes:
        model (Recommender): The model, in evaluation mode.
        ranker (FrozenRanker): Its scores, the graph embedded once.
        data (HeteroData): What is kept of the graph, with the types :obj:`"user"`,
            :obj:`"item"` and :obj:`("user", "rates", "item")`.
        users, items (Nodes): Ids and titles.
        seen (UserItems): The interactions that are not recommended again.
        encoder (callable or None): The encoder of texts.
        metrics (dict): Test metrics.
    """

    model: Recommender
    ranker: FrozenRanker
    data: HeteroData
    users: Nodes
    items: Nodes
    seen: UserItems
    encoder: Optional[TextEncoder]
    metrics: dict[str, float]

    def __init__(
        self,
        model: Recommender,
        data: HeteroData,
        *,
        encoder: Optional[TextEncoder] = None,
        seen: Optional[Tensor] = None,
        metrics: Optional[Mapping[str, float]] = None,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        if not isinstance(model, Recommender):
            raise ValueError(
                f"'model' must be a Recommender, got {type(model).__name__}"
            )
        check_hetero(data, "'data'")
        edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
        sizes = num_nodes(data, edge_type)
        if sizes != (model.num_users, model.num_items):
            raise ValueError(
                f"'data' must have the users and items of 'model', {model.num_users} "
                f'and {model.num_items}, got {sizes[0]} and {sizes[1]}'
            )
        self.model = model.eval()
        self.ranker = FrozenRanker(model)
        self.data = kept_of(data, edge_type)
        self.users, self.items = (
            Nodes(side, read_ids(self.data, side), titles_of(self.data, side))
            for side in SIDES
        )
        pairs = all_interactions(self.data) if seen is None else seen
        self.seen = UserItems(check_pairs('seen', pairs, *sizes), *sizes)
        self.encoder = encoder
        self.metrics = dict(metrics or {})

    # The whole, by H1: save, info, to, from_pretrained, push_to_hub.

    def save(self, path: PathLike) -> None:
        r"""Writes the bundle, whole or not at all."""
        raise NotImplementedError

    # By H2.

    def recommend(
        self,
        users: Optional[Sequence[NodeId]] = None,
        k: int = 10,
        *,
        among: Optional[Iterable[NodeId]] = None,
        exclude: Optional[Iterable[NodeId]] = None,
        seen: bool = False,
        intents: Optional[Mapping[str, float]] = None,
        dial: float = 1.0,
        index: str = 'exact',
        batch_size: int = 128,
        progress: bool = False,
    ) -> Recommendations:
        r"""The best items of users."""
        users = self.users if users is None else users
        rows = self.users.rows(users, 'users')
        best = self.ranker.recommend(rows, k, exclude=None if seen else self.seen)
        return Recommendations(list(users), self.items, *best)

    def recommend_new(
        self,
        items: Sequence[NodeId] = (),
        k: int = 10,
        *,
        text: Optional[str] = None,
        among: Optional[Iterable[NodeId]] = None,
        exclude: Optional[Iterable[NodeId]] = None,
        intents: Optional[Mapping[str, float]] = None,
        dial: float = 1.0,
    ) -> Recommendations:
        r"""The best items of somebody who is not among the users."""
        raise NotImplementedError

    def write_recommendations(self, path: PathLike, k: int = 10) -> None:
        r"""Streams the best items of all users into a file."""
        raise NotImplementedError

    def similar_items(self, item: NodeId, k: int = 10) -> Any:
        r"""The items that are most like one."""
        raise NotImplementedError

    def similar_users(self, user: NodeId, k: int = 10) -> Any:
        r"""The users that are most like one."""
        raise NotImplementedError

    def score(self, users: Sequence[NodeId], items: Sequence[NodeId]) -> Tensor:
        r"""The scores of pairs."""
        raise NotImplementedError

    # By H3.

    def update(self, interactions: Any, *, items: Any = None) -> Bundle:
        r"""A new bundle with new interactions, users and items, without training."""
        raise NotImplementedError

    # By H4.

    def intents(self, user: NodeId) -> Any:
        r"""The intents of a user, by name."""
        raise NotImplementedError

    def explain(self, user: NodeId, item: NodeId) -> Any:
        r"""Why an item is recommended to a user."""
        raise NotImplementedError
