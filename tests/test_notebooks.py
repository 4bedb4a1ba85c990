"""What is stored in the notebooks; make notebooks runs them."""

from __future__ import annotations

import json
import re
import runpy
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / 'docs' / 'notebooks'
NOTEBOOKS = sorted(FOLDER.glob('*.ipynb'))


@pytest.fixture(scope='module')
def runner():
    path = ROOT / '.ci' / 'notebooks.py'
    if not path.exists():
        pytest.skip('the sdist is without .ci')
    return runpy.run_path(str(path))


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_outputs_are_stored(path):
    text = path.read_text(encoding='utf-8')
    cells = [cell for cell in json.loads(text)['cells'] if cell['cell_type'] == 'code']
    assert [cell['execution_count'] for cell in cells] == list(range(1, len(cells) + 1))
    outputs = [output for cell in cells for output in cell['outputs']]
    assert outputs
    for output in outputs:
        assert output['output_type'] != 'error'
        assert output.get('name') != 'stderr', output['text']
    assert not re.search(r'/(tmp|home|root|work)/', text), 'a path of some machine'
    assert len(text) < 300_000


@pytest.mark.parametrize('path', NOTEBOOKS, ids=lambda path: path.stem)
def test_links_lead_somewhere(path):
    cells = json.loads(path.read_text(encoding='utf-8'))['cells']
    words = '\n'.join(
        ''.join(cell['source']) for cell in cells if cell['cell_type'] == 'markdown'
    )
    for target in re.findall(r'\]\((?!https?:)([^)#]+)\)', words):
        assert (FOLDER / target).exists(), target


def test_the_index_leads_to_every_notebook():
    index = (FOLDER / 'index.md').read_text()
    for path in NOTEBOOKS:
        assert f']({path.name})' in index and f'\n{path.stem}\n' in index


def test_texts_are_compared_up_to_rounding(runner):
    def notebook(text, **data):
        stream = {'output_type': 'stream', 'name': 'stdout', 'text': [text]}
        shown = {'output_type': 'display_data', 'data': data}
        return {'cells': [{'outputs': [stream, shown] if data else [stream]}]}

    differences = runner['differences']
    stored = notebook('recall 0.500 of 20\n')
    assert differences(stored, notebook('recall  0.510 of 20')) == []
    assert len(differences(stored, notebook('recall 0.600 of 20'))) == 1
    assert len(differences(stored, notebook('recall 0.500 of 21'))) == 1
    assert len(differences(stored, notebook('recall 0.500 0.500 of 20'))) == 1
    picture = notebook('a', **{'image/png': 'x', 'text/plain': ['<Figure 1>']})
    other = notebook('a', **{'image/png': 'y', 'text/plain': ['<Figure 2>']})
    assert differences(picture, other) == []
