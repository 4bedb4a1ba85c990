from __future__ import annotations

import torch
from torch import Tensor

from pyg_irllrec.nn import Recommender
from pyg_irllrec.training.interaction_data_module import InteractionDataModule
from pyg_irllrec.utils.adjacency import source_and_target
from pyg_irllrec.utils.user_items import UserItems
from pyg_irllrec.utils.warn_caller import warn_caller


def check_graph(model: Recommender, data: InteractionDataModule) -> None:
    r"""Looks for held-out interactions in the graph of a model, which would leak them:
    a :class:`ValueError` where all are there, a warning with their count where some
    are. Those that are trained on too are not counted: the data module does."""
    size = model.num_users + model.num_items
    source, target = (row.cpu().long() for row in source_and_target(model.edge_index))
    keys = target * size + source  # In order, as a model keeps its edges sorted.
    for name, held in (('validation', data.val_items), ('test', data.test_items)):
        if held is None:
            continue
        leaked = _holds(keys, held, size) & ~held.intersect(data.train_items)
        count, total = int(leaked.sum()), held.item.numel()
        if count == 0:
            continue
        message = (
            f"{count} of {total} {name} interactions are edges of the model's graph, "
            'from which it learns them'
        )
        advice = 'build the model from the training interactions alone'
        if count == total:
            raise ValueError(
                f"'model' must not have what is held out: {message}. {advice}"
            )
        warn_caller(f'{message}: {advice}')


def _holds(keys: Tensor, held: UserItems, size: int) -> Tensor:
    r"""Which interactions are among the sorted edges."""
    users = torch.arange(held.num_users, device=held.degree.device)
    user = users.repeat_interleave(held.degree).cpu()
    wanted = (held.item.cpu() + held.num_users) * size + user
    at = torch.searchsorted(keys, wanted).clamp(max=keys.numel() - 1)
    found: Tensor = keys[at] == wanted
    return found
