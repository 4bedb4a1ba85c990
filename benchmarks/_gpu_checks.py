r"""The sections of :mod:`benchmarks.gpu` that check the results on the device."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import warnings
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only

from benchmarks import harness, sampling_eval
from benchmarks._gpu_measure import Row, draw_rows, matmul_precision
from benchmarks._gpu_setting import (
    BACKBONES,
    Setting,
    amazon_graph,
    draw_model,
    draw_triplets,
    need,
)
from benchmarks._gpu_step import make_step
from benchmarks._gpu_store import Entry
from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.functional import info_nce, intent_propagate, propagate
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import InteractionDataModule, TripletLoader, evaluate, fit
from pyg_irllrec.utils import UserItems, bipartite_edge_index, symmetric_norm

SECTION = 'checks'
# The tests of code that has its own path on a GPU.
TESTS = (
    'tests/training/test_captured_step.py',
    'tests/training/test_fit.py',
    'tests/nn/backbones',
    'tests/transforms',
    'tests/functional/_kernels/test_intent_propagate_triton.py',
)
TEST_NAMES = (
    'test_captured_step or gpu or cuda or test_devices or test_intent_propagate_triton'
)
TEST_SECONDS = 180
ROOT = Path(__file__).parents[1]
# The largest allowed relative errors.
FLOAT32, TF32, BFLOAT16 = 1e-5, 5e-3, 5e-2


def entries(setting: Setting) -> Iterator[Entry]:
    def entry(case: str, impl: str, run: Callable[..., Row], *args: Any) -> Entry:
        return Entry(SECTION, case, impl, partial(run, setting, *args))

    for impl, precision, bound in (
        ('eager', 'highest', FLOAT32),
        ('chunked', 'highest', FLOAT32),
        ('triton', 'highest', FLOAT32),
        ('triton', 'high', TF32),
        ('auto', 'highest', FLOAT32),
        ('moments', 'highest', FLOAT32),
    ):
        name = impl if precision == 'highest' else f'{impl}, tf32'
        yield entry('info_nce', name, _check_contrast, impl, precision, bound)
    for impl in ('csr', 'triton', 'auto'):
        yield entry('intent_propagate', impl, _check_propagation, impl)
    for backbone in BACKBONES:
        yield entry('loss, CPU and GPU', backbone, _check_loss, backbone)
    yield entry('captured step', 'losses', _check_captured)
    yield entry('captured step', 'replays differ', _check_draws)
    yield entry('captured step', 'repeatable', _check_repeated)
    yield entry('fit', 'resumed', _check_resume)
    yield entry('torch.compile', 'no graph breaks', _check_compiled)
    yield entry('autocast', 'bfloat16', _check_autocast)
    yield entry('evaluation', 'CPU and GPU', _check_evaluation)
    yield entry('triplets', 'drawn on the device', _check_triplets)
    for text_storage in ('half', 'host'):
        yield entry('text_storage', text_storage, _check_texts, text_storage)


def verdict(error: float, bound: float) -> Row:
    # A NaN does not agree.
    return {'max_error': error, 'bound': bound, 'agrees': bool(error <= bound)}


def _grads(function: Callable[..., Tensor], inputs: list[Tensor]) -> harness.Values:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    out = function(*leaves)
    upstream = torch.linspace(0.5, 1.5, out.numel(), device=out.device)
    total = (out * upstream.view(out.shape).to(out.dtype)).sum()
    grads = torch.autograd.grad(total, leaves)
    return {'out': out.detach(), **{str(i): grad for i, grad in enumerate(grads)}}


def _check_contrast(setting: Setting, impl: str, precision: str, bound: float) -> Row:
    """Compare all variants of the loss, on odd shapes, with the formula in float64."""
    if impl == 'triton':
        need('triton')
    errors = [
        _contrast_error(setting, impl, precision, *variant)
        for variant in _contrasts(setting, impl)
    ]
    return verdict(_worst(errors), bound)


def _contrast_error(
    setting: Setting,
    impl: str,
    precision: str,
    size: int,
    keys: int,
    dim: int,
    options: dict[str, Any],
) -> float:
    numbers = (size, size, keys) if keys else (size, size)
    rows = [
        draw_rows(number, dim, setting.device, seed, torch.float32)
        for seed, number in enumerate(numbers)
    ]
    options = _with_weights(options, size, keys or size, setting.device)
    with matmul_precision(precision):
        values = _grads(partial(info_nce, impl=impl, **options), rows)
    # Moments are an approximation, so they are compared with moments in float64.
    oracle = 'moments' if impl == 'moments' else 'eager'
    doubles = [row.double() for row in rows]
    wanted = _grads(partial(info_nce, impl=oracle, **options), doubles)
    return harness.max_relative_error(values, wanted)


def _contrasts(
    setting: Setting, impl: str
) -> Iterator[tuple[int, int, int, dict[str, Any]]]:
    size = setting.pick(3001, 67)
    yield size, 0, 32, {}
    yield size, size // 2 + 3, 50, {'temperature': 0.2, 'reduction': 'none'}
    yield size, 0, 64, {'temperature': 0.2, 'weight': True, 'key_weight': True}
    yield size, 0, 32, {'symmetric': True, 'temperature': 0.5}
    if impl != 'moments':
        yield size, 0, 200, {'temperature': 0.02, 'eps': 1e-8, 'reduction': 'sum'}


def _with_weights(
    options: dict[str, Any], size: int, keys: int, device: torch.device
) -> dict[str, Any]:
    out = dict(options)
    for name, length in (('weight', size), ('key_weight', keys)):
        if out.get(name):
            out[name] = torch.linspace(0.1, 2.0, length, device=device)
    return out


def _worst(errors: list[float]) -> float:
    """The largest error, or NaN if any error is NaN."""
    return next((error for error in errors if error != error), max(errors))


def _check_propagation(setting: Setting, impl: str) -> Row:
    """Check an undirected, a directed and a weighted graph."""
    if impl == 'triton':
        need('triton')
    graph = amazon_graph(setting.dry)
    pairs = graph.pairs.to(setting.device)
    undirected = bipartite_edge_index(pairs, *graph[1:])
    directed = torch.stack([pairs[0], pairs[1] + graph.num_users])
    weight = symmetric_norm(undirected, graph.num_nodes)
    rows = [
        draw_rows(graph.num_nodes, dim, setting.device, dim, torch.float32)
        for dim in (32, 40)
    ]
    errors = [
        _layer_error(intent_propagate, impl, rows, *graph)
        for graph in ((undirected, None), (directed, None), (undirected, weight))
    ]
    if impl != 'triton':
        errors.append(_layer_error(propagate, impl, rows[:1], undirected, weight))
    return verdict(_worst(errors), FLOAT32)


def _layer_error(
    layer: Callable[..., Tensor],
    impl: str,
    rows: list[Tensor],
    adj: Tensor,
    weight: Optional[Tensor],
) -> float:
    values = _grads(partial(_call, layer, impl, adj, weight), rows)
    double = None if weight is None else weight.double()
    doubles = [row.double() for row in rows]
    wanted = _grads(partial(_call, layer, 'eager', adj, double), doubles)
    return harness.max_relative_error(values, wanted)


def _call(
    layer: Callable[..., Tensor],
    impl: str,
    adj: Tensor,
    weight: Optional[Tensor],
    *rows: Tensor,
) -> Tensor:
    return layer(*rows, adj, weight, impl=impl)


class HostDraws(TorchDispatchMode):
    """Draw all random numbers on the CPU, so that devices can be compared."""

    def __torch_dispatch__(
        self,
        func: Any,
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: Optional[dict[str, Any]] = None,
    ) -> Any:
        kwargs = dict(kwargs or {})
        if torch.Tag.nondeterministic_seeded not in func.tags:
            return func(*args, **kwargs)
        device = _device_of(args, kwargs)
        if 'generator' in kwargs:
            kwargs['generator'] = None
        if 'device' in kwargs:
            kwargs['device'] = torch.device('cpu')
        host = func(*_to(args, 'cpu'), **_to(kwargs, 'cpu'))
        if func._schema.is_mutable:
            args[0].copy_(host)
            return args[0]
        return _to(host, device)


def _to(values: Any, device: Any) -> Any:
    return tree_map_only(Tensor, lambda x: x.to(device), values)


def _device_of(args: tuple[Any, ...], kwargs: dict[str, Any]) -> torch.device:
    for value in args:
        if isinstance(value, Tensor):
            return value.device
    return torch.device(kwargs.get('device') or 'cpu')


def _check_loss(setting: Setting, backbone: str) -> Row:
    """Compare loss and gradients on the CPU and the GPU, with the same weights, batch
    and random numbers."""
    width = setting.pick(384, 12)
    values = []
    for device in (torch.device('cpu'), setting.device):
        model = draw_model(setting, width, backbone=backbone, device=device)
        (triplets,) = draw_triplets(setting)
        torch.manual_seed(1)
        with HostDraws():
            total = model.loss(triplets.to(device)).total
        total.backward()
        found = {'loss': total.detach().cpu()} | {
            name: weight.grad.cpu()
            for name, weight in model.named_parameters()
            if weight.grad is not None
        }
        values.append(found)
    return verdict(harness.max_relative_error(values[1], values[0]), 5e-3)


def _check_captured(setting: Setting) -> Row:
    """Compare the losses of eager and captured steps without noise. Two eager runs show
    how much atomic additions differ from run to run."""
    batches = draw_triplets(setting, 8)
    losses = []
    for captured in (False, False, True):
        model = draw_model(setting, setting.pick(384, 12), noise=0.0)
        step = make_step(model, captured)
        losses.append(torch.stack([step(batch).clone() for batch in batches]))
    drift, error = (
        float(((other - losses[0]) / losses[0]).abs().max()) for other in losses[1:]
    )
    return verdict(error, max(1e-6, 2 * drift)) | {'eager_drift': drift}


def _check_draws(setting: Setting) -> Row:
    """Check that replays draw new noise: with fixed weights, losses must differ."""
    (triplets,) = draw_triplets(setting)
    step = make_step(draw_model(setting, setting.pick(384, 12)), True, lr=0.0)
    losses = [float(step(triplets)) for _ in range(10)]
    return {'agrees': len(set(losses)) == len(losses), 'losses': losses}


def _check_repeated(setting: Setting) -> Row:
    """Check that two runs with one seed have the same losses, with deterministic
    algorithms."""
    batches = draw_triplets(setting, 4)
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        losses = []
        for _ in range(2):
            step = make_step(draw_model(setting, setting.pick(384, 12)), True)
            losses.append([float(step(batch)) for batch in batches])
    finally:
        torch.use_deterministic_algorithms(False)
    return {'agrees': losses[0] == losses[1], 'losses': losses[0]}


def _check_resume(setting: Setting) -> Row:
    """Compare four epochs with two epochs that are resumed for two more."""
    data = SyntheticIntents(num_users=60, num_items=40)[0]
    weights = []
    for parts in ((4,), (2, 4)):
        with tempfile.TemporaryDirectory() as folder:
            for number, epochs in enumerate(parts):
                torch.manual_seed(0)
                model = build_model(data, alignment='full')
                fit(
                    model,
                    InteractionDataModule(data, batch_size=64),
                    f'{folder}/run',
                    epochs=epochs,
                    check_every=1,
                    device=setting.device,
                    resume=number > 0,
                    progress=False,
                )
        weights.append({n: w.detach().cpu() for n, w in model.named_parameters()})
    return verdict(harness.max_relative_error(weights[1], weights[0]), 1e-3)


def _check_compiled(setting: Setting) -> Row:
    """Check that the loss compiles into one graph, forward and backward."""
    torch.compiler.reset()
    model = draw_model(setting, setting.pick(384, 12), noise=0.0)
    (triplets,) = draw_triplets(setting)
    expected = model.loss(triplets, update_teacher=False).total
    compiled = torch.compile(
        lambda batch: model.loss(batch, update_teacher=False).total,
        fullgraph=True,
        backend='aot_eager',
    )
    total = compiled(triplets)
    total.backward()
    return verdict(abs(float(total - expected)) / abs(float(expected)), 1e-5)


def _check_autocast(setting: Setting) -> Row:
    """Compare the loss in bfloat16 with that in float32."""
    model = draw_model(setting, setting.pick(384, 12), noise=0.0)
    (triplets,) = draw_triplets(setting)
    wide = model.loss(triplets, update_teacher=False).total
    with torch.autocast(setting.device.type, torch.bfloat16):
        narrow = model.loss(triplets, update_teacher=False).total
    narrow.backward()
    return verdict(abs(float(narrow - wide)) / abs(float(wide)), BFLOAT16)


def _check_evaluation(setting: Setting) -> Row:
    sizes = sampling_eval.QUICK if setting.dry else sampling_eval.AMAZON
    split = sampling_eval.drawn(*sizes)
    user, item = sampling_eval.embeddings(split.test)
    metrics = []
    for device in (torch.device('cpu'), setting.device):
        test, train = split.test.to(device), split.train.to(device)
        metrics.append(evaluate(user.to(device), item.to(device), test, train))
    gap = max(abs(metrics[0][name] - metrics[1][name]) for name in metrics[0])
    return verdict(gap, 1e-4)  # Devices may break a near tie of scores differently.


def _check_triplets(setting: Setting) -> Row:
    """Check that each interaction is drawn once, that no negative is an interaction,
    and that the same seed draws the same triplets."""
    graph = amazon_graph(setting.dry)
    items = UserItems(graph.pairs.to(setting.device), *graph[1:])
    batch_size = setting.pick(4096, 32)
    known = items.pairs[0] * graph.num_items + items.pairs[1]
    first, again = (
        torch.cat(list(TripletLoader(items, batch_size)), dim=1) for _ in range(2)
    )
    user, item, negative = first
    is_right = (
        torch.equal((user * graph.num_items + item).sort().values, known)
        and not torch.isin(user * graph.num_items + negative, known).any()
        and torch.equal(first, again)
    )
    return {'agrees': bool(is_right), 'device': str(first.device)}


def _check_texts(setting: Setting, text_storage: str) -> Row:
    """Compare a step whose texts are stored elsewhere with one whose texts are on the
    device. Then train an epoch."""
    (triplets,) = draw_triplets(setting)
    found = []
    for storage in ('device', text_storage):
        model = draw_model(
            setting, setting.pick(384, 12), noise=0.0, text_storage=storage
        )
        batch = model.prefetch(triplets.cpu())
        total = model.loss(batch, update_teacher=False).total
        total.backward()
        found.append({'loss': total, 'table': next(model.parameters()).grad})
    preset = get_preset('lightgcn', 'own', 'full')
    preset['model']['text_storage'] = text_storage
    data = SyntheticIntents(60, 40)[0]
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.filterwarnings('ignore', message='training steps run eagerly')
        fit(
            build_model(data, alignment='full', preset=preset),
            InteractionDataModule(data, batch_size=64),
            f'{folder}/run',
            epochs=1,
            device=setting.device,
            progress=False,
        )
    bound = BFLOAT16 if text_storage == 'half' else 1e-5
    return verdict(harness.max_relative_error(found[1], found[0]), bound)


def test_entries(setting: Setting) -> Iterator[Entry]:
    yield Entry('tests', 'a sample', 'pytest', partial(_run_tests, setting))


def _run_tests(setting: Setting) -> Row:
    """Run pytest in its own process, because a failing capture can break CUDA."""
    words = [sys.executable, '-m', 'pytest', '-q', '-p', 'no:cacheprovider']
    # On a CPU, the suite runs these tests anyway.
    paths = [*TESTS[:1], '--collect-only'] if setting.dry else TESTS
    done = subprocess.run(
        [*words, '-k', TEST_NAMES, *paths],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=TEST_SECONDS,
    )
    lines = done.stdout.strip().splitlines() or [done.stderr.strip()]
    failed = [line for line in lines if line.startswith(('FAILED', 'ERROR'))]
    row: Row = {'outcome': lines[-1], 'tests': failed}
    if setting.dry and done.returncode == 0:  # The tests are collected, not run.
        return row
    # If all tests are skipped, nothing is checked.
    return row | {'agrees': done.returncode == 0 and 'passed' in lines[-1]}
