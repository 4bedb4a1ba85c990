from __future__ import annotations

import sys
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from pyg_irllrec.functional import top_k_items
from pyg_irllrec.serving import ItemIndex, _index_search
from tests.serving.bundles import bare_bundle, plain_bundle

torch.manual_seed(0)
ITEMS, USERS = torch.randn(500, 8), torch.randn(20, 8)


def test_all_cells_are_an_exact_search():
    index = ItemIndex(ITEMS, num_cells=10, num_probes=10)
    found = index.search(USERS, 7)
    expected = top_k_items(USERS, ITEMS, 7)
    assert found.item.equal(expected.indices)
    torch.testing.assert_close(found.score, expected.values)
    assert 'num_items=500, num_cells=10, num_probes=10' in repr(index)


def test_some_cells_are_nearly_exact():
    found = ItemIndex(ITEMS, num_probes=10).search(USERS, 10).item
    expected = top_k_items(USERS, ITEMS, 10).indices
    hits = (found.unsqueeze(2) == expected.unsqueeze(1)).any(2).float().mean()
    assert 0.8 < hits < 1


def test_few_items_are_found_exactly():
    found = ItemIndex(ITEMS[:60]).search(USERS, 10).item
    assert found.equal(top_k_items(USERS, ITEMS[:60], 10).indices)
    assert ItemIndex(ITEMS).num_probes == 8


def test_excluded_items_make_room_for_others():
    """Also if all the nearest items of a user are excluded."""
    exact = ItemIndex(ITEMS, num_cells=10, num_probes=10)
    near = top_k_items(USERS, ITEMS, 500).indices
    counts = [0, 1, 3, 100, 495, 498, 500]
    row = torch.arange(7).repeat_interleave(torch.tensor(counts))
    item = torch.cat([near[each, :count] for each, count in enumerate(counts)])
    found = exact.search(USERS[:7], 5, (row, item))
    for each, count in enumerate(counts):
        left = near[each, count : count + 5].tolist()
        assert found.item[each].tolist() == left + [-1] * (5 - len(left))
        assert (found.score[each] == -torch.inf).sum() == 5 - len(left)
    few = ItemIndex(ITEMS, num_cells=50, num_probes=1)
    found = few.search(USERS[:7], 5, (row, item)).item
    assert (found >= 0).sum(dim=1).tolist() == [5, 5, 5, 5, 5, 2, 0]
    for each, count in enumerate(counts):
        assert not torch.isin(found[each], near[each, :count]).any()


def test_no_more_items_than_there_are():
    found = ItemIndex(ITEMS[:3]).search(USERS, 10)
    assert found.item.sort().values.equal(torch.arange(3).expand(20, -1))
    assert ItemIndex(ITEMS[:1]).search(USERS[:0], 1).item.shape == (0, 1)


def test_a_bundle_by_embeddings(monkeypatch):
    monkeypatch.setattr(_index_search, 'index_of', lambda bundle: every_cell(bundle))
    bundle = bare_bundle()
    exact = bundle.recommend(k=9, exclude=[1, 2])
    found = bundle.recommend(k=9, exclude=[1, 2], index='faiss', batch_size=17)
    assert found.item.equal(exact.item)
    torch.testing.assert_close(found.score, exact.score)


def test_a_bundle_by_a_blend(monkeypatch):
    """With all items as candidates, the ranking is exact."""
    monkeypatch.setattr(_index_search, 'index_of', lambda bundle: every_cell(bundle))
    bundle = plain_bundle()
    exact = bundle.recommend(k=40)
    found = bundle.recommend(k=40, index='faiss')
    assert found.item.equal(exact.item)
    torch.testing.assert_close(found.score, exact.score, atol=1e-5, rtol=1e-4)
    monkeypatch.setattr(_index_search, '_CANDIDATES', 1)
    few = bundle.recommend(k=5, index='faiss').item
    assert not few.equal(exact.item[:, :5])
    graph = bundle.ranker.user_embedding @ bundle.ranker.item_embedding.t()
    graph[bundle.seen.lookup(torch.arange(60))] = -torch.inf
    assert few.sort().values.equal(graph.topk(5).indices.sort().values)


def every_cell(bundle):
    return ItemIndex(bundle.ranker.item_embedding, num_cells=4, num_probes=4)


def test_candidates_and_intents_are_searched_exactly():
    bundle, text = plain_bundle(), plain_bundle().data['item'].text[5]
    for options in ({'among': ['book 1', 'book 7']}, {'intents': {text: 1.0}}):
        exact, found = (
            bundle.recommend(k=5, index=index, **options)
            for index in ('exact', 'faiss')
        )
        assert found.item.equal(exact.item) and found.score.equal(exact.score)


def test_built_once_for_all_threads(monkeypatch):
    built = []
    make = ItemIndex.__init__

    def count(self, *arguments, **options):
        built.append(self)
        make(self, *arguments, **options)

    monkeypatch.setattr(ItemIndex, '__init__', count)
    monkeypatch.setattr(
        _index_search, 'index_of', _index_search.PerBundle(_index_search._build)
    )
    bundle = bare_bundle()
    with ThreadPoolExecutor(4) as pool:
        found = list(
            pool.map(lambda _: bundle.recommend(k=3, index='faiss').item, range(8))
        )
    assert len(built) == 1 and all(each.equal(found[0]) for each in found)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'item_embedding': ITEMS[0]}, "'item_embedding'"),
        ({'item_embedding': ITEMS * torch.nan}, "'item_embedding' must"),
        ({'item_embedding': [[1.0]]}, "'item_embedding'"),
        ({'num_cells': 0}, "'num_cells'"),
        ({'num_probes': 0}, "'num_probes'"),
    ],
)
def test_invalid_indices(options, message):
    with pytest.raises(ValueError, match=message):
        ItemIndex(**{'item_embedding': ITEMS, **options})


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'user': USERS[:, :3]}, "'user' must have 8 columns, as the items, got 3"),
        ({'user': USERS[0]}, "'user'"),
        ({'k': 0}, "'k'"),
        ({'exclude': (torch.tensor([20]), torch.tensor([0]))}, r"'exclude\[0\]'"),
        ({'exclude': (torch.tensor([0]), torch.tensor([500]))}, r"'exclude\[1\]'"),
        ({'exclude': (torch.tensor([0]), torch.tensor([0, 1]))}, r"'exclude\[1\]'"),
    ],
)
def test_invalid_searches(options, message):
    index = ItemIndex(ITEMS[:500], num_cells=4)
    with pytest.raises(ValueError, match=message):
        index.search(**{'user': USERS, 'k': 3, **options})


def test_without_faiss(monkeypatch):
    monkeypatch.setitem(sys.modules, 'faiss', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[serve\]'"):
        ItemIndex(ITEMS)
