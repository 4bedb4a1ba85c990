from __future__ import annotations

from pyg_irllrec.cli.progress_lines import ProgressLines


def test_a_line_shows_the_last_validation_at_its_largest_cutoff(capsys):
    first = {'epoch': 2, 'loss': 0.7, 'recall@5': 0.1, 'recall@20': 0.2}
    last = {'epoch': 4, 'loss': 0.5, 'recall@5': 0.2, 'recall@20': 0.3, 'l2': 0.1}
    ProgressLines().on_history([first, last])
    out, err = capsys.readouterr()
    assert not out
    assert err == 'epoch 4: loss 0.5000, recall@20 0.3000\n'


def test_without_validation_a_line_shows_the_loss(capsys):
    ProgressLines().on_history([{'epoch': 1, 'loss': 0.5}])
    assert capsys.readouterr().err == 'epoch 1: loss 0.5000\n'
