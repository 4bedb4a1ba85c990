from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Literal, Optional, Union

from typer import Option

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.open_bundle import open_bundle
from pyg_irllrec.cli.options import (
    BundleArgument,
    Config,
    Device,
    Json,
    Quiet,
    Threads,
)
from pyg_irllrec.cli.output import Output
from pyg_irllrec.nn import EASE, ItemKNN, Popularity, Ranker
from pyg_irllrec.presets import MAX_EASE_ITEMS
from pyg_irllrec.serving import Bundle
from pyg_irllrec.typing import RATES, SIDES
from pyg_irllrec.utils import UserItems

EXAMPLES = """\
pyg-irllrec evaluate runs/books
pyg-irllrec evaluate runs/books --k 5 --k 50 --metric ndcg --baselines --json"""

OPTIONS = {
    "'metrics'": '--metric',
    "'ks'": '--k',
    "'device'": '--device',
}


def evaluate(
    bundle: BundleArgument,
    k: Annotated[
        Optional[list[int]],
        Option(
            min=1,
            show_default='5, 10 and 20',
            help='Cut-off: the number of top items that count. Repeatable.',
        ),
    ] = None,
    metric: Annotated[
        Optional[list[str]],
        Option(
            show_default='recall and ndcg',
            help='Metric: recall, ndcg, precision, mrr, coverage or popularity. '
            'Repeatable.',
        ),
    ] = None,
    on: Annotated[
        Literal['test', 'val'], Option(help='Held-out part to measure on.')
    ] = 'test',
    baselines: Annotated[
        bool,
        Option(
            '--baselines',
            help='Also measure Popularity and EASE (with many items, ItemKNN), '
            'calibrated on validation.',
        ),
    ] = False,
    device: Device = 'cpu',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Measure how well a bundle ranks held-out interactions.

    The bundle is measured as it serves: it ranks users and items without training
    interactions by their texts, and prints how many there are. `train` does not do
    this, so its metrics can differ.
    """
    from pyg_irllrec.training import evaluate_ranker, fitting_cutoffs

    output = Output(as_json, quiet)
    found = open_bundle(bundle, device)
    size = len(found.users), len(found.items)
    train, held_out = _interactions(found, on)
    ks = tuple(k) if k else fitting_cutoffs(size[1])
    if max(ks) > size[1]:
        raise ValueError(
            f'--k must be at most the number of items, {size[1]}, got {max(ks)}'
        )
    rankers: dict[str, Ranker] = {'model': found.ranker}
    notes, chosen = [], {}
    if baselines:
        closed, num_labels = _calibrated(found, train, not quiet)
        name = type(closed).__name__
        rankers |= {'Popularity': Popularity(*size, train.pairs), name: closed}
        notes.append(_note_on_options(closed, num_labels))
        chosen = {name: {**closed.options, 'validation_interactions': num_labels}}
    metrics = tuple(metric or ('recall', 'ndcg'))
    results = {}
    for name, ranker in rankers.items():
        ranker.to(found.model.device)
        results[name] = evaluate_ranker(ranker, held_out, train, ks, metrics=metrics)
    by_text = {f'{side}s': found.ranker.tower.only_text(side).numel() for side in SIDES}
    options = {'options': chosen} if chosen else {}
    output.result(
        {'on': on, 'ranked_by_text': by_text, **options, **results},
        [*table_of(results), *notes, *_note_on_texts(by_text)],
    )


def _interactions(bundle: Bundle, on: str) -> tuple[UserItems, UserItems]:
    r"""The training interactions and the held-out interactions of a bundle."""
    rates, size = bundle.data[RATES], (len(bundle.users), len(bundle.items))
    held_out = rates.get(f'{on}_edge_label_index')
    if held_out is None or held_out.size(1) == 0:
        raise ValueError(
            f'the bundle must have held-out interactions (--on {on}), got none: '
            f'prepare --{on} holds them out, train --unsplit trains on all of them, '
            'and update adds them to training if they are in its new interactions'
        )
    return UserItems(rates.edge_index, *size), UserItems(held_out, *size)


def _calibrated(
    bundle: Bundle, train: UserItems, progress: bool
) -> tuple[Union[EASE, ItemKNN], int]:
    r"""EASE, or ItemKNN if there are too many items for EASE, with the options that are
    best on validation, and the number of validation interactions. If there are none, it
    has its default options."""
    size = len(bundle.users), len(bundle.items)
    closed = (EASE if size[1] <= MAX_EASE_ITEMS else ItemKNN)(*size, train.pairs)
    closed.to(bundle.model.device)
    label = bundle.data[RATES].get('val_edge_label_index')
    if label is None or label.size(1) == 0:
        return closed, 0
    closed.calibrate(UserItems(label, *size), train, progress=progress)
    return closed, label.size(1)


def _note_on_options(closed: Union[EASE, ItemKNN], num_labels: int) -> str:
    name = type(closed).__name__
    shown = ', '.join(f'{key}={value:g}' for key, value in closed.options.items())
    if num_labels == 0:
        return (
            f'{name} has its default {shown}: no validation interactions are held out.'
        )
    return f'{name} has {shown}, chosen on {num_labels} validation interactions.'


def table_of(results: Mapping[str, Mapping[str, float]]) -> Iterator[str]:
    r"""Yield the lines of a table with a row per model and a column per metric."""
    width = max(map(len, results))
    names = list(next(iter(results.values())))
    yield ' ' * width + ''.join(f'{name:>15}' for name in names)
    for model, values in results.items():
        yield f'{model:<{width}}' + ''.join(f'{values[each]:>15.4f}' for each in names)


def _note_on_texts(by_text: Mapping[str, int]) -> Iterator[str]:
    if any(by_text.values()):
        yield (
            f'{by_text["items"]} items and {by_text["users"]} users without training '
            'interactions are ranked by their texts, as in the service. They take '
            'places in the rankings, so the metrics differ from those of train, which '
            'ranks without these texts.'
        )


command = Command(evaluate, EXAMPLES, OPTIONS)
