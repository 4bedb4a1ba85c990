r"""The section of :mod:`benchmarks.gpu` that compares block sizes of the kernels."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from unittest.mock import patch

import torch

from benchmarks._gpu_contrast import draw_inputs, make_loss, take_step
from benchmarks._gpu_graph import time_layer
from benchmarks._gpu_measure import Row, matmul_precision, measure
from benchmarks._gpu_setting import LeftOut, Setting, need
from benchmarks._gpu_store import Entry
from pyg_irllrec.functional._kernels import info_nce_triton, intent_propagate_triton
from pyg_irllrec.functional._kernels.info_nce_triton import Block

SECTION = 'blocks'
# Number of rows and width.
CASES = {'n=20332 d=32': (20_332, 32), 'n=65536 d=64': (65_536, 64)}
PRECISIONS = {'highest': '', 'high': ', tf32'}
CANDIDATES = (
    Block(128, 64, 4, 3),
    Block(128, 64, 8, 3),
    Block(128, 64, 4, 2),
    Block(64, 64, 4, 3),
    Block(128, 32, 4, 3),
    Block(128, 128, 8, 2),
)

# Values to gather at once, and warps.
TILES = ((512, 1), (1024, 1), (1024, 2), (2048, 2), (4096, 4))
# The least number of edges per program. In a large graph, programs have more anyway.
SPLITS = (64, 128, 256, 512, 1024)


def entries(setting: Setting) -> Iterator[Entry]:
    for case, (size, dim) in CASES.items():
        for precision, suffix in PRECISIONS.items():
            for block in CANDIDATES[: setting.pick(len(CANDIDATES), 1)]:
                run = partial(_time, setting, size, dim, precision, block)
                yield Entry(SECTION, case + suffix, name_of(block), run)
    for tile in TILES[: setting.pick(len(TILES), 1)]:
        run = partial(_time_propagation, setting, tile)
        impl = f'{tile[0]} values, {tile[1]} warps'
        yield Entry(SECTION, 'intent_propagate, E=20000000 d=64', impl, run)
    for split in SPLITS[: setting.pick(len(SPLITS), 1)]:
        run = partial(_time_split, setting, split)
        yield Entry(SECTION, 'intent_propagate, amazon d=32', f'split {split}', run)


def name_of(block: Block) -> str:
    return f'{block.own} x {block.other}, {block.warps} warps, {block.stages} stages'


def _time(setting: Setting, size: int, dim: int, precision: str, block: Block) -> Row:
    """Time forward and backward, and forward alone, with the same block in both
    kernels."""
    need('triton')
    table = {key: (block, block) for key in info_nce_triton.BLOCKS}
    loss = make_loss('triton')
    query, key = draw_inputs(setting.device, setting.pick(size, 140), dim)
    with matmul_precision(precision), patch.dict(info_nce_triton.BLOCKS, table):
        try:
            row = measure(
                partial(take_step, loss, query, key), setting.device, seconds=0.2
            )
            with torch.no_grad():
                forward = measure(
                    partial(loss, query, key), setting.device, seconds=0.1
                )
        except Exception as error:  # The block needs too many registers or memory.
            if 'out of resource' not in str(error):
                raise
            raise LeftOut(str(error)) from error
    return row | {'forward_seconds': forward['seconds']}


def _time_propagation(setting: Setting, tile: tuple[int, int]) -> Row:
    tiles = {'forward': tile, 'backward': tile}
    with patch.dict(intent_propagate_triton.TILES, tiles):
        return time_layer(setting, 'E=20000000 d=64', 64, 'triton')


def _time_split(setting: Setting, split: int) -> Row:
    with patch.object(intent_propagate_triton, 'LEAST_SPLIT', split):
        return time_layer(setting, 'amazon d=32', 32, 'triton')
