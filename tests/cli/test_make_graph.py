from __future__ import annotations

import torch

from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.make_graph import make_graph
from pyg_irllrec.cli.model_options import TextChoices
from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.typing import RATES, SIDES
from tests.cli.calls import call
from tests.cli.tables import write_books


def prepared(folder):
    write_books(folder)
    ratings, books = folder / 'ratings.csv', folder / 'books.csv'
    files = '--interactions', ratings, '--items', books
    assert call('prepare', *files, '--min-rating', 4, '--out', folder / 'data') == 0
    return DataFolder(folder / 'data')


def test_texts_and_vectors_are_of_one_space(tmp_path):
    folder, encoder = prepared(tmp_path), TfidfEncoder(8)
    data = make_graph(folder, encoder, TextChoices())
    for side in SIDES:
        vectors = torch.from_numpy(encoder(data[side].profile_text))
        torch.testing.assert_close(data[side].profile, vectors)
    assert 'test_edge_label_index' in data[RATES]


def test_texts_of_users_are_those_of_what_is_trained_on(tmp_path):
    folder = prepared(tmp_path)
    split = make_graph(folder, TfidfEncoder(8), TextChoices())
    whole = make_graph(folder, TfidfEncoder(8), TextChoices(), unsplit=True)
    assert 'test_edge_label_index' not in whole[RATES]
    assert whole[RATES].edge_index.size(1) > split[RATES].edge_index.size(1)
    assert list(whole['user'].profile_text) != list(split['user'].profile_text)
