r"""Compare approximations of InfoNCE without N x N logits: accuracy against cost.

    python -m benchmarks.approximation --json FILE --png FILE

All methods approximate the denominator, a log-sum-exp over all keys. The error is the
relative error (in norm) of the gradient of the loss with respect to queries and keys,
against the exact gradient in float64. Time and error are medians of three turns, each
with its own random draws. Writes the rows (--json) and a picture (--png). Takes about
5 minutes on two cores.
"""

from __future__ import annotations

import math
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, Optional

import torch
from torch import Tensor

from benchmarks import harness
from pyg_irllrec.functional import info_nce, unit_norm
from pyg_irllrec.utils.optional import import_optional

Loss = Callable[[Tensor, Tensor, float], Tensor]
# The losses of a method by its budget: the number of clusters, keys or features.
Sizes = dict[Optional[int], Loss]

DIM = 32
TEMPERATURES = (1.0, 0.5, 0.2)
TURNS = 3
EXACT, MOMENTS = 'exact', 'moments'


# The datasets, each a pair of queries and keys.


def isotropic(n: int) -> tuple[Tensor, Tensor]:
    return torch.randn(n, DIM), torch.randn(n, DIM)


def one_direction(n: int) -> tuple[Tensor, Tensor]:
    """Vectors with a common direction: their mean cosine is 0.3."""
    shift = 0.65 * math.sqrt(DIM) * unit_norm(torch.randn(DIM))
    query, key = isotropic(n)
    return query + shift, key + shift


def anisotropic(n: int) -> tuple[Tensor, Tensor]:
    scale = torch.linspace(2, 0.1, DIM)
    query, key = isotropic(n)
    return query * scale, key * scale


def clustered(n: int) -> tuple[Tensor, Tensor]:
    """Like texts: 30 clusters with a cosine of 0.7 inside. A query and its key are in
    the same cluster."""
    centre = math.sqrt(DIM) * unit_norm(torch.randn(30, DIM))[torch.randint(30, (n,))]
    query, key = isotropic(n)
    return centre + 0.65 * query, centre + 0.65 * key


DATASETS = {
    'isotropic': isotropic,
    'one direction': one_direction,
    'anisotropic': anisotropic,
    'clustered': clustered,
}

# Approximations of the log-sum-exp of the logits x y^T over the unit keys y.


def covariance(x: Tensor, deviation: Tensor) -> Tensor:
    """The variance of each row's logits."""
    return ((x @ (deviation.t() @ deviation / deviation.size(0))) * x).sum(dim=1)


def log_variance(x: Tensor, y: Tensor) -> Tensor:
    mean = y.mean(dim=0)
    variance = covariance(x, y - mean)
    return math.log(y.size(0)) + x @ mean + torch.log1p(variance / 2)


def third_cumulant(x: Tensor, y: Tensor) -> Tensor:
    mean = y.mean(dim=0)
    deviation = y - mean
    left, right = torch.triu_indices(DIM, DIM, device=y.device)
    count = torch.where(left == right, 1.0, 2.0)
    tensor = (deviation[:, left] * deviation[:, right]).t() @ deviation / y.size(0)
    third = ((x[:, left] * x[:, right] * count) @ tensor * x).sum(dim=1)
    cumulants = x @ mean + covariance(x, deviation) / 2 + third / 6
    return math.log(y.size(0)) + cumulants


class Clusters(NamedTuple):
    assignment: Tensor
    count: Tensor
    mean: Tensor


def clusters(y: Tensor, number: int) -> Clusters:
    """Two steps of Lloyd's algorithm, from random keys as centres."""

    def means(assignment: Tensor, count: Tensor) -> Tensor:
        total = y.new_zeros(number, DIM).index_add(0, assignment, y)
        return total / count.clamp(min=1).unsqueeze(1)

    with torch.no_grad():
        centre = y[torch.randperm(y.size(0), device=y.device)[:number]]
        for step in range(3):
            assignment = (y @ centre.t()).argmax(dim=1)
            count = torch.bincount(assignment, minlength=number).to(y.dtype)
            if step < 2:
                centre = unit_norm(means(assignment, count))
    return Clusters(assignment, count, means(assignment, count))


def shared_covariance(x: Tensor, y: Tensor, number: int) -> Tensor:
    assignment, count, mean = clusters(y, number)
    within = covariance(x, y - mean[assignment])
    return torch.logsumexp(x @ mean.t() + count.log(), dim=1) + within / 2


def own_covariances(x: Tensor, y: Tensor, number: int) -> Tensor:
    assignment, count, mean = clusters(y, number)
    deviation = y - mean[assignment]
    outer = deviation.unsqueeze(2) * deviation.unsqueeze(1)
    within = outer.new_zeros(number, DIM, DIM).index_add(0, assignment, outer)
    within = within / count.clamp(min=1).view(-1, 1, 1)
    by_cluster = (x @ within.permute(1, 0, 2).flatten(1)).view(-1, number, DIM)
    variance = (by_cluster * x.unsqueeze(1)).sum(dim=2)
    return torch.logsumexp(x @ mean.t() + count.log() + variance / 2, dim=1)


def sampled_keys(x: Tensor, y: Tensor, number: int) -> Tensor:
    """One uniform sample of keys for all queries, corrected for its probability."""
    sample = y[torch.randint(y.size(0), (number,), device=y.device)]
    return torch.logsumexp(x @ sample.t(), dim=1) + math.log(y.size(0) / number)


def random_features(x: Tensor, y: Tensor, number: int) -> Tensor:
    """Positive orthogonal features of "Rethinking Attention with Performers"."""
    # Scale both sides to the same length; the logits do not change.
    root = x.detach().norm(dim=1).mean().sqrt()
    x, y = x / root, y * root
    draws = torch.randn(2, -(-number // DIM), DIM, DIM, device=x.device)
    direction = torch.linalg.qr(draws[0]).Q * draws[1].norm(dim=2, keepdim=True)
    w = direction.flatten(0, 1)[:number]
    by_query, by_key = (
        z @ w.t() - z.square().sum(dim=1, keepdim=True) / 2 for z in (x, y)
    )
    return torch.logsumexp(by_query + by_key.logsumexp(dim=0), dim=1) - math.log(number)


def package(impl: str) -> Loss:
    return lambda query, key, t: info_nce(query, key, temperature=t, impl=impl)


def by(log_sum_exp: Callable[..., Tensor], *size: int) -> Loss:
    def loss(query: Tensor, key: Tensor, t: float) -> Tensor:
        x, y = unit_norm(query) / t, unit_norm(key)
        return (log_sum_exp(x, y, *size) - (x * y).sum(dim=1)).mean()

    return loss


def sized(log_sum_exp: Callable[..., Tensor], *sizes: int) -> Sizes:
    return {size: by(log_sum_exp, size) for size in sizes}


METHODS: dict[str, Sizes] = {
    MOMENTS: {None: package('moments')},
    'log(1 + variance/2)': {None: by(log_variance)},
    'third cumulant': {None: by(third_cumulant)},
    'clusters, shared covariance': sized(shared_covariance, 16, 32, 64, 128, 256, 512),
    'clusters, own covariances': sized(own_covariances, 4, 8, 16, 32),
    'sampled keys': sized(sampled_keys, 256, 1024, 4096),
    'random features': sized(random_features, 64, 256, 1024),
    EXACT: {None: package('chunked')},
}


def main() -> int:
    parser = harness.parser(__doc__)
    parser.add_argument('--png', type=Path, metavar='FILE', help='draw the errors')
    args = parser.parse_args()
    if not harness.has_device(args.device):
        return 2
    num_rows = 2_000 if args.quick else 20_000
    rows: list[dict[str, Any]] = []
    for dataset, data in DATASETS.items():
        torch.manual_seed(0)
        query, key = (x.to(args.device) for x in data(num_rows))
        for temperature in TEMPERATURES:
            print(f'{dataset}, temperature {temperature} ...', file=sys.stderr)
            for row in measure(query, key, temperature):
                case = {'dataset': dataset, 'n': num_rows, 'temperature': temperature}
                rows.append(case | row)
    print(table(rows))
    if args.json is not None:
        harness.write(args.json, 'approximation', rows)
    if args.png is not None:
        draw(rows, args.png)
    return 0


def measure(query: Tensor, key: Tensor, temperature: float) -> list[dict[str, Any]]:
    exact = package('chunked')
    expected, _ = gradient(exact, query.double(), key.double(), temperature)
    rows = []
    for name, sizes in METHODS.items():
        for size, loss in sizes.items():
            if size is not None and size >= key.size(0):
                continue
            turns = [gradient(loss, query, key, temperature) for _ in range(TURNS)]
            errors = [float((g - expected).norm() / expected.norm()) for g, _ in turns]
            rows.append(
                {
                    'impl': name,
                    'size': size,
                    'seconds': statistics.median(seconds for _, seconds in turns),
                    'error': statistics.median(errors),
                }
            )
    return rows


def gradient(
    loss: Loss, query: Tensor, key: Tensor, temperature: float
) -> tuple[Tensor, float]:
    """The gradient by queries and keys, and the seconds of forward and backward."""
    inputs = [x.clone().requires_grad_() for x in (query, key)]
    start = now(query.device)
    gradients = torch.autograd.grad(loss(*inputs, temperature), inputs)
    seconds = now(query.device) - start
    return torch.cat(gradients), seconds


def now(device: torch.device) -> float:
    if device.type == 'cuda':
        torch.cuda.synchronize()
    return time.perf_counter()


def label(row: dict[str, Any]) -> str:
    return row['impl'] if row['size'] is None else f'{row["impl"]}, {row["size"]}'


def table(rows: list[dict[str, Any]]) -> str:
    """A Markdown table: each method's errors on all datasets and its median time."""
    lines = [
        '| temperature | method | seconds |' + ''.join(f' {d} |' for d in DATASETS),
        '|---' * (3 + len(DATASETS)) + '|',
    ]
    for temperature in TEMPERATURES:
        groups: dict[str, list[dict[str, Any]]] = {}
        for row in rows:
            if row['temperature'] == temperature:
                groups.setdefault(label(row), []).append(row)
        for name, group in groups.items():
            seconds = statistics.median(row['seconds'] for row in group)
            errors = ''.join(f' {row["error"]:.1e} |' for row in group)
            lines.append(f'| {temperature} | {name} | {seconds:.3g} |{errors}')
    return '\n'.join(lines)


def draw(rows: list[dict[str, Any]], path: Path) -> None:
    figures = import_optional('matplotlib.figure', '--png', 'plot')
    figure = figures.Figure(figsize=(13, 9), layout='constrained')
    grid = figure.subplots(
        len(TEMPERATURES), len(DATASETS), sharex=True, sharey=True, squeeze=False
    )
    for temperature, line in zip(TEMPERATURES, grid):
        for dataset, axes in zip(DATASETS, line):
            case = dataset, temperature
            panel(axes, [r for r in rows if (r['dataset'], r['temperature']) == case])
        line[0].set_ylabel(f'temperature {temperature:g}\ngradient error')
    for dataset, axes, last in zip(DATASETS, grid[0], grid[-1]):
        axes.set_title(dataset)
        last.set_xlabel('seconds, forward and backward')
    handles, names = axes.get_legend_handles_labels()
    figure.legend(handles, names, loc='outside lower center', ncols=4, frameon=False)
    figure.suptitle(f'Gradient error of InfoNCE against cost, {rows[0]["n"]} rows')
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=130)


def panel(axes: Any, rows: list[dict[str, Any]]) -> None:
    """Draw one dataset at one temperature. Marks grow with the budget of a method."""
    for number, (name, marker) in enumerate(zip(METHODS, 'DvP^so*')):
        points = [row for row in rows if row['impl'] == name]
        seconds, errors = ([row[key] for row in points] for key in ('seconds', 'error'))
        main = name == MOMENTS
        colour = 'black' if main else f'C{number}'
        areas = [90 if main else 30 + 10 * place for place in range(len(points))]
        axes.plot(seconds, errors, color=colour, linewidth=1)
        axes.scatter(
            seconds,
            errors,
            areas,
            color=colour,
            marker=marker,
            zorder=3,
            label=name_of(points),
        )
    (exact,) = (row['seconds'] for row in rows if row['impl'] == EXACT)
    axes.axvline(exact, color='0.4', linestyle='--', label='exact (its time)')
    axes.set(xscale='log', yscale='log')
    axes.grid(alpha=0.25)


def name_of(points: list[dict[str, Any]]) -> str:
    name, sizes = points[0]['impl'], [row['size'] for row in points]
    return name if len(sizes) == 1 else f'{name}, {sizes[0]} to {sizes[-1]}'


if __name__ == '__main__':
    sys.exit(main())
