from __future__ import annotations

from benchmarks.cost_model import Setting, cost, halo


def test_one_process_sends_nothing():
    sent = cost(Setting(1000, 5000, processes=1, negatives='batch')).sent
    assert set(sent.values()) == {0.0}


def test_a_halo_is_bounded_by_edges_and_by_nodes():
    few = Setting(10_000, 100, processes=4)
    assert 0.98 * 2 * 75 / 4 < halo(few) <= 2 * 75 / 4
    many = Setting(10_000, 10**7, processes=4)
    assert 7499 < halo(many) <= 7500
    assert halo(many._replace(crossing=0.0)) == 0


def test_slices_reduce_memory_but_not_traffic():
    whole, sliced = (cost(Setting(1e6, 5e6, slices=count)) for count in (1, 4))
    assert sliced.memory['step'] < 0.6 * whole.memory['step']
    assert sliced.sent == whole.sent
