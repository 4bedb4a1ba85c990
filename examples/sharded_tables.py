"""Train a LightGCN whose embedding tables and graph are sharded over processes.

torchrun --nproc-per-node 2 examples/sharded_tables.py --epochs 5
torchrun --nproc-per-node 3 examples/sharded_tables.py --epochs 10 --resume
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from typing import Optional

import torch
import torch.distributed as dist
import torch.distributed.checkpoint as checkpoint
from torch.distributed.checkpoint.state_dict import get_state_dict, set_state_dict
from torch.distributed.device_mesh import init_device_mesh

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.distributed import ShardedGraph, ShardedLightGCN


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--epochs', type=int, default=5, help='number of epochs in all (default: 5)')
    add(
        '--resume',
        action='store_true',
        help='continue the saved run, on any number of processes',
    )
    add(
        '--out',
        default='runs/sharded_tables',
        help='folder of the checkpoint (default: runs/sharded_tables)',
    )
    args = parser.parse_args(argv)

    on_gpu = torch.cuda.is_available()
    mesh = init_device_mesh(
        'cuda' if on_gpu else 'cpu', (int(os.environ['WORLD_SIZE']),)
    )
    rank, num_ranks = mesh.get_rank(), mesh.size()
    device = torch.device('cuda', torch.cuda.current_device()) if on_gpu else 'cpu'
    torch.manual_seed(rank)

    # Each process reads its own part of the interactions.
    data = SyntheticIntents(num_users=200, num_items=100)[0]
    pairs = data['user', 'rates', 'item'].edge_index[:, rank::num_ranks].to(device)
    graph = ShardedGraph(pairs, 200, 100, mesh)
    model = ShardedLightGCN(graph, 32).to(device)
    optimizer = torch.optim.Adam(model.parameter_groups(), lr=0.01)

    epochs = range(args.epochs)
    if args.resume:
        weights, states = get_state_dict(model, optimizer)
        state = {'model': weights, 'optimizer': states, 'epochs': 0}
        checkpoint.load(state, checkpoint_id=args.out)
        set_state_dict(
            model,
            optimizer,
            model_state_dict=weights,
            optim_state_dict=states,
        )
        epochs = range(state['epochs'], args.epochs)
    for epoch in epochs:
        negative = torch.randint(100, (1, pairs.size(1)), device=device)
        optimizer.zero_grad()
        part = model.loss(torch.cat([pairs, negative]))
        part.backward()
        optimizer.step()
        loss = part.detach().clone()
        dist.all_reduce(loss)
        if rank == 0:
            print(f'epoch {epoch + 1}, loss {loss:.4f}')
    weights, states = get_state_dict(model, optimizer)
    state = {'model': weights, 'optimizer': states, 'epochs': args.epochs}
    checkpoint.save(state, checkpoint_id=args.out)
    dist.destroy_process_group()
    return 0


if __name__ == '__main__':
    sys.exit(main())
