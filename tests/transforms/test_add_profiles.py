from __future__ import annotations

import pytest
import torch
from torch_geometric.transforms import Compose

from pyg_irllrec.text import TfidfEncoder
from pyg_irllrec.text.intents.evidence import choose_evidence
from pyg_irllrec.text.intents.extractive_model import ExtractiveModel
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import save_intents
from pyg_irllrec.text.intents.intent_record import Intent, IntentRecord
from pyg_irllrec.transforms.add_intents import AddIntents
from pyg_irllrec.transforms.add_profiles import AddProfiles
from pyg_irllrec.transforms.encode_text import EncodeText
from tests.transforms.profile_data import RATES, hold_out, split_data


def split():
    return hold_out(split_data([(0, 0), (0, 1), (1, 2)]), [(2, 3)], [(1, 5)])


@pytest.fixture
def path(tmp_path):
    pytest.importorskip('pydantic')
    evidence = choose_evidence(split())
    model = ExtractiveModel(evidence, what='profiles')
    extract = IntentExtractor(model, what='profiles', progress=False)
    extract(evidence, tmp_path / 'profiles.jsonl')
    return tmp_path / 'profiles.jsonl'


def test_texts_and_vectors_of_profiles(path):
    encode = EncodeText(TfidfEncoder())
    out = Compose([AddProfiles(path), encode])(split())
    assert out['user'].profile_text == ['coffee, tea', 'bicycle', '', '', '']
    assert out['item'].profile_text == [
        *('tea', 'coffee', 'bicycle', 'garden', '', 'chess, puzzles'),
    ]
    assert out['item'].profile[0].any() and not out['item'].profile[4].any()
    named = AddProfiles(path, 'about')(split())
    assert named['user'].about == out['user'].profile_text
    assert 'profile_text' not in named['user']


def test_held_out_interactions_are_in_no_profile(path):
    assert not any(
        'chess' in text for text in AddProfiles(path)(split())['user'].profile_text
    )
    other = hold_out(split(), [(3, 3)], [(0, 4)])
    assert AddProfiles(path)(other)['user'].profile_text[0] == 'coffee, tea'
    other[RATES].edge_index = torch.tensor([[0, 0, 1], [0, 5, 2]])
    with pytest.raises(ValueError, match='Extract profiles from this split'):
        AddProfiles(path)(other)


def test_profiles_are_not_intents(path, tmp_path):
    with pytest.raises(ValueError, match="hold intents for AddIntents, got 'profiles'"):
        AddIntents(path)(split())
    intents = [IntentRecord('user', 0, 'ok', (Intent('a', 'b', (1,)),))]
    save_intents(tmp_path / 'intents.jsonl', intents, {})
    with pytest.raises(
        ValueError, match="hold profiles for AddProfiles, got 'intents'"
    ):
        AddProfiles(tmp_path / 'intents.jsonl')(split())


def test_nodes_without_a_profile(tmp_path):
    records = [IntentRecord('user', 0, 'ok', (), profile='Likes tea.')]
    save_intents(tmp_path / 'a.jsonl', records, {'what': 'profiles'})
    with pytest.raises(
        ValueError, match="must hold profiles of each node of 'user', but 4"
    ):
        AddProfiles(tmp_path / 'a.jsonl', sides='user')(split())
    out = AddProfiles(tmp_path / 'a.jsonl', missing='blank')(split())
    assert out['user'].profile_text == ['Likes tea.', '', '', '', '']


def test_repr():
    assert repr(AddProfiles('x.jsonl')) == "AddProfiles(path='x.jsonl')"
