from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any, Literal, Optional

import pytest
from typer import Option
from typer.testing import CliRunner

from pyg_irllrec.cli.app import make_app
from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.options import Config, DataArgument, Json, K, Quiet
from pyg_irllrec.cli.output import Output


def demo(
    data: DataArgument,
    item_text: Annotated[Optional[list[str]], Option()] = None,
    share: Annotated[float, Option()] = 0.5,
    split: Annotated[Literal['time', 'random'], Option()] = 'time',
    k: K = 10,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Print the arguments of the call."""
    given = {'data': data, 'text': item_text, 'share': share, 'split': split, 'k': k}
    Output(as_json, quiet).result(given, [])


APP = make_app([Command(demo, '')])


def run(path: Path, text: str, *words: str) -> tuple[int, Any, str]:
    path.write_text(text)
    result = CliRunner().invoke(APP, ['demo', *words, '--config', str(path)])
    found = json.loads(result.stdout) if result.stdout else None
    return result.exit_code, found, result.stderr


def test_the_command_line_overrides_the_file(tmp_path):
    path = tmp_path / 'demo.yaml'
    text = 'data: folder\nitem-text: title\nshare: 1\nsplit: random\njson: true\nk: 3\n'
    expected = {
        **{'data': 'folder', 'text': ['title'], 'share': 1.0, 'split': 'random'},
        'k': 3,
    }
    assert run(path, text) == (0, expected, '')
    typed = run(path, text.replace('item-text', 'item_text'), '--k', '5', 'other')
    assert typed == (0, expected | {'k': 5, 'data': 'other'}, '')
    ids = 'item-text: [006, 1.10, yes, 2020-01-01, 0x1F, 1_0]\nk: 007\n'
    found = run(path, f'{ids}quiet: no\njson: yes\nshare: 1e-1', 'x')[1]
    assert found['text'] == ['006', '1.10', 'yes', '2020-01-01', '0x1F', '1_0']
    assert found['k'] == 7 and found['share'] == 0.1
    assert run(path, 'item-text: null\njson: on', 'x')[1]['text'] is None
    same = {'data': 'x', 'item-text': ['a', '7'], 'json': True}
    path = tmp_path / 'demo.json'
    assert run(path, json.dumps(same))[1]['text'] == ['a', '7']
    assert run(tmp_path / 'empty.yaml', '', 'x', '--json')[0] == 0


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('spilt: time', "got 'spilt': did you mean 'split'?"),
        (
            'zzz: 1',
            "got 'zzz': use one of data, item-text, share, split, k, json, quiet",
        ),
        ('config: a.yaml', "got 'config'"),
        ('k: many', "'k' is invalid, got 'many': Input should be a valid integer"),
        ('k: 0', "Invalid value for '--k'"),
        ('split: never', "'split' is invalid, got 'never'"),
        ('item-text: {a: b}', "'item-text' is invalid"),
        ('k: 1\nk: 2', 'a name occurs twice'),
        ('item-text: a\nitem_text: b', "must contain 'item-text' once"),
        ('[k]', 'got a list'),
        ('j: 1\nk: [', 'must be YAML or JSON: line 2, column 5 is not valid YAML\n'),
        ('a: ' * 2000 + '1', 'must be YAML or JSON'),
        ('[' * 100_000, 'must be YAML or JSON'),
        ('k: !!python/object/apply:os.getcwd []', 'must be YAML or JSON'),
        ('\x00', 'characters are not allowed at position 0\n'),
    ],
)
def test_invalid_files_are_rejected(tmp_path, text, message):
    code, _, error = run(tmp_path / 'demo.yaml', text, 'x')
    assert code == 2 and message in error
    assert error.startswith('error: ') and error.count('\n') == 1


def test_unreadable_files_are_rejected(tmp_path):
    for path in (tmp_path / 'none.yaml', tmp_path):
        words = ['demo', 'x', '--config', str(path)]
        result = CliRunner().invoke(APP, words)
        assert result.exit_code == 2 and 'cannot be read' in result.stderr
    path = tmp_path / 'x.json'
    path.write_bytes(b'\xff')
    result = CliRunner().invoke(APP, ['demo', 'x', '--config', str(path)])
    assert result.exit_code == 2 and 'must be YAML or JSON' in result.stderr
