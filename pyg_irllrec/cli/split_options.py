from __future__ import annotations

from typing import Literal, Optional

from pydantic import BaseModel, ConfigDict
from torch_geometric.transforms import BaseTransform

from pyg_irllrec.transforms import BinarizeRatings, KCore, SplitInteractions

SplitName = Literal['random', 'time', 'leave_one_out']


class SplitOptions(BaseModel):
    r"""What becomes of interactions: which of them count, and which are held out."""

    model_config = ConfigDict(extra='forbid', frozen=True, strict=True)

    min_rating: Optional[float] = None
    k_core: int = 1
    split: SplitName = 'random'
    val: float = 0.1
    test: float = 0.2
    seed: int = 0

    def keep(self) -> list[BaseTransform]:
        r"""The transforms that leave what counts."""
        steps: list[BaseTransform] = []
        if self.min_rating is not None:
            steps.append(BinarizeRatings(self.min_rating))
        # At least 1: nobody is left without interactions.
        return [*steps, KCore(self.k_core)]

    def hold_out(self) -> SplitInteractions:
        r"""The transform that holds out a part."""
        return SplitInteractions(
            self.split, val=self.val, test=self.test, seed=self.seed
        )
