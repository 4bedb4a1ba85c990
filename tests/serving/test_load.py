from __future__ import annotations

import torch

from pyg_irllrec.serving import Bundle, load
from tests.serving.bundles import bare_bundle, full_bundle, plain_bundle


def same(one: Bundle, other: Bundle) -> bool:
    users = torch.arange(len(one.users))
    return torch.equal(one.ranker.score(users), other.ranker.score(users))


def test_what_was_loaded_recommends_as_before(tmp_path):
    for bundle in (plain_bundle(), full_bundle(), bare_bundle()):
        bundle.save(tmp_path / 'bundle')
        found = load(tmp_path / 'bundle')
        assert same(bundle, found)
        assert list(found.users) == list(bundle.users)
        assert found.metrics == bundle.metrics
        print(found.info())
