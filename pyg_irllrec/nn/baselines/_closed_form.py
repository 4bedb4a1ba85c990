from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import Any, ClassVar, Optional

import torch
from torch import Tensor

from pyg_irllrec.nn.baselines._hill_climb import Options, best_point
from pyg_irllrec.nn.models._measure import measure
from pyg_irllrec.nn.models._trials import counting_trials, note_choosing
from pyg_irllrec.nn.models.ranker import Ranker
from pyg_irllrec.nn.models.recommendation import Scorer
from pyg_irllrec.utils.checks import check_index, check_not_negative
from pyg_irllrec.utils.user_items import UserItems

_BLOCK = 1024  # Rows of the co-occurrence matrix that are computed at once.
_OPEN = -1.0  # Marks an option that is neither given nor chosen.

_MOST_USERS = 3000  # The most validation users that options are chosen on.

_coo_matrix = partial(torch.sparse_coo_tensor, check_invariants=False)


class ClosedForm(Ranker):
    r"""The base class of rankers that are computed from interactions in closed form,
    without training. The solution is computed at the first call for scores, on the
    current device, and again after the options or the device have changed.

    The interactions move with the model, but neither they nor the solution are saved.
    The state dict contains only the options: to load it, build the model from the same
    interactions first.
    """

    interactions: Tensor

    _grids: ClassVar[dict[str, tuple[float, ...]]] = {}
    """The values that :meth:`calibrate` tries, by axis, in ascending order."""
    _starts: ClassVar[Options] = {}
    """The start of the search by axis, a value of its grid."""
    _defaults: ClassVar[Options] = {}
    """The values of open options before :meth:`calibrate`."""

    def __init__(
        self,
        num_users: int,
        num_items: int,
        interactions: Tensor,
        options: dict[str, Optional[float]],
    ) -> None:
        super().__init__(num_users, num_items)
        for name, value in options.items():
            if value is not None:
                check_not_negative(name, value)
        items = UserItems(interactions, num_users, num_items)
        self.register_buffer('interactions', items.pairs, persistent=False)
        self._given = {
            name: _OPEN if value is None else float(value)
            for name, value in options.items()
        }
        self._solution: Optional[tuple[object, UserItems, Any]] = None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        r"""Reset the options that :meth:`calibrate` has chosen."""
        # Not a buffer, whose precision would change with that of the model.
        self._chosen = torch.tensor([*self._given.values()], dtype=torch.float64)

    @property
    def options(self) -> Options:
        r"""The values in use, which are given, chosen by :meth:`calibrate`, or the
        defaults of open options."""
        return {
            name: self._defaults[name] if value == _OPEN else value
            for name, value in zip(self._given, self._chosen.tolist())
        }

    @property
    def needs_calibration(self) -> bool:
        r"""Whether an option is open."""
        return bool((self._chosen == _OPEN).any())

    @torch.no_grad()
    def calibrate(
        self,
        label: UserItems,
        exclude: UserItems,
        *,
        k: int = 20,
        progress: bool = False,
    ) -> None:
        r"""Choose the options that were not given: those with the best sum of Recall@k
        and NDCG@k on validation, found by hill climbing on a grid, on at most 3000
        users.

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
        axes = self._axes()
        if not axes:
            return
        name, size = type(self).__name__, self.num_items
        note_choosing(f'the options of {name} ({size} items)', progress)
        label = _sample(label)
        known: dict[tuple[float, ...], float] = {}
        self._solution = None  # Frees memory for the trials.
        with (
            torch.autocast(self.device.type, enabled=False),
            counting_trials(f'{name}, {size} items', progress) as count,
        ):
            users = label.degree.nonzero().flatten()
            trials = self._trials(users.to(self.device))

            def gain(point: Options) -> float:
                key = tuple(point.values())
                if key not in known:
                    known[key] = -math.inf
                    options = self._options_at(point)
                    if self._is_solvable(options):
                        scorer = trials(options)
                        found = measure(
                            lambda users: [scorer(users)],
                            *(1, label, exclude, k, self.device),
                        )
                        known[key] = float(found.sum())
                    count(1)
                return known[key]

            start = {name: self._starts[name] for name in axes}
            best = best_point(start, self._grids, gain)
        self._choose(self._options_at(best))

    def _axes(self) -> list[str]:
        r"""Return the axes that :meth:`calibrate` searches, the most expensive first:
        for each value of the first axis, the others are optimised."""
        return [name for name, value in self._given.items() if value == _OPEN]

    def _options_at(self, point: Options) -> Options:
        r"""Return the options at a point of the search."""
        return {name: point.get(name, value) for name, value in self._given.items()}

    def _trials(self, users: Tensor) -> Callable[[Options], Scorer]:
        r"""Return a function that scores some users with given options. A subclass
        overrides this method if options share work."""

        def trial(options: Options) -> Scorer:
            self._choose(options)
            return self.score

        return trial

    def _is_solvable(self, options: Options) -> bool:
        r"""Whether the memory suffices to compute the solution for these options."""
        return True

    def _choose(self, options: Options) -> None:
        self._chosen = torch.tensor([*options.values()], dtype=torch.float64)

    def score(self, users: Tensor) -> Tensor:
        r"""Return the scores of all items for a batch of users.

        Args:
            users (torch.Tensor): User ids, of shape :math:`(B)`.

        Raises:
            ValueError: If :obj:`users` contains an invalid id.
        """
        check_index('users', users, self.num_users, may_be_empty=True)
        items, solution = self._solved()
        row, item = items.lookup(users.long())
        return self._score(solution, row, item, users.numel())

    def score_items(self, items: Tensor) -> Tensor:
        r"""Return the scores of all items for a new user.

        Args:
            items (torch.Tensor): The distinct ids of the user's items, of shape
                :math:`(n)`.

        Returns:
            Scores of shape :math:`(1, I)`.

        Raises:
            ValueError: If :obj:`items` contains an invalid id.
        """
        check_index('items', items, self.num_items, may_be_empty=True)
        _, solution = self._solved()
        return self._score(solution, torch.zeros_like(items), items.long(), 1)

    def _solved(self) -> tuple[UserItems, Any]:
        key = (self.device, tuple(self.options.values()))
        solution = self._solution  # Another thread may change it.
        if solution is None or solution[0] != key:
            solution = self._solution = None  # Two solutions may not fit in memory.
            sizes = self.num_users, self.num_items
            with torch.no_grad(), torch.autocast(self.device.type, enabled=False):
                items = UserItems(self.interactions, *sizes)
                solution = self._solution = (key, items, self._solve())
        return solution[1:]

    def get_solution(self) -> tuple[Tensor, ...]:
        r"""Return the tensors of the solution, which is computed if necessary. Save
        them with the options and the interactions, and restore them with
        :meth:`set_solution`."""
        _, solution = self._solved()
        return solution if isinstance(solution, tuple) else (solution,)

    def set_solution(self, solution: Sequence[Tensor]) -> None:
        r"""Set a solution that :meth:`get_solution` returned for the same interactions
        and options, so that it is not computed again."""
        key = (self.device, tuple(self.options.values()))
        items = UserItems(self.interactions, self.num_users, self.num_items)
        parts = tuple(part.to(self.device) for part in solution)
        self._solution = (key, items, parts[0] if len(parts) == 1 else parts)

    def _solve(self) -> Any:
        r"""Compute the solution that :meth:`_score` reads, from the interactions and
        the options."""
        raise NotImplementedError

    def _score(self, solution: Any, row: Tensor, item: Tensor, num_rows: int) -> Tensor:
        r"""Return the scores of users whose items are given as pairs of row and item,
        sorted by row."""
        raise NotImplementedError

    def _cooccurrences(self) -> Iterator[tuple[slice, Tensor]]:
        r"""Yield the numbers of users that two items share, in blocks of rows of
        :math:`\mathbf{X}^{\top} \mathbf{X}`."""
        user, item = self.interactions
        ones = torch.ones(user.numel(), device=user.device)
        sizes = (self.num_users, self.num_items)
        x = _coo_matrix(self.interactions, ones, sizes)
        item, order = item.sort()
        user = user[order]
        for start in range(0, self.num_items, _BLOCK):
            stop = min(start + _BLOCK, self.num_items)
            ends = item.new_tensor([start, stop])
            first, last = torch.searchsorted(item, ends).tolist()
            rows = torch.stack([item[first:last] - start, user[first:last]])
            shape = (stop - start, self.num_users)
            part = _coo_matrix(rows, ones[first:last], shape)
            yield slice(start, stop), torch.sparse.mm(part, x).to_dense()

    def extra_repr(self) -> str:
        r"""Return the arguments, and the options that :meth:`calibrate` has chosen."""
        chosen = [
            f'{name}={value:g}'
            for (name, given), value in zip(self._given.items(), self._chosen.tolist())
            if value != given
        ]
        return ', '.join([super().extra_repr(), *chosen])

    def get_extra_state(self) -> Tensor:
        r"""Return the options, for :meth:`state_dict`."""
        return self._chosen.clone()

    def set_extra_state(self, state: Tensor) -> None:
        r"""Set the options, from a state dict.

        Raises:
            ValueError: If the state is not that of a model with the same options.
        """
        if not isinstance(state, Tensor) or state.shape != self._chosen.shape:
            raise ValueError(
                f"'state' must be a tensor of the {self._chosen.numel()} options of "
                f'{type(self).__name__}, got {state!r}'
            )
        self._chosen = state.detach().cpu().double()

    def __getstate__(self) -> dict[str, Any]:
        return {**self.__dict__, '_solution': None}  # Computed again if needed.


def _sample(label: UserItems) -> UserItems:
    r"""Return the interactions of a sample of users, evenly spread over ids."""
    users = label.degree.nonzero().flatten()
    if users.numel() <= _MOST_USERS:
        return label
    users = users[torch.arange(_MOST_USERS) * users.numel() // _MOST_USERS]
    row, item = label.lookup(users)
    pairs = torch.stack([users[row], item])
    return UserItems(pairs, label.num_users, label.num_items)
