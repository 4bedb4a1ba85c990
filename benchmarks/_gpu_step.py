r"""The section of :mod:`benchmarks.gpu` that times training steps at amazon's size."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import Any

import torch
from torch import Tensor
from torch_geometric.data import HeteroData

from benchmarks._gpu_measure import (
    Row,
    Step,
    count_kernels,
    extra_memory,
    matmul_precision,
    measure,
    start_memory,
)
from benchmarks._gpu_setting import (
    BACKBONES,
    Setting,
    amazon_graph,
    draw_model,
    draw_triplets,
)
from benchmarks._gpu_store import Entry
from benchmarks.plain import plain_losses
from benchmarks.train_step import towers
from pyg_irllrec import build_model
from pyg_irllrec.assemble import choose_preset
from pyg_irllrec.nn import IRLLRec
from pyg_irllrec.training import (
    CapturedStep,
    InteractionDataModule,
    TripletLoader,
    fit,
)
from pyg_irllrec.utils import UserItems

SECTION = 'step'
PRECISIONS = ('32', 'tf32', 'bf16')
WARM_UP = 4
"""Three eager steps, then the capture."""


def entries(setting: Setting) -> Iterator[Entry]:
    def entry(text: int, impl: str, *args: Any, **kwargs: Any) -> Entry:
        width = setting.pick(text, text // 64)
        run = partial(_time_step, setting, width, *args, **kwargs)
        return Entry(SECTION, f'text {text}', impl, run)

    for text in (1536, 384):
        for way in ('exact', 'moments'):
            yield entry(text, f'{way}, captured', way, True)
        yield entry(text, 'exact', 'exact', False)
        yield entry(text, 'plain', 'plain', False)
        yield entry(text, 'plain, captured', 'plain', True)
        towers = partial(_time_towers, setting, setting.pick(text, text // 64))
        yield Entry(SECTION, f'text {text}', 'towers alone', towers)
    for precision in PRECISIONS[1:]:
        for way in ('exact', 'moments'):
            impl = f'{way}, captured, {precision}'
            yield entry(1536, impl, way, True, precision)
    yield entry(1536, 'moments', 'moments', False)
    yield entry(1536, 'chunked, captured', 'chunked', True)
    yield entry(1536, 'exact, captured, half texts', 'exact', True, text_storage='half')
    # A step that copies texts from the host cannot be captured.
    yield entry(1536, 'exact, texts on the host', 'exact', False, text_storage='host')
    for name in BACKBONES:
        if name != 'lightgcn':
            impl = f'exact, captured, {name}'
            yield entry(384, impl, 'exact', True, backbone=name)
    for captured in (True, False):
        run = partial(_time_fit, setting, setting.pick(384, 6), captured)
        yield Entry(SECTION, 'text 384', f'fit, exact{", captured" * captured}', run)
    for captured in (True, False):
        run = partial(_time_default, setting, captured)
        impl = 'captured' if captured else 'eager'
        yield Entry(SECTION, 'default recipe, no texts', impl, run)


def _time_default(setting: Setting, captured: bool) -> Row:
    """Time the default recipe: batches of whole users against all items."""
    data = _amazon_data(setting)
    preset = choose_preset(data)
    preset['companions'] = {}  # Companions are not trained by steps.
    model = build_model(data, preset=preset).to(setting.device)
    items = UserItems(*amazon_graph(setting.dry)).to(setting.device)
    loader = TripletLoader(items, **preset['data'])
    triplets = next(iter(loader))
    step = partial(make_step(model, captured, loader=loader), triplets)
    return _time(setting, step)


def _time_step(
    setting: Setting,
    width: int,
    way: str,
    captured: bool,
    precision: str = '32',
    **options: str,
) -> Row:
    model = draw_model(setting, width, way=way, **options)
    (triplets,) = draw_triplets(setting)
    step = partial(make_step(model, captured), triplets)
    with ExitStack() as stack:
        stack.enter_context(precise(precision, setting.device))
        if way == 'plain':
            stack.enter_context(plain_losses())
        return _time(setting, step)


def _time(setting: Setting, step: Callable[[], Tensor]) -> Row:
    before = start_memory(setting.device)
    for _ in range(WARM_UP):
        step()
    # A replay allocates nothing. The capture allocates the memory of all replays.
    first = extra_memory(setting.device, before)
    row = measure(step, setting.device)
    row['extra_mb'] = max(first, row.get('extra_mb', 0.0))
    return row | count_kernels(step, setting.device)


def make_step(
    model: IRLLRec,
    captured: bool,
    lr: float = 1e-3,
    loader: TripletLoader | None = None,
) -> Callable[[Tensor], Tensor]:
    """A function that trains on one batch and returns the loss."""
    optimizer = torch.optim.Adam(model.parameters(), lr=lr, fused=True)
    if captured:
        captured_step = CapturedStep(model, optimizer, loader)
        return lambda triplets: captured_step(triplets).total

    def step(triplets: Tensor) -> Tensor:
        optimizer.zero_grad()
        loss = model.loss(triplets).total
        loss.backward()
        optimizer.step()
        return loss.detach()

    return step


@contextmanager
def precise(name: str, device: torch.device) -> Iterator[None]:
    """Run steps in a precision, as :func:`fit` does."""
    with ExitStack() as stack:
        if name == 'tf32':
            stack.enter_context(matmul_precision('high'))
        if name == 'bf16':
            stack.enter_context(torch.autocast(device.type, torch.bfloat16))
        yield


def _time_towers(setting: Setting, width: int) -> Row:
    step: Step = towers(draw_model(setting, width))
    return measure(step, setting.device)


def _time_fit(setting: Setting, width: int, captured: bool) -> Row:
    """Time a step of :func:`fit`, with Lightning and the drawing of batches."""
    model = draw_model(setting, width)
    data = _amazon_data(setting)
    batches = InteractionDataModule(
        data, unsplit=True, batch_size=setting.pick(4096, 512)
    )
    with tempfile.TemporaryDirectory() as folder:
        result = fit(
            model,
            batches,
            f'{folder}/run',
            epochs=setting.pick(4, 1),
            device=setting.device,
            capture=captured,
            progress=False,
        )
    return {'seconds': result.seconds_per_step}


def _amazon_data(setting: Setting) -> HeteroData:
    graph = amazon_graph(setting.dry)
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = graph.num_users, graph.num_items
    data['user', 'rates', 'item'].edge_index = graph.pairs
    return data
