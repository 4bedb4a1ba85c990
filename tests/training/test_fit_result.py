from __future__ import annotations

from pyg_irllrec.training import FitResult


def test_it_is_what_metrics_json_holds_and_the_history():
    """Readers of the file rely on these names."""
    names = ('test', 'best_epoch', 'history', 'seconds_per_step', 'peak_memory_mb')
    assert FitResult._fields == (*names, 'fingerprint')
