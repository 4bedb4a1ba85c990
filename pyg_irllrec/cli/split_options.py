from __future__ import annotations

from typing import Literal, Optional

from pydantic import BaseModel, ConfigDict
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.transforms import BinarizeRatings, KCore, SplitInteractions

SplitName = Literal['random', 'time', 'leave_one_out']

WITHOUT_COLD_ADVICE = {" (pass cold='drop' to drop them)": ''}
"""Options of a :class:`~pyg_irllrec.cli.command.Command` that remove the advice of
:class:`~pyg_irllrec.transforms.SplitInteractions`, for which there is no option."""


class SplitOptions(BaseModel):
    r"""The options for filtering and splitting interactions."""

    model_config = ConfigDict(extra='forbid', frozen=True, strict=True)

    min_rating: Optional[float] = None
    k_core: int = 1
    split: SplitName = 'random'
    val: float = 0.1
    test: float = 0.2
    seed: int = 0

    def filters(self) -> list[BaseTransform]:
        r"""Return the transforms that filter the interactions."""
        steps: list[BaseTransform] = []
        if self.min_rating is not None:
            steps.append(BinarizeRatings(self.min_rating))
        # With k = 1, this removes users and items without interactions.
        return [*steps, KCore(self.k_core)]

    def hold_out(self) -> SplitInteractions:
        r"""Return the transform that splits the interactions."""
        return SplitInteractions(
            self.split, val=self.val, test=self.test, seed=self.seed
        )
