r"""Texts as vectors in the space of a bundle's texts."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyg_irllrec.text.encoders._encoder_output import as_vectors
from pyg_irllrec.typing import TextEncoder


def encoded(encoder: TextEncoder, texts: Sequence[str], width: int) -> Tensor:
    r"""Encode texts as vectors, of shape :math:`(N, D)`.

    Raises:
        ValueError: If the width of the vectors differs from the bundle's.
    """
    vectors = as_vectors("'encoder'", encoder(texts), len(texts))
    if vectors.shape[1] != width:
        raise ValueError(
            "'encoder' must be the one that made the vectors of the bundle, of width "
            f'{width}, got vectors of width {vectors.shape[1]}'
        )
    return torch.from_numpy(vectors)
