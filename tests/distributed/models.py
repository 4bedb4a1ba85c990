"""Small models of every kind whose loss is shared."""

from __future__ import annotations

from unittest.mock import Mock, patch

import torch
from torch import Tensor
from torch.distributed.device_mesh import DeviceMesh
from torch.nn.parallel import DistributedDataParallel

from pyg_irllrec.distributed import DistributedLoss
from pyg_irllrec.functional import _shared_info_nce
from pyg_irllrec.nn import (
    BIGCF,
    DCCF,
    SGL,
    DirectAULoss,
    IntentAlignmentLoss,
    IRLLRec,
    LightGCN,
    LossOutput,
    Recommender,
    RLMRecGen,
    SimGCL,
    SoftmaxLoss,
)
from pyg_irllrec.utils import bipartite_edge_index

NUM_USERS, NUM_ITEMS = 12, 9
SIZES = NUM_USERS, NUM_ITEMS, 8
# In seven columns nodes repeat; of two, four ranks leave some without a row.
BATCH = torch.tensor(
    [[0, 1, 1, 7, 3, 3, 11], [1, 3, 3, 8, 0, 2, 5], [6, 1, 2, 0, 4, 8, 1]]
)
BATCHES = BATCH, BATCH[:, :2]

METHOD: dict[str, dict[str, object]] = {
    'exact': {},
    'moments': {'translation_impl': 'moments', 'eps': 1e-8},
    'authors': {'user_negatives': 'all', 'duplicates': True, 'eps': 1e-8},
    'everywhere': {'user_negatives': 'all', 'item_negatives': 'all', 'impl': 'moments'},
    'host': {'translation_weight': 0.0, 'matching_weight': 0.0},
}
RANKING = {
    'softmax': lambda: SoftmaxLoss(),
    'drawn': lambda: SoftmaxLoss(num_samples=4),
    'direct_au': lambda: DirectAULoss(),
}
BACKBONES = {
    'sgl': lambda: SGL(*SIZES, num_intents=3, contrast_impl='moments'),
    'simgcl': lambda: SimGCL(*SIZES, num_intents=3, negatives='batch'),
    'dccf': lambda: DCCF(*SIZES, num_intents=3),
    'bigcf': lambda: BIGCF(*SIZES, num_intents=3),
}
NAMES = (*METHOD, *RANKING, *BACKBONES, 'reconstruction', 'features')


def build(name: str) -> Recommender:
    torch.manual_seed(0)
    user = torch.randint(0, NUM_USERS, (40,))
    pairs = torch.stack([user, torch.randint(0, NUM_ITEMS, (40,))])
    graph = bipartite_edge_index(pairs, NUM_USERS, NUM_ITEMS)
    profile, intent, features = (torch.randn(21, width) for width in (6, 5, 4))
    backbone = BACKBONES.get(name, lambda: LightGCN(*SIZES, num_intents=3))()
    if name == 'reconstruction':
        return RLMRecGen(backbone, graph, profile=profile, mask_ratio=0.5)
    # Weights of one: each term shows in the gradients.
    weights = {f'{each}_weight': 1.0 for each in ('profile', 'intent')}
    both = {f'{each}_weight': 1.0 for each in ('translation', 'matching')}
    return IRLLRec(
        backbone,
        graph,
        profile=profile,
        intent=intent,
        features=features if name == 'features' else None,
        alignment=IntentAlignmentLoss(**weights, **(both | METHOD.get(name, {}))),
        ranking=RANKING[name]() if name in RANKING else None,
        l2_weight=1e-3,
        text_storage='host' if name == 'host' else 'device',
    )


def steps(call, model: Recommender) -> list[Tensor]:
    """The terms of each batch, then the gradients of all, after draws of one seed."""
    torch.manual_seed(5)
    found = []
    for batch in BATCHES:
        loss: LossOutput = call(batch)
        loss.total.backward()
        found.append(torch.stack([loss.total, *loss.terms.values()]).detach())
    return found + [weight.grad for weight in model.parameters()]


def shared_steps(mesh: DeviceMesh, names: tuple[str, ...]) -> dict[str, list[Tensor]]:
    """Those of each model among ranks: terms are averaged over them."""
    found = {}
    for name in names:
        model = build(name).train()
        step = DistributedDataParallel(DistributedLoss(model))
        values = steps(step, model)
        for each in values[: len(BATCHES)]:
            torch.distributed.all_reduce(each, group=mesh.get_group())
            each /= mesh.size()
        found[name] = values
    return found


def rows_of_ranks(mesh: DeviceMesh) -> tuple[list[int], list[int]]:
    """How many rows this rank sends through each tower, and places among keys."""
    model = build('exact').train()
    towers: list[int] = []
    for projector in (model.profile_projector, model.intent_projector):
        projector.register_forward_hook(lambda *call: towers.append(len(call[1][0])))
    info_nce = Mock(wraps=_shared_info_nce.unchecked_info_nce)
    with patch.object(_shared_info_nce, 'unchecked_info_nce', info_nce):
        DistributedLoss(model)(BATCH)
    return towers, [len(call.args[0]) for call in info_nce.call_args_list]
