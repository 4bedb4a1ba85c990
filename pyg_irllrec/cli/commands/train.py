from __future__ import annotations

import json
import os
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, NamedTuple, Optional

import torch
from torch_geometric.data import HeteroData
from typer import Option

from pyg_irllrec.assemble import build_model, choose_preset
from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.commands.evaluate import table_of
from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.make_encoder import cached, make_encoder
from pyg_irllrec.cli.make_graph import make_graph
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
from pyg_irllrec.cli.read_preset import check_tuned, read_preset
from pyg_irllrec.cli.torchrun import check_torchrun, start_others, wait_for_first
from pyg_irllrec.nn import Recommender
from pyg_irllrec.presets import ALIGNMENT_TEXTS, Preset
from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.text.intents._journal import count_answers
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils import map_interactions

if TYPE_CHECKING:
    from pyg_irllrec.training import RunFolder

EXAMPLES = """\
pyg-irllrec train data/movies --out runs/movies
pyg-irllrec train data/movies --out runs/movies --epochs 300 --resume
pyg-irllrec train data/movies --out runs/final --unsplit runs/movies
pyg-irllrec train data/movies --out runs/movies --devices 2"""

BackboneName = Literal['lightgcn', 'sgl', 'simgcl', 'dccf', 'bigcf', 'alpharec']
AlignmentName = Literal['auto', 'none', 'profile', 'reconstruction', 'intents', 'full']


class _Choices(NamedTuple):
    r"""What a run must be resumed with."""

    backbone: str
    alignment: str
    translation: str
    encoder: str
    intents: bool
    profiles: bool
    seed: int


class _Validated(NamedTuple):
    r"""What a run with validation has chosen, for one on all interactions."""

    epochs: int
    model: Recommender


OPTIONS = {
    "'epochs'": '--epochs',
    "'seed'": '--seed',
    "'device'": '--device',
    "'devices'": '--devices',
    "'precision'": '--precision',
    "'logger'": '--logger',
    " (cold='drop' drops them)": '',
}


def train(
    data: DataArgument,
    out: Annotated[
        Path, Option(parser=parse_out, metavar='RUN', help='The folder of the run.')
    ],
    backbone: Annotated[BackboneName, Option(help='The graph model.')] = 'lightgcn',
    alignment: Annotated[
        AlignmentName,
        Option(help='What is made of texts; auto: the recipe for data of your own.'),
    ] = 'auto',
    translation: Annotated[
        Literal['exact', 'moments'],
        Option(
            help='The translation term of full: exact, or approximate and linear in '
            'the number of nodes.'
        ),
    ] = 'moments',
    encoder: Annotated[
        str,
        Option(
            help='Of texts: tfidf, sentence:MODEL, openai:MODEL or openai:MODEL@URL.'
        ),
    ] = 'tfidf',
    intents: Annotated[
        bool, Option('--intents/--no-intents', help='Read intents of DATA, if any.')
    ] = True,
    profiles: Annotated[
        bool, Option('--profiles/--no-profiles', help='Read profiles of DATA, if any.')
    ] = True,
    preset: Annotated[
        Optional[Path],
        Option(metavar='FILE', help='Hyper-parameters that pyg-irllrec tune found.'),
    ] = None,
    epochs: Annotated[int, Option(min=1, help='At most.')] = 100,
    unsplit: Annotated[
        Optional[Path],
        Option(
            metavar='RUN',
            help='Train on all interactions, for as many epochs and with the blend '
            'that this run, which held some out, has chosen.',
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = 'auto',
    devices: Annotated[
        int,
        Option(min=1, help='Devices of this machine to train on, a process for each.'),
    ] = 1,
    precision: Annotated[
        Literal['32-true', 'tf32', 'bf16-mixed', '64-true'],
        Option(help='tf32: faster on a GPU, bf16-mixed: text towers in bfloat16.'),
    ] = '32-true',
    capture: Annotated[
        bool,
        Option('--capture/--no-capture', help='On a GPU, a step is one CUDA graph.'),
    ] = True,
    logger: Annotated[
        Optional[Literal['csv', 'tensorboard']], Option(help='Written under RUN.')
    ] = None,
    resume: Annotated[
        bool, Option('--resume', help='Continue the run that was stopped.')
    ] = False,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Train a model and save it as a bundle, RUN/bundle.

    The model is a graph recommender that reads texts and intents where there are any,
    blended with EASE as validation shows. An earlier run in RUN is moved aside. One
    that was stopped continues with --resume, and ends as if it had never been.
    """
    from pyg_irllrec.training import (
        InteractionDataModule,
        RunFolder,
        fit,
        fitting_cutoffs,
        parse_device,
    )
    from pyg_irllrec.training._check_fit import check_devices, rank_of_process

    check_devices(devices, 'ddp', parse_device(device))
    check_torchrun(devices)
    is_first = rank_of_process(devices) == 0
    if threads is not None and devices > 1:
        os.environ['OMP_NUM_THREADS'] = str(threads)  # Lightning divides cores itself.
    if not is_first:
        warnings.simplefilter('ignore')  # The first process shows them.
        wait_for_first()
    output = Output(as_json, quiet or not is_first)
    folder = DataFolder(data)
    folder.check_other(out)
    choices = _Choices(
        backbone, alignment, translation, encoder, intents, profiles, seed
    )
    validated = None
    if unsplit is not None:
        _check_data(f'--unsplit {unsplit}', RunFolder(unsplit), folder)
        validated = _read_validated(unsplit, choices)
    run = RunFolder(out)
    if resume and run.config_path.is_file():
        _check_data(f'--out {out}', run, folder)
    if preset is not None:
        check_tuned(preset, backbone, alignment)
    encode = make_encoder(encoder, output.progress)
    graph, chosen = _make_graphs(folder, choices, encode, output, validated)
    if preset is not None:
        chosen = read_preset(preset, chosen)
    torch.manual_seed(seed)
    model = build_model(graph, backbone, alignment, chosen)
    interactions = InteractionDataModule(
        graph, seed=seed, unsplit=validated is not None, **chosen['data']
    )
    if validated is not None:
        _take_over(model, validated)
    settings = choices._asdict() | {'data': data, 'unsplit': unsplit}
    settings['data_digest'] = folder.digest(intents, profiles)
    settings['preset'] = None if preset is None else chosen
    if is_first:
        _open(run, settings, resume, output)
        start_others()
    if model.needs_calibration and interactions.val_items is not None:
        output.note(
            'after training, companions and their weights in the blend are '
            'chosen on validation'
        )
    result = fit(
        model,
        interactions,
        run.path,
        epochs=epochs if validated is None else validated.epochs,
        ks=fitting_cutoffs(model.num_items),
        seed=seed,
        device=device,
        devices=devices,
        precision=precision,
        capture=capture,
        logger=logger,
        resume=resume and run.has_checkpoint,
        progress=output.progress and not as_json,
        **chosen['fit'],
    )
    if not is_first:
        return
    bundle = Bundle(
        model.cpu(),
        graph,
        encoder=encode if 'profile' in graph['item'] else None,
        # Nothing that a user has rated, be it held out or disliked.
        seen=map_interactions(folder.open()[0], graph),
        metrics=result.test,
    )
    bundle.save(run.path / 'bundle')
    _draw_curves(run.path, output)
    blend = _blend(model)
    output.result(
        {
            'bundle': out / 'bundle',
            'best_epoch': result.best_epoch,
            'test': result.test,
            'blend': blend,
        },
        _lines(out / 'bundle', result.best_epoch, result.test, blend),
    )


def _open(
    run: RunFolder, settings: dict[str, Any], resume: bool, output: Output
) -> None:
    aside = run.open(settings, resume, places=('data', 'unsplit'))
    if aside is not None:
        output.note(f'moved the earlier run to {aside}')
    elif resume and not run.has_checkpoint:
        output.note(f'{run.path} holds no checkpoint to resume from: a new run begins')


def _make_graphs(
    folder: DataFolder,
    choices: _Choices,
    encoder: Any,
    output: Output,
    validated: Optional[_Validated],
) -> tuple[HeteroData, Preset]:
    r"""The graph to train on, and the hyper-parameters, which the one with validation
    decides."""
    encode = cached(encoder, folder.path, output.progress)
    read = {'intents': choices.intents, 'profiles': choices.profiles}
    graph = make_graph(folder, encode, **read)
    for name, is_read in read.items():
        if is_read:
            _note_incomplete(folder, name, graph, output)
    _check_texts(graph, choices)
    preset = choose_preset(graph, choices.backbone, choices.alignment)
    preset['loss'].pop('translation_impl', None)
    if choices.translation == 'moments':
        preset['loss']['translation_impl'] = 'moments'
    if validated is not None:
        graph = make_graph(folder, encode, **read, unsplit=True)
    return graph, preset


def _note_incomplete(
    folder: DataFolder, name: str, graph: HeteroData, output: Output
) -> None:
    r"""Where answers lie in the journal alone, as of a run that was stopped."""
    path = folder.path / f'{name}.jsonl'
    journal = path.with_suffix('.sqlite')
    if path.is_file() or not journal.is_file():
        return
    total = sum(graph[side].num_nodes for side in SIDES)
    answers = count_answers(journal)
    known = answers is not None and answers < total
    missing = f', {total - (answers or 0)} of {total} are missing' if known else ''
    output.note(
        f'{name} are not complete{missing}, and not read: go on with pyg-irllrec '
        f'intents {folder.path} (--what {name})'
    )


def _check_texts(graph: HeteroData, choices: _Choices) -> None:
    needed = ALIGNMENT_TEXTS[choices.alignment]
    if choices.backbone == 'alpharec':
        needed = (*needed, 'profile')
    ways = {
        'profile': 'texts of items (pyg-irllrec prepare --items)',
        'intent': 'intents (pyg-irllrec intents)',
    }
    for text, way in ways.items():
        if text in needed and text not in graph['item']:
            raise ValueError(
                f'--backbone {choices.backbone} --alignment {choices.alignment} needs '
                f'{way}, got none'
            )


def _check_data(given: str, run: RunFolder, folder: DataFolder) -> None:
    before = run.read_config()
    read = (bool(before.get(name)) for name in ('intents', 'profiles'))
    if before.get('data_digest') != folder.digest(*read):
        raise ValueError(
            f'{given} was begun on other data, {before.get("data")} as it was then, '
            f'than {folder.path} holds: give the same DATA, or choose another run'
        )


def _read_validated(path: Path, choices: _Choices) -> _Validated:
    from pyg_irllrec.training import RunFolder

    run = RunFolder(path)
    before = run.read_config()
    for name, value in choices._asdict().items():
        if before.get(name) != value:
            raise ValueError(
                f'--unsplit {path} was trained with {name}={before.get(name)!r}: give '
                f'the same here, got {name}={value!r}'
            )
    try:
        epochs = json.loads((run.path / 'metrics.json').read_bytes())['best_epoch']
        return _Validated(int(epochs), load(run.path / 'bundle').model)
    except (FileNotFoundError, KeyError, TypeError):
        raise ValueError(
            f'--unsplit {path} must be a run that was trained to its end: continue it '
            'with --resume'
        ) from None


def _take_over(model: Recommender, validated: _Validated) -> None:
    chosen = validated.model
    if model.blend_weight is not None and chosen.blend_weight is not None:
        model.blend_weight.copy_(chosen.blend_weight)
        model.companions.load_state_dict(chosen.companions.state_dict())


def _draw_curves(run: Path, output: Output) -> None:
    r"""The learning curves, where matplotlib is installed."""
    try:
        from pyg_irllrec.plot import learning_curves

        learning_curves(run / 'history.csv', run / 'curves.png')
    except ImportError:
        output.note("no learning curves are drawn: pip install 'pyg_irllrec[plot]'")


def _blend(model: Recommender) -> dict[str, float]:
    r"""The weights of the scores that are summed, by what they come from."""
    if model.blend_weight is None:
        return {}
    names = ['graph', *(type(each).__name__ for each in model.companions)]
    return dict(zip(names, model.blend_weight.tolist()))


def _lines(
    bundle: Path, best_epoch: int, test: dict[str, float], blend: dict[str, float]
) -> list[str]:
    lines = [f'best epoch {best_epoch}']
    if test:
        lines += table_of({'test': test})
    if blend:
        words = ', '.join(f'{name} {weight:.2f}' for name, weight in blend.items())
        lines.append(f'scores are a blend: {words}')
    return [*lines, f'the bundle is {bundle}']


command = Command(train, EXAMPLES, OPTIONS, 'continue with --resume')
