from __future__ import annotations

import sys

import pytest

from pyg_irllrec.plot import learning_curves

pytest.importorskip('matplotlib')
from matplotlib.figure import Figure

HISTORY = [
    {'epoch': 2, 'loss': 2.0, 'ranking': 1.0, 'recall@5': 0.3, 'recall@20': 0.1},
    {'epoch': 4, 'loss': 1.0, 'ranking': 0.5, 'recall@5': 0.2, 'recall@20': 0.4},
    {'epoch': 6, 'loss': 0.9, 'ranking': 0.4, 'recall@5': 0.1, 'recall@20': 0.2},
]
LINES = (
    'epoch,loss,ranking,recall@5,recall@20\n'
    '2,2.0,1.0,0.3,0.1\n4,1.0,0.5,0.2,0.4\n6,0.9,0.4,0.1,0.2\n'
)


@pytest.fixture
def drawn(monkeypatch):
    """The panels of each saved figure."""
    found, save = [], Figure.savefig

    def savefig(self, *args, **kwargs):
        found.append(self.axes)
        save(self, *args, **kwargs)

    monkeypatch.setattr(Figure, 'savefig', savefig)
    return found


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


@pytest.mark.parametrize('kind', ['rows', 'file'])
def test_draws_losses_and_metrics(tmp_path, drawn, kind):
    history = HISTORY
    if kind == 'file':
        history = tmp_path / 'history.csv'
        history.write_text(LINES)
    learning_curves(history, tmp_path / 'curves.png')
    assert (tmp_path / 'curves.png').read_bytes()[:4] == b'\x89PNG'
    ((losses, metrics),) = drawn
    assert lines(losses) == {
        'loss': [[2, 2], [4, 1], [6, 0.9]],
        'ranking': [[2, 1], [4, 0.5], [6, 0.4]],
    }
    found = lines(metrics)
    assert found['recall@5'] == [[2, 0.3], [4, 0.2], [6, 0.1]]
    assert found['best recall@20: 0.4000, epoch 4'] == [[4, 0], [4, 1]]


def test_without_validation(tmp_path, drawn):
    learning_curves([{'epoch': 1, 'loss': -1.0}], tmp_path / 'curves.png')
    ((losses,),) = drawn
    assert losses.get_yscale() == 'linear' and list(lines(losses)) == ['loss']


@pytest.mark.parametrize(
    ('history', 'message'),
    [
        (3, "'history' must be the path of a history.csv or the history of a Fit"),
        ([], "'history' must have values of at least one epoch"),
        ([{'loss': 1.0}], "'history' must have rows .* with the key 'epoch', got"),
        ([{'epoch': 1, 'loss': float('nan')}], 'must have rows of finite numbers'),
        ([{'epoch': 1, 'recall@x': 1.0}], 'must have rows'),
    ],
)
def test_invalid_history(tmp_path, history, message):
    with pytest.raises(ValueError, match=message):
        learning_curves(history, tmp_path / 'curves.png')
    assert not (tmp_path / 'curves.png').exists()


@pytest.mark.parametrize('text', ['epoch,loss\n1,x\n', '\xff', 'epoch,loss\n1,2,3\n'])
def test_invalid_history_file(tmp_path, text):
    file = tmp_path / 'history.csv'
    file.write_text(text, encoding='latin-1')
    with pytest.raises(ValueError, match=r'history\.csv (is not|must have)'):
        learning_curves(file, tmp_path / 'curves.png')
    with pytest.raises(FileNotFoundError, match='does not exist'):
        learning_curves(tmp_path / 'none.csv', tmp_path / 'curves.png')


def test_without_matplotlib(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'matplotlib.figure', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[plot\]'"):
        learning_curves(HISTORY, tmp_path / 'curves.png')
