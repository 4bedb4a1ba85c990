from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import copy, deepcopy
from typing import Any, Optional, Union

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.nn import Recommender
from pyg_irllrec.nn.models._own_interactions import check_interactions
from pyg_irllrec.nn.models.recommendation import check_pairs
from pyg_irllrec.serving._explain import explain
from pyg_irllrec.serving._hub import from_pretrained, push_to_hub, save_pretrained
from pyg_irllrec.serving._info import check_metrics, info_of
from pyg_irllrec.serving._intents import intents_of
from pyg_irllrec.serving._kept_data import all_interactions, kept_of, titles_of
from pyg_irllrec.serving._model_config import (
    model_solutions,
    take_solutions,
)
from pyg_irllrec.serving._new_user import new_user_scores
from pyg_irllrec.serving._recommend import (
    best_items,
    fitting_batch_size,
    rank,
    read_query,
)
from pyg_irllrec.serving._save import save_bundle
from pyg_irllrec.serving._similar import most_similar
from pyg_irllrec.serving._update import updated
from pyg_irllrec.serving._write_table import table_writer
from pyg_irllrec.serving.explanation import Explanation
from pyg_irllrec.serving.frozen_ranker import FrozenRanker
from pyg_irllrec.serving.named_intent import NamedIntent
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.serving.ranked_item import RankedItem
from pyg_irllrec.serving.recommendations import Recommendations
from pyg_irllrec.serving.similar_user import SimilarUser
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.typing import RATES, SIDES, EdgeType, NodeId, PathLike, TextEncoder
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.argument_checks import check_encoder
from pyg_irllrec.utils.as_device import as_device
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

    Raises:
        ValueError: If :obj:`data` is not the graph of the model, or an argument is not
            as above.

    Attributes:
        model (Recommender): The model, in evaluation mode.
        ranker (FrozenRanker): Its scores, the graph embedded once.
        data (HeteroData): What is kept of the graph, with the types :obj:`"user"`,
            :obj:`"item"` and :obj:`("user", "rates", "item")`.
        users, items (Nodes): Ids and titles.
        seen (UserItems): The interactions that are not recommended again.
        encoder (callable or None): The encoder of texts.
        metrics (dict): Test metrics.
        saved (dict): Of a loaded bundle, when and by what it was saved.
    """

    model: Recommender
    ranker: FrozenRanker
    data: HeteroData
    users: Nodes
    items: Nodes
    seen: UserItems
    encoder: Optional[TextEncoder]
    metrics: dict[str, float]
    saved: dict[str, Any]

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
        if encoder is not None:
            check_encoder(encoder)
        if isinstance(encoder, TfidfEncoder) and encoder.state is None:
            raise ValueError(
                "'encoder' must be the one that made the vectors of 'data', got a "
                'TfidfEncoder that is not fitted: fit it on the texts of users and '
                'items, TfidfEncoder().fit(texts), and encode with it'
            )
        check_hetero(data, "'data'")
        edge_type, _ = find_interaction_types(data, edge_type, rev_edge_type)
        sizes = num_nodes(data, edge_type)
        if sizes != (model.num_users, model.num_items):
            raise ValueError(
                f"'data' must have the users and items of 'model', {model.num_users} "
                f'and {model.num_items}, got {sizes[0]} and {sizes[1]}'
            )
        self.data = kept_of(data, edge_type)
        check_interactions(model, self.data[RATES].edge_index)
        self.model = model.eval()
        user_text, item_text = (self.data[side].get('profile') for side in SIDES)
        self.ranker = FrozenRanker(model, user_text=user_text, item_text=item_text)
        self.users, self.items = (
            Nodes(side, read_ids(self.data, side), titles_of(self.data, side))
            for side in SIDES
        )
        pairs = all_interactions(self.data) if seen is None else seen
        self.seen = UserItems(check_pairs('seen', pairs, *sizes).cpu(), *sizes)
        # Fitting the given one anew must not change what this one does.
        self.encoder = copy(encoder) if isinstance(encoder, TfidfEncoder) else encoder
        self.metrics = check_metrics(metrics)
        self.saved = {}

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({type(self.model).__name__}, '
            f'num_users={len(self.users)}, num_items={len(self.items)}, '
            f'num_interactions={self.seen.item.numel()})'
        )

    def save(self, path: PathLike) -> None:
        r"""Write the bundle into a folder, whole or not at all: a bundle that is there
        is replaced in one step, and stays as it was where that fails.

        Args:
            path (str or Path): The folder.

        Raises:
            ValueError: If :obj:`path` is a file, or the model was changed since the
                bundle was made.
            OSError: If it cannot be written, or another process writes into it.
            ImportError: If safetensors or pyarrow is missing (extra :obj:`data`).
        """
        save_bundle(self, path)

    def to(self, device: Union[str, torch.device]) -> Bundle:
        r"""A copy on another device; the bundle itself where it is there.

        Args:
            device (str or torch.device): The device.

        Raises:
            ValueError: If there is no such device.
        """
        device = as_device(device)
        if device == self.model.device:
            return self
        solutions = model_solutions(self.model)
        model = deepcopy(self.model).to(device)
        take_solutions(model, solutions)
        out = Bundle(
            model,
            self.data,
            encoder=self.encoder,
            seen=self.seen.pairs,
            metrics=self.metrics,
        )
        out.saved = self.saved
        return out

    def info(self) -> dict[str, Any]:
        r"""Sizes, parts of the model, metrics, versions, hashes of what it was trained
        on and, once it is saved and loaded, when it was and how many bytes it has."""
        return info_of(self)

    def save_pretrained(self, path: PathLike) -> None:
        r"""Write the bundle into a folder as :meth:`save` does, with a model card, in
        the layout of a repository of the Hugging Face Hub (extra :obj:`hub`).

        Args:
            path (str or Path): The folder. A :obj:`README.md` that is there stays.

        Raises:
            ValueError: As for :meth:`save`.
            OSError: Likewise.
            ImportError: If huggingface_hub, or what :meth:`save` needs, is missing.
        """
        save_pretrained(self, path)

    def push_to_hub(
        self,
        repo_id: str,
        *,
        private: bool = True,
        branch: Optional[str] = None,
        token: Optional[str] = None,
        commit_message: str = 'Push a bundle of pyg_irllrec',
    ) -> str:
        r"""Upload the bundle to the Hugging Face Hub, with a model card, through
        :class:`huggingface_hub.ModelHubMixin` (extra :obj:`hub`). It holds the ids of
        users and their interactions: mind who may read the repository.

        Args:
            repo_id (str): The repository, such as :obj:`"anna/books"`, which is created
                where it is missing.
            private (bool): Whether a new repository is private.
                (default: :obj:`True`)
            branch (str, optional): The branch. (default: :obj:`None`, the main one)
            token (str, optional): The token. (default: :obj:`None`, that of
                :obj:`hf auth login`)
            commit_message (str): The message of the commit.
                (default: :obj:`"Push a bundle of pyg_irllrec"`)

        Returns:
            The address of the commit.

        Raises:
            ValueError: If an argument is not as above, or as for :meth:`save`.
            ImportError: If huggingface_hub, or what :meth:`save` needs, is missing.
        """
        return push_to_hub(
            self,
            repo_id,
            private=private,
            branch=branch,
            token=token,
            commit_message=commit_message,
        )

    @classmethod
    def from_pretrained(
        cls,
        name_or_path: PathLike,
        *,
        device: Union[str, torch.device] = 'cpu',
        revision: Optional[str] = None,
        token: Optional[str] = None,
        cache_dir: Optional[PathLike] = None,
        local_files_only: bool = False,
        model: Optional[Recommender] = None,
        encoder: Optional[TextEncoder] = None,
    ) -> Bundle:
        r"""Read a bundle from a folder, or download it from the Hugging Face Hub
        (extra :obj:`hub`).

        Args:
            name_or_path (str or Path): A folder, or a repository such as
                :obj:`"anna/books"`.
            device (str or torch.device): Where the model is to be.
                (default: :obj:`"cpu"`)
            revision (str, optional): A branch, tag or commit.
                (default: :obj:`None`, the newest of the main branch)
            token (str, optional): The token. (default: :obj:`None`, that of
                :obj:`hf auth login`)
            cache_dir (str or Path, optional): The folder of downloads.
                (default: :obj:`None`, that of the library)
            local_files_only (bool): Whether to download nothing.
                (default: :obj:`False`)
            model (Recommender, optional): As for :func:`~pyg_irllrec.serving.load`.
                (default: :obj:`None`)
            encoder (callable, optional): As for :func:`~pyg_irllrec.serving.load`.
                (default: :obj:`None`)

        Raises:
            ValueError: If there is no such repository, or a bundle is damaged.
            FileNotFoundError: If a folder or a repository holds no bundle.
            ImportError: If huggingface_hub, safetensors or pyarrow is missing.
        """
        return from_pretrained(
            name_or_path,
            device=device,
            revision=revision,
            token=token,
            cache_dir=cache_dir,
            local_files_only=local_files_only,
            model=model,
            encoder=encoder,
        )

    def recommend(
        self,
        users: Optional[Iterable[NodeId]] = None,
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
        r"""The best items of users.

        Args:
            users (iterable, optional): The ids of the users, integers or strings, as a
                list, array, tensor or column of a frame. (default: :obj:`None`, all)
            k (int): The number of items. A user gets fewer where fewer are left.
                (default: :obj:`10`)
            among (iterable, optional): The ids of the items to choose from.
                (default: :obj:`None`, all)
            exclude (iterable, optional): The ids of items that nobody gets.
                (default: :obj:`None`)
            seen (bool): Whether a user may get what is in :attr:`seen`, such as the
                items of training. (default: :obj:`False`)
            intents (dict, optional): What to rank higher or lower: weights by words or
                by names of intents. (default: :obj:`None`)
            dial (float): How far :obj:`intents` move the ranking, from 0, not at all,
                on. (default: :obj:`1.0`)
            index (str): How items are searched: :obj:`"exact"`, or :obj:`"faiss"`, by
                an :class:`~pyg_irllrec.serving.ItemIndex` that is built on first use.
                Of a blend, the best :math:`20 k` of the graph are candidates, and
                ranked by the blend. With :obj:`among`, :obj:`intents` or items that
                are scored by their texts, the search is exact.
                (default: :obj:`"exact"`)
            batch_size (int): How many users are scored at once: memory is
                :math:`\text{batch\_size} \times I`. (default: :obj:`128`)
            progress (bool): Whether to show a bar on a terminal.
                (default: :obj:`False`)

        Raises:
            ValueError: If an id is unknown or an option is not as above.
        """
        rows = self._user_rows(users)
        query = read_query(self, k, among, exclude, intents, dial)
        parts = list(rank(self, rows, query, seen, index, batch_size, progress))
        return Recommendations(
            [user for part in parts for user in part.users],
            self.items,
            torch.cat([part.item for part in parts]),
            torch.cat([part.score for part in parts]),
        )

    def recommend_new(
        self,
        items: Iterable[NodeId] = (),
        k: int = 10,
        *,
        text: Optional[str] = None,
        among: Optional[Iterable[NodeId]] = None,
        exclude: Optional[Iterable[NodeId]] = None,
        intents: Optional[Mapping[str, float]] = None,
        dial: float = 1.0,
    ) -> Recommendations:
        r"""The best items of somebody who is not among the users, from items, a text
        about them, or both.

        Companions such as :class:`~pyg_irllrec.nn.EASE` score exactly as if the user
        had been in :math:`\mathbf{X}` when they were asked. The graph part is

        .. math::
            \mathbf{z}_u = \sum_{i \in \mathcal{N}} \frac{1}{\sqrt{|\mathcal{N}|
            (d_i + 1)}} \sum_{l=0}^{L-1} \mathbf{E}_{l, i}

        which is what :class:`~pyg_irllrec.nn.LightGCN`,
        :class:`~pyg_irllrec.nn.SGL` and :class:`~pyg_irllrec.nn.SimGCL` give a new
        user without an embedding of their own, but for one approximation: the
        embeddings of items stay as they are. For other backbones the inner sum is the
        final embedding of the item, an approximation too. A text beside items counts
        as two of them, whatever the blend (:obj:`docs/recommend.md`).

        Args:
            items (iterable): The ids of the items that they like, which are not
                recommended. (default: :obj:`()`)
            k (int): As for :meth:`recommend`. (default: :obj:`10`)
            text (str, optional): What they are like, in the manner of the profiles that
                the model was trained on; it needs :attr:`encoder`.
                (default: :obj:`None`)
            among (iterable, optional): Likewise. (default: :obj:`None`)
            exclude (iterable, optional): Likewise. (default: :obj:`None`)
            intents (dict, optional): Likewise. (default: :obj:`None`)
            dial (float): Likewise. (default: :obj:`1.0`)

        Returns:
            The recommendations of one user, whose id is :obj:`"new"`.

        Raises:
            ValueError: If there are neither items nor a text, an id is unknown, or an
                option is not as above.
        """
        query = read_query(self, k, among, exclude, intents, dial)
        chosen = self.items.rows(items, 'items').unique().to(self.ranker.device)
        score = new_user_scores(self, chosen, text)
        best = best_items(score, query, (torch.zeros_like(chosen), chosen))
        return Recommendations(['new'], self.items, *best)

    def write_recommendations(
        self,
        path: PathLike,
        users: Optional[Iterable[NodeId]] = None,
        k: int = 10,
        *,
        among: Optional[Iterable[NodeId]] = None,
        exclude: Optional[Iterable[NodeId]] = None,
        seen: bool = False,
        intents: Optional[Mapping[str, float]] = None,
        dial: float = 1.0,
        index: str = 'exact',
        batch_size: Optional[int] = None,
        progress: bool = True,
    ) -> None:
        r"""Write the best items of users into a file, one batch of users after
        another: memory does not grow with their number. The file is written whole or
        not at all.

        Args:
            path (str): The file. It ends in :obj:`.parquet` or :obj:`.csv`, for a table
                of :obj:`user`, :obj:`rank`, :obj:`item`, :obj:`title` and
                :obj:`score`, or in :obj:`.jsonl`, for a line per user. In CSV a text
                that a spreadsheet could run as a formula gets an apostrophe in front.
            users (iterable, optional): As for :meth:`recommend`.
                (default: :obj:`None`, all)
            k (int): Likewise. (default: :obj:`10`)
            among (iterable, optional): Likewise. (default: :obj:`None`, all)
            exclude (iterable, optional): Likewise. (default: :obj:`None`)
            seen (bool): Likewise. (default: :obj:`False`)
            intents (dict, optional): Likewise. (default: :obj:`None`)
            dial (float): Likewise. (default: :obj:`1.0`)
            index (str): Likewise. (default: :obj:`"exact"`)
            batch_size (int, optional): How many users are scored at once.
                (default: :obj:`None`, as many as have scores of 24 MB, at most 128)
            progress (bool): Whether to show a bar on a terminal.
                (default: :obj:`True`)

        Raises:
            ValueError: If the name ends otherwise, an id is unknown, or an option is
                not as above.
            ImportError: If pyarrow is missing, for Parquet.
            OSError: If the file cannot be written.
        """
        write = table_writer(path, self.users, self.items)
        rows = self._user_rows(users)
        query = read_query(self, k, among, exclude, intents, dial)
        if batch_size is None:
            batch_size = fitting_batch_size(len(self.items))
        write(rank(self, rows, query, seen, index, batch_size, progress))

    def similar_items(self, item: NodeId, k: int = 10) -> list[RankedItem]:
        r"""The items that are most like one, by the cosines of their embeddings in the
        graph: companions such as :class:`~pyg_irllrec.nn.EASE` take no part.

        Args:
            item (int or str): The id of the item, which is not in the result.
            k (int): The number of items. (default: :obj:`10`)

        Raises:
            ValueError: If the id is unknown or :obj:`k` is no count.
        """
        row = self.items.row(item, 'item')
        rows, scores = most_similar(self.ranker.item_embedding, row, k)
        return [
            RankedItem(self.items[row], self.items.title(row), score)
            for row, score in zip(rows.tolist(), scores.tolist())
        ]

    def similar_users(self, user: NodeId, k: int = 10) -> list[SimilarUser]:
        r"""The users who are most like one, by the cosines of their embeddings in the
        graph.

        Args:
            user (int or str): The id of the user, who is not in the result.
            k (int): The number of users. (default: :obj:`10`)

        Raises:
            ValueError: If the id is unknown or :obj:`k` is no count.
        """
        row = self.users.row(user, 'user')
        rows, scores = most_similar(self.ranker.user_embedding, row, k)
        return [
            SimilarUser(self.users[row], self.users.title(row), score)
            for row, score in zip(rows.tolist(), scores.tolist())
        ]

    def score(self, users: Iterable[NodeId], items: Iterable[NodeId]) -> Tensor:
        r"""The scores of pairs, by which :meth:`recommend` ranks without intents.

        Args:
            users (iterable): The ids of the users.
            items (iterable): The ids of the items, as many.

        Returns:
            A score per pair, of shape :math:`(E)`.

        Raises:
            ValueError: If an id is unknown, or there are not as many of each.
        """
        user = self.users.rows(users, 'users')
        item = self.items.rows(items, 'items')
        if user.numel() != item.numel():
            raise ValueError(
                f"'items' must hold one per user, {user.numel()}, got {item.numel()}"
            )
        device = self.ranker.device
        return self.ranker.score_pairs(user.to(device), item.to(device)).cpu()

    def _user_rows(self, users: Optional[Iterable[NodeId]]) -> Tensor:
        if users is None:
            return torch.arange(len(self.users))
        return self.users.rows(users, 'users')

    def update(
        self, interactions: Any = None, *, items: Any = None, users: Any = None
    ) -> Bundle:
        r"""A bundle with new interactions, users and items, without training: the graph
        is propagated anew over the trained tables, and companions are solved again
        (:obj:`docs/cold.md`). This bundle stays as it is. The new one has no metrics,
        as those of this one are not of it. With nothing new, it is this one.

        Rows keep their order; unknown ids become rows behind them. With the encoder of
        this bundle, items that get a text and no interactions are ranked by it.

        .. code-block:: python

            fresh = bundle.update(
                [('anna', 'dune'), ('zoe', 'emma')], items={'new': 'A heist on Mars'}
            )

        Args:
            interactions (list, torch.Tensor, table or str, optional): Pairs of original
                ids of a user and an item; a tensor of them, of shape :math:`(2, E)`; or
                a table with the columns :obj:`user` and :obj:`item`: of pandas, polars
                or Arrow, or the path of a CSV, Parquet or JSON lines file.
                (default: :obj:`None`)
            items (dict, table or str, optional): A text per id of an item; or a table,
                likewise, with a column :obj:`id` or :obj:`item` and :obj:`title`,
                :obj:`text` or both. Those of known items are replaced.
                (default: :obj:`None`)
            users (dict, table or str, optional): Likewise, of users.
                (default: :obj:`None`)

        Raises:
            ValueError: If a table does not fit, or the model has parts that are not of
                this package, or was changed since the bundle was made.
            FileNotFoundError: If a file is missing.
        """
        return updated(self, interactions, items, users)

    def intents(self, user: Optional[NodeId] = None) -> list[NamedIntent]:
        r"""The latent intents of a user in words, by lift, the largest first: each can
        be raised or muted by its name in :meth:`recommend`. They are the prototypes of
        items, named by the texts of items that lean to them; those of the same words
        are one intent.

        Args:
            user (int or str, optional): The id of the user. (default: :obj:`None`, all
                intents with the mean share of users, the largest first)

        Returns:
            The intents; none for a model without prototypes or items without texts.

        Raises:
            ValueError: If the user is unknown.
        """
        if user is None:
            return intents_of(self).of_all()
        return intents_of(self).of_user(int(self.users.rows([user], 'user')))

    def item_intents(self, item: NodeId) -> list[NamedIntent]:
        r"""The latent intents of an item, as those of users in :meth:`intents`.

        Args:
            item (int or str): The id of the item.

        Raises:
            ValueError: If the item is unknown.
        """
        return intents_of(self).of_item(int(self.items.rows([item], 'item')))

    def explain(self, user: NodeId, item: NodeId) -> Explanation:
        r"""Why an item is recommended to a user: the user's own items that are most
        like it, if any are more so than chance has it (:obj:`docs/steering.md`), the
        intents that both lean to, its score and its place. All this describes what a
        model has learned, not what caused a score.

        .. code-block:: python

            print(bundle.explain('anna', 'dune').text)

        Args:
            user (int or str): The id of the user.
            item (int or str): The id of the item.

        Raises:
            ValueError: If the user or the item is unknown.
        """
        return explain(self, user, [item])[0]
