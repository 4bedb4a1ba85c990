from __future__ import annotations

import bz2
import gzip
import lzma

import pytest

from pyg_irllrec.datasets.interaction_dataset import InteractionDataset

TEXT = 'who,what\né,1\nb,2\n'


@pytest.fixture
def read(tmp_path):
    def read(content, name='t.csv', **options):
        raw = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(raw)
        options = {'user': 'who', 'item': 'what', **options}
        root = tmp_path / 'root'
        return InteractionDataset.from_csv(tmp_path / name, root, **options)

    return read


@pytest.mark.parametrize(
    'encoding',
    ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be', 'utf-32', 'latin-1', 'cp1252'],
)
def test_encodings(read, encoding):
    assert read(TEXT.encode(encoding), encoding=encoding).user_ids == ['b', 'é']


@pytest.mark.parametrize(
    ('encoding', 'message'),
    [
        ('utf-16', r"t\.csv is in UTF-16: pass encoding='utf-16'"),
        ('utf-32', r"t\.csv is in UTF-32: pass encoding='utf-32'"),
        ('utf-16-le', r"zero bytes: .*pass encoding='utf-16-le'"),
        ('utf-16-be', r"zero bytes: .*pass encoding='utf-16-be'"),
        (
            'latin-1',
            r"t\.csv is not in utf-8: .*line 2: .*\(pass 'encoding'\)",
        ),
    ],
)
def test_a_wrong_encoding_is_named(read, tmp_path, encoding, message):
    with pytest.raises(ValueError, match=message):
        read(TEXT.encode(encoding))
    with pytest.raises(ValueError, match=message.replace('csv', 'csv.gz')):
        read(gzip.compress(TEXT.encode(encoding)), 't.csv.gz')
    assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize('wrong', ['utf-16', 'utf-32', 'ascii'])
def test_a_wrong_given_encoding_is_named(read, wrong):
    with pytest.raises(
        ValueError, match=rf"t\.csv is not in {wrong}: .*pass 'encoding'"
    ):
        read(TEXT.encode(), encoding=wrong)


@pytest.mark.parametrize(
    'encoding', ['hex', 'klingon', None, 'a\0', 'idna', 'Punycode', 'undefined']
)
def test_encodings_that_are_not_of_text(read, encoding):
    with pytest.raises(
        ValueError, match="'encoding' must be a text encoding of Python"
    ):
        read(TEXT, encoding=encoding)


@pytest.mark.parametrize('first', ['sep=;\n', '"sep=;"\r\n', '\ufeffSEP=;\n'])
def test_a_first_line_that_names_the_separator(read, first):
    assert read(f'{first}who;what\na;1\n', sep=';').user_ids == ['a']
    with pytest.raises(
        ValueError, match=r"'sep' must be ';', as in the first line of .*, got"
    ):
        read(f'{first}who;what\na;1\n')
    with pytest.raises(ValueError, match="line 4: column 'who' lacks an id"):
        read(f'{first}who;what\na;1\nNULL;1\n', sep=';', force_reload=True)
    with pytest.raises(ValueError, match="line 3: column 'who' lacks an id"):
        read(
            f'{first}a;1\nNULL;1\n',
            sep=';',
            column_names=['who', 'what'],
            force_reload=True,
        )


@pytest.mark.parametrize(
    ('sep', 'message'),
    [
        (r'\t', r"'sep' must be a tab, '\\t', got r'\\t'"),
        ('', "'sep' must be one character, got ''"),
        ('§', "'sep' must be an ASCII character other than a line break, got '§'"),
        ('\n', 'other than a line break'),
        ('"', "'sep' and 'quote' must differ"),
    ],
)
def test_wrong_separators(read, sep, message):
    with pytest.raises(ValueError, match=message):
        read(TEXT, sep=sep)


def test_a_decimal_comma_is_named(read):
    text = 'who;what;stars\na;1;4\nb;2;4,5\n'
    with pytest.raises(ValueError, match=r"line 3: .*with a decimal point, got '4,5'"):
        read(text, sep=';', rating='stars')


def test_other_kinds_of_files_are_named(read):
    with pytest.raises(
        ValueError, match=r'holds JSON instead of a header: .*from_json_lines'
    ):
        read('{"who": "a", "what": 1}\n')
    with pytest.raises(ValueError, match=r'is a Parquet file: .*from_parquet'):
        read(b'PAR1' + bytes(40))
    with pytest.raises(ValueError, match=r't\.csv is empty'):
        read('')


@pytest.mark.parametrize('end', ['\n', '\r\n', '\r'])
def test_line_ends(read, end):
    dataset = read(end.join(['who,what', 'a,1', 'b,2', '']))
    assert dataset.user_ids == ['a', 'b'] and dataset.item_ids.tolist() == [1, 2]


@pytest.mark.parametrize(
    'header',
    ['who,what', '"who","what"', ' who, What ', '\ufeffwho,what', 'sep=,\nwho,what'],
)
def test_a_header_beside_column_names(read, header):
    text = f'{header}\na,1\n'
    with pytest.raises(
        ValueError, match="has a header that equals 'column_names': leave"
    ):
        read(text, column_names=['who', 'what'])
    dataset = read(text, column_names=['what', 'who'])
    assert len(dataset.user_ids) == 2


@pytest.mark.parametrize(
    ('name', 'pack', 'message'),
    [
        ('t.csv', gzip.compress, r"is compressed with gzip: .*end in '\.gz'"),
        ('t.CSV.GZ', gzip.compress, r"is compressed with gzip: .*end in '\.gz'"),
        ('t.csv.bz2', gzip.compress, r"is compressed with gzip: .*end in '\.gz'"),
        ('t.csv', bz2.compress, r"is compressed with bzip2: .*end in '\.bz2'"),
        ('t.csv.xz', lzma.compress, 'is compressed with xz: decompress it'),
        ('t.xlsx', lambda raw: b'PK\x03\x04' + raw, 'a ZIP archive or a spreadsheet'),
        ('t.csv', lambda raw: b'\xd0\xcf\x11\xe0' + raw, 'a spreadsheet'),
        ('t.csv.gz', bytes, 'or it is damaged'),
    ],
)
def test_compressed_files_with_other_suffixes(read, tmp_path, name, pack, message):
    with pytest.raises(ValueError, match=message):
        read(pack(TEXT.encode()), name)
    assert not (tmp_path / 'root').exists()


@pytest.mark.parametrize(
    ('name', 'pack'), [('t.gz', gzip.compress), ('t.bz2', bz2.compress)]
)
def test_compressed_files(read, name, pack):
    assert read(pack(TEXT.encode()), name).user_ids == ['b', 'é']
    assert read('BZh,who,what\n1,a,1\n', force_reload=True).user_ids == ['a']
