from __future__ import annotations

from typing import Optional

import torch.distributed as dist
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn import LossOutput, Recommender
from pyg_irllrec.nn._shared_loss import (
    send_no_buffers,
    send_saved_buffers,
    shared_loss,
)
from pyg_irllrec.utils.argument_checks import check_instance
from pyg_irllrec.utils.ranks import Ranks


class DistributedLoss(Module):
    r"""The loss of a model whose rows are shared among processes. The mean over ranks
    of each term is the term of one process, so that
    :class:`~torch.nn.parallel.DistributedDataParallel` takes the gradients of one
    process:

    .. code-block:: python

        model = build_model(data).to(device)
        step = DistributedDataParallel(DistributedLoss(model))
        for triplets in TripletLoader(interactions, seed=0):
            optimizer.zero_grad()
            step(triplets).total.backward()
            optimizer.step()

    Every rank holds the whole model on its device, and draws the same batches and the
    same noise with the same seeds, so that any number of processes trains alike. All
    ranks make it together: the weights are those of the first one. A rank passes its
    share of texts through the towers, and gathers the narrow rows of others, with their
    gradients; it places its share of the rows of every contrast among all keys.
    Propagation, the L2 term and parts of your own are computed whole by each.

    Args:
        model (Recommender): The model.
        process_group (ProcessGroup, optional): The processes.
            (default: :obj:`None`, all of them)

    Raises:
        ValueError: If there is no model, or no process group.
    """

    def __init__(
        self, model: Recommender, process_group: Optional[dist.ProcessGroup] = None
    ) -> None:
        super().__init__()
        check_instance('model', model, Recommender)
        if not dist.is_initialized():
            raise ValueError(
                "'process_group' must be initialized, got none: call "
                "torch.distributed.init_process_group('nccl'), or 'gloo' on CPUs"
            )
        self.model = model
        self._ranks = Ranks(process_group)
        send_no_buffers(self)
        send_saved_buffers(self, self._ranks)

    def forward(self, triplets: Tensor) -> LossOutput:
        r"""The loss of this rank.

        Args:
            triplets (torch.Tensor): The batch, the same on all ranks: user, positive
                item and negative item ids, each from zero, of shape :math:`(3, B)`.
        """
        with shared_loss(self.model, self._ranks):
            return self.model.loss(triplets)
