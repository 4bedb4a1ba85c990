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
from pyg_irllrec.cli.read_preset import check_tuned, read_preset
from pyg_irllrec.cli.split_options import WITHOUT_COLD_ADVICE
from pyg_irllrec.cli.torchrun import check_torchrun, start_others, wait_for_first
from pyg_irllrec.nn import EASE, Recommender
from pyg_irllrec.presets import Preset
from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.serving._info import blend_of
from pyg_irllrec.text.intents._journal import count_answers
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils import map_interactions

if TYPE_CHECKING:
    from pyg_irllrec.training import RunFolder

EXAMPLES = """\
pyg-irllrec train data/books --out runs/books
pyg-irllrec train data/books --out runs/books --epochs 300 --resume
pyg-irllrec train data/books --out runs/final --unsplit runs/books
pyg-irllrec train data/books --out runs/books --devices 2"""


class _Choices(NamedTuple):
    r"""The options that must not change when a run is resumed."""

    backbone: str
    alignment: str
    translation: str
    encoder: str
    texts: bool
    intents: bool
    profiles: bool
    missing: Literal['error', 'blank']
    seed: int

    def of_texts(self) -> TextChoices:
        return TextChoices(self.texts, self.intents, self.profiles, self.missing)


class _Validated(NamedTuple):
    r"""The choices of a run with validation, for a run on all interactions."""

    epochs: int
    model: Recommender


OPTIONS = {
    "'epochs'": '--epochs',
    "'seed'": '--seed',
    "'device'": '--device',
    "'devices'": '--devices',
    "'precision'": '--precision',
    "'logger'": '--logger',
    **WITHOUT_COLD_ADVICE,
}


def train(
    data: DataArgument,
    out: Annotated[
        Path, Option(parser=parse_out, metavar='RUN', help='Folder of the run.')
    ],
    backbone: BackboneOption = 'lightgcn',
    alignment: AlignmentOption = 'auto',
    translation: Annotated[
        Literal['exact', 'moments'],
        Option(
            help='Translation term of --alignment full: exact, or approximate and '
            'linear in the number of nodes (moments).'
        ),
    ] = 'moments',
    encoder: EncoderOption = 'tfidf',
    texts: TextsOption = True,
    intents: IntentsOption = True,
    profiles: ProfilesOption = True,
    missing: MissingOption = 'error',
    preset: Annotated[
        Optional[Path],
        Option(
            metavar='FILE',
            show_default='built-in recipe',
            help='Hyper-parameters from pyg-irllrec tune.',
        ),
    ] = None,
    epochs: Annotated[int, Option(min=1, help='Maximum number of epochs.')] = 100,
    unsplit: Annotated[
        Optional[Path],
        Option(
            metavar='RUN',
            help='Train on all interactions, with the number of epochs and the blend '
            'that this earlier run chose on validation.',
        ),
    ] = None,
    seed: Seed = 0,
    device: Device = 'auto',
    devices: Annotated[
        int,
        Option(min=1, help='Number of devices, on this machine. One process for each.'),
    ] = 1,
    precision: Annotated[
        Literal['32-true', 'tf32', 'bf16-mixed', '64-true'],
        Option(
            help='32-true and 64-true: float32 and float64. tf32: faster matrix '
            'products on a GPU. bf16-mixed: text towers in bfloat16.'
        ),
    ] = '32-true',
    capture: Annotated[
        bool,
        Option(
            '--capture/--no-capture', help='On a GPU, run a step as one CUDA graph.'
        ),
    ] = True,
    logger: Annotated[
        Optional[Literal['csv', 'tensorboard']],
        Option(
            show_default='none', help='Format of logs, which are written under RUN.'
        ),
    ] = None,
    resume: Annotated[
        bool, Option('--resume', help='Continue a run that was stopped.')
    ] = False,
    threads: Threads = None,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Train a model and save it as a bundle, RUN/bundle.

    The model is a graph recommender that uses texts and intents if DATA has them,
    blended with EASE by weights chosen on validation. An earlier run in RUN is moved
    aside. --resume continues a run that was stopped, with the same result as without
    the interruption.
    """
    from pyg_irllrec.cli.progress_lines import ProgressLines
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
        # Without this, Lightning divides the cores among the processes.
        os.environ['OMP_NUM_THREADS'] = str(threads)
    if not is_first:
        warnings.simplefilter('ignore')  # The first process prints them.
        wait_for_first()
    output = Output(as_json, quiet or not is_first)
    folder = DataFolder(data)
    folder.check_differs_from(out)
    choices = _Choices(
        backbone=backbone,
        alignment=alignment,
        translation=translation,
        encoder=encoder,
        texts=texts,
        intents=texts and intents,
        profiles=texts and profiles,
        missing=missing,
        seed=seed,
    )
    validated = None
    if unsplit is not None:
        _check_same_data(f'--unsplit {unsplit}', RunFolder(unsplit), folder)
        validated = _read_validated(unsplit, choices)
        # The split is only read to choose hyper-parameters; all items are trained on.
        warnings.filterwarnings('ignore', message='[0-9]+ of [0-9]+ items are held out')
    run = RunFolder(out)
    if resume and run.config_path.is_file():
        _check_same_data(f'--out {out}', run, folder)
    if preset is not None:
        check_tuned(preset, backbone, alignment, texts)
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
        _copy_blend(model, validated)
    output.note(f'texts: {_describe_texts(graph, model, folder, choices)}')
    settings = choices._asdict() | {'data': data, 'unsplit': unsplit}
    settings['data_digest'] = folder.digest(choices.intents, choices.profiles)
    settings['preset'] = None if preset is None else chosen
    if is_first:
        _open_run(run, settings, resume, output)
        start_others()
    if model.needs_calibration and interactions.val_items is not None:
        output.note(
            'after training, the companions and their weights in the blend are chosen '
            'on validation'
        )
    has_bar = output.progress and not as_json
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
        progress=has_bar,
        callbacks=[] if has_bar or output.quiet else [ProgressLines()],
        **chosen['fit'],
    )
    if not is_first:
        return
    bundle = Bundle(
        model.cpu(),
        graph,
        encoder=encode if 'profile' in graph['item'] else None,
        # Everything that a user has rated, including held-out and disliked items.
        seen=map_interactions(folder.open()[0], graph),
        metrics=result.test,
        min_rating=folder.read_options().min_rating,
    )
    bundle.save(run.path / 'bundle')
    _draw_curves(run.path, output)
    blend = blend_of(model)
    output.result(
        {
            'bundle': out / 'bundle',
            'best_epoch': result.best_epoch,
            'test': result.test,
            'blend': blend,
        },
        _lines(out / 'bundle', result.best_epoch, result.test, blend),
    )


def _open_run(
    run: RunFolder, settings: dict[str, Any], resume: bool, output: Output
) -> None:
    moved = run.open(settings, resume, places=('data', 'unsplit'))
    if moved is not None:
        output.note(f'moved the earlier run to {moved}')
    elif resume and not run.has_checkpoint:
        output.note(f'{run.path} has no checkpoint to resume from: starting a new run')


def _make_graphs(
    folder: DataFolder,
    choices: _Choices,
    encoder: Any,
    output: Output,
    validated: Optional[_Validated],
) -> tuple[HeteroData, Preset]:
    r"""Build the graph to train on, and choose the hyper-parameters, always from the
    graph with a validation part."""
    encode = cached(encoder, folder.path, output.progress)
    graph = make_graph(folder, encode, choices.of_texts())
    for name, is_read in (
        ('intents', choices.intents),
        ('profiles', choices.profiles),
    ):
        if is_read:
            _note_incomplete(folder, name, graph, output)
    check_texts(graph, choices.backbone, choices.alignment, choices.of_texts())
    preset = choose_preset(graph, choices.backbone, choices.alignment)
    preset['loss'].pop('translation_impl', None)
    if choices.translation == 'moments':
        preset['loss']['translation_impl'] = 'moments'
    if validated is not None:
        graph = make_graph(folder, encode, choices.of_texts(), unsplit=True)
    return graph, preset


def _note_incomplete(
    folder: DataFolder, name: str, graph: HeteroData, output: Output
) -> None:
    r"""Print a note if the answers are only in the journal, because the extraction was
    stopped."""
    path = folder.path / f'{name}.jsonl'
    journal = path.with_suffix('.sqlite')
    if path.is_file() or not journal.is_file():
        return
    total = sum(graph[side].num_nodes for side in SIDES)
    answers = count_answers(journal)
    is_counted = answers is not None and answers < total
    missing = f' ({total - (answers or 0)} of {total} missing)' if is_counted else ''
    output.note(
        f'{name} are incomplete{missing} and not used: continue with pyg-irllrec '
        f'intents {folder.path} (--what {name})'
    )


def _describe_texts(
    graph: HeteroData, model: Recommender, folder: DataFolder, choices: _Choices
) -> str:
    r"""Name the texts of a graph, and whether the model uses them."""
    is_written = choices.profiles and folder.profiles.is_file()
    sources = {
        'intent_text': folder.intents.name,
        'profile_text': folder.profiles.name if is_written else 'texts of items',
    }
    found = []
    for name, source in sources.items():
        if name in graph['item']:
            texts = [text for side in SIDES for text in graph[side][name]]
            blank = sum(not text for text in texts)
            found.append(source + f' ({blank} of {len(texts)} blank)' * (blank > 0))
    if not found:
        return 'none'
    names = ('profile', 'intent', 'features')
    is_used = (
        choices.backbone == 'alpharec'
        or any(getattr(model, name, None) is not None for name in names)
        or any(
            isinstance(each, EASE) and each.options.get('text_weight', 0) > 0
            for each in model.companions
        )
    )
    return ', '.join(found) + ('' if is_used else ', only to rank new items')


def _check_same_data(option: str, run: RunFolder, folder: DataFolder) -> None:
    before = run.read_config()
    read = (bool(before.get(name)) for name in ('intents', 'profiles'))
    if before.get('data_digest') != folder.digest(*read):
        raise ValueError(
            f'{option} was started with other data ({before.get("data")}, as it was '
            f'then), got {folder.path}: pass the same DATA, or choose another run'
        )


def _read_validated(path: Path, choices: _Choices) -> _Validated:
    from pyg_irllrec.training import RunFolder

    run = RunFolder(path)
    before = run.read_config()
    for name, value in choices._asdict().items():
        if before.get(name) != value:
            raise ValueError(
                f'--unsplit {path} was trained with {name}={before.get(name)!r}, got '
                f'{name}={value!r}: use the same'
            )
    try:
        epochs = json.loads((run.path / 'metrics.json').read_bytes())['best_epoch']
        return _Validated(int(epochs), load(run.path / 'bundle').model)
    except (FileNotFoundError, KeyError, TypeError):
        raise ValueError(
            f'--unsplit {path} must be a finished run: continue it with --resume'
        ) from None


def _copy_blend(model: Recommender, validated: _Validated) -> None:
    chosen = validated.model
    if model.blend_weight is not None and chosen.blend_weight is not None:
        model.blend_weight.copy_(chosen.blend_weight)
        model.companions.load_state_dict(chosen.companions.state_dict())


def _draw_curves(run: Path, output: Output) -> None:
    r"""Draw the learning curves, if matplotlib is installed."""
    try:
        from pyg_irllrec.plot import learning_curves

        learning_curves(run / 'history.csv', run / 'curves.png')
    except ImportError:
        output.note("to draw learning curves: pip install 'pyg_irllrec[plot]'")


def _lines(
    bundle: Path, best_epoch: int, test: dict[str, float], blend: dict[str, float]
) -> list[str]:
    lines = [f'best epoch {best_epoch}']
    if test:
        lines += table_of({'test': test})
    if blend:
        words = ', '.join(f'{name} {weight:.2f}' for name, weight in blend.items())
        lines.append(f'weights of the blend: {words}')
    return [*lines, f'saved the bundle {bundle}']


command = Command(train, EXAMPLES, OPTIONS, 'continue with --resume')
