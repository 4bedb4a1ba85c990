from __future__ import annotations

import importlib.util
import json
import os
import pickle
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from tests.datasets.files import NUM_USERS, matrix, write, write_dataset

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / 'examples' / 'irllrec.py'


def load_example() -> ModuleType:
    spec = importlib.util.spec_from_file_location('irllrec_example', SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


example = load_example()


def command(*args: object) -> list[str]:
    return [sys.executable, str(SCRIPT), '--quiet', '--device', 'cpu', *map(str, args)]


def call(*args: object, cwd: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(command(*args), cwd=cwd, capture_output=True, text=True)


def weights(path: Path) -> dict[str, torch.Tensor]:
    return torch.load(path, weights_only=True)['state_dict']


@pytest.mark.parametrize('alignment', ['none', 'profile', 'full'])
def test_trains_on_the_authors_layout(tmp_path, alignment):
    write_dataset(tmp_path)
    args = ('--dataset', 'amazon', '--root', tmp_path, '--alignment', alignment)
    done = call(*args, '--epochs', 1, '--out', tmp_path / 'out', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'recall@20' in done.stdout
    assert 'ms a training step' in done.stdout and 'MB peak memory' in done.stdout


@pytest.mark.parametrize(
    ('backbone', 'alignment'),
    [('sgl', 'intents'), ('bigcf', 'reconstruction'), ('alpharec', 'none')],
)
def test_other_backbones_and_alignments(tmp_path, backbone, alignment):
    write_dataset(tmp_path)
    args = ('--dataset', 'amazon', '--root', tmp_path, '--epochs', 1)
    choice = ('--backbone', backbone, '--alignment', alignment)
    done = call(*args, *choice, '--out', tmp_path / 'out', cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'recall@20' in done.stdout


@pytest.mark.parametrize('preset', ['sound', 'authors'])
@pytest.mark.parametrize('alignment', example.TEXTS)
@pytest.mark.parametrize('backbone', example.BACKBONE_NAMES)
def test_every_backbone_with_every_alignment(backbone, alignment, preset):
    data = SyntheticIntents(num_users=60, num_items=40)[0]
    values = example.choose_preset(backbone, 'synthetic', alignment, preset)
    model = example.build_model(data, backbone, alignment, values)
    user, item = data['user', 'rates', 'item'].edge_index
    triplets = torch.stack([user[:9], item[:9], item[9:18]])
    total, terms = model.loss(triplets)
    total.backward()
    expected = {
        'none': set(),
        'profile': {'profile'},
        'reconstruction': {'reconstruction'},
        'intents': {'profile', 'intent'},
        'full': {'profile', 'intent', 'translation', 'matching'},
    }
    own = {'contrast', 'center'}
    assert terms.keys() - own == {'ranking', 'l2'} | expected[alignment]
    for name, weight in model.named_parameters():
        assert weight.grad is not None and weight.grad.isfinite().all(), name


def test_moments_and_bfloat16(tmp_path):
    write_dataset(tmp_path)
    args = ('--dataset', 'amazon', '--root', tmp_path, '--epochs', 1)
    out = ('--out', tmp_path / 'out')
    fast = ('--translation', 'moments', '--precision', 'bf16-mixed')
    done = call(*args, *out, *fast, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert 'recall@20' in done.stdout
    other = call(*args, *out, *fast[:2], '--resume', cwd=tmp_path)
    assert other.returncode == 2 and '--precision bf16-mixed' in other.stderr


def test_killed_and_resumed_ends_as_one_left_alone(tmp_path):
    args = ('--dataset', 'synthetic', '--alignment', 'full', '--epochs', 8)
    alone = call(*args, '--out', tmp_path / 'alone', cwd=tmp_path)
    assert alone.returncode == 0, alone.stderr

    out = tmp_path / 'killed'
    for epoch in (-1, 2, 5):  # -1: before the first checkpoint.
        resume = ('--resume',) if out.exists() else ()
        process = subprocess.Popen(
            command(*args, '--out', out, *resume), stdout=subprocess.DEVNULL
        )
        deadline = time.monotonic() + 120
        while time.monotonic() < deadline and process.poll() is None:
            if epoch == -1 and (out / 'config.json').exists():
                break
            last = out / 'last.ckpt'
            if last.exists() and torch.load(last, weights_only=True)['epoch'] >= epoch:
                break
            time.sleep(0.02)
        assert process.poll() is None, 'it ended before it could be killed'
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert not (out / 'metrics.json').exists()
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


def test_interrupted_says_how_to_go_on(tmp_path):
    process = subprocess.Popen(
        # Slow enough to be still at it on a busy machine.
        command('--alignment', 'full', '--out', tmp_path / 'out'),
        stderr=subprocess.PIPE,
        text=True,
    )
    while not (tmp_path / 'out' / 'last.ckpt').exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=120)
    assert process.returncode == 130
    assert errors.splitlines()[-1] == 'stopped: go on with --resume'


def test_an_earlier_run_is_moved_aside_and_another_is_not_resumed(tmp_path):
    args = ('--alignment', 'none', '--epochs', 1, '--out', tmp_path / 'out')
    assert call(*args, cwd=tmp_path).returncode == 0
    first = weights(tmp_path / 'out' / 'last.ckpt')
    again = call(*args, '--seed', 1, cwd=tmp_path)
    assert 'moved the earlier run to' in again.stdout
    moved = weights(tmp_path / 'out.1' / 'last.ckpt')
    assert all(torch.equal(first[key], moved[key]) for key in first)
    other = call(*args, '--seed', 2, '--resume', cwd=tmp_path)
    assert other.returncode == 2
    assert other.stderr.startswith('error: ') and '--seed 1' in other.stderr


class Code:
    def __reduce__(self):
        return os.mkdir, ('ran',)


def malicious(folder: Path) -> None:
    (folder / 'trn_mat.pkl').write_bytes(pickle.dumps(Code()))


def truncated(folder: Path) -> None:
    path = folder / 'tst_mat.pkl'
    path.write_bytes(path.read_bytes()[:300])


def wrong_shape(folder: Path) -> None:
    write(folder, 'val_mat', matrix([[0], [0]], (2, 2)))


def out_of_range(folder: Path) -> None:
    bad = matrix([[0, 1], [0, 1]])
    bad.coords[0][1] = NUM_USERS + 5
    write(folder, 'trn_mat', bad)


def nan(folder: Path) -> None:
    write(folder, 'usr_emb_np', np.full((NUM_USERS, 3), np.nan))


def missing_text(folder: Path) -> None:
    (folder / 'item_intent_emb_3.pkl').unlink()


def empty(folder: Path) -> None:
    write(folder, 'trn_mat', matrix([[], []]))


def greedy(folder: Path) -> None:
    """A user with every item leaves no negative."""
    write(folder, 'trn_mat', matrix([[0] * 30, range(30)]))


def small(folder: Path) -> None:
    """Fewer items than the cut-off of Recall@20."""
    for name in ('trn_mat', 'val_mat', 'tst_mat'):
        write(folder, name, matrix([[0, 1], [0, 1]], (3, 4)))
    for name in ('usr_emb_np', 'user_intent_emb_3'):
        write(folder, name, np.ones((3, 2)))
    for name in ('itm_emb_np', 'item_intent_emb_3'):
        write(folder, name, np.ones((4, 2)))


def nothing(folder: Path) -> None:
    pass


@pytest.mark.parametrize(
    ('damage', 'args', 'message'),
    [
        (malicious, (), 'trn_mat.pkl is not a pickled numpy array'),
        (truncated, (), 'tst_mat.pkl is not a pickled numpy array'),
        (wrong_shape, (), 'val_mat.pkl must have the shape of trn_mat.pkl'),
        (out_of_range, (), 'row ids must lie from 0 to 39, got ids from 0 to 45'),
        (nan, (), 'must be finite, got NaN or infinity in 40 of 40 rows'),
        (missing_text, (), 'lacks item_intent_emb_3.pkl'),
        (empty, (), 'trn_mat.pkl must hold interactions, got none'),
        (greedy, (), 'user 0 has all 30'),
        (small, (), 'must hold at least 20 items for Recall@20, got 4'),
        (nothing, ('--device', 'cuda:77'), "'device' must be here, got 'cuda:77'"),
        (nothing, ('--device', 'abacus'), "'device' must be 'auto', 'cpu'"),
        (nothing, ('--resume',), 'holds no run to resume'),
        (nothing, ('--root', 'elsewhere'), 'lacks trn_mat.pkl'),
        (nothing, ('--epochs', '0'), '--epochs: must be a positive integer'),
    ],
)
def test_bad_input_gets_one_line_and_nothing_is_written(
    tmp_path, damage, args, message
):
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
        assert done.stderr.count('\n') == 1
    assert sorted(tmp_path.rglob('*')) == before


def test_a_root_must_be_named(tmp_path):
    done = call('--dataset', 'yelp', cwd=tmp_path)
    assert done.returncode == 2
    assert done.stderr == "error: --root must name the folder that holds 'yelp'\n"
