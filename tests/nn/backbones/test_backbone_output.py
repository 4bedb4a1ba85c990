from __future__ import annotations

import torch

from pyg_irllrec.nn import BackboneOutput


def test_only_the_embedding_is_needed():
    embedding = torch.randn(3, 2)
    output = BackboneOutput(embedding)
    assert output.embedding is embedding
    assert output.interaction_intent is None and output.views == ()
