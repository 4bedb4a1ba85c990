from __future__ import annotations

import re
from pathlib import Path

import pytest

README = Path(__file__).parents[1] / 'README.md'
BLOCKS = re.findall(r'```python\n(.*?)```', README.read_text(), flags=re.DOTALL)


@pytest.mark.parametrize('number', range(len(BLOCKS)))
def test_code_runs(number):
    exec(compile(BLOCKS[number], f'README.md, block {number}', 'exec'), {})


def test_every_file_it_links_to_is_there():
    for target in re.findall(r'\]\((?!https?:)([^)#]+)\)', README.read_text()):
        assert (README.parent / target).exists(), target
