from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from benchmarks import _figures, readme

ROOT = Path(__file__).parents[1]
README = ROOT / 'README.md'
DOCS = ROOT / 'docs'
BLOCKS = {
    f'{page.name}, block {number}': block
    for page in readme.PAGES
    for number, block in enumerate(
        re.findall(r'```python\n(.*?)```', page.read_text(), flags=re.DOTALL)
    )
}
RESULTS = sorted(_figures.RESULTS.glob('*.json'))
# Numbers that are no measurements: names, definitions, sizes of data, options.
ALLOWED = ('SIGIR 2025', 'Recall@20')
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
def test_code_runs(name, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exec(compile(BLOCKS[name], name, 'exec'), {})


@pytest.mark.parametrize('page', readme.PAGES, ids=lambda page: page.name)
def test_every_file_it_links_to_is_there(page):
    for target in re.findall(r'\]\((?!https?:)([^)#]+)\)', page.read_text()):
        assert (page.parent / target).exists(), target


@pytest.mark.parametrize('page', readme.PAGES, ids=lambda page: page.name)
def test_figures_are_those_of_the_benchmarks(page):
    """If this fails, run python -m benchmarks.readme."""
    text = page.read_text()
    assert readme.render(page) == text
    assert text.count('<!-- figures: ') == text.count('<!-- end -->')
    assert len(readme.REGION.findall(text)) == text.count('<!-- end -->')


def test_the_readme_is_short():
    assert len(README.read_text().split()) <= 900


def test_the_floors_of_the_design_page_are_those_of_the_contract():
    config = (ROOT / 'pyproject.toml').read_text()
    layers = re.search(r'^layers = \[\n(.*?)^\]', config, re.DOTALL | re.MULTILINE)[1]
    house = (DOCS / 'design.md').read_text().partition('Beside the package')[0]
    floors = re.findall(r'^\| (`.*?) \|', house, re.MULTILINE)
    assert [set(re.findall(r'\w+', floor)) for floor in floors] == [
        set(re.findall(r'\w+', layer)) for layer in layers.splitlines()
    ]


@pytest.mark.parametrize('page', sorted(DOCS.glob('*.md')), ids=lambda page: page.name)
def test_the_front_page_leads_to_every_page(page):
    front = (DOCS / 'index.md').read_text()
    assert page.stem == 'index' or re.search(
        rf'^({page.stem}|.* <{page.stem}>)$', front, re.M
    )


def test_every_figure_has_a_source():
    """Measurements must be between <!-- figures: NAME --> and <!-- end -->. See
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
    assert (ROOT / 'benchmarks' / f'{module or script}.py').exists()
    assert ' /' not in report['command'], 'a path of some machine'


def test_results_are_shown():
    pages = (*readme.PAGES, ROOT / 'CONTRIBUTING.md')
    shown = ''.join(page.read_text() for page in pages)
    for path in RESULTS:
        assert f'benchmarks/results/{path.name}' in shown


def test_a_changed_figure_is_found():
    text = (DOCS / 'papers.md').read_text()
    wrong = text.replace('| bigcf | 1e-07 |', '| bigcf | 2e-07 |')
    assert wrong != text and readme.render_text(wrong, '../') == text
    empty = '<!-- figures: approximation -->\n<!-- end -->\n'
    figures = readme.render_text(empty)
    assert readme.render_text(2 * empty) == 2 * figures
    with pytest.raises(SystemExit, match="unknown figures 'fame'"):
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
    monkeypatch.setattr(_figures, 'RESULTS', tmp_path)
    short, long = (readme.FIGURES[name]() for name in ('quality', 'quality_tests'))
    for text in (short, long):
        assert text.startswith('`python -m benchmarks.quality --out RUNS` ([JSON]')
    assert 'mean of 2 seeds (with fewer' in short
    assert '| ease | 0.1000 / **0.4000** | **0.5000** / **0.6000** (1) |' in short
    assert '| ease-profile | **0.3000** / 0.1500 |  |' in short
    assert '| ease-profile | 0.3000 ± 0.1414 / 0.1500 ± 0.0707 |  |' in long
    assert '| one | ease-profile vs ease | +200.0% (p ' in long


def test_results_of_the_readme(tmp_path, monkeypatch):
    """Recall of what it shows, the best of a dataset in bold, also where two are."""
    found = {
        'quality': [('ease', 'one', [0.25]), ('auto', 'one', [0.3, 0.5])],
        'quality_time': [('ease', 'late', [0.1]), ('auto', 'late', [0.10001])],
        'quality_recipe': [('another', 'one', [0.9])],
    }
    for name, runs in found.items():
        rows = [
            {'arm': arm, 'case': case, 'seeds': recall, 'test': {'recall': recall}}
            for arm, case, recall in runs
        ]
        (tmp_path / f'{name}.json').write_text(json.dumps({'rows': rows}))
    monkeypatch.setattr(_figures, 'RESULTS', tmp_path)
    lines = readme.FIGURES['results']().splitlines()
    assert 'means of 1 to 2 seeds' in lines[0]
    assert lines[2] == '|  | one | late |'
    assert '| EASE | 0.250 | **0.100** |' in lines
    assert '| `build_model` | **0.400** | **0.100** |' in lines


def test_the_shortest_example_has_its_length():
    example = ROOT / 'examples' / 'pyg_movielens.py'
    assert len(example.read_text().splitlines()) == 24
