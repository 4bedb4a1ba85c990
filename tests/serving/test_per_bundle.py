from __future__ import annotations

import gc
import weakref
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from time import sleep

from pyg_irllrec.serving import Bundle
from pyg_irllrec.serving._per_bundle import PerBundle
from pyg_irllrec.serving._steer import item_bonus
from tests.serving.bundles import NUM_USERS, bare_bundle, plain_bundle, small_data


def test_it_is_built_once_for_each_bundle():
    built = []

    def build(bundle):
        sleep(0.01)
        built.append(bundle)
        return len(built)

    number_of = PerBundle(build)
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(number_of, [plain_bundle()] * 8)) == [1] * 8
    assert number_of(bare_bundle()) == 2
    assert built == [plain_bundle(), bare_bundle()]


def test_a_finished_value_does_not_wait():
    started, go_on = Event(), Event()

    def build(bundle):
        if bundle is bare_bundle():
            started.set()
            assert go_on.wait(10)
        return len(bundle.users)

    number_of = PerBundle(build)
    number_of(plain_bundle())
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(number_of, bare_bundle())
        assert started.wait(10)
        try:
            found = pool.submit(number_of, plain_bundle()).result(5)
        finally:
            go_on.set()
        assert found == slow.result() == NUM_USERS


def test_it_is_freed_with_the_bundle():
    data, encoder = small_data()
    bundle = Bundle(plain_bundle().model, data, encoder=encoder)
    bundle.explain('user-003', 'book 7')
    item_bonus(bundle, {'chess': 1.0, bundle.intents()[0].name: 1.0})
    kept = weakref.ref(bundle)
    del bundle
    gc.collect()
    assert kept() is None
