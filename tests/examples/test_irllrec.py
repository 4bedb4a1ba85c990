from __future__ import annotations

import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch

from pyg_irllrec.serving import load
from tests.datasets.files import NUM_USERS, matrix, write_dataset, write_pickle
from tests.examples.run_example import EXAMPLES, Done, run_example

ALWAYS = ('--quiet', '--device', 'cpu')


def call(*args: object, cwd: Path) -> Done:
    return run_example('irllrec', *ALWAYS, *args, cwd=cwd)


def start(*args: object, **options: object) -> subprocess.Popen[str]:
    """Start the command in its own process, which can be killed."""
    command = [sys.executable, EXAMPLES / 'irllrec.py', *ALWAYS, *args]

    def heed() -> None:  # A shell in the background ignores SIGINT in its children.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    words = [str(word) for word in command]
    return subprocess.Popen(words, text=True, preexec_fn=heed, **options)


def wait_for_epoch(epoch: int, last: Path, process: subprocess.Popen[str]) -> None:
    while process.poll() is None:
        if last.exists() and torch.load(last, weights_only=True)['epoch'] >= epoch:
            return
        time.sleep(0.02)
    raise AssertionError('the process ended before it could be stopped')


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)['state_dict']


@pytest.mark.parametrize(
    ('backbone', 'alignment'),
    [
        ('lightgcn', 'none'),
        ('sgl', 'intents'),
        ('bigcf', 'reconstruction'),
        ('alpharec', 'profile'),
    ],
)
def test_trains_on_the_files_of_the_authors(tmp_path, backbone, alignment):
    write_dataset(tmp_path)
    args = ('--dataset', 'amazon', '--root', tmp_path, '--epochs', 1)
    choice = ('--backbone', backbone, '--alignment', alignment)
    done = call(*args, *choice, '--out', tmp_path / 'out', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'recall@20' in done.stdout
    assert 'ms per training step' in done.stdout and 'MB peak memory' in done.stdout


def test_the_bundle_has_the_best_weights_and_the_metrics(tmp_path):
    write_dataset(tmp_path)
    args = ('--dataset', 'amazon', '--root', tmp_path, '--epochs', 1)
    done = call(*args, '--out', tmp_path / 'out', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    bundle = load(tmp_path / 'out' / 'bundle')
    saved = weights(tmp_path / 'out' / 'best.ckpt')
    assert all(
        torch.equal(value, saved[f'model.{name}'])
        for name, value in bundle.model.named_parameters()
    )
    assert bundle.metrics.keys() >= {'recall@20', 'ndcg@20'}


def test_moments_and_bfloat16(tmp_path):
    write_dataset(tmp_path)
    args = ('--dataset', 'amazon', '--root', tmp_path, '--epochs', 1)
    out = ('--out', tmp_path / 'out')
    fast = ('--translation', 'moments', '--precision', 'bf16-mixed')
    done = call(*args, *out, *fast, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'recall@20' in done.stdout
    other = call(*args, *out, *fast[:2], '--resume', cwd=tmp_path)
    assert other.returncode == 2 and "precision='bf16-mixed'" in other.stderr


def test_a_stopped_and_resumed_run_equals_an_uninterrupted_one(tmp_path):
    args = ('--dataset', 'synthetic', '--alignment', 'full', '--epochs', 8)
    alone = call(*args, '--out', tmp_path / 'alone', cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr

    out = tmp_path / 'stopped'
    for epoch, stop in ((1, signal.SIGKILL), (3, signal.SIGINT)):
        process = start(*args, '--out', out, '--resume', stderr=subprocess.PIPE)
        wait_for_epoch(epoch, out / 'last.ckpt', process)
        process.send_signal(stop)
        _, errors = process.communicate(timeout=120)
        assert not (out / 'metrics.json').exists()
    assert process.returncode == 130
    assert errors.splitlines()[-1] == 'stopped: continue with --resume'
    resumed = call(*args, '--out', out, '--resume', cwd=tmp_path)
    assert resumed.returncode == 0, resumed.stderr

    for name in ('best.ckpt', 'last.ckpt'):
        expected, state = weights(tmp_path / 'alone' / name), weights(out / name)
        assert expected.keys() == state.keys()
        assert all(torch.equal(expected[key], state[key]) for key in expected)
    assert (out / 'history.csv').read_text() == (
        tmp_path / 'alone' / 'history.csv'
    ).read_text()
    metrics = [
        json.loads((folder / 'metrics.json').read_text())
        for folder in (tmp_path / 'alone', out)
    ]
    assert metrics[0]['test'] == metrics[1]['test']


def test_an_earlier_run_is_moved_aside_and_one_with_another_seed_is_not_resumed(
    tmp_path,
):
    args = ('--alignment', 'none', '--epochs', 1, '--out', tmp_path / 'out')
    assert call(*args, cwd=tmp_path).returncode == 0
    first = weights(tmp_path / 'out' / 'last.ckpt')
    again = call(*args, '--seed', 1, cwd=tmp_path)
    assert 'moved the earlier run to' in again.stdout
    moved = weights(tmp_path / 'out.1' / 'last.ckpt')
    assert all(torch.equal(first[key], moved[key]) for key in first)
    other = call(*args, '--seed', 2, '--resume', cwd=tmp_path)
    assert other.returncode == 2
    # Without a checkpoint, as if it was killed before the first, the run starts over.
    second = weights(tmp_path / 'out' / 'last.ckpt')
    (tmp_path / 'out' / 'last.ckpt').unlink()
    over = call(*args, '--seed', 1, '--resume', cwd=tmp_path)
    assert over.returncode == 0, over.stderr
    again = weights(tmp_path / 'out' / 'last.ckpt')
    assert all(torch.equal(second[key], again[key]) for key in second)
    assert other.stderr.startswith('error: ') and 'seed=1' in other.stderr


class Code:
    def __reduce__(self):
        return os.mkdir, ('ran',)


def malicious(folder: Path) -> None:
    (folder / 'trn_mat.pkl').write_bytes(pickle.dumps(Code()))


def truncated(folder: Path) -> None:
    path = folder / 'tst_mat.pkl'
    path.write_bytes(path.read_bytes()[:300])


def wrong_shape(folder: Path) -> None:
    write_pickle(folder, 'val_mat', matrix([[0], [0]], (2, 2)))


def out_of_range(folder: Path) -> None:
    bad = matrix([[0, 1], [0, 1]])
    bad.coords[0][1] = NUM_USERS + 5
    write_pickle(folder, 'trn_mat', bad)


def nan(folder: Path) -> None:
    write_pickle(folder, 'usr_emb_np', np.full((NUM_USERS, 3), np.nan))


def missing_text(folder: Path) -> None:
    (folder / 'item_intent_emb_3.pkl').unlink()


def empty(folder: Path) -> None:
    write_pickle(folder, 'trn_mat', matrix([[], []]))


def greedy(folder: Path) -> None:
    """A user who has every item has no negatives."""
    write_pickle(folder, 'trn_mat', matrix([[0] * 30, range(30)]))


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ('damage', 'args', 'message'),
    [
        (malicious, (), 'trn_mat.pkl is not a pickled numpy array'),
        (truncated, (), 'tst_mat.pkl is not a pickled numpy array'),
        (wrong_shape, (), 'val_mat.pkl must have the shape of trn_mat.pkl'),
        (out_of_range, (), 'row ids must be from 0 to 39, got ids from 0 to 45'),
        (nan, (), 'must be finite, got NaN or infinity in 40 of 40 rows'),
        (missing_text, (), 'lacks item_intent_emb_3.pkl'),
        (empty, (), 'trn_mat.pkl must hold interactions, got none'),
        (greedy, (), 'user 0 has all 30'),
        (nothing, ('--device', 'cuda:77'), "'device' must exist, got 'cuda:77'"),
        (nothing, ('--device', 'abacus'), "'device' must be 'auto', 'cpu'"),
        (nothing, ('--root', 'elsewhere'), 'lacks trn_mat.pkl'),
        (nothing, ('--epochs', '0'), '--epochs: must be a positive integer'),
    ],
)
def test_bad_input_is_one_line_and_nothing_is_written(tmp_path, damage, args, message):
    root = tmp_path / 'data'
    damage(write_dataset(root))
    before = sorted(tmp_path.rglob('*'))
    done = (
        call('--dataset', 'amazon', '--root', root, *args, '--epochs', 1, cwd=tmp_path)
        if '--epochs' not in args
        else call('--dataset', 'amazon', '--root', root, *args, cwd=tmp_path)
    )
    assert done.returncode == 2
    last = done.stderr.strip().splitlines()[-1]
    assert message in last and 'error: ' in last
    assert 'Traceback' not in done.stderr
    if '--epochs' not in args:
        lines = done.stderr.splitlines()  # Notes on the data may come first.
        assert [x for x in lines if not x.startswith('note: ')] == lines[-1:]
    assert sorted(tmp_path.rglob('*')) == before


def test_a_dataset_of_the_authors_needs_a_root(tmp_path):
    done = call('--dataset', 'yelp', cwd=tmp_path)
    assert done.returncode == 2
    message = "error: --root must be the folder that contains 'yelp/', got none\n"
    assert done.stderr == message
