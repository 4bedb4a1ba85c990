from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import readme

README = Path(__file__).parents[1] / 'README.md'
BLOCKS = {
    f'{page.name}, block {number}': block
    for page in readme.PAGES
    for number, block in enumerate(
        re.findall(r'```python\n(.*?)```', page.read_text(), flags=re.DOTALL)
    )
}
RESULTS = sorted(readme.RESULTS.glob('*.json'))
# Numbers that are no measurements: names, definitions, sizes of data, options.
ALLOWED = (
    'SIGIR 2025',
    'Recall@20',
    'Python 3.10',
    'in 24 lines',
    'more than 15 lines',
    'Equation 2',
    'Equation 3',
    'L2 term',
    '| 10 in the example',
    'preset | 5 |',
    'count | 4096 |',
    'epochs 3, 6, 9 and',
    'after 1, 4, 7',
    '| 1000, ',
    '| 3000 |',
    'float32',
    '4096 triplets',
    'bfloat16',
    '20 interactions per node',
    'width 64',
    '): 7,',
    'of 1000 tokens',
    'fails 10 % of calls, breaks 5 % and hangs on 1 %',
    '50 ms latency',
    'user 0',
    '100k, 1m:',
    'counts 4096 masked',
    'item -1',
)
NOT_PROSE = (
    r'<!-- figures: .*?<!-- end -->',
    r'```.*?```',
    r'`[^`]*`',
    r'\]\([^)]*\)',
    r'\$[^$]*\$',
)


def prose(page: Path) -> str:
    """A page without figures, code, links and formulas."""
    text = page.read_text()
    for pattern in NOT_PROSE:
        text = re.sub(pattern, ' ', text, flags=re.DOTALL)
    return text


@pytest.mark.parametrize('name', BLOCKS)
def test_code_runs(name):
    exec(compile(BLOCKS[name], name, 'exec'), {})


@pytest.mark.parametrize('page', readme.PAGES, ids=lambda page: page.name)
def test_every_file_it_links_to_is_there(page):
    for target in re.findall(r'\]\((?!https?:)([^)#]+)\)', page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize('page', readme.PAGES, ids=lambda page: page.name)
def test_figures_are_those_of_the_benchmarks(page):
    """python -m benchmarks.readme writes them anew."""
    text = page.read_text()
    assert readme.render(page) == text
    assert text.count('<!-- figures: ') == text.count('<!-- end -->')
    assert len(readme.REGION.findall(text)) == text.count('<!-- end -->')


def test_every_figure_has_a_source():
    """A measurement belongs between <!-- figures: NAME --> and <!-- end -->, see
    benchmarks/readme.py."""
    text = prose(README)
    for phrase in ALLOWED:
        assert phrase in text, f'{phrase!r} is allowed and not there'
        text = text.replace(phrase, ' ')
    lines = [line.strip() for line in text.splitlines() if re.search(r'\d', line)]
    assert lines == []


@pytest.mark.parametrize('page', readme.PAGES[1:], ids=lambda page: page.name)
def test_pages_of_the_docs_measure_nothing_by_hand(page):
    unit = (
        r'\d[\d.,]* ?(?:ms|s|seconds|minutes|MB|GB|x|×|times as|% (?:of the|faster))\b'
    )
    assert re.findall(unit, prose(page)) == []


@pytest.mark.parametrize('path', RESULTS, ids=lambda path: path.stem)
def test_results_hold_the_command_that_made_them(path):
    report = json.loads(path.read_text())
    module, script = re.match(
        r'python (?:-m benchmarks\.(\w+)|benchmarks/(\w+)\.py)', report['command']
    ).groups()
    assert (README.parent / 'benchmarks' / f'{module or script}.py').exists()
    assert ' /' not in report['command'], 'a path of some machine'


def test_results_are_shown():
    pages = (*readme.PAGES, README.parent / 'CONTRIBUTING.md')
    shown = ''.join(page.read_text() for page in pages)
    for path in RESULTS:
        assert f'benchmarks/results/{path.name}' in shown


def test_a_changed_figure_is_found():
    text = README.read_text()
    wrong = text.replace('| bigcf | 1e-07 |', '| bigcf | 2e-07 |')
    assert wrong != text and readme.render_text(wrong) == text
    empty = '<!-- figures: approximation -->\n<!-- end -->\n'
    figures = readme.render_text(empty)
    assert readme.render_text(2 * empty) == 2 * figures
    with pytest.raises(SystemExit, match="no figures 'fame'"):
        readme.render_text('<!-- figures: fame -->\n\n<!-- end -->')


def test_figures_of_quality(tmp_path, monkeypatch):
    """The best in bold, fewer seeds in brackets, what was not run empty."""
    found = {
        ('one', 'ease'): ([0.1, 0.1], [0.4, 0.4]),
        ('one', 'ease-profile'): ([0.2, 0.4], [0.1, 0.2]),
        ('two', 'ease'): ([0.5], [0.6]),
    }
    rows = [
        {
            'case': case,
            'arm': arm,
            'seeds': list(range(len(recall))),
            'seconds': [2.0] * len(recall),
            'test': {'recall': recall, 'ndcg': ndcg},
        }
        for (case, arm), (recall, ndcg) in found.items()
    ]
    command = 'python -m benchmarks.quality --out RUNS --report --json FILE --png FILE'
    report = {'command': command, 'rows': rows}
    (tmp_path / 'quality.json').write_text(json.dumps(report))
    monkeypatch.setattr(readme, 'RESULTS', tmp_path)
    short, long = readme.quality(), readme.quality_tests()
    for text in (short, long):
        assert text.startswith('`python -m benchmarks.quality --out RUNS` ([JSON]')
    assert 'mean of 2 seeds (where fewer' in short
    assert '| ease | 0.1000 / **0.4000** | **0.5000** / **0.6000** (1) |' in short
    assert '| ease-profile | **0.3000** / 0.1500 |  |' in short
    assert '| ease-profile | 0.3000 ± 0.1414 / 0.1500 ± 0.0707 |  |' in long
    assert '| one | ease-profile vs ease | +200.0% (p ' in long


def test_the_shortest_example_has_its_length():
    example = README.parent / 'examples' / 'pyg_movielens.py'
    assert len(example.read_text().splitlines()) == 24
