from __future__ import annotations

from pyg_irllrec.training import TuneResult


def test_its_parts_come_in_order():
    preset, params, value, trials = TuneResult({'fit': {}}, {'fit.lr': 0.1}, 0.5, [])
    assert (preset, params, value, trials) == ({'fit': {}}, {'fit.lr': 0.1}, 0.5, [])
