from __future__ import annotations

import copy
import re
import warnings
from types import SimpleNamespace

import pytest
import torch
import torch_geometric.transforms as T
from torch_geometric import EdgeIndex
from torch_geometric.data import HeteroData

from pyg_irllrec import build_model
from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.presets import get_preset
from pyg_irllrec.training import InteractionDataModule
from pyg_irllrec.transforms import SplitInteractions
from pyg_irllrec.utils import UserItems
from tests.layouts import (
    LINK_SPLIT,
    PAIRS,
    RATED_BY,
    RATES,
    TEST,
    TEST_SET,
    UNSPLIT,
    amazon_book,
    edges,
    link_split,
    movie_lens_1m,
    pairs,
)

OWN = ('user', 'rates', 'item')


def found(items):
    """Return the pairs of a UserItems."""
    user, item = items.lookup(torch.arange(items.num_users))
    return list(zip(user.tolist(), item.tolist()))


def test_masks_training_items_in_validation_and_test():
    data = SyntheticIntents(40, 30)[0]
    module = InteractionDataModule(data, batch_size=16, batch_by='user')
    loader = module.train_dataloader()
    assert (loader.batch_size, loader.batch_by) == (16, 'user')
    for loader, label in (
        (module.val_dataloader(), data[OWN].val_edge_label_index),
        (module.test_dataloader(), data[OWN].test_edge_label_index),
    ):
        (batch,) = loader
        assert len(loader) == 1
        assert batch.user.tolist() == label[0].unique().tolist()
        labels = torch.stack([batch.user[batch.label[0]], batch.label[1]])
        assert set(map(tuple, labels.t().tolist())) == set(
            map(tuple, label.t().tolist())
        )
        hidden = torch.stack([batch.user[batch.exclude[0]], batch.exclude[1]])
        train = {tuple(pair) for pair in data[OWN].edge_index.t().tolist()}
        users = set(batch.user.tolist())
        assert set(map(tuple, hidden.t().tolist())) == {
            pair for pair in train if pair[0] in users
        }


@pytest.mark.parametrize('layout', TEST_SET)
def test_a_test_set_alone(layout):
    module = InteractionDataModule(TEST_SET[layout]())
    assert found(module.train_items) == PAIRS
    assert found(module.test_items) == sorted(TEST)
    assert module.val_items is None and module.val_dataloader() == []
    split = SplitInteractions(val=0.3, test=0)(TEST_SET[layout]())
    module = InteractionDataModule(split)
    assert found(module.test_items) == sorted(TEST)
    assert sorted(found(module.train_items) + found(module.val_items)) == PAIRS


@pytest.mark.parametrize('options', LINK_SPLIT.values(), ids=LINK_SPLIT)
def test_the_three_parts_of_random_link_split(options):
    train, val, test = link_split(**options)
    module = InteractionDataModule(train, val, test)
    parts = [found(module.train_items), found(module.val_items)]
    parts.append(found(module.test_items))
    # Every interaction is in one split, and no negative edge is in any.
    assert [len(part) for part in parts] == [16, 4, 4]
    assert sorted(pair for part in parts for pair in part) == PAIRS
    without_test = InteractionDataModule(train, val)
    assert without_test.test_items is None and without_test.test_dataloader() == []
    if 'disjoint_train_ratio' not in options:
        with pytest.raises(ValueError, match=r'the training part of .* pass all three'):
            InteractionDataModule(train)
        return
    assert train[RATES].edge_index.size(1) == 8  # The others are labelled edges.


@pytest.mark.parametrize(
    'options', ['negatives', 'no negatives', 'disjoint', 'split labels']
)
def test_labelled_edges_of_a_lone_graph_are_never_trained_on(options):
    parts = link_split(**LINK_SPLIT[options])
    for lone in parts if options == 'disjoint' else parts[1:]:
        module = InteractionDataModule(lone)
        assert found(module.train_items) == sorted(pairs(lone[RATES].edge_index))
        held_out = found(module.test_items)
        assert set(held_out) < set(PAIRS) and len(held_out) in (4, 8)
        assert not set(held_out) & set(found(module.train_items))
        assert module.val_items is None


@pytest.mark.parametrize('ratio', [0.0, 1.0])
def test_ratings_as_labels(ratio):
    data = movie_lens_1m()
    data[RATES].edge_label = data[RATES].rating - 1  # From 0 to 4.
    train, val, test = link_split(data, neg_sampling_ratio=ratio, split_labels=False)
    module = InteractionDataModule(train, val, test)
    parts = module.train_items, module.val_items, module.test_items
    assert sorted(pair for part in parts for pair in found(part)) == PAIRS


def test_the_arguments_decide_the_layout():
    train = amazon_book()
    rates = 'user', 'rates', 'book'
    rest = amazon_book()
    rest[rates].edge_label_index = edges([(0, 5), (1, 7)])
    module = InteractionDataModule(train, test_data=rest)
    assert found(module.train_items) == sorted(PAIRS + TEST)
    assert found(module.test_items) == [(0, 5), (1, 7)]


def test_parts_with_odd_content():
    train, val, test = link_split()
    empty = movie_lens_1m()
    empty[RATES].edge_label_index = torch.empty(2, 0).long()
    with pytest.raises(
        ValueError, match="'val_data' must hold val interactions, got n"
    ):
        InteractionDataModule(train, empty)
    for name, part, message in (
        ('train', train, r"'data: train interactions \(items\)' must hold ids from 0"),
        (
            'test',
            test,
            r"'test_data: test interactions \(items\)' must hold ids from 0",
        ),
    ):
        part = copy.copy(part)
        part[RATES].edge_label_index = torch.tensor([[0, 0], [1, 99]])
        part[RATES].edge_label = torch.tensor([0.0, 1.0])
        parts = {'data': train, 'test_data': test}
        parts['data' if name == 'train' else 'test_data'] = part
        with pytest.raises(ValueError, match=message):
            InteractionDataModule(**parts)
    other = link_split(movie_lens_1m(), key='liked')
    with pytest.raises(
        ValueError, match=r"its default, key='edge_label', got 'liked_i"
    ):
        InteractionDataModule(*other)
    with pytest.raises(ValueError, match='got tuple: pass its graphs one by one'):
        InteractionDataModule((train, val, test))


def test_an_edge_index_in_inference_mode():
    data = amazon_book()
    store = data['user', 'rates', 'book']
    for key in ('edge_index', 'edge_label_index'):
        store[key] = EdgeIndex(store[key])
    with torch.inference_mode():
        assert found(InteractionDataModule(data).test_items) == sorted(TEST)
    data = SplitInteractions(val=0.25, test=0)(data)
    store = data['user', 'rates', 'book']
    store.val_edge_label_index = EdgeIndex(store.val_edge_label_index)
    with torch.inference_mode():
        InteractionDataModule(data)


def test_labels_of_the_data_itself():
    data = movie_lens_1m()
    data[RATES].edge_label = data[RATES].rating  # RandomLinkSplit adds 1 to these.
    module = InteractionDataModule(*link_split(data))
    assert module.train_items.item.numel() == 16


def test_reverse_edges_of_random_link_split():
    train, val, test = link_split(rev_edge_types=None)
    with pytest.raises(ValueError, match=r'must hold the 16 interactions of .* rev_ed'):
        InteractionDataModule(train, val, test)


@pytest.mark.parametrize('layout', UNSPLIT)
def test_interactions_that_are_not_split(layout):
    data = UNSPLIT[layout]()
    with pytest.raises(ValueError, match=r'apply SplitInteractions .*RandomLinkSplit'):
        InteractionDataModule(data)
    module = InteractionDataModule(data, unsplit=True)
    assert found(module.train_items) == PAIRS
    assert module.val_items is None and module.test_items is None
    assert module.val_dataloader() == [] == module.test_dataloader()
    module = InteractionDataModule(SplitInteractions(val=0.25)(data), batch_size=3)
    assert module.val_items is not None and len(module.train_dataloader()) > 3


def test_types_that_are_given():
    data = SplitInteractions(val=0.25)(movie_lens_1m())
    data['movie', 'has', 'genre'].edge_index = torch.zeros(2, 1).long()
    with pytest.raises(ValueError, match="'edge_type' must name the interactions"):
        InteractionDataModule(data)
    for types in (
        {'edge_type': RATES},
        {'edge_type': RATES, 'rev_edge_type': RATED_BY},
    ):
        assert InteractionDataModule(data, **types).train_items.num_items == 8


def test_print():
    text = str(InteractionDataModule(amazon_book()))
    assert text == (
        'InteractionDataModule(num_users=6, num_items=8, num_train=24, num_val=0, '
        'num_test=6)'
    )


def test_wrong_types():
    data = SyntheticIntents(40, 30)[0]
    with pytest.raises(ValueError, match="'unsplit' must be True or False"):
        InteractionDataModule(data, unsplit='no')
    data[OWN].val_edge_label_index = data[OWN].val_edge_label_index.t()
    with pytest.raises(ValueError, match="'val_edge_label_index' must"):
        InteractionDataModule(data)


@pytest.mark.parametrize(
    ('split', 'name'),
    [
        ('edge_index', 'train'),
        ('val_edge_label_index', 'val'),
        ('test_edge_label_index', 'test'),
    ],
)
def test_an_empty_split(split, name):
    data = SyntheticIntents(40, 30)[0]
    data[OWN][split] = torch.empty(2, 0, dtype=torch.long)
    with pytest.raises(
        ValueError, match=f"'data' must hold {name} interactions, got none"
    ):
        InteractionDataModule(data)


def test_interactions_in_two_splits():
    data = amazon_book()
    rates = data['user', 'rates', 'book']
    rates.edge_label_index = torch.cat([edges(TEST), edges(PAIRS[:2])], dim=1)
    with pytest.warns(UserWarning, match='2 of 8 held-out .* also train') as seen:
        InteractionDataModule(data)
    assert [each.filename for each in seen] == [__file__]
    rates.edge_label_index = edges(PAIRS[:3])
    with pytest.raises(ValueError, match='the training part of RandomLinkSplit'):
        InteractionDataModule(data)


def test_wrong_parts():
    train, val, test = link_split()
    split = SplitInteractions(val=0.25)(movie_lens_1m())
    for parts, options, message in (
        ((train, val, movie_lens_1m()), {}, "'test_data' must hold the held-out inter"),
        ((train, val, test), {'unsplit': True}, "'unsplit' must be False with 'val_d"),
        (
            (split,),
            {'unsplit': True},
            "'unsplit' must be False, because 'data' holds .*",
        ),
        ((split, val, test), {}, 'as SplitInteractions makes them.*pass it without'),
        ((train, 'val'), {}, "'val_data' needs users and items in a HeteroData, got"),
    ):
        with pytest.raises(ValueError, match=message):
            InteractionDataModule(*parts, **options)
    val['movie'].x = torch.eye(9)
    with pytest.raises(ValueError, match="'val_data' must have the users and items"):
        InteractionDataModule(train, val, test)
    with pytest.raises(ValueError, match=r'needs users and items in .* got Data'):
        InteractionDataModule(T.ToUndirected()(movie_lens_1m()).to_homogeneous())


def test_a_part_with_only_training_interactions():
    train, val, test = link_split()
    for parts, name in (((train, train, test), 'val'), ((train, val, train), 'test')):
        with pytest.raises(
            ValueError, match=rf"'{name}_data' must .* but 'data' trains on all"
        ):
            InteractionDataModule(*parts)


def split(train, val, test):
    """Return a graph of three users and six items with these splits."""
    data = HeteroData()
    data['user'].num_nodes, data['item'].num_nodes = 3, 6
    for name, held in (('', train), ('val_', val), ('test_', test)):
        key = f'{name}edge_label_index' if name else 'edge_index'
        data[OWN][key] = edges(held)
    return data


TRAIN = [(0, 0), (1, 1), (2, 2)]
VAL = [(0, 3), (1, 4), (2, 5)]


@pytest.mark.parametrize(
    ('val', 'test'), [(VAL, VAL[::-1]), (VAL, VAL[:2]), (VAL[1:], VAL)]
)
def test_one_set_for_validation_and_test_is_refused(val, test):
    """Also if one set is a part of the other."""
    with pytest.raises(ValueError, match=r"'data' must hold test .* those for valid"):
        InteractionDataModule(split(TRAIN, val, test))
    train, first, _ = link_split()
    with pytest.raises(ValueError, match=r"'test_data' must hold test .* 4 and 4, of"):
        InteractionDataModule(train, first, first)


@pytest.mark.parametrize(
    ('val', 'test', 'words'),
    [
        (VAL, [*VAL[:2], (0, 5)], '2 of 3 test interactions are also held out for val'),
        (VAL, [VAL[0], (0, 5)], '1 of 2 test interactions are also held out for val'),
        (VAL, [(0, 1), TRAIN[0]], '1 of 2 held-out interactions are also trained on'),
        ([*TRAIN[:2], VAL[0]], [(0, 1)], '2 of 3 held-out .* are also trained on'),
    ],
)
def test_interactions_that_two_splits_share_are_counted_once(val, test, words):
    with pytest.warns(UserWarning) as caught:
        InteractionDataModule(split(TRAIN, val, test))
    (message,) = (str(each.message) for each in caught)
    assert re.match(words, message)
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter('error')
        InteractionDataModule(split(TRAIN, VAL, [(0, 5)]))


@pytest.mark.parametrize(
    ('label', 'message'),
    [
        ([1.0, float('nan')], "'edge_label' must hold 0 and 1, or ratings, got NaN"),
        ([0.5], 'edge_label'),
    ],
)
def test_invalid_labels(label, message):
    data = split(TRAIN, VAL, VAL)
    for name in ('val', 'test'):
        del data[OWN][f'{name}_edge_label_index']
    data[OWN].edge_label_index = edges(VAL[:2])
    data[OWN].edge_label = torch.tensor(label)
    with pytest.raises(ValueError, match=message):
        InteractionDataModule(data)


@pytest.fixture
def sent(monkeypatch):
    """Pretend a GPU, and list the sizes of interactions that were sent to it."""
    sizes = []

    def send(self, device):
        assert device == torch.device('cuda', 1)
        sizes.append(self.item.numel())
        return copy.copy(self)

    monkeypatch.setattr(UserItems, 'to', send)
    return sizes


def on_gpu(module):
    strategy = SimpleNamespace(root_device=torch.device('cuda', 1))
    module.trainer = SimpleNamespace(
        strategy=strategy, lightning_module=None, global_rank=0, world_size=1
    )
    return module


def test_a_split_is_sent_to_a_gpu_once(sent):
    data = SyntheticIntents(40, 30)[0]
    module = InteractionDataModule(data, batch_size=16, eval_batch_size=7)
    sizes = [
        items.item.numel()
        for items in (module.train_items, module.val_items, module.test_items)
    ]
    here = list(module.train_dataloader()), list(module.val_dataloader())
    assert sent == []
    on_gpu(module)
    for _ in range(3):
        train, val = module.train_dataloader(), module.val_dataloader()
    assert sent == sizes[:2]
    assert module.test_dataloader().exclude is train.interactions is val.exclude
    assert sent == sizes and val.batch_size == 7
    assert (
        train.interactions is not module.train_items
    )  # The originals stay on the host.
    train.set_epoch(0)
    assert all(map(torch.equal, train, here[0]))
    assert [len(batch.user) for batch in val] == [len(batch.user) for batch in here[1]]
    module.teardown('fit')
    assert module._sent == {}
    module.val_dataloader()
    assert sent == [*sizes, *sizes[:2]]


@pytest.mark.parametrize('text_storage', ['device', 'host'])
def test_texts_on_the_host_need_batches_on_the_host(text_storage, sent):
    data = SyntheticIntents(40, 30)[0]
    preset = get_preset('lightgcn', 'own', 'full')
    preset['model']['text_storage'] = text_storage
    model = build_model(data, alignment='full', preset=preset)
    module = on_gpu(InteractionDataModule(data, batch_size=16))
    module.trainer.lightning_module = SimpleNamespace(model=model)
    ahead = []
    model.prefetch = lambda batch: ahead.append(batch) or batch
    batches = iter(module.train_dataloader())
    next(batches)
    assert len(ahead) == (2 if text_storage == 'host' else 0)
    assert len(sent) == (0 if text_storage == 'host' else 1)
