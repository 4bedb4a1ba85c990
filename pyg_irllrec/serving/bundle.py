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
from pyg_irllrec.serving._info import check_metrics, check_min_rating, info_of
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
    r"""A trained model together with the ids, titles and texts of its users and items.
    A bundle recommends by original ids, is saved as one folder, and can be served.

    Args:
        model (Recommender): The trained model.
        data (HeteroData): The graph that the model was built from. The bundle keeps
            the interactions, both training and held-out; and of each node type
            :obj:`id`, :obj:`title`, :obj:`text`, :obj:`profile_text`,
            :obj:`intent_text` and the vectors :obj:`profile` and :obj:`intent`, if
            present.
        encoder (callable, optional): The encoder that made the text vectors of
            :obj:`data`. It is needed to steer by free words, to recommend from a text
            and to rank new items by their texts. (default: :obj:`None`)
        seen (torch.Tensor, optional): The interactions that are not recommended again,
            users above items, of shape :math:`(2, E)`. (default: :obj:`None`, all
            interactions of :obj:`data`, including those held out)
        metrics (dict, optional): The test metrics of the model, for :meth:`info` and
            the model card. (default: :obj:`None`)
        min_rating (float, optional): The lowest rating that counted as liked in
            training. :meth:`update` applies it to new ratings. (default: :obj:`None`,
            every interaction counts)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, found in :obj:`data`)
        rev_edge_type (tuple, optional): The type of the reverse edges.
            (default: :obj:`None`, found in :obj:`data`)

    Raises:
        ValueError: If :obj:`data` is not the graph of the model, or an argument is
            invalid.

    Attributes:
        model (Recommender): The model, in evaluation mode.
        ranker (FrozenRanker): The scores of the model, with the graph embedded once.
        data (HeteroData): The part of the graph that the bundle keeps, with the types
            :obj:`"user"`, :obj:`"item"` and :obj:`("user", "rates", "item")`.
        users, items (Nodes): The ids and titles.
        seen (UserItems): The interactions that are not recommended again.
        encoder (callable or None): The text encoder.
        metrics (dict): The test metrics.
        min_rating (float or None): The lowest rating that counts as liked.
        saved (dict): When a loaded bundle was saved, its size in bytes, and the
            versions that saved it; empty for other bundles.

    Example:
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.serving import Bundle, load
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> bundle = Bundle(build_model(data), data)
        >>> bundle.save('runs/first/bundle')
        >>> best = load('runs/first/bundle').recommend([0, 1], k=3)
        >>> len(best[0])
        3
        >>> best.to_arrow().column_names
        ['user', 'rank', 'item', 'title', 'score']
    """

    model: Recommender
    ranker: FrozenRanker
    data: HeteroData
    users: Nodes
    items: Nodes
    seen: UserItems
    encoder: Optional[TextEncoder]
    metrics: dict[str, float]
    min_rating: Optional[float]
    saved: dict[str, Any]

    def __init__(
        self,
        model: Recommender,
        data: HeteroData,
        *,
        encoder: Optional[TextEncoder] = None,
        seen: Optional[Tensor] = None,
        metrics: Optional[Mapping[str, float]] = None,
        min_rating: Optional[float] = None,
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
                'TfidfEncoder that is not fitted. Fit it on the texts of users and '
                'items, TfidfEncoder().fit(texts), and encode these texts with it'
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
        # A copy, so that fitting the given encoder again does not change the bundle.
        self.encoder = copy(encoder) if isinstance(encoder, TfidfEncoder) else encoder
        self.metrics = check_metrics(metrics)
        self.min_rating = check_min_rating(min_rating)
        self.saved = {}

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({type(self.model).__name__}, '
            f'num_users={len(self.users)}, num_items={len(self.items)}, '
            f'num_interactions={self.seen.item.numel()})'
        )

    def save(self, path: PathLike) -> None:
        r"""Write the bundle to a folder. The write is atomic: it replaces an existing
        bundle in one step, and if it fails, the existing bundle is unchanged.

        Args:
            path (str or Path): The folder.

        Raises:
            ValueError: If :obj:`path` is a file, or the model has changed since the
                bundle was made.
            OSError: If the folder cannot be written, or another process is writing to
                it.
            ImportError: If safetensors or pyarrow is missing (extra :obj:`data`).
        """
        save_bundle(self, path)

    def to(self, device: Union[str, torch.device]) -> Bundle:
        r"""Return a copy on another device, or this bundle if it is already there.

        Args:
            device (str or torch.device): The device.

        Raises:
            ValueError: If the device is not available.
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
            min_rating=self.min_rating,
        )
        out.saved = self.saved
        return out

    def info(self) -> dict[str, Any]:
        r"""Return a dictionary of sizes, model parts, metrics, versions and hashes of
        the training data. For a loaded bundle it includes the time of saving and the
        size in bytes."""
        return info_of(self)

    def save_pretrained(self, path: PathLike) -> None:
        r"""Write the bundle and a model card to a folder, in the layout of a Hugging
        Face Hub repository (extra :obj:`hub`).

        Args:
            path (str or Path): The folder. An existing :obj:`README.md` is kept.

        Raises:
            ValueError: As for :meth:`save`.
            OSError: As for :meth:`save`.
            ImportError: If huggingface_hub, or a package that :meth:`save` needs, is
                missing.
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
        r"""Upload the bundle and a model card to the Hugging Face Hub through
        :class:`huggingface_hub.ModelHubMixin` (extra :obj:`hub`). The bundle contains
        user ids and interactions, so check who can read the repository.

        Args:
            repo_id (str): The repository, such as :obj:`"anna/books"`. It is created if
                it does not exist.
            private (bool): Whether a new repository is private.
                (default: :obj:`True`)
            branch (str, optional): The branch. (default: :obj:`None`, the main branch)
            token (str, optional): The access token. (default: :obj:`None`, the token
                of :obj:`hf auth login`)
            commit_message (str): The commit message.
                (default: :obj:`"Push a bundle of pyg_irllrec"`)

        Returns:
            The URL of the commit.

        Raises:
            ValueError: If an argument is invalid, or as for :meth:`save`.
            ImportError: If huggingface_hub, or a package that :meth:`save` needs, is
                missing.
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
            device (str or torch.device): The device of the model.
                (default: :obj:`"cpu"`)
            revision (str, optional): A branch, tag or commit.
                (default: :obj:`None`, the latest commit of the main branch)
            token (str, optional): The access token. (default: :obj:`None`, the token
                of :obj:`hf auth login`)
            cache_dir (str or Path, optional): The download folder.
                (default: :obj:`None`, the one of huggingface_hub)
            local_files_only (bool): Whether to use downloaded files only.
                (default: :obj:`False`)
            model (Recommender, optional): As for :func:`~pyg_irllrec.serving.load`.
                (default: :obj:`None`)
            encoder (callable, optional): As for :func:`~pyg_irllrec.serving.load`.
                (default: :obj:`None`)

        Raises:
            ValueError: If the repository cannot be read, or the bundle is damaged.
            FileNotFoundError: If the folder or repository does not contain a bundle.
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
        r"""Recommend the best items for each user.

        Args:
            users (iterable, optional): The ids of the users, integers or strings, as a
                list, array, tensor or data frame column. (default: :obj:`None`, all
                users)
            k (int): The number of items per user. A user gets fewer if fewer are left.
                (default: :obj:`10`)
            among (iterable, optional): The ids of the candidate items.
                (default: :obj:`None`, all items)
            exclude (iterable, optional): The ids of items to recommend to no one.
                (default: :obj:`None`)
            seen (bool): Whether to include items that the user has already seen
                (:attr:`seen`). (default: :obj:`False`)
            intents (dict, optional): The intents to promote or demote: a weight for
                each intent name or free text. (default: :obj:`None`)
            dial (float): The strength of :obj:`intents`, at least 0. With 0 they have
                no effect. (default: :obj:`1.0`)
            index (str): How items are searched. :obj:`"exact"` scores all items;
                :obj:`"faiss"` uses an :class:`~pyg_irllrec.serving.ItemIndex`, which
                is built on first use. For a blend, the index finds the best
                :math:`20 k` items of the graph, and the blend ranks them. The search
                is exact in any case with :obj:`among`, with :obj:`intents`, and if
                the blend scores some items by their texts.
                (default: :obj:`"exact"`)
            batch_size (int): The number of users to score at once. A batch takes
                memory for :math:`\mathrm{batch\_size} \times I` scores.
                (default: :obj:`128`)
            progress (bool): Whether to show a progress bar on a terminal.
                (default: :obj:`False`)

        Raises:
            ValueError: If an id is unknown or an option is invalid.
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
        r"""Recommend items to a new user, from items they like, a text about them, or
        both.

        Companions such as :class:`~pyg_irllrec.nn.EASE` score exactly as for a row of
        :math:`\mathbf{X}` with the liked items. The graph part is

        .. math::
            \mathbf{z}_u = \sum_{i \in \mathcal{N}} \frac{1}{\sqrt{|\mathcal{N}|
            (d_i + 1)}} \sum_{l=0}^{L-1} \mathbf{E}_{l, i}

        This is the embedding that :class:`~pyg_irllrec.nn.LightGCN`,
        :class:`~pyg_irllrec.nn.SGL` and :class:`~pyg_irllrec.nn.SimGCL` compute for a
        new user whose own table row is zero, except that the embeddings of items do not
        change. For other backbones, the final embedding of the item replaces the inner
        sum, which is an approximation too. A text beside items counts as much as two
        items, independently of the blend weights.

        Args:
            items (iterable): The ids of the items that the user likes. They are not
                recommended. (default: :obj:`()`)
            k (int): As for :meth:`recommend`. (default: :obj:`10`)
            text (str, optional): A description of the user, in the style of the
                profiles that the model was trained on. It needs :attr:`encoder`.
                (default: :obj:`None`)
            among (iterable, optional): As for :meth:`recommend`.
                (default: :obj:`None`)
            exclude (iterable, optional): As for :meth:`recommend`.
                (default: :obj:`None`)
            intents (dict, optional): As for :meth:`recommend`.
                (default: :obj:`None`)
            dial (float): As for :meth:`recommend`. (default: :obj:`1.0`)

        Returns:
            The recommendations of one user with the id :obj:`"new"`.

        Raises:
            ValueError: If both items and text are missing, an id is unknown, or an
                option is invalid.
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
        r"""Write the best items for each user to a file, batch by batch. Memory does
        not grow with the number of users, and the write is atomic.

        Args:
            path (str or Path): The file. :obj:`.parquet` and :obj:`.csv` are tables of
                :obj:`user`, :obj:`rank`, :obj:`item`, :obj:`title` and :obj:`score`;
                :obj:`.jsonl` has one line per user. In CSV, an apostrophe is put before
                a text that a spreadsheet could run as a formula.
            users (iterable, optional): As for :meth:`recommend`.
                (default: :obj:`None`, all users)
            k (int): As for :meth:`recommend`. (default: :obj:`10`)
            among (iterable, optional): As for :meth:`recommend`.
                (default: :obj:`None`, all items)
            exclude (iterable, optional): As for :meth:`recommend`.
                (default: :obj:`None`)
            seen (bool): As for :meth:`recommend`. (default: :obj:`False`)
            intents (dict, optional): As for :meth:`recommend`.
                (default: :obj:`None`)
            dial (float): As for :meth:`recommend`. (default: :obj:`1.0`)
            index (str): As for :meth:`recommend`. (default: :obj:`"exact"`)
            batch_size (int, optional): The number of users to score at once.
                (default: :obj:`None`, at most 128, and at most 24 MB of scores)
            progress (bool): Whether to show a progress bar on a terminal.
                (default: :obj:`True`)

        Raises:
            ValueError: If :obj:`path` has another ending, an id is unknown, or an
                option is invalid.
            ImportError: If :obj:`path` is a Parquet file and pyarrow is missing.
            OSError: If the file cannot be written.
        """
        write = table_writer(path, self.users, self.items)
        rows = self._user_rows(users)
        query = read_query(self, k, among, exclude, intents, dial)
        if batch_size is None:
            batch_size = fitting_batch_size(len(self.items))
        write(rank(self, rows, query, seen, index, batch_size, progress))

    def similar_items(self, item: NodeId, k: int = 10) -> list[RankedItem]:
        r"""Return the items that are most similar to an item, by the cosine similarity
        of graph embeddings. Companions such as :class:`~pyg_irllrec.nn.EASE` are not
        used.

        Args:
            item (int or str): The id of the item. It is not in the result.
            k (int): The number of items. (default: :obj:`10`)

        Raises:
            ValueError: If the id is unknown or :obj:`k` is less than 1.
        """
        row = self.items.row(item, 'item')
        rows, scores = most_similar(self.ranker.item_embedding, row, k)
        return [
            RankedItem(self.items[row], self.items.title(row), score)
            for row, score in zip(rows.tolist(), scores.tolist())
        ]

    def similar_users(self, user: NodeId, k: int = 10) -> list[SimilarUser]:
        r"""Return the users who are most similar to a user, by the cosine similarity of
        graph embeddings.

        Args:
            user (int or str): The id of the user. It is not in the result.
            k (int): The number of users. (default: :obj:`10`)

        Raises:
            ValueError: If the id is unknown or :obj:`k` is less than 1.
        """
        row = self.users.row(user, 'user')
        rows, scores = most_similar(self.ranker.user_embedding, row, k)
        return [
            SimilarUser(self.users[row], self.users.title(row), score)
            for row, score in zip(rows.tolist(), scores.tolist())
        ]

    def score(self, users: Iterable[NodeId], items: Iterable[NodeId]) -> Tensor:
        r"""Score pairs of users and items. :meth:`recommend` ranks by these scores,
        unless intents steer it.

        Args:
            users (iterable): The ids of the users, one per pair.
            items (iterable): The ids of the items, one per pair.

        Returns:
            One score per pair, of shape :math:`(E)`.

        Raises:
            ValueError: If an id is unknown, or the numbers of users and items differ.
        """
        user = self.users.rows(users, 'users')
        item = self.items.rows(items, 'items')
        if user.numel() != item.numel():
            raise ValueError(
                f"'items' must have one id per user, {user.numel()}, got {item.numel()}"
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
        r"""Return a bundle with new interactions, users and items, without training:
        the trained tables are propagated over the new graph, and companions are solved
        again. This bundle does not change. The new bundle has no metrics, because it
        has not been evaluated. If nothing is new, this bundle is returned.

        Known rows keep their order, and new ids are appended. If this bundle has an
        encoder, items with a text but without interactions are ranked by their text.

        .. code-block:: python

            fresh = bundle.update(
                [('anna', 'dune'), ('zoe', 'emma')], items={'new': 'A heist on Mars'}
            )

        Args:
            interactions (list, torch.Tensor, table or str, optional): Pairs of a user
                id and an item id; a tensor of ids, of shape :math:`(2, E)`; or a table
                with the columns :obj:`user` and :obj:`item`: a pandas, polars or Arrow
                table, or the path of a CSV, Parquet or JSON lines file. If this bundle
                has :obj:`min_rating`, a table needs a column :obj:`rating`, too: lower
                ratings of known items by known users only count as seen. Pairs and
                tensors are liked. (default: :obj:`None`)
            items (dict, table or str, optional): A text for each item id; or a table,
                as above, with a column :obj:`id` or :obj:`item` and columns
                :obj:`title`, :obj:`text` or both. They replace the titles and texts of
                known items. (default: :obj:`None`)
            users (dict, table or str, optional): As :obj:`items`, for users.
                (default: :obj:`None`)

        Raises:
            ValueError: If a table is invalid, if the model has parts that are not from
                this package, or if the model has changed since the bundle was made.
            FileNotFoundError: If a file is missing.
        """
        return updated(self, interactions, items, users)

    def intents(self, user: Optional[NodeId] = None) -> list[NamedIntent]:
        r"""Return the latent intents of a user in words, sorted by descending lift.
        :meth:`recommend` can promote or demote each by its name. Intents are the item
        prototypes, named by typical words of the items closest to them. Prototypes
        with the same words are merged into one intent.

        Args:
            user (int or str, optional): The id of the user. (default: :obj:`None`, the
                mean shares of all users, in descending order)

        Returns:
            The intents; an empty list if the model has no prototypes or the items have
            no texts.

        Raises:
            ValueError: If the user is unknown.
        """
        if user is None:
            return intents_of(self).of_all()
        return intents_of(self).of_user(int(self.users.rows([user], 'user')))

    def item_intents(self, item: NodeId) -> list[NamedIntent]:
        r"""Return the latent intents of an item, as :meth:`intents` does for a user.

        Args:
            item (int or str): The id of the item.

        Raises:
            ValueError: If the item is unknown.
        """
        return intents_of(self).of_item(int(self.items.rows([item], 'item')))

    def explain(self, user: NodeId, item: NodeId) -> Explanation:
        r"""Explain why an item is recommended to a user: by the user's own items that
        are most similar to it, if any exceed chance similarity, by the intents that
        both share, and by its score and rank. The explanation describes what the
        model has learned, not what caused the score.

        .. code-block:: python

            print(bundle.explain('anna', 'dune').text)

        Args:
            user (int or str): The id of the user.
            item (int or str): The id of the item.

        Raises:
            ValueError: If the user or the item is unknown.
        """
        return explain(self, user, [item])[0]
