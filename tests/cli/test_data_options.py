from __future__ import annotations

import argparse
from pathlib import Path

import pytest
import torch

from pyg_irllrec.cli.data_options import (
    CHOICES,
    add_data_options,
    check_data_options,
    check_extraction_options,
    check_same_options,
    make_graph,
    read_dataset,
    record_extraction_options,
)
from pyg_irllrec.text.intents.intent_file import (
    load_intents,
    manifest_path,
    save_intents,
)
from tests.cli.tables import write_table

pytest.importorskip('pyarrow')
NAMED = ('--interactions', 'likes.csv', '--user', 'who', '--item', 'what')


def parse(*args: str, **options: bool) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_data_options(parser, **options)
    args = parser.parse_args(args)
    if options.get('required', True):
        check_data_options(parser, args)
    return args


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    likes = [[f'u{u}', (u + k) % 9, 3 + k % 3] for u in range(12) for k in range(6)]
    write_table(tmp_path / 'likes.csv', ['who', 'what', 'stars'], likes)
    return tmp_path


def test_the_same_options_make_the_same_graph(folder):
    args = parse(*NAMED, '--rating', 'stars', '--min-rating', '4', '--k-core', '2')
    dataset = read_dataset(args, folder / 'data')
    one, other = make_graph(dataset, args), make_graph(dataset, args)
    edges = [graph['user', 'rates', 'item'].edge_index for graph in (one, other)]
    assert torch.equal(*edges)
    args.split_seed = 1
    changed = make_graph(dataset, args)['user', 'rates', 'item'].edge_index
    assert not torch.equal(changed, edges[0])
    # Others are read into the same folder by force alone.
    args.rating = args.min_rating = None
    with pytest.raises(ValueError, match='rating'):
        read_dataset(args, folder / 'data')
    forced = read_dataset(args, folder / 'data', force=True)
    assert 'rating' not in forced[0]['user', 'rates', 'item']


def test_parquet(folder):
    import pandas as pd

    pd.read_csv('likes.csv').to_parquet('likes.pq')
    args = parse('--interactions', 'likes.pq', *NAMED[2:])
    assert read_dataset(args, folder / 'data').counts['interactions'] == 72


def test_json_lines(folder):
    import pandas as pd

    frame = pd.read_csv('likes.csv').assign(when=1_600_000_000_000)
    text = frame.to_json(orient='records', lines=True)
    Path('likes.jsonl').write_text(text, 'utf-16')
    named = ('--interactions', 'likes.jsonl', *NAMED[2:], '--encoding', 'utf-16')
    args = parse(*named, '--timestamp', 'when', '--time-unit', 'ms')
    dataset = read_dataset(args, folder / 'data')
    assert dataset.counts['interactions'] == 72
    assert set(dataset[0]['user', 'rates', 'item'].time.tolist()) == {1_600_000_000}


def test_options_that_may_be_given_again():
    args = vars(parse('--min-rating', '3', required=False))
    assert args == {'min_rating': 3.0}
    assert set(CHOICES) < set(vars(parse(*NAMED)))


@pytest.mark.parametrize(
    ('args', 'message'),
    [
        (('--min-rating', '3'), '--min-rating needs --rating'),
        (('--item-text', 'title'), '--item-text needs --items'),
        (('--items-id', 'isbn'), '--items-id needs --items'),
        (('--items', 'x.csv'), '--items needs --item-text'),
        (('--k-core', '0'), 'must be a positive integer'),
    ],
)
def test_options_that_need_others(args, message, capsys):
    with pytest.raises(SystemExit):
        parse(*NAMED, *args)
    assert message in capsys.readouterr().err


def test_options_that_differ_are_named(tmp_path):
    path, args = tmp_path / 'intents.jsonl', parse(*NAMED)
    check_extraction_options(
        path, args, 'intents'
    )  # What is not there is refused elsewhere.
    save_intents(path, [], {})
    check_extraction_options(
        path, args, 'intents'
    )  # Intents of another command have no options.
    record_extraction_options(path, args)
    assert load_intents(path).manifest['data_options']['user'] == 'who'
    check_extraction_options(path, args, 'intents')
    args.timestamp, args.item_text = 'when', ['title', 'kind']
    with pytest.raises(ValueError, match=r'the profiles of .* extracted with no --ti'):
        check_extraction_options(path, args, 'profiles')
    message = (
        'extracted with no --timestamp no --item-text: give the same here, got '
        '--timestamp when --item-text title kind'
    )
    with pytest.raises(ValueError, match=message):
        check_extraction_options(path, args, 'intents')
    check_same_options({'user': 'a'}, {'item': 'b'}, 'it was trained')


@pytest.mark.parametrize(
    'text',
    ['[]', 'null', '{', '[' * 10**5, '{"data_options": null}', '{"data_options": [1]}'],
)
def test_a_damaged_manifest(tmp_path, text):
    path, args = tmp_path / 'intents.jsonl', parse(*NAMED)
    save_intents(path, [], {})
    manifest_path(path).write_text(text)
    with pytest.raises(ValueError, match=r'manifest\.json is damaged'):
        check_extraction_options(path, args, 'intents')
    if 'options' not in text:
        with pytest.raises(ValueError, match=r'manifest\.json is damaged'):
            record_extraction_options(path, args)
