r"""The sizes, graphs and models that the sections of :mod:`benchmarks.gpu` share."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from importlib.util import find_spec
from typing import NamedTuple

import torch
from torch import Tensor

from benchmarks._gpu_measure import draw_rows
from benchmarks.graphs import Interactions, amazon
from benchmarks.plain import PlainIRLLRec, PlainLightGCN
from pyg_irllrec.nn import (
    BIGCF,
    DCCF,
    SGL,
    Backbone,
    IntentAlignmentLoss,
    IRLLRec,
    LightGCN,
    SimGCL,
)
from pyg_irllrec.training import TripletLoader
from pyg_irllrec.utils import UserItems, bipartite_edge_index

BACKBONES: dict[str, Callable[..., Backbone]] = {
    'lightgcn': LightGCN,
    'sgl': SGL,
    'simgcl': SimGCL,
    'dccf': DCCF,
    'bigcf': BIGCF,
}
# The implementations of the alignment's InfoNCE and of the translation term's.
KERNELS = {
    'plain': ('eager', 'eager'),
    'exact': ('auto', 'auto'),
    'chunked': ('chunked', 'chunked'),
    'moments': ('auto', 'moments'),
}


class LeftOut(Exception):
    """A peer cannot run here, which is not a failure."""


class Setting(NamedTuple):
    """The device, and whether this is a dry run at toy size."""

    device: torch.device
    dry: bool

    def pick(self, real: int, toy: int) -> int:
        return toy if self.dry else real


def need(package: str) -> None:
    """Leave the peer out if its package is not installed."""
    if find_spec(package) is None:
        raise LeftOut(f'{package} is not installed')


@cache
def amazon_graph(dry: bool) -> Interactions:
    """A random graph of amazon's size, which needs no file."""
    return amazon(None, 0.003 if dry else 1.0)


@cache
def _draw_text(setting: Setting, width: int, seed: int) -> Tensor:
    """Random texts, drawn on the CPU so that all devices get the same."""
    num_nodes = amazon_graph(setting.dry).num_nodes
    return draw_rows(num_nodes, width, torch.device('cpu'), seed, torch.float32)


def draw_model(
    setting: Setting,
    width: int,
    *,
    way: str = 'exact',
    backbone: str = 'lightgcn',
    device: torch.device | None = None,
    noise: float = 1.0,
    text_storage: str = 'device',
) -> IRLLRec:
    """The full method on a graph of amazon's size, with random texts."""
    graph = amazon_graph(setting.dry)
    device = setting.device if device is None else device
    sizes = graph.num_users, graph.num_items
    torch.manual_seed(0)
    num_intents = setting.pick(128, 8)
    if way == 'plain':
        base: Backbone = PlainLightGCN(*sizes, num_intents=num_intents, impl='eager')
    else:
        base = BACKBONES[backbone](*sizes, num_intents=num_intents)
    impl, translation = KERNELS[way]
    alignment = IntentAlignmentLoss(
        impl=impl, translation_impl=translation, noise=noise
    )
    model = (PlainIRLLRec if way == 'plain' else IRLLRec)(
        base,
        bipartite_edge_index(*graph),
        profile=_draw_text(setting, width, 0),
        intent=_draw_text(setting, width, 1),
        alignment=alignment,
        text_storage=text_storage,
    )
    return model.to(device)


def draw_triplets(setting: Setting, number: int = 1) -> list[Tensor]:
    """The first batches of an epoch."""
    items = UserItems(*amazon_graph(setting.dry))
    loader = TripletLoader(items, setting.pick(4096, 32))
    batches = list(loader)[:number]
    return [batch.to(setting.device) for batch in batches]
