from __future__ import annotations

import gzip

import pytest

from pyg_irllrec.datasets._ingest import json_lines_table
from pyg_irllrec.datasets.interaction_dataset import InteractionDataset

TEXT = '{"who": "é", "what": 1}\n\n{"what": 2, "who": "b", "more": [1]}\n'


@pytest.fixture
def read(tmp_path):
    def read(content, name='t.jsonl', **options):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(raw)
        options = {'user': 'who', 'item': 'what', **options}
        root = tmp_path / 'root'
        return InteractionDataset.from_json_lines(tmp_path / name, root, **options)

    return read


def test_objects_in_any_order_of_fields(read):
    dataset = read(TEXT)
    assert dataset.user_ids == ['b', 'é'] and dataset.item_ids.tolist() == [1, 2]
    assert dataset.nodes_of('item', ['2']).tolist() == [1]


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'latin-1'])
def test_encodings(read, encoding):
    raw = gzip.compress(TEXT.encode(encoding))
    assert read(raw, 't.jsonl.gz', encoding=encoding).user_ids == ['b', 'é']
    if encoding != 'utf-8-sig':
        with pytest.raises(ValueError, match=r"is not in utf-8: |encoding='utf-16"):
            read(raw, 'u.jsonl.gz', force_reload=True)


def test_types_may_change_from_batch_to_batch(read, monkeypatch):
    monkeypatch.setattr(json_lines_table, '_BATCH_ROWS', 2)
    ids = ['1', '2.0', '"3"', '" 4"', str(10**19), '6', '"1"']
    text = ''.join(f'{{"who": {each}, "what": {k}}}\n' for k, each in enumerate(ids))
    assert sorted(read(text).user_ids) == ['1', str(10**19), '2', '3', '4', '6']
    bad = text + '{"who": 7, "what": null}\n'
    with pytest.raises(ValueError, match="line 8: column 'what' lacks an id"):
        read(bad, force_reload=True)


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('', 'is empty'),
        ('\n\n', 'is empty'),
        ('who,what\n1,2\n', r"line 1: expected one JSON .*'who,what'.*from_csv"),
        ('[{"who": 1, "what": 2}]', 'line 1: expected one JSON object per line, got'),
        ('[\n{"who": 1, "what": 2}\n]', 'line 1: expected one JSON object per line'),
        ('{"who": 1, "what": 2}\n{"who"', 'line 2: expected one JSON object per line'),
        ('{"who": 1, "who": 2, "what": 3}', 'line 1: .*a field is given twice'),
        ('[' * 100_000, 'line 1: .*recursion'),
        ('{"who": ' + '9' * 5000 + ', "what": 1}', 'line 1: .*limit'),
        ('{"who": 1e999, "what": 1}', "line 1: column 'who' must hold ids"),
        ('{"who": true, "what": 1}', "column 'who' must hold ids .*got bool"),
        ('{"who": {"a": 1}, "what": 1}', "column 'who' must hold ids .*got struct"),
        ('{"who": "\\ud800", "what": 1}', "line 1: column 'who' holds half a surr"),
        ('{"who": 1, "what": 2}\n{"who": 3}', "line 2: column 'what' lacks an id"),
        (
            '{"user": 1, "what": 2}',
            "one column 'who', got none: its columns are 'user'",
        ),
        ('PAR1', 'is a Parquet file'),
        ('[{"who": 1, "what": 2}]', 'write the objects of an array line by line'),
        (
            gzip.compress(TEXT.encode(), mtime=0),
            r"is compressed with gzip: .* end in '\.gz'",
        ),
        ('{"who": 1.5, "what": 1}\n{"who": true, "what": 1}', 'line 2: .*got bool'),
        ('{"who": 1.0, "what": 1}\n{"who": true, "what": 1}', 'line 2: .*got bool'),
    ],
)
def test_bad_lines_are_named(read, tmp_path, text, message):
    with pytest.raises(ValueError, match=message):
        read(text)
    assert not (tmp_path / 'root').exists()


def test_a_cut_file_is_named(read):
    cut = gzip.compress(TEXT.encode() * 99)[:-9]
    with pytest.raises(ValueError, match=r't\.jsonl\.gz is not .* or it is damaged'):
        read(cut, 't.jsonl.gz')


def test_texts_do_not_depend_on_their_batch(read, tmp_path, monkeypatch):
    lines = ['"a"', '["b", "", "c"]', 'true', '1999', '7.5', 'null', '[]']
    items = ''.join(f'{{"what": {k}, "x": {each}}}\n' for k, each in enumerate(lines))
    (tmp_path / 'items.jsonl').write_text(items)
    rows = ''.join(f'{{"who": 1, "what": {k}}}\n' for k in range(len(lines)))
    for size in (1, 2, 3, 100):
        monkeypatch.setattr(json_lines_table, '_BATCH_ROWS', size)
        dataset = read(
            rows, items=tmp_path / 'items.jsonl', item_text='x', force_reload=True
        )
        texts = list(dataset[0]['item'].text)
        assert texts == ['a', 'b, c', 'True', '1999', '7.5', '', '']
    (tmp_path / 'items.jsonl').write_text(items + '{"what": 1, "x": {"a": 1}}\n')
    with pytest.raises(ValueError, match=r'items\.jsonl, line 8: .*got a record'):
        read(rows, items=tmp_path / 'items.jsonl', item_text='x', force_reload=True)
