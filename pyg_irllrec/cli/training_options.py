r"""The options of training, which all commands that train share."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any, Optional

from torch_geometric.data import HeteroData

from pyg_irllrec.assemble import choose_preset
from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.presets import (
    ALIGNMENT_TEXTS,
    ALIGNMENTS,
    BACKBONES,
    Preset,
    get_preset,
)
from pyg_irllrec.training import RunFolder
from pyg_irllrec.utils.printable import printable


def add_training_options(
    parser: argparse.ArgumentParser,
    *,
    alignment: str,
    translation: str,
    epochs: int,
) -> None:
    r"""Adds the options of a model, its training and its folder.

    Args:
        parser (argparse.ArgumentParser): The parser.
        alignment (str): The default of :obj:`--alignment`.
        translation (str): The default of :obj:`--translation`.
        epochs (int): The default of :obj:`--epochs`.
    """
    add = parser.add_argument_group('training').add_argument
    add('--backbone', choices=tuple(BACKBONES), default='lightgcn')
    add(
        '--alignment',
        choices=ALIGNMENTS,
        default=alignment,
        help=f'(default: {alignment})',
    )
    add(
        '--translation',
        choices=('exact', 'moments'),
        default=translation,
        help='the translation term of full: exact, or linear in the number of nodes '
        f'and approximate (default: {translation})',
    )
    add(
        '--epochs',
        type=positive_int,
        default=epochs,
        metavar='N',
        help=f'at most (default: {epochs})',
    )
    add('--seed', type=int, default=0, help='of weights and training (default: 0)')
    add('--device', default='auto', help='auto, cpu, cuda or cuda:N (default: auto)')
    add('--resume', action='store_true', help='continue the run that was stopped')
    add('--quiet', action='store_true', help='no progress bars')


def preset_by_name(data: HeteroData, args: argparse.Namespace) -> Preset:
    r"""The hyper-parameters for a dataset by name. Those of :obj:`"auto"` follow from
    the sizes and the texts that it has."""
    if args.alignment == 'auto':
        return choose_preset(data, args.backbone)
    return get_preset(args.backbone, args.dataset, args.alignment, args.preset)


def choose_translation(preset: Preset, translation: str) -> None:
    r"""Sets how the loss of a preset computes the translation term,
    :obj:`"exact"` or :obj:`"moments"`."""
    preset['loss'].pop('translation_impl', None)
    if translation == 'moments':
        preset['loss']['translation_impl'] = 'moments'


def required_texts(backbone: str, alignment: str) -> tuple[str, ...]:
    r"""The text embeddings that a model by name reads."""
    texts = ALIGNMENT_TEXTS[alignment]
    return texts or (('profile',) if backbone == 'alpharec' else ())


def open_run(
    folder: RunFolder,
    config: Mapping[str, Any],
    resume: bool,
    places: Collection[str] = (),
) -> None:
    r"""Begins or resumes a run, see :meth:`~pyg_irllrec.training.RunFolder.open`, and
    prints what a user may not expect."""
    announce_run(folder, folder.open(config, resume, places), resume)


def announce_run(folder: RunFolder, aside: Optional[Path], resume: bool) -> None:
    r"""Prints that an earlier run was moved, or that there was none to resume."""
    if aside is not None:
        print(f'moved the earlier run to {printable(aside)}')
    elif resume and not folder.has_checkpoint:
        where = printable(folder.path)
        print(f'{where} holds no checkpoint to resume from: a new run begins')
