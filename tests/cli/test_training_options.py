from __future__ import annotations

import argparse

import pytest

from pyg_irllrec.cli.training_options import (
    add_training_options,
    choose_translation,
    open_run,
    required_texts,
)
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import RunFolder


def test_defaults_are_those_of_the_command():
    parser = argparse.ArgumentParser()
    add_training_options(parser, alignment='full', translation='exact', epochs=7)
    args = parser.parse_args([])
    assert (args.alignment, args.translation, args.epochs) == ('full', 'exact', 7)
    assert parser.parse_args(['--backbone', 'alpharec']).backbone == 'alpharec'
    with pytest.raises(SystemExit):
        parser.parse_args(['--epochs', '0'])


def test_translation():
    preset = get_preset('lightgcn', 'own', 'full')
    choose_translation(preset, 'exact')
    assert 'translation_impl' not in preset['loss']
    choose_translation(preset, 'moments')
    assert preset['loss']['translation_impl'] == 'moments'


def test_required_texts():
    assert required_texts('sgl', 'none') == ()
    assert required_texts('alpharec', 'none') == ('profile',)
    assert required_texts('alpharec', 'full') == ('profile', 'intent')


def test_an_earlier_run_and_one_that_begins_anew_are_named(tmp_path, capsys):
    folder = RunFolder(tmp_path / 'run')
    open_run(folder, {'seed': 0}, resume=False)
    assert capsys.readouterr().out == ''
    open_run(folder, {'seed': 0}, resume=True)
    assert 'holds no checkpoint to resume from' in capsys.readouterr().out
    (folder.path / 'last.ckpt').touch()
    open_run(folder, {'seed': 0}, resume=True)
    assert capsys.readouterr().out == ''
    open_run(folder, {'seed': 1}, resume=False)
    assert f'{folder.path}.1' in capsys.readouterr().out
