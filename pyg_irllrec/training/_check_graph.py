from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.user_items import UserItems
from pyg_irllrec.utils.warn_caller import warn_caller

_LEAST_SHARE = 0.1


def check_graph(model: Recommender, data: InteractionDataModule) -> None:
    r"""Look for held-out interactions that a model learns from. Beside the triplets,
    these are the edges of its graph, in either direction, and the :obj:`interactions`
    or :obj:`known` of its parts. Raise a :class:`ValueError` if all held-out
    interactions are there, and warn with their number if some are. Held-out
    interactions that are also in the training part are not counted, because the data
    module warns of them."""
    held_out = {'validation': data.val_items, 'test': data.test_items}
    for number, (place, seen) in enumerate(_find_interactions(model)):
        if number == 0:
            _check_trained(data.train_items, seen)
        for name, held in held_out.items():
            if held is None:
                continue
            leaked = held.intersect(seen) & ~held.intersect(data.train_items)
            count, total = int(leaked.sum()), held.item.numel()
            if count == 0:
                continue
            message = (
                f'{count} of {total} {name} interactions are {place}, which it learns '
                'from: build the model from the training interactions only'
            )
            if count == total:
                raise ValueError(
                    f"'model' must not have held-out interactions, but {message}"
                )
            warn_caller(message)


def _check_trained(train: UserItems, graph: UserItems) -> None:
    # RandomLinkSplit may take most of them out of the graph, but leaves a few.
    count, total = int(train.intersect(graph).sum()), train.item.numel()
    if count < _LEAST_SHARE * total:
        warn_caller(
            f"only {count} of {total} training interactions are edges of the model's "
            "graph: build 'model' from the data that it is trained on"
        )


def _find_interactions(model: Recommender) -> Iterator[tuple[str, UserItems]]:
    r"""Yield the interactions that a model was built from, each with its place."""
    source, target = (row.cpu().long() for row in source_and_target(model.edge_index))
    pairs = []
    for user, item in ((source, target), (target, source)):
        joins = (user < model.num_users) & (item >= model.num_users)
        pairs.append(torch.stack([user[joins], item[joins] - model.num_users]))
    sizes = model.num_users, model.num_items
    yield "edges of the model's graph", UserItems(torch.cat(pairs, dim=1), *sizes)
    for path, part in model.named_modules():
        for name in ('interactions', 'known'):
            kept = getattr(part, name, None)
            if isinstance(kept, Tensor):
                kept = UserItems(kept.cpu(), *sizes)
            if isinstance(kept, UserItems):
                yield f"among the '{name}' of the model's {path}", kept
