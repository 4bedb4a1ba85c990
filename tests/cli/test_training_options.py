from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from pyg_irllrec.cli.training_options import (
    add_training_options,
    announce_moved,
    choose_translation,
    required_texts,
)
from pyg_irllrec.presets import get_preset


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


def test_an_earlier_run_is_named(capsys):
    announce_moved(None)
    assert capsys.readouterr().out == ''
    announce_moved(Path('runs/x.1'))
    assert 'runs/x.1' in capsys.readouterr().out
