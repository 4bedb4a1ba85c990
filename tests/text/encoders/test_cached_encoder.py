from __future__ import annotations

import multiprocessing
import sqlite3
import warnings

import numpy as np
import pytest

from pyg_irllrec.text import CachedEncoder, EncodingError, TfidfEncoder
from pyg_irllrec.text.encoders._vector_table import VectorTable
from tests.text.child_process import encode_texts, start
from tests.text.hash_encoder import HashEncoder


@pytest.fixture
def path(tmp_path):
    return tmp_path / 'cache.db'


@pytest.fixture
def encoder():
    return HashEncoder()


def cached(encoder, path, **options):
    return CachedEncoder(encoder, path, progress=False, **options)


def change(path, statement, *values):
    with sqlite3.connect(path) as db:
        db.execute(statement, values)
    db.close()


def count(path):
    db = sqlite3.connect(path)
    (number,) = db.execute('SELECT count(*) FROM text_vectors').fetchone()
    db.close()
    return number


def test_a_text_is_encoded_once(encoder, path):
    texts = ['b', 'a', 'b', '', 'a', 'c', '']
    vectors = cached(encoder, path, batch_size=3)(texts)
    assert vectors.dtype == np.float32
    np.testing.assert_array_equal(vectors, encoder.expected(texts))
    assert encoder.batches == [['b', 'a', ''], ['c']]
    later = HashEncoder()
    again = cached(later, path)(['c', 'new', 'a', 'new'])
    np.testing.assert_array_equal(again, encoder.expected(['c', 'new', 'a', 'new']))
    assert later.batches == [['new']]
    assert count(path) == 5


def test_many_texts(encoder, path):
    texts = [f'text {row % 1300}' for row in range(2600)]
    np.testing.assert_array_equal(cached(encoder, path)(texts), encoder.expected(texts))
    later = HashEncoder()
    np.testing.assert_array_equal(cached(later, path)(texts), encoder.expected(texts))
    assert later.batches == [] and len(encoder.texts) == 1300


def test_no_text(encoder, path):
    assert cached(encoder, path)([]).shape == (0, 0)
    assert encoder.batches == []


def test_texts_with_lone_surrogates(encoder, path):
    texts = ['half \ud800', 'zero \0', 'zero ', '\u00e9', 'e\u0301']
    encoder.vector = lambda text: np.full(2, texts.index(text))
    vectors = cached(encoder, path)(texts)
    assert vectors[:, 0].tolist() == [0, 1, 2, 3, 4] and count(path) == 5


def test_encoders_in_one_file_do_not_mix(path):
    first, second = HashEncoder(name='first'), HashEncoder(name='second')
    for _ in range(2):
        for encoder in (first, second):
            np.testing.assert_array_equal(
                cached(encoder, path)(['a', 'b']), encoder.expected(['a', 'b'])
            )
    assert len(first.batches) == len(second.batches) == 1
    assert count(path) == 4


def test_a_new_version_of_a_library_keeps_the_cache(encoder, path):
    cached(encoder, path)(['a'])
    later = HashEncoder()
    later.describe = lambda: encoder.describe() | {'library': 'none 2.0'}
    cached(later, path)(['a'])
    assert later.batches == []
    later.describe = lambda: encoder.describe() | {'version': 2}
    cached(later, path)(['a'])
    assert later.batches == [['a']]


def test_a_function_needs_a_description(path):
    def encode(texts):
        return np.ones((len(texts), 2))

    with pytest.raises(ValueError, match=r"got <function .* pass 'description'"):
        CachedEncoder(encode, path)
    with pytest.raises(ValueError, match="'description' must hold JSON values"):
        CachedEncoder(encode, path, description={'encoder': encode})
    assert not path.exists()
    mine = cached(encode, path, description={'encoder': 'ones'})
    assert mine.describe() == {'encoder': 'ones'}
    assert mine(['a']).tolist() == [[1, 1]]


def test_describes_its_encoder(encoder, path):
    assert cached(encoder, path).describe() == encoder.describe()
    assert repr(cached(len, path, description={})) == (
        f"CachedEncoder(<built-in function len>, '{path}')"
    )


@pytest.mark.parametrize(
    ('statement', 'value'),
    [
        ('vector = substr(vector, 1, 12)', None),
        ('vector = substr(vector, 1, 13)', None),
        ('vector = zeroblob(32)', None),
        ("vector = ''", None),
        ('vector = 7', None),
        ('checksum = checksum + 1', None),
        # The undamaged vector of another text.
        (
            '(vector, checksum) = (SELECT vector, checksum FROM text_vectors '
            'WHERE key != ?)',
            'key',
        ),
    ],
)
def test_a_damaged_vector_is_encoded_again(encoder, path, statement, value):
    texts = ['a', 'b', 'c']
    cached(encoder, path)(texts)
    db = sqlite3.connect(path)
    key = db.execute('SELECT key FROM text_vectors ORDER BY rowid').fetchall()[1][0]
    db.close()
    values = [key] if value is None else [key, key]
    change(path, f'UPDATE text_vectors SET {statement} WHERE key = ?', *values)
    later = HashEncoder()
    with pytest.warns(UserWarning, match='1 of 3 vectors in .* are damaged'):
        vectors = cached(later, path)(texts)
    np.testing.assert_array_equal(vectors, encoder.expected(texts))
    assert later.batches == [['b']]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        cached(later, path)(texts)


def test_a_vector_that_is_not_finite_is_neither_stored_nor_read(encoder, path):
    def broken(texts):
        return np.full((len(texts), 8), np.nan)

    mine = cached(broken, path, description=encoder.describe())
    with pytest.raises(ValueError, match=r"row 0, 'a' .* NaN or infinity"):
        mine(['a'])
    assert count(path) == 0
    cached(encoder, path)(['a'])
    with VectorTable(path) as table:
        ((key, _),) = table._db.execute('SELECT key, vector FROM text_vectors')
        table.write([key], np.full((1, 8), np.inf, np.float32))
    with pytest.warns(UserWarning, match='1 of 1 vectors in .* are damaged'):
        vectors = cached(encoder, path)(['a'])
    np.testing.assert_array_equal(vectors, encoder.expected(['a']))


def test_an_encoder_of_another_width_under_the_same_description(encoder, path):
    cached(encoder, path)(['a'])
    wide = HashEncoder(9)
    wide.describe = encoder.describe
    with pytest.raises(ValueError, match=r'width 8, like those in .* got width 9'):
        cached(wide, path)(['a', 'b'])
    assert count(path) == 1


@pytest.mark.parametrize(
    'answer', [np.ones((1, 2)), np.ones(2), [[1.0], [1.0, 2.0]], np.ones((2, 0)), 'ab']
)
def test_an_encoder_that_returns_something_else(path, answer):
    mine = cached(lambda texts: answer, path, description={})
    with pytest.raises(ValueError, match="'encoder' must return"):
        mine(['a', 'b'])
    assert count(path) == 0


def test_keeps_the_batches_before_an_error(encoder, path):
    def fails(texts):
        if 'c' in texts:
            raise RuntimeError('no more')
        return encoder(texts)

    mine = cached(fails, path, batch_size=2, description=encoder.describe())
    with pytest.raises(RuntimeError, match='no more'):
        mine(['a', 'b', 'c', 'd'])
    later = HashEncoder()
    cached(later, path)(['a', 'b', 'c', 'd'])
    assert later.batches == [['c', 'd']]


def test_refused_texts_are_named_and_the_others_stored(encoder, path):
    def refuses(texts):
        if any(len(text) > 100 for text in texts):
            raise ValueError('too long')
        return encoder(texts)

    texts = [f'text {row}' for row in range(20)]
    texts[13] = 'my long text ' * 99
    texts.append(texts[2])
    mine = cached(refuses, path, batch_size=16, description=encoder.describe())
    with pytest.raises(EncodingError) as caught:
        mine(texts)
    message = str(caught.value)
    assert '1 of 21 texts cannot be' in message and 'cache.db' in message
    assert "row 13, 'my long text my" in message and '(1287 characters): too' in message
    assert set(caught.value.reasons) == {13} and count(path) == 19
    good = [row for row in range(21) if row != 13]
    expected = encoder.expected([texts[row] for row in good])
    np.testing.assert_array_equal(caught.value.vectors[good], expected)
    assert np.isnan(caught.value.vectors[13]).all()
    # No text was encoded twice.
    assert sorted(encoder.texts) == sorted(set(texts) - {texts[13]})
    encoder.batches.clear()
    with pytest.raises(EncodingError, match='row 13'):
        mine(texts)
    assert encoder.batches == []


@pytest.mark.parametrize('bad', [0, 1])
def test_one_of_two_texts_is_refused(encoder, path, bad):
    def refuses(texts):
        if '' in texts:
            raise TypeError('empty')
        return encoder(texts)

    texts = ['a', 'b']
    texts[bad] = ''
    mine = cached(refuses, path, description=encoder.describe())
    with pytest.raises(EncodingError, match=f"row {bad}, '' .0 characters.: empty"):
        mine(texts)
    assert count(path) == 1


def test_an_encoder_that_refuses_every_text_is_called_four_times(encoder, path):
    calls = []

    def refuses(texts):
        calls.append(len(texts))
        raise ValueError('no such model')

    mine = cached(refuses, path, description={})
    with pytest.raises(ValueError, match=r'^no such model$'):
        mine([f'text {row:3}' for row in range(200)])
    assert calls == [200, 1, 1, 1]


def test_a_damaged_file_is_rescued(encoder, path):
    texts = [f'text {row}' for row in range(300)]
    cached(encoder, path)(texts)
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = bytes(range(256)) * 16
    path.write_bytes(content)
    later = HashEncoder()
    with pytest.warns(UserWarning, match=r'cache\.db was damaged\. .* read'):
        vectors = cached(later, path)(texts)
    np.testing.assert_array_equal(vectors, encoder.expected(texts))
    assert 0 < len(later.texts) < 150
    assert (path.parent / 'cache.db.damaged-1').read_bytes() == content


@pytest.mark.parametrize('pages', [6, 9])
def test_a_truncated_file_is_rescued(encoder, path, pages):
    texts = [f'text {row}' for row in range(300)]
    cached(encoder, path)(texts)
    path.write_bytes(path.read_bytes()[: 4096 * pages])
    later = HashEncoder()
    with pytest.warns(UserWarning, match=r'cache\.db was damaged\. .* read') as seen:
        again = cached(later, path)
    # Other warnings may be about objects of other tests that are collected meanwhile.
    own = [each.filename for each in seen if each.category is UserWarning]
    assert own == [__file__]
    np.testing.assert_array_equal(again(texts), encoder.expected(texts))
    assert 0 < len(later.texts) < 300


def test_goes_on_after_sigkill(encoder, path):
    number, read = 200, 5
    pipe, end = multiprocessing.Pipe(duplex=False)
    process = start(encode_texts, path, number, 0.02, end)
    end.close()
    assert [pipe.recv() for _ in range(read)] == [4] * read
    process.kill()
    process.join()
    rest = 0
    while pipe.poll():
        try:
            rest += pipe.recv() == 4
        except EOFError:
            break
    kept = count(path)
    # All batches before the interrupted one.
    assert kept >= 4 * (read + rest - 1) and kept % 4 == 0 and kept < number
    texts = [f'text {row}' for row in range(number)]
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        vectors = cached(encoder, path)(texts)
    np.testing.assert_array_equal(vectors, encoder.expected(texts))
    assert encoder.texts == texts[kept:]


def test_several_processes_share_a_file(encoder, path):
    _, end = multiprocessing.Pipe(duplex=False)
    processes = [start(encode_texts, path, 120, 0.0, end) for _ in range(2)]
    for process in processes:
        process.join()
        assert process.exitcode == 0
    assert count(path) == 120
    texts = [f'text {row}' for row in range(120)]
    np.testing.assert_array_equal(cached(encoder, path)(texts), encoder.expected(texts))
    assert encoder.batches == []


def test_a_full_disk(path, monkeypatch):
    wide, connect = HashEncoder(200), sqlite3.connect

    def small(*args, **options):
        db = connect(*args, **options)
        db.execute('PRAGMA max_page_count = 20')
        return db

    monkeypatch.setattr(sqlite3, 'connect', small)
    texts = [f'text {row}' for row in range(200)]
    with pytest.raises(OSError, match=r'cache\.db cannot be read or written: .*full'):
        cached(wide, path, batch_size=10)(texts)
    monkeypatch.undo()
    kept = count(path)
    assert 0 < kept < 200 and kept % 10 == 0
    later = HashEncoder(200)
    np.testing.assert_array_equal(cached(later, path)(texts), wide.expected(texts))
    assert later.texts == texts[kept:]


@pytest.mark.parametrize('content', [b'no database', b'x' * 5000, b'SQLite format 3\0'])
def test_a_file_that_is_not_a_database(encoder, path, content):
    path.write_bytes(content)
    with pytest.raises(
        ValueError, match="'path' must be a SQLite database or a new file"
    ):
        cached(encoder, path)
    assert path.read_bytes() == content


def test_a_folder(encoder, tmp_path):
    with pytest.raises(OSError, match='cannot be read or written: unable to open'):
        cached(encoder, tmp_path)


def test_creates_folders(encoder, tmp_path):
    cached(encoder, str(tmp_path / 'new' / 'cache.db'))(['a'])
    assert [file.name for file in (tmp_path / 'new').iterdir()] == ['cache.db']


def test_shows_progress(encoder, path, capsys):
    CachedEncoder(encoder, path)(['a', 'b'])
    assert '2/2' in capsys.readouterr().err
    CachedEncoder(encoder, path)(['a', 'b', 'c'])
    assert '3/3' in capsys.readouterr().err
    CachedEncoder(encoder, path)(['a', 'b', 'c'])
    assert capsys.readouterr().err == ''


def test_wrong_arguments(encoder, path):
    with pytest.raises(ValueError, match=r'TfidfEncoder.* is fitted on the texts of'):
        CachedEncoder(TfidfEncoder(), path)
    with pytest.raises(
        ValueError, match="'batch_size' must be an integer of at least 1"
    ):
        CachedEncoder(encoder, path, batch_size=0)
    assert not path.exists()
    with pytest.raises(ValueError, match="'texts' must hold texts, got None in row 1"):
        cached(encoder, path)(['a', None])
    with pytest.raises(ValueError, match='got a single text'):
        cached(encoder, path)('abc')
