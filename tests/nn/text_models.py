"""Small models with texts, and a training step."""

from __future__ import annotations

import torch

from pyg_irllrec.nn import IntentAlignmentLoss, IRLLRec, LightGCN
from pyg_irllrec.utils import bipartite_edge_index

NUM_USERS, NUM_ITEMS, WIDTH = 12, 9, 6
TRIPLETS = torch.tensor([[0, 1, 1, 7], [1, 3, 3, 8], [6, 1, 2, 0]])
PAIRWISE = {'translation_weight': 0.0, 'matching_weight': 0.0}


def build(text_storage: str, features: bool = True, **loss) -> IRLLRec:
    torch.manual_seed(0)
    user = torch.randint(0, NUM_USERS, (40,))
    graph = bipartite_edge_index(
        torch.stack([user, torch.randint(0, NUM_ITEMS, (40,))]), NUM_USERS, NUM_ITEMS
    )
    profile, intent, text = (torch.randn(21, width) for width in (WIDTH, 5, 4))
    model = IRLLRec(
        LightGCN(NUM_USERS, NUM_ITEMS, 8, num_intents=3),
        graph,
        profile=profile,
        intent=intent,
        features=text if features else None,
        alignment=IntentAlignmentLoss(**loss),
        text_storage=text_storage,
    )
    return model.train()


def step(
    model: IRLLRec, triplets: torch.Tensor = TRIPLETS
) -> tuple[torch.Tensor, list[torch.Tensor]]:
    """The loss and its gradients."""
    total = model.loss(triplets, generator=torch.Generator().manual_seed(3)).total
    return total, list(torch.autograd.grad(total, list(model.parameters())))
