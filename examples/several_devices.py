"""Train one model on several devices, with one process per device.

python examples/several_devices.py --devices 2
torchrun --nproc-per-node 2 examples/several_devices.py --devices 2
torchrun --nproc-per-node 2 examples/several_devices.py --by-hand
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.distributed import DistributedLoss
from pyg_irllrec.nn import Recommender
from pyg_irllrec.training import InteractionDataModule, TripletLoader, evaluate, fit


def train_by_hand(
    model: Recommender, data: InteractionDataModule, epochs: int
) -> dict[str, float]:
    on_gpu = torch.cuda.is_available()
    dist.init_process_group('nccl' if on_gpu else 'gloo')
    device = torch.device('cpu')
    if on_gpu:
        device = torch.device('cuda', int(os.environ['LOCAL_RANK']))
        torch.cuda.set_device(device)
    model.to(device)
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-3)
    step = DistributedDataParallel(DistributedLoss(model))
    # All processes draw the same batches and the same noise.
    loader = TripletLoader(data.train_items, batch_size=512, seed=0).to(device)
    torch.manual_seed(0)
    for _ in range(epochs):
        for triplets in loader:
            optimizer.zero_grad()
            step(triplets).total.backward()
            optimizer.step()
    dist.destroy_process_group()
    with torch.no_grad():
        embeddings = model.eval().get_embeddings()
    return evaluate(*embeddings, data.test_items, data.train_items, ks=(20,))


def main(argv: Optional[Sequence[str]] = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    add('--devices', type=int, default=2, help='number of devices (default: 2)')
    add('--by-hand', action='store_true', help='train in a loop without Lightning')
    add('--epochs', type=int, default=3, help='number of epochs (default: 3)')
    add(
        '--out',
        default='runs/several_devices',
        help='folder of the run (default: runs/several_devices)',
    )
    args = parser.parse_args(argv)

    graph = SyntheticIntents(num_users=200, num_items=100)[0]
    torch.manual_seed(0)
    model = build_model(graph, alignment='full')
    data = InteractionDataModule(graph, batch_size=512)
    if args.by_hand:
        test = train_by_hand(model, data, args.epochs)
    else:
        test = fit(
            model,
            data,
            args.out,  # The same in all processes.
            epochs=args.epochs,
            devices=args.devices,
            resume=Path(args.out, 'last.ckpt').exists(),
        ).test
    if int(os.environ.get('RANK', os.environ.get('LOCAL_RANK', 0))) == 0:
        print(f'Recall@20 {test["recall@20"]:.4f}')
    return 0


if __name__ == '__main__':
    sys.exit(main())
