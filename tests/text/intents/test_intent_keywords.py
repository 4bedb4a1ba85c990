from __future__ import annotations

import pytest
import torch

from pyg_irllrec.text import intent_keywords

TEXTS = ['tea and cake', 'tea and books', 'a bicycle tour', 'bicycle repair']


def test_describes_intents_by_the_texts_of_their_nodes():
    share = torch.tensor([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.2, 0.8]])
    words = intent_keywords(TEXTS, share, num_words=1)
    assert words == [['tea'], ['bicycle']]
    assert [len(terms) for terms in intent_keywords(TEXTS, share)] == [4, 4]


def test_numbers_are_not_terms():
    share = torch.tensor([[0.9, 0.1], [0.1, 0.9]])
    words = intent_keywords(['alien 1979', 'up 2009 3d'], share, num_words=2)
    assert words == [['alien', '3d'], ['3d', 'alien']]


def test_an_intent_without_nodes():
    words = intent_keywords(TEXTS, torch.full((4, 2), 0.5), num_words=2)
    assert [len(terms) for terms in words] == [2, 2]


def test_wrong_arguments():
    with pytest.raises(ValueError, match='must hold one text per node, 3, got 4'):
        intent_keywords(TEXTS, torch.ones(3, 2))
    with pytest.raises(ValueError, match="'texts' must hold words"):
        intent_keywords(['', ''], torch.ones(2, 2))
    with pytest.raises(
        ValueError, match="'num_words' must be an integer of at least 1"
    ):
        intent_keywords(TEXTS, torch.ones(4, 2), num_words=0)
