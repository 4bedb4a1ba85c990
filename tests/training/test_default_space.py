from __future__ import annotations

import pytest

from pyg_irllrec.presets import ALIGNMENTS, BACKBONES, auto_preset, get_preset
from pyg_irllrec.training import default_space
from pyg_irllrec.training._search_space import check_space, params_of

pytest.importorskip('optuna')


@pytest.mark.parametrize('alignment', ALIGNMENTS)
@pytest.mark.parametrize('backbone', BACKBONES)
def test_it_includes_the_values_of_the_preset(backbone, alignment):
    if alignment == 'auto':
        preset = auto_preset(backbone, 1000, 1000, 10_000)
    else:
        preset = get_preset(backbone, 'own', alignment)
    space = default_space(backbone, alignment)
    assert check_space(space, preset) == space
    found = params_of(preset, space)
    outside = {'backbone.num_layers'} if backbone == 'alpharec' else set()
    assert found.keys() >= space.keys() - outside


def test_alignments_differ():
    none, full = default_space('sgl', 'none'), default_space('sgl', 'full')
    assert 'backbone.contrast_weight' in none and 'loss.intent_weight' not in none
    assert full.keys() - none.keys() == {
        *('loss.profile_weight', 'loss.profile_temperature', 'loss.intent_weight'),
        *('loss.translation_weight', 'loss.matching_weight'),
    }
    assert 'data.batch_size' not in default_space()
