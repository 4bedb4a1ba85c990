from __future__ import annotations

import pickle

import pytest

from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.ray_vllm import RayVLLM

ROW = {
    'generated_text': '{"a": 1}',
    'num_input_tokens': 7,
    'num_generated_tokens': 20,
    'max_tokens': 50,
}


def test_the_description_has_all_that_answers_depend_on():
    model = RayVLLM('m', options={'top_k': 1}, engine_kwargs={'dtype': 'half'})
    assert model.describe() == {
        'model': 'm',
        'language_model': True,
        'options': {'temperature': 0, 'top_k': 1, 'max_tokens': 1024},
        'engine': {'name': 'vllm', 'dtype': 'half'},
    }
    assert pickle.loads(pickle.dumps(model)).describe() == model.describe()


def test_answers():
    reply = RayVLLM.read(ROW)
    assert (reply, reply.prompt_tokens, reply.answer_tokens) == ('{"a": 1}', 7, 20)
    assert RayVLLM.read(ROW | {'num_generated_tokens': 50}) == '{"a": 1}'


def test_failed_and_cut_off_answers():
    with pytest.raises(ChatError, match="raise 'max_tokens'") as caught:
        RayVLLM.read(ROW | {'generated_text': '{"a', 'num_generated_tokens': 50})
    assert caught.value.reply.answer_tokens == 50 and caught.value.kind == 'refused'
    with pytest.raises(ChatError, match='vLLM: ValueError: too long') as caught:
        RayVLLM.read({'__inference_error__': 'ValueError: too long'})
    assert caught.value.reply is None


def test_wrong_arguments():
    with pytest.raises(ValueError, match="'options' must hold further sampling param"):
        RayVLLM('m', options={'max_tokens': 3})
    with pytest.raises(ValueError, match=r'call IntentExtractor\.on_ray'):
        RayVLLM('m')([])
