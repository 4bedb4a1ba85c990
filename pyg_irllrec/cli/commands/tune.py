from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from typer import Option

from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.make_encoder import cached, make_encoder
from pyg_irllrec.cli.make_graph import check_texts, make_graph
from pyg_irllrec.cli.model_options import (
    AlignmentOption,
    BackboneOption,
    EncoderOption,
    IntentsOption,
    MissingOption,
    ProfilesOption,
    TextChoices,
    TextsOption,
)
from pyg_irllrec.cli.options import (
    Config,
    DataArgument,
    Device,
    Json,
    Quiet,
    Seed,
    Threads,
    parse_out,
)
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.read_preset import write_tuned
from pyg_irllrec.cli.split_options import WITHOUT_COLD_ADVICE
from pyg_irllrec.cli.table import table

if TYPE_CHECKING:
    from pyg_irllrec.training import TuneResult

EXAMPLES = """\
pyg-irllrec tune data/books --out runs/tuned --trials 30
pyg-irllrec train data/books --out runs/books --preset runs/tuned/preset.json"""

OPTIONS = {
    "'epochs'": '--epochs',
    "'seed'": '--seed',
    "'device'": '--device',
    "'trials'": '--trials',
    **WITHOUT_COLD_ADVICE,
}


def tune(
    data: DataArgument,
    out: Annotated[
        Path, Option(parser=parse_out, metavar='DIR', help='Folder of the search.')
    ],
    backbone: BackboneOption = 'lightgcn',
    alignment: AlignmentOption = 'auto',
    encoder: EncoderOption = 'tfidf',
    texts: TextsOption = True,
    intents: IntentsOption = True,
    profiles: ProfilesOption = True,
    missing: MissingOption = 'error',
    trials: Annotated[
        int, Option(min=1, help='Total number of trials, including those in DIR.')
    ] = 20,
    epochs: Annotated[
        int, Option(min=1, help='Maximum number of epochs per trial.')
    ] = 100,
    prune: Annotated[
        bool, Option('--prune/--no-prune', help='Stop trials early that fall behind.')
    ] = True,
    seed: Seed = 0,
    device: Device = 'auto',
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Search for the best hyper-parameters on validation.

    Maximise Recall@20 + NDCG@20 and write DIR/preset.json, for train --preset. After
    an interruption the same command continues, and a larger --trials extends the
    search.
    """
    from pyg_irllrec import training

    training.parse_device(device)
    output = Output(as_json, quiet)
    folder = DataFolder(data)
    folder.check_differs_from(out)
    encode = cached(
        make_encoder(encoder, output.progress), folder.path, output.progress
    )
    choices = TextChoices(texts, intents, profiles, missing)
    graph = make_graph(folder, encode, choices)
    check_texts(graph, backbone, alignment, choices)
    found = training.tune(
        lambda preset: build_model(graph, backbone, alignment, preset),
        training.default_space(backbone, alignment),
        graph,
        out,
        preset=choose_preset(graph, backbone, alignment),
        trials=trials,
        epochs=epochs,
        prune=prune,
        seed=seed,
        device=device,
        progress=output.progress,
    )
    write_tuned(out, backbone, alignment, texts)
    preset = out / 'preset.json'
    states = [trial['state'] for trial in found.trials]
    output.result(
        {
            'preset': preset,
            'params': found.params,
            'value': found.value,
            'trials': {state: states.count(state) for state in sorted(set(states))},
        },
        _lines(preset, found),
    )


def _lines(preset: Path, found: TuneResult) -> Iterator[str]:
    yield (
        f'best of {len(found.trials)} trials: Recall@20 + NDCG@20 = '
        f'{found.value:.4f} on validation (default preset: '
        f'{found.trials[0]["value"]:.4f})'
    )
    yield from table(
        ['hyper-parameter', 'value'],
        [
            [name, f'{value:.4g}' if isinstance(value, float) else str(value)]
            for name, value in found.params.items()
        ],
    )
    yield f'train with --preset {preset}'


command = Command(tune, EXAMPLES, OPTIONS, 'run the same command to continue')
