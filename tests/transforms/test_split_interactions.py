from __future__ import annotations

import copy
import warnings

import numpy as np
import pytest
import torch
import torch_geometric.transforms as T
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.utils.data.datapipes.iter import IterableWrapper
from torch_geometric.data import Data

from pyg_irllrec.transforms.split_interactions import SplitInteractions
from pyg_irllrec.transforms.symmetric_adjacency import SymmetricAdjacency
from tests.transforms.graphs import (
    NUM_ITEMS,
    NUM_USERS,
    PAIRS,
    RATES,
    assert_same,
    check_rows,
    edges,
    hetero,
    pairs_of,
)

ALL = [(user, item) for user in range(NUM_USERS) for item in range(NUM_ITEMS)]
SHARE = st.sampled_from([0, 0.1, 0.2, 0.25, 0.3, 0.45])
OPTIONS = st.fixed_dictionaries(
    {
        'by': st.sampled_from(['random', 'time', 'leave_one_out']),
        'val': SHARE,
        'test': SHARE,
        'seed': st.integers(0, 9),
        'per_user': st.booleans(),
        'min_train': st.integers(0, 3),
    }
).filter(lambda options: options['per_user'] or options['by'] != 'leave_one_out')


def split(data, **options):
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        return SplitInteractions(**options)(data)


def sides(data):
    """The pairs of each part, in order."""
    rates = data[RATES]
    names = ('edge_index', 'val_edge_label_index', 'test_edge_label_index')
    return [pairs_of(rates[name]) if name in rates else [] for name in names]


def rounded(number):
    return int(np.floor(number + 0.5))


@given(
    pairs=PAIRS,
    times=st.lists(st.integers(-3, 3), min_size=30, max_size=30),
    with_time=st.booleans(),
    options=OPTIONS,
)
@settings(deadline=None, max_examples=150)
def test_against_plain_python(pairs, times, with_time, options):
    """No leak: the parts are disjoint, and together are all pairs. Each has the size
    that the formula gives, and the newest pairs are held out."""
    data = hetero(pairs, dtype=torch.int32)
    data[RATES].time = torch.tensor(times[: len(pairs)])
    if not with_time:
        del data[RATES].time
        if options['by'] == 'time':
            return
    before = copy.deepcopy(data)
    out = split(data, **options)
    assert_same(data, before)
    check_rows(out)
    train, val, test = sides(out)
    assert len(train) + len(val) + len(test) == len(set(pairs))
    assert set(train) | set(val) | set(test) == set(pairs)

    # The last of repeated interactions is kept, and so is the order.
    when = times if with_time else [0] * len(pairs)
    last = {}
    for k, pair in enumerate(pairs):
        if pair not in last or when[k] >= when[last[pair]]:
            last[pair] = k
    assert out[RATES].number.tolist() == sorted(last[pair] for pair in train)
    for side in (train, val, test):
        assert side == sorted(side, key=last.__getitem__)
    for side in ('val', 'test'):
        if options[side] == 0 and options['by'] != 'leave_one_out':
            assert f'{side}_edge_label_index' not in out[RATES]
        else:
            assert out[RATES][f'{side}_edge_label_index'].dtype == torch.int32

    def check(all_of, train, val, test):
        if options['by'] == 'leave_one_out':
            sizes = 1, 1
        else:
            sizes = (rounded(len(all_of) * options[side]) for side in ('val', 'test'))
        assert (len(val), len(test)) == tuple(sizes)
        if options['by'] != 'random' and with_time:
            for earlier, later in ((train, val), (val, test), (train, test)):
                for one in earlier:
                    for other in later:
                        assert when[last[one]] <= when[last[other]]

    of = {
        user: [
            [pair for pair in side if pair[0] == user] for side in (train, val, test)
        ]
        for user in {user for user, _ in pairs}
    }
    for parts in of.values():
        assert len(parts[0]) >= options['min_train'] or not (parts[1] or parts[2])
    if options['per_user']:
        for parts in of.values():
            everything = [pair for part in parts for pair in part]
            held = 2
            if options['by'] != 'leave_one_out':
                held = sum(
                    rounded(len(everything) * options[side]) for side in ('val', 'test')
                )
            if len(everything) - held < options['min_train']:
                assert parts == [everything, [], []]
            else:
                check(everything, *parts)
    elif options['min_train'] == 0:
        check(train + val + test, train, val, test)


@given(pairs=PAIRS, options=OPTIONS, seed=st.integers(0, 99))
@settings(deadline=None)
def test_the_order_of_storage_makes_no_difference(pairs, options, seed):
    pairs = list(dict.fromkeys(pairs))
    data = hetero(pairs)
    data[RATES].time = data[RATES].time // 2
    shuffled = copy.copy(data)
    order = torch.randperm(len(pairs), generator=torch.Generator().manual_seed(seed))
    shuffled[RATES].edge_index = data[RATES].edge_index[:, order]
    for key in ('number', 'rating', 'time'):
        shuffled[RATES][key] = data[RATES][key][order]
    del shuffled[RATES]['words'], shuffled[RATES]['other_index']
    one, other = (sides(split(each, **options)) for each in (data, shuffled))
    assert [set(side) for side in one] == [set(side) for side in other]


@pytest.mark.parametrize('by', ['random', 'time', 'leave_one_out'])
def test_seeds(by):
    data = hetero(ALL)
    data[RATES].time = torch.zeros(len(ALL), dtype=torch.long)  # All ties.
    torch.manual_seed(0)
    first = sides(split(data, by=by, seed=0))
    torch.manual_seed(1)
    state = torch.get_rng_state()
    assert first == sides(split(data, by=by, seed=0))
    assert torch.equal(state, torch.get_rng_state())
    assert first != sides(split(data, by=by, seed=1))


def test_every_interaction_is_as_likely_to_be_held_out():
    data = hetero(ALL)
    for by, share in (('random', 0.17), ('leave_one_out', 1 / 6)):
        del data[RATES]['time']
        counts = torch.zeros(NUM_USERS, NUM_ITEMS)
        for seed in range(600):
            test = split(data, by=by, val=0, test=share, seed=seed)[RATES]
            counts.index_put_(
                tuple(test.test_edge_label_index), torch.tensor(1.0), accumulate=True
            )
        torch.testing.assert_close(
            counts / 600, torch.full_like(counts, 1 / 6), atol=0.06, rtol=0
        )
        data[RATES].time = torch.zeros(len(ALL), dtype=torch.long)


@pytest.mark.parametrize('unit', [1, 10**9, 2**56])
@pytest.mark.parametrize('per_user', [True, False])
def test_newest_are_held_out_in_any_unit_of_time(unit, per_user):
    data = hetero(ALL)
    time = torch.randperm(len(ALL), generator=torch.Generator().manual_seed(0)) - 15
    data[RATES].time = time * unit
    out = split(data, by='time', val=0.2, test=0.3, per_user=per_user, min_train=0)
    newest = time.view(NUM_USERS, -1) if per_user else time.view(1, -1)
    rank = newest.argsort(dim=1, descending=True).argsort(dim=1)
    size = newest.size(1)
    held = rank < rounded(size * 0.3) + rounded(size * 0.2)
    assert out[RATES].number.tolist() == (~held).flatten().nonzero().flatten().tolist()
    test = (rank < rounded(size * 0.3)).flatten().nonzero().flatten()
    assert pairs_of(out[RATES].test_edge_label_index) == [ALL[k] for k in test]


def test_leave_one_out_by_time():
    data = hetero([(0, 3), (0, 1), (0, 2), (1, 0), (1, 4), (0, 4)])
    data[RATES].time = torch.tensor([9, 1, 7, 1, 2, 8])
    train, val, test = sides(split(data, by='leave_one_out'))
    assert (val, test) == ([(0, 4)], [(0, 3)])  # User 1 has too few for all three.
    assert train == [(0, 1), (0, 2), (1, 0), (1, 4)]


def test_one_cut_for_all_and_users_who_came_later():
    data = hetero([(0, 0), (0, 1), (1, 0), (1, 1), (2, 0), (2, 1)])
    data[RATES].time = torch.tensor([0, 1, 2, 4, 3, 5])
    options = {'by': 'time', 'val': 0, 'test': 0.5, 'per_user': False}
    train, _, test = sides(split(data, **options, min_train=1))
    assert test == [(1, 1)] and (2, 0) in train and (2, 1) in train
    _, _, test = sides(split(data, **options))
    assert test == [(1, 1), (2, 0), (2, 1)]


def test_repeated_interactions():
    data = hetero([(0, 0), (0, 1), (0, 0), (0, 2), (0, 1), (0, 3)])
    data[RATES].time = torch.tensor([5, 9, 5, 1, 2, 0])
    out = split(data, by='leave_one_out')
    assert sides(out) == [[(0, 2), (0, 3)], [(0, 0)], [(0, 1)]]
    del data[RATES].time
    out = split(data, val=0, test=0)
    assert out[RATES].number.tolist() == [2, 3, 4, 5]


@pytest.mark.parametrize('cold', ['keep', 'drop'])
def test_cold_items(cold):
    data = hetero([(0, 0), (0, 1), (0, 5), (1, 1), (1, 2), (1, 0), (2, 4)])
    data[RATES].time = torch.tensor([1, 2, 3, 1, 2, 3, 0])
    done = 'dropped' if cold == 'drop' else r"kept \(pass cold='drop' to drop"
    with pytest.warns(
        UserWarning,
        match='2 of 6 items are held out but never trained on: 2 of 4 held-out '
        f'interactions are theirs and are {done}',
    ) as seen:
        out = SplitInteractions('leave_one_out', cold=cold)(data)
    assert len(seen) == 1 and seen[0].filename == __file__
    assert out['item'].cold.tolist() == [False, False, True, False, False, True]
    kept = [[(0, 1), (1, 2)], [(0, 5), (1, 0)]]
    if cold == 'drop':
        kept = [[(0, 1)], [(1, 0)]]
    assert sides(out) == [[(0, 0), (1, 1), (2, 4)], *kept]
    assert 'cold' not in data['item']


# Sockets that earlier tests left are closed whenever memory is collected.
@pytest.mark.filterwarnings('error', 'ignore::ResourceWarning')
def test_no_warning_if_no_item_is_cold():
    data = hetero([(0, 0), (0, 1), (0, 2), (1, 2), (1, 1), (1, 0), (2, 2)])
    out = SplitInteractions(val=0, test=0)(data)
    assert not out['item'].cold.any() and out['item'].cold.shape == (NUM_ITEMS,)
    assert sides(out)[1:] == [[], []]


def test_training_reads_the_split():
    pytest.importorskip('lightning')
    from pyg_irllrec.training import InteractionDataModule

    module = InteractionDataModule(split(hetero(ALL)))
    sizes = [module.train_items, module.val_items, module.test_items]
    assert [each.item.numel() for each in sizes] == [20, 5, 5]


def test_composes():
    transform = T.Compose([SplitInteractions(), T.ToUndirected(), T.ToDevice('cpu')])
    out = transform(hetero(ALL))
    reverse = out['item', 'rev_rates', 'user']
    assert torch.equal(reverse.edge_index.flip(0), out[RATES].edge_index)
    (out,) = IterableWrapper([hetero(ALL)]).irllrec_split_interactions(test=0.5)
    assert len(sides(out)[2]) == 15


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs CUDA')
@pytest.mark.parametrize('by', ['random', 'time', 'leave_one_out'])
def test_cuda(by):
    data = hetero(ALL + ALL[:9])
    assert_same(split(data.to('cuda'), by=by).to('cpu'), split(data, by=by))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'by': 'date'}, r"'by' must be one of 'random', .*, got 'date'"),
        ({'val': 1}, "'val' must be at least 0 and below 1, got 1"),
        ({'test': -0.1}, "'test' must be at least 0 and below 1, got -0.1"),
        ({'val': 0.5, 'test': 0.5}, r"'val \+ test' must be .* below 1, got 1.0"),
        ({'min_train': -1}, "'min_train' must be an integer of at least 0, got -1"),
        ({'cold': 'remove'}, "'cold' must be one of 'keep', 'drop', got 'remove'"),
        ({'by': 'leave_one_out', 'per_user': False}, "'per_user' must be True with"),
        ({'edge_type': ('a', 'a', 'a')}, "'edge_type' must be"),
    ],
)
def test_wrong_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        SplitInteractions(**options)


def test_errors():
    data = hetero(ALL)
    with pytest.raises(ValueError, match=r'holds .* as SplitInteractions makes them'):
        SplitInteractions()(SplitInteractions()(data))
    with pytest.raises(ValueError, match='must come before transforms that derive'):
        SplitInteractions()(SymmetricAdjacency()(data))
    with pytest.raises(ValueError, match=r'needs users and items in .* got Data'):
        SplitInteractions()(Data(edge_index=edges([(0, 1)])))
    with pytest.raises(ValueError, match="'edge_index' must hold at least one edge"):
        SplitInteractions()(hetero([]))
    with pytest.raises(ValueError, match=r"\(item\)' must hold ids from 0 to 2, got"):
        SplitInteractions()(hetero([(0, 3)], num_items=3))
    data[RATES].time = torch.zeros(30)
    with pytest.raises(
        ValueError, match=r"'time' must hold integers, got torch\.float32"
    ):
        SplitInteractions('time')(data)
    data[RATES].time = torch.zeros(29).long()
    with pytest.raises(
        ValueError, match=r"'time' must have shape \(30,\), got \(29,\)"
    ):
        SplitInteractions('time')(data)
    del data[RATES].time
    with pytest.raises(ValueError, match="by='time' needs the 'time' of each interact"):
        SplitInteractions('time')(data)
    data[RATES].time = [1] * 30
    with pytest.raises(ValueError, match="'time' must be a tensor, got list"):
        SplitInteractions()(data)
    assert repr(SplitInteractions('time', per_user=False)) == (
        "SplitInteractions(by='time', per_user=False)"
    )


def test_a_reverse_of_any_name_is_kept_in_step():
    data = hetero([(0, 0), (0, 1), (1, 1), (0, 2)])
    data['item', 'liked_by', 'user'].edge_index = data[RATES].edge_index.flip(0)
    out = split(data)
    reverse = out['item', 'liked_by', 'user'].edge_index
    assert torch.equal(reverse.flip(0), out[RATES].edge_index)
    data['item', 'liked_by', 'user'].edge_index = edges([(0, 0)])
    with pytest.raises(ValueError, match='must hold the 4 interactions of'):
        split(data)


@pytest.mark.parametrize('by', ['time', 'leave_one_out'])
def test_times_of_several_units_would_leak(by):
    data = hetero([(0, 0), (0, 1), (0, 2)])
    data[RATES].time = torch.tensor([1_577_934_245_000, 1_577_934_246, 0])
    with pytest.raises(ValueError, match=r'one unit, got 1577934245000, .*1577934246'):
        SplitInteractions(by)(data)
    SplitInteractions('random')(data)
    for time in ([1, 2, 3], [0, 1_577_934_245_000, 1_577_934_246_000]):
        data[RATES].time = torch.tensor(time)
        SplitInteractions(by)(data)


@pytest.mark.parametrize('by', ['time', 'leave_one_out'])
@pytest.mark.parametrize('odd', [0, 1_577_934_246, 20249999])
def test_written_dates_among_other_times_would_leak(by, odd):
    data = hetero([(0, 0), (0, 1), (0, 2)])
    data[RATES].time = torch.tensor([20240102, odd, 20240103])
    with pytest.raises(ValueError, match=r'got 2 dates .*YYYYMMDD, such as 20240102'):
        SplitInteractions(by)(data)
    data[RATES].time = torch.tensor([20240102, 20240104, 20240103])
    SplitInteractions(by)(data)  # Their order is right.


@pytest.mark.parametrize('by', ['time', 'leave_one_out'])
@pytest.mark.parametrize('dates', [[2012024, 31122023, 1022024], [122023, 12024, 0]])
def test_written_dates_with_the_year_last_would_leak(by, dates):
    data = hetero([(0, 0), (0, 1), (0, 2)])
    data[RATES].time = torch.tensor(dates)
    with pytest.raises(ValueError, match=r'dates .* with the year last'):
        SplitInteractions(by)(data)
    SplitInteractions('random')(data)


@pytest.mark.parametrize('by', ['time', 'leave_one_out'])
def test_fractions_of_times_would_be_dropped(by):
    data = hetero([(0, 0), (0, 1), (0, 2)])
    data[RATES].time = torch.tensor([0.1, 0.9, 0.5])
    with pytest.raises(ValueError, match="'time' must hold integers"):
        SplitInteractions(by)(data)


def test_ids_of_a_given_test_set_are_checked():
    for pair, side in (((NUM_USERS, 0), 'users'), ((0, NUM_ITEMS), 'items')):
        data = hetero([(0, 1), (0, 2), (1, 3)])
        data[RATES].edge_label_index = torch.tensor([pair]).t()
        with pytest.raises(ValueError, match=rf'\({side}\)'):
            SplitInteractions(val=0.5, test=0)(data)
