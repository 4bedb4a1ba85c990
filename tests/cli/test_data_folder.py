from __future__ import annotations

import json

import pytest

from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.split_options import SplitOptions


def test_options_are_read_back(tmp_path):
    folder = DataFolder(tmp_path)
    options = SplitOptions(min_rating=3.5, split='time', val=0.2)
    folder.write_options(options)
    assert folder.read_options() == options


@pytest.mark.parametrize(
    'text',
    [
        *('{', '[]', '{}', '\xff', '[' * 10**5),
        '{"format": "pyg_irllrec data", "version": 2}',
        '{"format": "pyg_irllrec data", "version": 1, "k_core": "x"}',
        '{"format": "pyg_irllrec data", "version": 1, "split": "never"}',
        '{"format": "pyg_irllrec data", "version": 1, "more": 1}',
    ],
)
def test_damaged_options_are_rejected(tmp_path, text):
    folder = DataFolder(tmp_path)
    folder.options_path.write_text(text, 'latin-1')
    with pytest.raises(ValueError, match=r'options\.json is damaged: .*prepare the da'):
        folder.read_options()


def test_the_file_contains_its_format_and_version(tmp_path):
    DataFolder(tmp_path).write_options(SplitOptions())
    found = json.loads((tmp_path / 'options.json').read_text())
    assert found['format'] == 'pyg_irllrec data' and found['version'] == 1
