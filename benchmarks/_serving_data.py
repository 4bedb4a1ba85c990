r"""The embedded dataset and one encoder of all its texts, as a bundle needs them."""

from __future__ import annotations

from torch_geometric.data import HeteroData

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.transforms import EncodeText
from pyg_irllrec.typing import SIDES

KINDS = ('profile', 'intent')


def embedded_data(num_users: int, num_items: int) -> tuple[HeteroData, TfidfEncoder]:
    data = SyntheticIntents(num_users, num_items)[0]
    names = [(side, f'{kind}_text') for side in SIDES for kind in KINDS]
    encoder = TfidfEncoder().fit(
        [text for side, name in names for text in data[side][name]]
    )
    for kind in KINDS:
        data = EncodeText(encoder, f'{kind}_text', kind)(data)
    return data, encoder
