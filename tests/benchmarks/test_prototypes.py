from __future__ import annotations

import json

import torch

from benchmarks import prototypes
from pyg_irllrec.datasets import SyntheticIntents


def small() -> SyntheticIntents:
    return SyntheticIntents(60, 40, num_intents=4)


def test_measures_both_arms(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(prototypes, 'SyntheticIntents', small)
    out = tmp_path / 'rows.json'
    command = ['--seeds', '0', '1', '--num-intents', '4', '--epochs', '2']
    command += ['--json', str(out)]
    monkeypatch.setattr('sys.argv', ['prototypes.py', *command])
    assert prototypes.main(command) == 0
    rows = json.loads(out.read_text())['rows']
    arms = [row['arm'] for row in rows if row.get('seed') == 1]
    assert arms == [
        f'{arm}: {what}'
        for arm in ('paper', 'clusters')
        for what in ('k-means of embeddings', 'prototypes')
    ]
    assert '| clusters of texts |' in capsys.readouterr().out


def test_agreement_with_the_truth():
    data = small()[0]
    right = prototypes.true_intents(data)
    row = prototypes.reference('right', data, right)
    assert row['user nmi'] == row['item nmi, clear'] == 1
    assert row['user largest'] == right[0].bincount().max() / 60
    wrong = [torch.zeros_like(lead) for lead in right]
    assert prototypes.reference('wrong', data, wrong)['item nmi'] == 0


def test_bayes_is_better_than_the_texts_alone():
    data = small()[0]
    row = prototypes.bayes(data, draws=4000)
    profiles = data['user'].profile_text
    names = data.intent_names
    named = [[text.endswith(f'about {name}.') for name in names] for text in profiles]
    leads = [torch.tensor(named).long().argmax(dim=1), prototypes.true_intents(data)[1]]
    assert row['user nmi'] > prototypes.reference('named', data, leads)['user nmi'] > 0
