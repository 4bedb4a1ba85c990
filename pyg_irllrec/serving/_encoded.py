r"""Texts as vectors of the space in which those of a bundle lie."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from pyg_irllrec.text.encoders._encoder_output import as_vectors
from pyg_irllrec.typing import TextEncoder


def encoded(encoder: TextEncoder, texts: Sequence[str], width: int) -> Tensor:
    r"""The vectors of texts, of shape :math:`(N, D)`.

    Raises:
        ValueError: If they are not as wide as those of the bundle.
    """
    vectors = as_vectors("'encoder'", encoder(texts), len(texts))
    if vectors.shape[1] != width:
        raise ValueError(
            "'encoder' must be the one that made the vectors of the bundle, of width "
            f'{width}, got vectors of width {vectors.shape[1]}'
        )
    return torch.from_numpy(vectors)
