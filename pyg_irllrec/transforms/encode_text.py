from __future__ import annotations

from collections.abc import Sequence
from typing import Optional

import torch
from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.text.encoders import TfidfEncoder
from pyg_irllrec.text.encoders._encoder_output import as_vectors, checked_texts
from pyg_irllrec.text.encoders.tfidf_encoder import TfidfState
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType, TextEncoder
from pyg_irllrec.utils.argument_checks import check_encoder, check_name
from pyg_irllrec.utils.node_data import check_sides, read_texts
from pyg_irllrec.utils.warn_caller import warn_caller


@functional_transform('irllrec_encode_text')
class EncodeText(InteractionTransform):
    r"""Encode the texts of users and items in one call of the encoder, so that their
    vectors share a space (functional name: :obj:`irllrec_encode_text`). Nodes with a
    blank text get zeros; their texts are not passed to the encoder.

    All texts are encoded each time the transform runs: wrap the encoder in a
    :class:`~pyg_irllrec.text.CachedEncoder` to encode each text once.

    An unfitted :class:`~pyg_irllrec.text.TfidfEncoder` is fitted on these texts each
    time the transform runs, and then encodes all other texts in the same space, also
    in another transform that shares it. To learn the words of profiles and intents
    both, fit it on all texts beforehand.

    Args:
        encoder (callable): Turns a list of texts into an array with one row per text.
        source (str): The attribute name of the texts, as in
            :obj:`data['user'].profile_text`.
            (default: :obj:`"profile_text"`)
        target (str): The attribute name of the vectors, of shape :math:`(N, D_t)` in
            :obj:`float32`. (default: :obj:`"profile"`)
        sides (sequence of str, optional): The node types that have texts.
            (default: :obj:`None`, users and items, found by their interactions)
        edge_type (tuple, optional): The type of the interactions that determine
            :obj:`sides`. (default: :obj:`None`, found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, found the same way)

    Raises:
        ValueError: If a text is :obj:`None`, NaN or anything but a string, all texts
            are blank, or the encoder does not return one finite row per text.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.text import TfidfEncoder
        >>> from pyg_irllrec.transforms import EncodeText
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> encode = EncodeText(TfidfEncoder(), source='intent_text', target='intent')
        >>> data = encode(data)
        >>> data['user'].intent.shape, data['item'].intent.shape
        (torch.Size([12, 12]), torch.Size([10, 12]))
    """

    def __init__(
        self,
        encoder: TextEncoder,
        source: str = 'profile_text',
        target: str = 'profile',
        sides: Optional[Sequence[str]] = None,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
    ) -> None:
        check_encoder(encoder)
        self.encoder = encoder
        self._fitted: Optional[TfidfState] = None
        check_name('source', source)
        self.source = source
        check_name('target', target)
        self.target = target
        self.sides = None if sides is None else check_sides(sides)
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with vectors beside its texts."""
        sides = self._find_sides(data, self.sides)
        texts, has_text = [], []
        for side in sides:
            rows = read_texts(data, side, self.source)
            rows = list(checked_texts(f"data['{side}'].{self.source}", rows))
            seen = [not _is_blank(text) for text in rows]
            has_text.append(torch.tensor(seen, dtype=torch.bool))
            texts += [text for text in rows if not _is_blank(text)]
        self._report_blank(len(texts), sum(map(len, has_text)))
        encoder = self.encoder
        if isinstance(encoder, TfidfEncoder) and encoder.state is self._fitted:
            self._fitted = encoder.fit(texts).state
        vectors = torch.from_numpy(
            as_vectors("'encoder'", self.encoder(texts), len(texts))
        )
        sizes = [int(mask.sum()) for mask in has_text]
        for side, mask, part in zip(sides, has_text, vectors.split(sizes)):
            out = torch.zeros(len(mask), vectors.size(1))
            out[mask] = part
            data[side][self.target] = out.to(_device(data))
        return data

    def _report_blank(self, num_texts: int, num_nodes: int) -> None:
        if num_texts == 0:
            raise ValueError(
                f"'{self.source}' must hold at least one text, got {num_nodes} blanks"
            )
        if 2 * num_texts < num_nodes:
            warn_caller(
                f"{num_nodes - num_texts} of {num_nodes} texts in '{self.source}' are "
                f"blank: these nodes get zeros as '{self.target}'"
            )


def _is_blank(text: str) -> bool:
    return not text or text.isspace()


def _device(data: HeteroData) -> torch.device:
    for store in data.edge_stores:
        if 'edge_index' in store:
            return torch.device(store.edge_index.device)
    return torch.device('cpu')
