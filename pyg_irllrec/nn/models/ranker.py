from __future__ import annotations

from itertools import chain
from typing import Optional, Union

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn._arguments import repr_arguments
from pyg_irllrec.nn.models.recommendation import (
    Recommendation,
    Scorer,
    check_pairs,
    check_queries,
    check_scores,
    recommend,
)
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.argument_checks import check_flag
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.evaluating import evaluating
from pyg_irllrec.utils.user_items import UserItems

_BATCH_SIZE = 128


class Ranker(Module):
    r"""The base class of models that score all items for users: a trained
    :class:`~pyg_irllrec.nn.Recommender`, a closed form such as
    :class:`~pyg_irllrec.nn.EASE`, or your own model. A subclass implements
    :meth:`score`. :meth:`recommend` and :func:`~pyg_irllrec.training.evaluate_ranker`
    then work for it.

    Args:
        num_users (int): The number of users.
        num_items (int): The number of items.

    Raises:
        ValueError: If a number is below 1.

    Example:
        >>> import torch
        >>> from pyg_irllrec.nn import Ranker
        >>> class Newest(Ranker):
        ...     def __init__(self, num_users, num_items, year):
        ...         super().__init__(num_users, num_items)
        ...         self.register_buffer('year', year)
        ...     def score(self, users):
        ...         return self.year.expand(users.numel(), -1)
        >>> model = Newest(4, 3, torch.tensor([1994.0, 2021.0, 2008.0]))
        >>> model.recommend(torch.tensor([0, 3]), k=2).item
        tensor([[1, 2],
                [1, 2]])
    """

    def __init__(self, num_users: int, num_items: int) -> None:
        super().__init__()
        check_count('num_users', num_users)
        check_count('num_items', num_items)
        self.num_users = num_users
        self.num_items = num_items

    @property
    def device(self) -> torch.device:
        r"""The device of the model."""
        for value in chain(self.parameters(), self.buffers()):
            return value.device
        return torch.device('cpu')

    def score(self, users: Tensor) -> Tensor:
        r"""Return the scores of all items for a batch of users. A subclass implements
        this method.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.

        Returns:
            Finite floating-point scores, of shape :math:`(B, I)`.
        """
        raise NotImplementedError

    def scorer(self) -> Scorer:
        r"""Return a function that scores batches of users, see :meth:`score`. A
        subclass overrides this method if batches share work, which is then done
        once."""
        return self.score

    def forward(self, edge_label_index: Tensor) -> Tensor:
        r"""Return the scores of pairs of users and items.

        Args:
            edge_label_index (torch.Tensor): User and item ids, which start at 0 for
                each side, of shape :math:`(2, E)`.

        Returns:
            One score per pair, of shape :math:`(E)`.

        Raises:
            ValueError: If an id is out of range.
        """
        sizes = self.num_users, self.num_items
        pairs = check_pairs('edge_label_index', edge_label_index, *sizes)
        return self.score_pairs(*source_and_target(pairs.long()))

    def score_pairs(
        self, user: Tensor, item: Tensor, scorer: Optional[Scorer] = None
    ) -> Tensor:
        r"""Return the scores of pairs, without checks, from the scores of all items for
        their users. Several calls can share a :meth:`scorer`."""
        users, row = user.unique(return_inverse=True)
        if users.numel() == 0:
            return torch.empty(0, device=self.device)
        order = row.argsort(stable=True)
        scorer = self.scorer() if scorer is None else scorer
        counts = torch.bincount(row)
        scores, start = [], 0
        for batch, size in zip(users.split(_BATCH_SIZE), counts.split(_BATCH_SIZE)):
            score = check_scores(scorer(batch), batch.numel(), self.num_items)
            rows = torch.arange(batch.numel(), device=size.device)
            end = start + int(size.sum())
            chosen = item[order[start:end]]
            scores.append(score[rows.repeat_interleave(size), chosen])
            start = end
        return torch.cat(scores)[order.argsort()]

    @torch.no_grad()
    def recommend(
        self,
        users: Tensor,
        k: int,
        *,
        exclude: Union[Tensor, UserItems, None] = None,
        batch_size: int = _BATCH_SIZE,
    ) -> Recommendation:
        r"""Return the best items for each user, in evaluation mode.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.
            k (int): The number of items per user.
            exclude (torch.Tensor or UserItems, optional): Interactions to leave out of
                the recommendations, usually those of training: user and item ids of
                shape :math:`(2, |\mathcal{E}|)`. (default: :obj:`None`)
            batch_size (int): The number of users to score at once, which takes
                :math:`\mathrm{batch\_size} \times I` memory. (default: :obj:`128`)

        Raises:
            ValueError: If an id is out of range, :obj:`k` is not from 1 to the number
                of items, :obj:`exclude` has another type, or a score is NaN or
                infinite.
        """
        try:
            users = torch.as_tensor(users, device=self.device)
        except (RuntimeError, TypeError, ValueError) as error:
            raise ValueError(
                f"'users' must be a vector of ids, got {type(users).__name__}: {error}"
            ) from None
        check_queries(users, k, self.num_users, self.num_items)
        check_count('batch_size', batch_size)
        exclude = self._check_exclude(exclude)
        with evaluating(self):
            scorer = self.scorer()
            users = users.long()
            return recommend(scorer, self.num_items, users, k, exclude, batch_size)

    @property
    def needs_calibration(self) -> bool:
        r"""Whether :meth:`calibrate` has options to choose that it has not chosen
        yet."""
        return False

    def calibrate(
        self,
        label: UserItems,
        exclude: UserItems,
        *,
        k: int = 20,
        progress: bool = False,
    ) -> None:
        r"""Choose the open options by the sum of Recall@k and NDCG@k on validation. By
        default, there are none.

        Args:
            label (UserItems): The interactions held out for validation.
            exclude (UserItems): The interactions to mask, usually those of training.
            k (int): The cut-off, at most the number of items. (default: :obj:`20`)
            progress (bool): Whether to show progress: a bar on a terminal, otherwise
                one line on standard error. (default: :obj:`False`)

        Raises:
            ValueError: If the interactions have other numbers of users or items than
                the model, :obj:`label` is empty, or a score is NaN or infinite.
        """
        self._check_validation(label, exclude, k, progress)

    def _check_exclude(self, exclude: object) -> Optional[UserItems]:
        if exclude is None:
            return None
        if isinstance(exclude, Tensor):
            sizes = self.num_users, self.num_items
            return UserItems(check_pairs('exclude', exclude, *sizes), *sizes)
        if not isinstance(exclude, UserItems):
            raise ValueError(
                "'exclude' must be user and item ids of shape (2, num_interactions) or "
                f'UserItems, got {type(exclude).__name__}: pass an edge_index of '
                'interactions'
            )
        return self._check_sizes('exclude', exclude)

    def _check_validation(
        self, label: object, exclude: object, k: int, progress: bool
    ) -> None:
        check_count('k', k)
        check_flag('progress', progress)
        for name, value in (('label', label), ('exclude', exclude)):
            if not isinstance(value, UserItems):
                raise ValueError(
                    f"'{name}' must be a UserItems, got {type(value).__name__}: pass "
                    'val_items or train_items of an InteractionDataModule'
                )
            self._check_sizes(name, value)
        assert isinstance(label, UserItems)
        if label.item.numel() == 0:
            raise ValueError("'label' must have at least one interaction, got none")

    def _check_sizes(self, name: str, items: UserItems) -> UserItems:
        if (items.num_users, items.num_items) != (self.num_users, self.num_items):
            raise ValueError(
                f"'{name}' must have the {self.num_users} users and {self.num_items} "
                f'items of the model, got {items!r}'
            )
        return items

    def extra_repr(self) -> str:
        r"""The arguments."""
        return repr_arguments(self)
