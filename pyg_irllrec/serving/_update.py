r"""Updates of a bundle with interactions, users and items, without training."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence, Sized
from copy import copy
from typing import TYPE_CHECKING, Any, Optional

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from pyg_irllrec.serving._encoded import encoded
from pyg_irllrec.serving._grow_model import grow_model, merge_pairs
from pyg_irllrec.serving._kept_data import TEXTS, VECTORS
from pyg_irllrec.serving._new_rows import NewNode, NewPairs, read_nodes, read_pairs
from pyg_irllrec.serving._save import check_unchanged
from pyg_irllrec.serving.nodes import Nodes
from pyg_irllrec.typing import RATES, SIDES, NodeId, TextEncoder
from pyg_irllrec.utils import UserItems
from pyg_irllrec.utils.split_layout import HELD_OUT_KEYS
from pyg_irllrec.utils.warn_caller import warn_caller

if TYPE_CHECKING:
    from pyg_irllrec.serving.bundle import Bundle

_INTEGER = re.compile('0|-?[1-9][0-9]{0,17}')  # It fits into 64 bits.


def updated(bundle: Bundle, interactions: Any, items: Any, users: Any) -> Bundle:
    r"""Return a bundle with new interactions, items and users, see
    :meth:`Bundle.update`."""
    given = {
        side: {} if nodes is None else read_nodes(f'{side}s', nodes, side)
        for side, nodes in zip(SIDES, (users, items))
    }
    none = torch.empty(2, 0, dtype=torch.long)
    read = NewPairs([], [], none, none[0].bool())
    if not _is_empty(interactions):
        read = read_pairs(interactions, bundle.min_rating)
    known = {'user': bundle.users, 'item': bundle.items}
    data = copy(bundle.data)  # Shallow: values below are replaced, not changed.
    ends = []
    for side, mentioned, end in zip(SIDES, (read.users, read.items), read.pairs):
        # A dislike adds no user or item.
        liked = [mentioned[each] for each in end[read.liked].unique().tolist()]
        rows = _rows(known[side], [*given[side], *liked])
        _add_nodes(data, side, known[side], rows)
        _write_texts(data, side, given[side], rows, bundle.encoder)
        rows |= _rows(known[side], [each for each in mentioned if each in known[side]])
        place = torch.tensor([rows.get(each, -1) for each in mentioned]).long()
        ends.append(place[end])
    rated = torch.stack(ends)
    pairs = rated[:, read.liked]
    rated = rated[:, (rated >= 0).all(dim=0)]
    old = data[RATES].edge_index
    sizes = int(data['user'].num_nodes), int(data['item'].num_nodes)
    trained = UserItems(old, *sizes)
    folded_in = UserItems(pairs, *sizes)
    new = folded_in.pairs[:, ~folded_in.intersect(trained)]
    is_grown = sizes != (len(bundle.users), len(bundle.items))
    seen = merge_pairs(bundle.seen.pairs, rated)
    is_seen = seen.size(1) == bundle.seen.item.numel()
    if new.size(1) == 0 and is_seen and not is_grown and not any(given.values()):
        return bundle
    _add_pairs(data, new, sizes)
    model = bundle.model
    if new.size(1) > 0 or is_grown:
        check_unchanged(bundle, model)
        model = grow_model(model, data, new)
    return type(bundle)(
        model,
        data,
        encoder=bundle.encoder,
        seen=seen,
        min_rating=bundle.min_rating,
    )


def _is_empty(interactions: object) -> bool:
    if isinstance(interactions, Tensor):
        return interactions.shape == (2, 0)
    if isinstance(interactions, str) or not isinstance(interactions, Sized):
        return interactions is None
    return len(interactions) == 0


def _rows(known: Nodes, ids: Sequence[str]) -> dict[str, int]:
    r"""The row of each id; new ids are appended."""
    rows: dict[str, int] = {}
    count = len(known)
    for each in ids:
        if each in rows:
            continue
        if each in known:
            rows[each] = known.row(each, 'ids')
        else:
            rows[each] = count
            count += 1
    return rows


def _add_nodes(
    data: HeteroData, side: str, known: Nodes, rows: Mapping[str, int]
) -> None:
    r"""Append the new nodes, without texts."""
    new = [each for each, row in rows.items() if row >= len(known)]
    store = data[side]
    store.num_nodes = len(known) + len(new)
    store.id = _join_ids(known.ids, new)
    for name in TEXTS:
        if name in store:
            store[name] = [*store[name], *[''] * len(new)]
    for name in VECTORS:
        if name in store:
            rest = store[name].new_zeros(len(new), store[name].size(1))
            store[name] = torch.cat([store[name], rest])


def _join_ids(known: Sequence[NodeId], new: Sequence[str]) -> list[NodeId]:
    r"""Join ids of one type: integers if all of them are, and strings otherwise."""
    if all(isinstance(each, int) for each in known):
        if all(_is_integer(each) for each in new):
            return [*known, *map(int, new)]
        return [*map(str, known), *new]
    return [*known, *new]


def _is_integer(text: str) -> bool:
    return _INTEGER.fullmatch(text) is not None


def _write_texts(
    data: HeteroData,
    side: str,
    given: Mapping[str, NewNode],
    rows: Mapping[str, int],
    encoder: Optional[TextEncoder],
) -> None:
    r"""Write titles, texts and text vectors of new and known nodes."""
    store = data[side]
    titles = {rows[each]: node.title for each, node in given.items() if node.title}
    texts = {rows[each]: node.text for each, node in given.items() if node.text}
    blank = [''] * int(store.num_nodes)
    if titles:
        store.title = _write(store.title if 'title' in store else blank, titles)
    if not texts:
        return
    store.text = _write(store.text if 'text' in store else blank, texts)
    if 'profile_text' in store:
        store.profile_text = _write(store.profile_text, texts)
    if 'profile' in store and encoder is not None:
        vectors = encoded(encoder, [*texts.values()], store.profile.size(1))
        num_unknown = int((~vectors.any(dim=1)).sum())
        if num_unknown > 0:
            warn_caller(
                f'{num_unknown} of {len(texts)} texts of {side}s have no words that '
                'the encoder was fitted on, and are not used for ranking'
            )
        store.profile = store.profile.index_copy(0, torch.tensor([*texts]), vectors)


def _write(old: Sequence[str], new: Mapping[int, str]) -> list[str]:
    texts = list(old)
    for row, text in new.items():
        texts[row] = text
    return texts


def _add_pairs(data: HeteroData, pairs: Tensor, sizes: tuple[int, int]) -> None:
    r"""Add training interactions, and remove them from the held-out ones."""
    store = data[RATES]
    store.edge_index = torch.cat([store.edge_index, pairs], dim=1)
    added = UserItems(pairs, *sizes)
    parts = [key for key in HELD_OUT_KEYS if key in store]
    for key in parts:
        held_out = UserItems(store[key], *sizes)
        store[key] = held_out.pairs[:, ~held_out.intersect(added)]
    if any(store[key].size(1) == 0 for key in parts):  # It is no longer a split.
        for key in parts:
            del store[key]
