from __future__ import annotations

import typing

from pyg_irllrec.cli.model_options import AlignmentName, BackboneName
from pyg_irllrec.presets import ALIGNMENTS, BACKBONES


def test_the_options_list_all_models_of_the_package():
    assert typing.get_args(BackboneName) == tuple(BACKBONES)
    assert typing.get_args(AlignmentName) == ALIGNMENTS
