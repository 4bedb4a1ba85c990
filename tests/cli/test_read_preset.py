from __future__ import annotations

import json

import pytest

from pyg_irllrec.cli.read_preset import check_tuned, read_preset, write_tuned
from pyg_irllrec.presets import get_preset


def test_what_was_tuned_and_the_rest(tmp_path):
    usual = get_preset('lightgcn', 'own', 'none')
    path = tmp_path / 'preset.json'
    path.write_text(json.dumps({'fit': {'lr': 0.5}}))
    assert read_preset(path, usual) == {**usual, 'fit': {'lr': 0.5}}


def test_what_it_was_tuned_with(tmp_path):
    path = tmp_path / 'preset.json'
    check_tuned(path, 'sgl', 'auto')  # Nobody has written it down.
    write_tuned(tmp_path, 'lightgcn', 'auto')
    check_tuned(path, 'lightgcn', 'auto')
    with pytest.raises(ValueError, match=r'tuned with --backbone lightgcn: .*got sgl'):
        check_tuned(path, 'sgl', 'auto')
    with pytest.raises(ValueError, match=r'tuned with --alignment auto: .*got none'):
        check_tuned(path, 'lightgcn', 'none')


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('{', 'must hold JSON'),
        ('[]', 'must hold JSON'),
        ('{"frob": {}}', "by the parts backbone, .*got 'frob'"),
        ('{"fit": 3}', "got 'fit'"),
        ('{"fit": {"x": 1}}', "for 'fit' some of .*lr.*, got 'x'"),
    ],
)
def test_what_is_no_preset(tmp_path, content, reason):
    path = tmp_path / 'preset.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=f'--preset .*{reason}'):
        read_preset(path, get_preset('lightgcn', 'own', 'none'))


def test_what_cannot_be_read(tmp_path):
    with pytest.raises(OSError, match=r'--preset .* cannot be read: No such file'):
        read_preset(tmp_path / 'none', {})
