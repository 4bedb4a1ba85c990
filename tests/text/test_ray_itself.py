"""Ray as it is installed; other tests have a stub. See `make test-ray`."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from pyg_irllrec.datasets import InteractionDataset
from pyg_irllrec.text import IntentExtractor
from tests.text.chat_data import first_text, profile_answer, some_evidence

ray = pytest.importorskip('ray')
pytest.importorskip('ray.data')


@pytest.fixture(scope='module', autouse=True)
def cluster():
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False)
    yield
    ray.shutdown()


class Profiles:
    """A chat model that can be pickled."""

    def __call__(self, conversations):
        return [profile_answer(f'Likes {first_text(c)}.') for c in conversations]

    def describe(self):
        return {'model': 'profiles'}


def test_extraction(tmp_path):
    out = tmp_path / 'profiles.jsonl'
    extract = IntentExtractor(Profiles(), what='profiles')
    counts = extract.on_ray(some_evidence(100), out, batch_size=16)['counts']
    assert (counts['ok'], counts['calls']) == (100, 100)
    profiles = [json.loads(line)['profile'] for line in out.open()]
    assert profiles == [f'Likes user text {k}.' for k in range(100)]


def test_interactions(tmp_path):
    table = pa.table({'who': ['ann', 'bob', 'ann'], 'what': [1, 2, 2], 'more': [0] * 3})
    frame = ray.data.from_arrow(table).repartition(2)
    dataset = InteractionDataset.from_frame(frame, tmp_path, user='who', item='what')
    assert dataset.counts['interactions'] == 3
    assert set(dataset[0]['user'].id) == {'ann', 'bob'}
