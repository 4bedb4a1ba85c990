from __future__ import annotations

import numpy as np
import pytest
import torch

from pyg_irllrec.datasets import SyntheticIntents
from pyg_irllrec.training import InteractionDataModule, TripletLoader
from pyg_irllrec.transforms import SplitInteractions
from pyg_irllrec.utils import UserItems, checks

NAN = float('nan')


@pytest.mark.parametrize(
    ('check', 'arguments', 'message'),
    [
        ('choice', ('a', 'c', ('a', 'b')), "'a' must be one of 'a', 'b', got 'c'"),
        ('positive', ('k', 0), "'k' must be above 0, got 0"),
        ('positive', ('k', NAN), "'k' must be above 0, got nan"),
        ('positive', ('k', None), "'k' must be above 0, got None"),
        ('not_negative', ('w', '1'), "'w' must be at least 0, got '1'"),
        ('fraction', ('p', None), "'p' must be at least 0 and below 1, got None"),
        ('not_below', ("'t'", [1], 0), r"'t' must be at least 0, got \[1\]"),
        ('not_below', ("'t'", 0.1, 0.2), "'t' must be at least 0.2, got 0.1"),
        ('not_negative', ('w', -1), "'w' must be at least 0, got -1"),
        ('fraction', ('p', 1.0), "'p' must be at least 0 and below 1, got 1.0"),
        ('positive', ('k', True), "'k' must be above 0, got True"),
        ('positive', ('k', float('inf')), r"'k' must be below 2\*\*63, got inf"),
        ('not_negative', ('w', 2**63), r"'w' must be below 2\*\*63, got 9"),
        ('fraction', ('p', False), "'p' must be at least 0 and below 1, got False"),
        ('count', ('k', 2**63), r"'k' must be below 2\*\*63, got 9"),
        (
            'seed',
            (2**32, 'seed', 32),
            r"'seed' must be .* to 2\*\*32 - 1, got 4294",
        ),
        ('choice', ('a', np.array(['a']), ('a',)), "'a' must be one of 'a', got"),
        ('generator', (3,), "'generator' must be a torch.Generator or None, got int"),
        (
            'matrix',
            ('x', torch.eye(2).to_sparse()),
            "'x' must be dense, got .*to_dense",
        ),
        ('vector', ('w', torch.eye(2)), "'w' must be a dense vector of floating-point"),
        ('vector', ('w', [1.0]), "'w' must be a tensor, got list"),
        ('ids', ('i', torch.tensor([1]).to_sparse()), "'i' must be dense, got"),
        ('length', ('w', torch.ones(2).to_sparse(), 2), "'w' must be dense, got"),
        (
            'same_shape',
            ('x', None, 'y', torch.ones(3)),
            "'x' must be a tensor, got",
        ),
        (
            'same_precision',
            ('x', torch.ones(2), 'y', torch.ones(2).double()),
            "'x' must be as precise as 'y', torch.float64, got torch.float32",
        ),
        ('matrix', ('x', [[1.0]]), "'x' must be a tensor, got list"),
        ('matrix', ('x', torch.ones(2)), r"'x' must be a matrix .*, got shape \(2,\)"),
        ('matrix', ('x', torch.tensor(1.0)), r"'x' must be a matrix .* shape \(\)"),
        ('matrix', ('x', torch.ones(0, 2)), 'with at least one row, got shape'),
        ('matrix', ('x', torch.ones(2, 2).long()), 'must hold floating-point numbers'),
        ('integer', ('i', torch.ones(2)), "'i' must hold integers, got torch.float32"),
        ('integer', ('i', torch.ones(2).bool()), 'must hold integers, got torch.bool'),
        ('ids', ('i', torch.ones(2)), "'i' must hold integers, got torch.float32"),
        (
            'ids',
            ('i', torch.ones(2, dtype=torch.uint8)),
            r"'i' must have dtype .* or torch.int32, got torch.uint8: call \.long",
        ),
        (
            'same_shape',
            ('x', torch.ones(2), 'y', torch.ones(3)),
            r"'x' must have the shape of 'y', \(3,\), got \(2,\)",
        ),
        ('length', ('w', torch.ones(2), 3), r"'w' must have shape \(3,\), got \(2,\)"),
        (
            'finite',
            ('x', torch.tensor([[0.0], [NAN], [NAN]])),
            r"'x' must be finite, got NaN .* in 2 of 3 rows \(first: row 1\)",
        ),
        (
            'rows',
            ('x', torch.ones(2, 2), 3),
            "'x' must have a row per node, users first, 3 rows, got 2",
        ),
        ('vectors', ('x', torch.full((2, 2), NAN), 2), "'x' must be finite"),
        (
            'index',
            ('i', torch.tensor([[0]]), 3),
            "'i' must be a vector of at least",
        ),
        ('index', ('i', [0], 3), "'i' must be a vector .*, got list"),
        ('index', ('i', torch.tensor([0.5]), 3), "'i' must hold integers"),
        ('index', ('i', torch.tensor([-1]), 3), "'i' must hold numbers from 0 to 2"),
        ('index', ('i', torch.ones(2).to(torch.uint8), 3), "'i' must have dtype"),
        ('index', ('i', torch.tensor([3, 1]), 3), 'from 0 to 2, got 1 to 3'),
        ('triplets', ([[0], [0], [0]], 1, 1), "'triplets' must be a tensor, got list"),
        (
            'triplets',
            (torch.zeros(7, 3).long(), 1, 1),
            r"'triplets' must have shape \(3, batch_size\), got \(7, 3\)",
        ),
        ('triplets', (torch.zeros(3, 2), 1, 1), "'triplets' must hold integers"),
        ('triplets', (torch.zeros(3, 2).to(torch.int8), 1, 1), 'must have dtype'),
        (
            'triplets',
            (torch.zeros(3, 2, dtype=torch.complex64), 1, 1),
            "'triplets' must hold integers, got torch.complex64",
        ),
        (
            'triplets',
            (torch.tensor([[0], [2], [0]]), 1, 2),
            r"'triplets\[1\]' must hold ids of items from 0 to 1, got ids from 2 to 2",
        ),
        (
            'triplets',
            (-torch.ones(3, 1).long(), 1, 1),
            r"'triplets\[0\]' must hold ids",
        ),
    ],
)
def test_wrong_values(check, arguments, message):
    with pytest.raises(ValueError, match=message):
        getattr(checks, f'check_{check}')(*arguments)


def test_valid_values_pass():
    checks.check_triplets(torch.tensor([[0, 2], [1, 0], [3, 3]]), 3, 4)
    checks.check_triplets(torch.tensor([[0], [1], [3]]).int(), 3, 4)
    checks.check_index('i', torch.tensor([0, 2]).int(), 3)
    checks.check_matrix('x', torch.ones(0, 2), may_be_empty=True)
    checks.check_rows('x', torch.ones(0, 2), 0)
    checks.check_length('w', None, 3)
    checks.check_fraction('p', 0)


def test_counts():
    checks.check_count('k', 1)
    checks.check_count('k', np.int64(3))
    checks.check_count('k', 0, least=0)
    for value in (0, -1, 2.5, 2.0, '2', None, True, np.float64(2)):
        with pytest.raises(
            ValueError, match="'k' must be an integer of at least 1, got"
        ):
            checks.check_count('k', value)


def test_seeds_fit_every_generator():
    for seed in (0, 2**63 - 1, np.int64(3)):
        checks.check_seed(seed)
        torch.Generator().manual_seed(int(seed))
    for seed in (-1, 2**63, 0.5, '1', None, True):
        with pytest.raises(ValueError, match="'seed' must be an integer from 0 to 2"):
            checks.check_seed(seed)


@pytest.mark.parametrize(
    'build',
    [
        lambda seed: InteractionDataModule(SyntheticIntents(9, 8)[0], seed=seed),
        lambda seed: TripletLoader(
            UserItems(torch.tensor([[0], [0]]), 1, 2), seed=seed
        ),
        lambda seed: SplitInteractions(seed=seed),
    ],
)
def test_classes_with_a_seed(build):
    build(1)
    with pytest.raises(ValueError, match=r"'seed' must be an integer .*, got -1"):
        build(-1)


def test_numbers_and_tensors_of_other_types_pass():
    checks.check_index('i', torch.tensor([], dtype=torch.long), 3, may_be_empty=True)
    checks.check_generator(torch.Generator())
    checks.check_same_precision('x', torch.ones(2).half(), 'y', torch.ones(2))
    for number in (np.float32(0.5), np.int64(1), 2**63 - 1):
        checks.check_positive('k', number)
    checks.check_seed(2**32)
