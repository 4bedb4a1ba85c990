from __future__ import annotations

import sys

import pytest

from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.ray_vllm import RayVLLM
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.evidence_shards import EvidenceShards, save_evidence
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import load_intents
from tests.text.chat_data import (
    FakeModel,
    answer,
    first_text,
    honest,
    recorded,
    some_evidence,
)
from tests.text.ray_stub import ray_data

pytest.importorskip('pyarrow')
pytest.importorskip('pydantic')


@pytest.fixture
def out(tmp_path):
    return tmp_path / 'intents.jsonl'


@pytest.fixture
def stub(monkeypatch):
    for name, module in ray_data(generate).items():
        monkeypatch.setitem(sys.modules, name, module)


def generate(row):
    """An engine with one answer that is cut off and one that fails."""
    name = first_text(row['messages'])
    assert row['sampling_params'] == {'temperature': 0, 'max_tokens': 50}
    if name == 'user text 1':
        return {'__inference_error__': 'ValueError: too long', 'generated_text': ''}
    text = '{"intents": [{"na' if name == 'user text 2' else answer(name)
    count = 50 if name in ('user text 2', 'user text 3') else 20
    return {
        'generated_text': text,
        'num_input_tokens': 7,
        'num_generated_tokens': count,
    }


def extractor(model, **options):
    return IntentExtractor(model, progress=False, backoff=0.01, **options)


def test_the_file_equals_that_of_a_call(stub, out, tmp_path):
    evidence = [*some_evidence(9), Evidence('user', 'none', ())]
    evidence += [*some_evidence(4, 'item'), Evidence('item', 9, ('user text 3', 'x'))]
    save_evidence(tmp_path / 'shards', evidence[10:], shard_size=2)
    evidence = [*evidence[:10], *EvidenceShards(tmp_path / 'shards')]
    extract = extractor(honest())
    manifest = extract(evidence, tmp_path / 'called.jsonl')
    found = extract.on_ray(evidence, out, batch_size=4)
    assert out.read_bytes() == (tmp_path / 'called.jsonl').read_bytes()
    assert found | {'date': ''} == manifest | {'date': ''}
    assert not list(tmp_path.glob('*.questions'))


def test_answers_in_the_journal_are_not_asked_again(stub, out):
    def stopping(conversation):
        if first_text(conversation) == 'user text 7':
            raise KeyboardInterrupt
        return answer(first_text(conversation))

    model = FakeModel(stopping)
    with pytest.raises(KeyboardInterrupt):
        extractor(model, concurrency=1).on_ray(some_evidence(10), out, batch_size=2)
    known = recorded(out.with_suffix('.sqlite'))
    assert known == {f'user text {k}' for k in range(6)} and not out.exists()
    model = honest()
    manifest = extractor(model).on_ray(some_evidence(10), out)
    assert known.isdisjoint(map(first_text, model.conversations))
    assert manifest['counts']['calls'] == manifest['counts']['ok'] == 10


def test_nodes_with_the_same_texts_are_asked_about_once(stub, out):
    model = honest()
    evidence = [Evidence('user', k, ('same',)) for k in range(5)]
    assert extractor(model).on_ray(evidence, out)['counts']['ok'] == 5
    assert len(model.conversations) == 1


def test_actors_repair_and_share_limits(stub, out):
    answers = ['no', answer('mended')]
    model = FakeModel(lambda conversation: answers.pop(0))
    extract = extractor(model, concurrency=1, rpm=60_000, tpm=10**9)
    counts = extract.on_ray(some_evidence(1), out, num_workers=3)['counts']
    assert (counts['ok'], counts['calls']) == (1, 2)
    calls = extract._calls(3)
    assert (calls.rpm, calls.tpm) == (20_000, 10**9 / 3)


def test_a_wrong_key_and_failures_in_a_row_end_the_run(stub, out):
    def refuse(conversation):
        raise ChatError('wrong key', 'final')

    with pytest.raises(ChatError, match='wrong key'):
        extractor(FakeModel(refuse)).on_ray(some_evidence(3), out)
    with pytest.raises(ChatError, match='25 nodes failed in a row'):
        extractor(FakeModel(lambda c: 'no')).on_ray(some_evidence(40), out)
    assert not list(out.parent.glob('*.questions'))


def test_an_engine(stub, out):
    model = RayVLLM('small', max_tokens=50)
    counts = extractor(model).on_ray(some_evidence(5), out)['counts']
    assert (counts['ok'], counts['failed'], counts['calls']) == (3, 2, 4)
    assert counts['prompt_tokens'] == 28 and counts['answer_tokens'] == 140
    records, manifest = load_intents(out)
    assert records[0].intents[0].name == 'user text 0'
    assert records[1].reason == 'vLLM: ValueError: too long'
    assert 'cut off at the token limit' in records[2].reason
    assert manifest['model']['options'] == {'temperature': 0, 'max_tokens': 50}


def test_an_engine_answers_no_calls(out):
    with pytest.raises(ValueError, match=r'call IntentExtractor\.on_ray'):
        extractor(RayVLLM('small'))(some_evidence(1), out)


def test_without_ray(monkeypatch, out):
    monkeypatch.setitem(sys.modules, 'ray.data', None)
    with pytest.raises(ImportError, match=r"pip install 'pyg_irllrec\[ray\]'"):
        extractor(honest()).on_ray(some_evidence(1), out)
    assert not out.with_suffix('.sqlite').exists()


@pytest.mark.parametrize('name', ['num_workers', 'batch_size', 'num_cpus', 'num_gpus'])
def test_wrong_arguments(out, name):
    with pytest.raises(ValueError, match=f"'{name}' must be"):
        extractor(honest()).on_ray(some_evidence(1), out, **{name: -1})
