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
    r"""The loss of a model, computed by several processes that share its rows. The mean
    over ranks of each term equals the term that a single process computes. Wrapped in
    :class:`~torch.nn.parallel.DistributedDataParallel`, which averages gradients, it
    therefore gives the gradients of a single process:

    .. code-block:: python

        model = build_model(data).to(device)
        step = DistributedDataParallel(DistributedLoss(model))
        for triplets in TripletLoader(interactions, seed=0):
            optimizer.zero_grad()
            step(triplets).total.backward()
            optimizer.step()

    Every rank has a copy of the whole model on its device and uses the same seeds, so
    that all ranks draw the same batches and the same noise. Training thus does not
    depend on the number of processes. All ranks must construct the loss together: it
    copies the weights of the first rank to the others.

    A rank passes its share of the texts through the towers and gathers the narrow
    outputs of the other ranks, with their gradients. It contrasts its share of the rows
    with all keys. Every rank computes propagation, the L2 term and your own loss terms
    in full.

    Args:
        model (Recommender): The model.
        process_group (ProcessGroup, optional): The processes.
            (default: :obj:`None`, all processes)

    Raises:
        ValueError: If :obj:`model` is not a recommender,
            :obj:`process_group` is not a process group, or
            :mod:`torch.distributed` is not initialized.

    Example:
        >>> import torch
        >>> import torch.distributed as dist
        >>> from pyg_irllrec import build_model
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.distributed import DistributedLoss
        >>> store = dist.HashStore()  # torchrun: init_process_group('gloo') suffices
        >>> dist.init_process_group('gloo', store=store, rank=0, world_size=1)
        >>> model = build_model(SyntheticIntents(12, 10, num_intents=2)[0])
        >>> loss = DistributedLoss(model)(torch.tensor([[0, 1], [2, 3], [4, 5]]))
        >>> loss.total.backward()
        >>> dist.destroy_process_group()
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
        if process_group is not None:
            check_instance('process_group', process_group, dist.ProcessGroup)
        self.model = model
        self._ranks = Ranks(process_group)
        send_no_buffers(self)
        send_saved_buffers(self, self._ranks)

    def forward(self, triplets: Tensor) -> LossOutput:
        r"""Compute this rank's loss, whose mean over ranks is the loss of the batch.

        Args:
            triplets (torch.Tensor): The batch, the same on all ranks: user, positive
                item and negative item ids, each from zero, of shape :math:`(3, B)`.
        """
        with shared_loss(self.model, self._ranks):
            return self.model.loss(triplets)
