from __future__ import annotations

import pytest

import pyg_irllrec
from pyg_irllrec.serving import Bundle, load
from tests.serving.bundles import bare_bundle, plain_bundle, small_data, small_model


def test_what_a_bundle_is(tmp_path):
    info = plain_bundle().info()
    assert (info['users'], info['items']) == (60, 40)
    assert info['interactions'] == plain_bundle().seen.item.numel()
    assert (info['model'], info['backbone']) == ('IRLLRec', 'LightGCN')
    assert info['texts'] == ['features']
    assert info['blend'] == {'graph': 0.6, 'EASE': 0.4}
    assert info['encoder'] == 'TfidfEncoder(dim=16, seed=0)'
    assert info['metrics'] == {'recall@20': 0.25, 'ndcg@20': 0.125}
    assert info['versions']['pyg_irllrec'] == pyg_irllrec.__version__
    assert info['saved'] is None and info['bytes'] is None
    plain_bundle().save(tmp_path)
    found = load(tmp_path).info()
    files = tmp_path.iterdir()
    assert found['bytes'] == sum(path.stat().st_size for path in files)
    assert found['saved'].startswith('20')
    assert found | {'saved': None, 'bytes': None} == info


def test_a_fingerprint_of_what_it_was_trained_on():
    one, other = (bundle.info() for bundle in (plain_bundle(), bare_bundle()))
    assert one['fingerprint']['graph'] == other['fingerprint']['graph']
    assert one['fingerprint']['user'] != other['fingerprint']['user']
    assert one['fingerprint']['seen'] != other['fingerprint']['seen']


@pytest.mark.parametrize(
    'alignment', ['none', 'profile', 'reconstruction', 'intents', 'full']
)
def test_alignments(alignment):
    data, _ = small_data()
    bundle = Bundle(small_model(data, alignment=alignment), data)
    assert bundle.info()['alignment'] == alignment
