from __future__ import annotations

import pytest
import torch
from torch_geometric.data import Data, HeteroData

from pyg_irllrec.text.intents.evidence import choose_evidence
from pyg_irllrec.text.intents.extractive_model import ExtractiveModel
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import save_intents
from pyg_irllrec.text.intents.intent_record import Intent, IntentRecord
from pyg_irllrec.text.intents.prompt import Prompt
from pyg_irllrec.transforms import EncodeText
from pyg_irllrec.transforms.add_intents import AddIntents
from tests.layouts import TEST_SET, with_texts


def data(users=(7, 8), items=('a', 'b', 'c')):
    data = HeteroData()
    data['user'].id, data['item'].id = torch.tensor(users), list(items)
    data['user'].num_nodes, data['item'].num_nodes = len(users), len(items)
    data['user', 'rates', 'item'].edge_index = torch.zeros(2, 1, dtype=torch.long)
    return data


def record(side, name, status='ok'):
    intents = (Intent(f'of {name}', 'why', (1,)),) if status == 'ok' else ()
    return IntentRecord(side, name, status, intents)


@pytest.fixture
def path(tmp_path):
    records = [
        record('user', 8),
        record('item', 'c'),
        record('item', 'a'),
        record('user', 7),
        record('item', 'b', 'no evidence'),
        record('user', 9, 'failed'),
    ]
    save_intents(tmp_path / 'intents.jsonl', records, {'evidence_sha256': 'abc'})
    return tmp_path / 'intents.jsonl'


def test_texts_by_original_id(path):
    before = data()
    after = AddIntents(path, expect={'evidence_sha256': 'abc'})(before)
    assert after['user'].intent_text == ['of 7: why.', 'of 8: why.']
    assert after['item'].intent_text == ['of a: why.', '', 'of c: why.']
    assert 'intent_text' not in before['user']


def test_vectors_of_intents(path):
    def encode(texts):
        return [[len(text), 1.0] for text in texts]

    out = EncodeText(encode, 'intent_text', 'intent')(AddIntents(path)(data()))
    assert out['item'].intent.tolist() == [[10, 1], [0, 0], [10, 1]]


def test_missing_and_failed_nodes_are_named(path):
    with pytest.raises(ValueError, match=r"'user', but 2 of 4 are missing .*\(9, 10\)"):
        AddIntents(path)(data(users=(7, 8, 9, 10)))
    with pytest.raises(ValueError, match=r"'item', but 1 of 1 are missing .*\('z'\)"):
        AddIntents(path)(data(items=('z',)))
    out = AddIntents(path, missing='blank')(data(users=(9, 8, 10)))
    assert out['user'].intent_text == ['', 'of 8: why.', '']


def split_data():
    out = data()
    out['item'].text = ['apple', 'bread', 'cake']
    rates = out['user', 'rates', 'item']
    rates.edge_index = torch.tensor([[0, 0, 1], [0, 1, 1]])
    rates.val_edge_label_index = torch.tensor([[1], [2]])
    return out


def extracted(path, split, **options):
    """Intents as IntentExtractor writes them."""
    pytest.importorskip('pydantic')
    evidence = choose_evidence(split, **options)
    prompts = {each: Prompt.packaged('item') for each in ('movie', 'book')}
    extract = IntentExtractor(
        ExtractiveModel(evidence), prompts=prompts, progress=False
    )
    extract(evidence, path)
    return path


def test_intents_belong_to_their_split(tmp_path):
    path = extracted(tmp_path / 'a.jsonl', split_data(), by='random', seed=3)
    assert AddIntents(path)(split_data())['user'].intent_text[1].startswith('bread')
    other = split_data()  # The same nodes, but another interaction is held out.
    rates = other['user', 'rates', 'item']
    rates.edge_index = torch.tensor([[0, 0, 1], [0, 1, 2]])
    rates.val_edge_label_index = torch.tensor([[1], [1]])
    with pytest.raises(
        ValueError, match=r"1 of 2 nodes of 'user' have other evidence here \(8\)"
    ):
        AddIntents(path)(other)
    assert AddIntents(path, check_evidence=False)(other)['user'].intent_text[1]
    other = split_data()
    other['item'].text = ['apple', 'bread', 'cakes']
    with pytest.raises(
        ValueError, match=r"1 of 3 nodes of 'item' have other evidence here \('c'\)"
    ):
        AddIntents(path)(other)
    del other['item'].text
    with pytest.raises(ValueError, match=r'cannot be compared .* must hold texts'):
        AddIntents(path)(other)


def test_intents_of_all_interactions_do_not_fit_a_split(tmp_path):
    whole = split_data()
    rates = whole['user', 'rates', 'item']
    held_out = rates.val_edge_label_index
    rates.edge_index = torch.cat([rates.edge_index, held_out], dim=1)
    path = extracted(tmp_path / 'all.jsonl', whole, unsplit=True)
    with pytest.raises(ValueError, match='Extract intents from this split'):
        AddIntents(path)(split_data())
    # Nor a split that is made of the same graph later.
    del rates.val_edge_label_index
    with pytest.raises(ValueError, match='apply SplitInteractions or'):
        AddIntents(path)(whole)
    assert AddIntents(path, unsplit=True)(whole)['user'].intent_text[1]


@pytest.mark.parametrize(
    'options',
    [
        *('x', [1], 5, {'sides': 5}, {'sides': [['user']]}, {'data': 1}, {'a': 1}),
        *({'seed': 'a'}, {'by': ['x']}, {'edge_type': 5}, {'max_text_tokens': '5'}),
    ],
)
def test_a_damaged_description_of_the_evidence(tmp_path, options):
    records = [record('user', 7), record('user', 8)]
    path = tmp_path / 'a.jsonl'
    save_intents(path, records, {'evidence': options})
    match = r"(a\.manifest\.json is damaged: 'evidence' must hold|cannot be compared)"
    with pytest.raises(ValueError, match=match):
        AddIntents(path, sides=['user'])(split_data())


def test_intents_of_texts_that_a_node_does_not_have(tmp_path):
    evidence = choose_evidence(split_data(), 'item', by='rare')
    records = [
        IntentRecord(
            'item', each.id, 'ok', (Intent('calm', 'why', (n,)),), '', (), each.sha256
        )
        for each, n in zip(evidence, (1, 1, 99))
    ]
    save_intents(tmp_path / 'a.jsonl', records, {'evidence': evidence.describe()})
    with pytest.raises(ValueError, match=r"1 of 3 nodes of 'item' cite .* \('c'\)"):
        AddIntents(tmp_path / 'a.jsonl')(split_data())


def test_a_subset_of_the_extracted_nodes(tmp_path):
    path = extracted(tmp_path / 'a.jsonl', split_data(), sides=('item',))
    some = split_data()
    some['item'].id = ['a', 'b', 'z']
    with pytest.raises(ValueError, match=r"\('z'\)"):
        AddIntents(path, sides=('item',))(some)
    out = AddIntents(path, missing='blank', sides=('item',))(some)
    assert out['item'].intent_text[2] == '' != out['item'].intent_text[1]


def test_one_side_under_another_name(path):
    out = AddIntents(path, 'why', sides=['item'])(data())
    assert 'why' in out['item'] and 'why' not in out['user']


def test_wrong_input(path):
    with pytest.raises(ValueError, match="'expect' must agree"):
        AddIntents(path, expect={'evidence_sha256': 'other split'})(data())
    with pytest.raises(ValueError, match="'missing' must be one of"):
        AddIntents(path, missing='zeros')
    with pytest.raises(ValueError, match='a HeteroData'):
        AddIntents(path)(torch.zeros(1))
    empty = HeteroData()
    empty['user'].num_nodes = 0
    with pytest.raises(ValueError, match=r"nodes of type 'item', got .* types 'user'"):
        AddIntents(path, sides=('user', 'item'))(empty)
    with pytest.raises(ValueError, match="'sides' must name the node types of use"):
        AddIntents(path)(empty)
    with pytest.raises(FileNotFoundError, match='does not exist'):
        AddIntents(path.with_name('none.jsonl'))(data())
    text = repr(AddIntents('x.jsonl'))
    assert text == "AddIntents(path='x.jsonl')"


@pytest.mark.parametrize('layout', TEST_SET)
def test_the_layouts_of_pyg(tmp_path, layout):
    split = with_texts(TEST_SET[layout]())
    path = extracted(tmp_path / 'a.jsonl', split)
    out = AddIntents(path)(split)
    item = next(side for side in split.node_types if side != 'user')
    assert len(out['user'].intent_text) == 6 and len(out[item].intent_text) == 8
    assert any(out['user'].intent_text)
    # The manifest names the edge type if there are several.
    split[item, 'has', 'genre'].edge_index = torch.zeros(2, 1).long()
    assert AddIntents(path)(split)['user'].intent_text == out['user'].intent_text
    types = ('user', 'rates', item), (item, 'rated_by', 'user')
    given = AddIntents(path, edge_type=types[0], rev_edge_type=types[1])(split)
    assert given['user'].intent_text == out['user'].intent_text


def test_intents_of_interactions_of_another_name(tmp_path):
    split = split_data()
    path = extracted(tmp_path / 'a.jsonl', split)
    split['user', 'buys', 'item'].edge_index = split['user', 'rates', 'item'].edge_index
    split['user', 'buys', 'item'].val_edge_label_index = torch.tensor([[1], [2]])
    del split['user', 'rates', 'item']
    with pytest.raises(ValueError, match=r"cannot be compared .*'rates', 'item'"):
        AddIntents(path)(split)
    out = AddIntents(path, edge_type=('user', 'buys', 'item'))(split)
    assert out['user'].intent_text[1].startswith('bread')


def test_sides_come_from_the_manifest(tmp_path):
    path = extracted(tmp_path / 'a.jsonl', split_data(), sides='user')
    out = AddIntents(path)(split_data())
    assert out['user'].intent_text[1] and 'intent_text' not in out['item']
    with pytest.raises(ValueError, match="intents of each node of 'item', but 3 of 3"):
        AddIntents(path, sides='item')(split_data())


def test_the_reverse_comes_from_the_manifest(tmp_path):
    split = split_data()
    reverse = [('item', relation, 'user') for relation in ('rated_by', 'seen_by')]
    for each in reverse:
        split[each].edge_index = split['user', 'rates', 'item'].edge_index.flip(0)
    types = {'edge_type': ('user', 'rates', 'item'), 'rev_edge_type': reverse[0]}
    path = extracted(tmp_path / 'a.jsonl', split, **types)
    assert AddIntents(path)(split)['user'].intent_text[1].startswith('bread')


def test_a_graph_of_one_type_is_refused(path):
    transform = AddIntents(path)
    path.unlink()  # Nothing is read.
    with pytest.raises(ValueError, match=r'AddIntents .*HeteroData.*, got Data'):
        transform(Data(edge_index=torch.zeros(2, 1, dtype=torch.long)))
