"""The Python overhead of a training step."""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path

import torch

import pyg_irllrec
from pyg_irllrec.nn import IRLLRec, LightGCN
from pyg_irllrec.utils import bipartite_edge_index

PACKAGE = str(Path(pyg_irllrec.__file__).parent)


def test_a_step_of_the_full_method_runs_few_frames_and_checks():
    generator = torch.Generator().manual_seed(0)
    pairs = torch.randint(10, (2, 40), generator=generator)
    model = IRLLRec(
        LightGCN(10, 10, 8, num_intents=4),
        bipartite_edge_index(pairs, 10, 10),
        profile=torch.randn(20, 6, generator=generator),
        intent=torch.randn(20, 6, generator=generator),
    )
    triplets = torch.randint(10, (3, 7), generator=generator)
    frames: Counter[str] = Counter()

    def count(frame, event, _):
        if event == 'call' and frame.f_code.co_filename.startswith(PACKAGE):
            frames[frame.f_code.co_name] += 1

    for _ in range(3):
        model.loss(triplets).total.backward()
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        loss = model.loss(triplets)
        loss.total.backward()
    finally:
        sys.setprofile(before)
    assert set(loss.terms) >= {'profile', 'intent', 'translation', 'matching'}
    assert frames.total() <= 219, frames.most_common(20)
    checks = {
        name: number
        for name, number in frames.items()
        if name.startswith(('check_', '_check'))
    }
    # Once in the model and once in the alignment, which can also be called directly.
    assert checks.pop('check_triplets') <= 2
    assert sum(checks.values()) <= 3, checks
