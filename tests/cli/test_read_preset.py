from __future__ import annotations

import json

import pytest

from pyg_irllrec.cli.read_preset import check_tuned, read_preset, write_tuned
from pyg_irllrec.presets import get_preset


def test_missing_parts_keep_their_defaults(tmp_path):
    default = get_preset('lightgcn', 'own', 'none')
    path = tmp_path / 'preset.json'
    path.write_text(json.dumps({'fit': {'lr': 0.5}}))
    assert read_preset(path, default) == {**default, 'fit': {'lr': 0.5}}


def test_the_options_must_be_those_of_the_search(tmp_path):
    path = tmp_path / 'preset.json'
    check_tuned(path, 'sgl', 'auto', True)  # No record: nothing to compare.
    write_tuned(tmp_path, 'lightgcn', 'auto', texts=False)
    check_tuned(path, 'lightgcn', 'auto', False)
    for given, message in (
        (('sgl', 'auto', False), r'--backbone lightgcn, got --backbone sgl: use'),
        (('lightgcn', 'none', False), r'--alignment auto, got --alignment none'),
        (('lightgcn', 'auto', True), r'tuned with --no-texts, got --texts'),
    ):
        with pytest.raises(ValueError, match=message):
            check_tuned(path, *given)


@pytest.mark.parametrize(
    ('content', 'reason'),
    [
        ('{', 'must be JSON'),
        ('[]', 'must be JSON'),
        ('{"frob": {}}', "must map backbone, .*got 'frob'"),
        ('{"fit": 3}', "got 'fit'"),
        ('{"fit": {"x": 1}}', "arguments of 'fit' among .*lr.*, got 'x'"),
    ],
)
def test_invalid_presets_are_rejected(tmp_path, content, reason):
    path = tmp_path / 'preset.json'
    path.write_text(content)
    with pytest.raises(ValueError, match=f'--preset .*{reason}'):
        read_preset(path, get_preset('lightgcn', 'own', 'none'))


def test_an_unreadable_file_is_rejected(tmp_path):
    with pytest.raises(OSError, match=r'--preset .* cannot be read: No such file'):
        read_preset(tmp_path / 'none', {})
