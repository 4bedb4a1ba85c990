from __future__ import annotations

import errno
import json
import os
import re
import shutil
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from pyg_irllrec import training
from pyg_irllrec.serving import Bundle, load
from pyg_irllrec.text import TfidfEncoder, load_intents, save_intents
from pyg_irllrec.typing import SIDES
from pyg_irllrec.utils.folder_lock import FolderLock
from tests.cli.calls import call
from tests.cli.tables import isbn, write_books, write_table

PLAIN = ('--alignment', 'none', '--no-intents', '--no-profiles')


@pytest.fixture(scope='module')
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Tables, data with intents and profiles, and a run that uses all of them."""
    folder = tmp_path_factory.mktemp('books')
    write_books(folder)
    here = os.getcwd()
    os.chdir(folder)
    try:
        words = ('--interactions', 'ratings.csv', '--items', 'books.csv')
        assert call('prepare', *words, '--min-rating', 4, '--out', 'data') == 0
        for what in ('intents', 'profiles'):
            words = ('--llm', 'extractive', '--what', what)
            assert call('intents', 'data', *words) == 0
        assert train('--out', 'run') == 0
    finally:
        os.chdir(here)
    return folder


@pytest.fixture
def folder(trained: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(trained, tmp_path, dirs_exist_ok=True)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def train(*words: object, epochs: int = 2) -> int:
    return call('train', 'data', '--device', 'cpu', '--epochs', epochs, *words)


def contents(folder: Path) -> dict[str, bytes]:
    files = (path for path in folder.rglob('*') if path.is_file())
    return {str(path.relative_to(folder)): path.read_bytes() for path in files}


def weights(run: Path) -> dict[str, torch.Tensor]:
    return torch.load(run / 'best.ckpt', weights_only=True)['state_dict']


def test_the_bundle_has_texts_titles_seen_items_and_metrics(folder, capsys):
    bundle = load('run/bundle')
    assert bundle.min_rating == 4
    anna = bundle.data['user'].id.index('anna')
    assert bundle.data['user'].intent_text[anna] and bundle.encoder is not None
    (_, best), *_ = bundle.recommend(['anna'], k=30)
    assert best[0].title.startswith('Book ')
    with open('ratings.csv') as file:
        rated = {row.split(',')[3] for row in file if ',anna,' in row}
    # Neither held-out nor disliked items are recommended.
    assert isbn(0) in rated and not rated & {each.item for each in best}
    assert len(rated) + len(best) == 30
    # One encoder encoded all texts.
    names, sides = ('profile_text', 'intent_text'), (bundle.data[s] for s in SIDES)
    texts = [text for side in sides for name in names for text in side[name]]
    state = TfidfEncoder().fit(texts).state
    assert bundle.encoder.state.idf == pytest.approx(state.idf)
    profile = bundle.encoder([bundle.data['user'].profile_text[anna]])[0]
    assert torch.allclose(torch.from_numpy(profile), bundle.data['user'].profile[anna])
    intent = bundle.encoder([bundle.data['user'].intent_text[anna]])[0]
    assert torch.allclose(torch.from_numpy(intent), bundle.data['user'].intent[anna])
    metrics = json.loads(Path('run/metrics.json').read_text())['test']
    assert bundle.metrics == metrics
    assert call('evaluate', 'run', '--json') == 0
    assert json.loads(capsys.readouterr().out)['model'] == pytest.approx(metrics)


def test_intents_and_profiles_are_optional_and_must_fit_the_split(folder, capsys):
    assert train('--no-intents', '--out', 'other') == 0
    shown = capsys.readouterr()
    assert shown.out.count('weights of the blend: graph') == 1
    (line,) = (each for each in shown.err.splitlines() if each.startswith('epoch '))
    assert re.fullmatch(r'epoch 2: loss \S+, recall@20 0\.\d+, ndcg@20 0\.\d+', line)
    data = load('other/bundle').data
    assert 'intent' not in data['item'] and 'profile' in data['item']
    words = ('--interactions', 'ratings.csv', '--items', 'books.csv', '--force')
    words += ('--min-rating', 4, '--split', 'random', '--out', 'data')
    assert call('prepare', *words) == 0
    capsys.readouterr()
    assert train('--out', 'third') == 2
    error = capsys.readouterr().err
    assert error.endswith('(--what intents), or pass --no-intents\n')
    assert train('--out', 'third', *PLAIN) == 0


def test_failed_intents_are_an_error_or_blank(folder, monkeypatch, capsys):
    found = load_intents('data/intents.jsonl')
    first = replace(found.records[0], status='failed', intents=(), reason='?')
    save_intents('data/intents.jsonl', [first, *found.records[1:]], found.manifest)
    capsys.readouterr()
    assert train('--out', 'other') == 2
    error = capsys.readouterr().err
    assert error.endswith(
        f'but 1 of 40 are missing or failed ({first.id!r}): run pyg-irllrec intents '
        'again (--what intents), or pass --missing blank\n'
    )
    Path('graph.json').write_text('{"features": {}, "model": {}}')
    monkeypatch.setattr(training, 'fit', lambda *_, **__: exit(0))
    for words, note in (
        (('--missing', 'blank'), 'intents.jsonl (1 of 70 blank), profiles.jsonl'),
        (('--no-intents', '--alignment', 'none'), 'profiles.jsonl, only to rank new'),
        # EASE, a companion of the default model, reads the texts.
        (('--no-intents', '--preset', 'graph.json'), 'profiles.jsonl\n'),
        (('--no-texts',), 'none'),
    ):
        assert train('--out', 'other', *words) == 0
        assert f'texts: {note}' in capsys.readouterr().out
    for words, got in (
        (('--no-intents',), 'needs intents (pyg-irllrec intents), got --no-intents\n'),
        (('--no-texts',), ', got --no-texts\n'),
    ):
        assert train('--out', 'other', '--alignment', 'full', *words) == 2
        assert capsys.readouterr().err.endswith(got)
    Path('data/intents.jsonl').unlink()  # A run without texts does not read it.
    assert train('--out', 'other', '--no-texts', '--resume') == 0


def test_a_note_counts_missing_intents(folder, monkeypatch, capsys):
    monkeypatch.setattr(training, 'fit', lambda *_, **__: exit(0))
    Path('data/intents.jsonl').unlink()
    with closing(sqlite3.connect('data/intents.sqlite')) as journal, journal:
        journal.execute('DELETE FROM outcomes WHERE rowid > 20')
        journal.execute("UPDATE outcomes SET content = '[]' WHERE rowid > 15")
    capsys.readouterr()
    assert train('--out', 'other') == 0
    assert (
        'intents are incomplete (55 of 70 missing) and not used: continue with '
        'pyg-irllrec intents data (--what intents)\n'
    ) in capsys.readouterr().out
    assert train('--out', 'other', '--no-intents') == 0
    assert 'incomplete' not in capsys.readouterr().out


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(
    folder, monkeypatch, capsys
):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    assert train('--out', 'alone', *PLAIN, epochs=4) == 0
    assert train('--out', 'run', *PLAIN) == 0
    assert f'moved the earlier run to {folder}' in capsys.readouterr().out
    assert load('run.1/bundle').encoder is not None
    with monkeypatch.context() as patch:
        patch.setattr(Bundle, 'save', stop)
        assert train('--out', 'run', *PLAIN, epochs=4) == 130
    assert capsys.readouterr().err.endswith('stopped: continue with --resume\n')
    assert not Path('run/bundle').exists()
    assert train('--out', 'run', *PLAIN, '--resume', epochs=4) == 0
    one, other = weights(Path('alone')), weights(Path('run'))
    assert all(torch.equal(one[name], other[name]) for name in one)
    best, same = (load(f'{run}/bundle').recommend(k=5) for run in ('alone', 'run'))
    assert torch.equal(best.item, same.item) and torch.equal(best.score, same.score)
    # Without an earlier run, --resume starts a new one.
    assert train('--out', 'new', *PLAIN, '--resume', epochs=1) == 0
    assert 'has no checkpoint to resume from' in capsys.readouterr().out


def test_a_rejected_call_leaves_the_run_unchanged(folder, capsys):
    before = contents(folder / 'run')
    with FolderLock(folder / 'run'):
        assert train('--out', 'run') == 2
        assert 'is in use by another run' in capsys.readouterr().err
    for words, message in (
        (('--seed', 1, '--resume'), 'seed=0'),
        (('--seed', 1, '--unsplit', 'run'), 'seed=0'),
        (('--no-intents', '--resume'), 'intents=True'),
        (('--encoder', 'bert'), '--encoder must be'),
        (('--backbone', 'alpharec', '--no-profiles', '--alignment', 'x'), 'Invalid'),
        (('--device', 'abacus'), '--device must be'),
        (('--unsplit', 'nowhere'), 'nowhere'),
        (('--out', 'data'), '--out and DATA must be different folders'),
    ):
        assert train('--out', 'run', *words) == 2
        assert message in capsys.readouterr().err
    words = ('--interactions', 'ratings.csv', '--items', 'books.csv', '--force')
    assert call('prepare', *words, '--out', 'data', '--split', 'random') == 0
    for words in (('--resume', '--out', 'run'), ('--out', 'x', '--unsplit', 'run')):
        capsys.readouterr()
        assert train(*words) == 2
        error = capsys.readouterr().err
        assert f'error: {words[-2]} run was started with other data ' in error
    assert not Path('x').exists()
    assert contents(folder / 'run') == before


def test_steps_are_captured_by_default(folder, monkeypatch):
    seen = []

    def fit(*_, capture, **options):
        seen.append(capture)
        raise ValueError('enough')

    monkeypatch.setattr(training, 'fit', fit)
    for words in ((), ('--no-capture',)):
        assert train('--out', 'other', *PLAIN, *words) == 2
    assert seen == [True, False]


@pytest.mark.parametrize('name', ['config.json', 'last.ckpt', 'bundle.json'])
def test_a_full_disk_is_one_line_and_the_run_can_resume(
    folder, monkeypatch, name, capsys
):
    replace = os.replace

    def full(source: object, target: object) -> None:
        if Path(str(target)).name == name:
            raise OSError(errno.ENOSPC, 'No space left on device')
        replace(source, target)

    capsys.readouterr()
    with monkeypatch.context() as patch:
        patch.setattr(os, 'replace', full)
        assert train('--out', 'full', *PLAIN, epochs=1) == 2
    error = capsys.readouterr().err
    assert f'{name} could not be written: No space left on device' in error
    assert error.endswith(': continue with --resume\n')
    assert train('--out', 'full', *PLAIN, '--resume', epochs=1) == 0
    assert load('full/bundle').metrics


def test_training_on_all_interactions_with_the_choices_of_validation(folder, capsys):
    assert train('--out', 'final', '--unsplit', 'run', '--json') == 0
    found = json.loads(capsys.readouterr().out)
    chosen, final = load('run/bundle'), load('final/bundle')
    assert found['test'] == {} and found['blend']
    assert torch.equal(final.model.blend_weight, chosen.model.blend_weight)
    count = final.data['user', 'rates', 'item'].edge_index.size(1)
    assert count > chosen.data['user', 'rates', 'item'].edge_index.size(1)
    assert final.data['user'].intent_text == chosen.data['user'].intent_text
    assert final.metrics == {}
    assert call('evaluate', 'final') == 2
    assert 'must have held-out interactions' in capsys.readouterr().err
    assert train('--out', 'other', '--unsplit', 'run', '--seed', 1) == 2
    assert 'was trained with seed=0' in capsys.readouterr().err
    Path('run/metrics.json').unlink()
    assert train('--out', 'other', '--unsplit', 'run') == 2
    assert 'must be a finished run' in capsys.readouterr().err


def test_interactions_without_texts(tmp_path, monkeypatch, capsys):
    """Integer ids, no texts, fewer items than the cut-offs."""
    monkeypatch.chdir(tmp_path)
    likes = [[u - 4, (u + k) % 7] for u in range(9) for k in range(5)]
    likes += [[u - 4, 7 + u] for u in range(2)]  # One user each, so maybe cold.
    write_table(tmp_path / 'likes.csv', ['user', 'item'], likes)
    assert call('prepare', '--interactions', 'likes.csv', '--out', 'data') == 0
    assert '1 of 9 items are held out' in capsys.readouterr().err
    assert train('--out', 'run', '--logger', 'csv', '--json', '--quiet') == 0
    out, error = capsys.readouterr()
    found = json.loads(out[out.index('{') :])
    assert 'held out' not in error  # Quiet, and with --unsplit all items are trained.
    assert train('--out', 'final', '--unsplit', 'run') == 0
    assert 'held out' not in capsys.readouterr().err
    assert set(found['test']) == {'recall@5', 'ndcg@5'}
    bundle = load('run/bundle')
    assert bundle.encoder is None and bundle.items.title(0) == '0'
    assert list(Path('run/csv').rglob('*.csv'))
    for words, message in (
        (('--alignment', 'full'), 'needs texts of items (pyg-irllrec prepare --items)'),
        (('--backbone', 'alpharec'), 'needs texts of items'),
    ):
        assert train('--out', 'other', *words) == 2
        assert message in capsys.readouterr().err
    assert call('intents', 'data', '--llm', 'extractive') == 2
    assert 'must contain texts of items' in capsys.readouterr().err
    assert not Path('other').exists()
