from __future__ import annotations

import hashlib
import json
import threading
import time
from types import SimpleNamespace

import pytest
import torch

from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.local_chat import LocalChat, _hash_weights
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import load_intents
from tests.text.chat_data import answer, some_evidence

END, PAD = 1, 0


class FakeTokenizer:
    """A tokenizer with one token per character."""

    chat_template = 'a template'
    pad_token_id = PAD
    eos_token_id = END
    system = 'own'  # Supported, an error, or ignored.

    def apply_chat_template(self, messages, tokenize, add_generation_prompt, **rest):
        assert not tokenize and add_generation_prompt
        assert rest == {'enable_thinking': False}
        roles = [message['role'] for message in messages]
        if self.system == 'none' and 'system' in roles:
            raise RuntimeError('System role not supported')
        shown = [m for m in messages if self.system == 'own' or m['role'] != 'system']
        return '|'.join(f'{m["role"][0]}:{m["content"]}' for m in shown) + '|a:'

    def __call__(self, text, add_special_tokens):
        assert not add_special_tokens
        return {'input_ids': [ord(each) for each in text]}

    all_special_tokens = ('<end>',)

    def decode(self, tokens, skip_special_tokens):
        assert not skip_special_tokens  # Some of them mark thoughts.
        return ''.join('<end>' if t <= END else chr(t) for t in tokens)


class FakeModel:
    """Answer each prompt with a function."""

    dtype = torch.float32

    def __init__(self, reply, window=None):
        self.reply = reply
        self.config = SimpleNamespace(max_position_embeddings=window)
        self.generation_config = SimpleNamespace(eos_token_id=[END, 2], num_beams=3)
        self.batches = []

    def generate(self, input_ids, attention_mask):
        assert not torch.is_grad_enabled()
        config = self.generation_config
        assert config.do_sample is False and not hasattr(config, 'num_beams')
        assert config.eos_token_id == [END, 2]
        assert input_ids[attention_mask == 0].eq(PAD).all()
        # Padding is on the left, so that the answer follows the prompt.
        assert attention_mask[:, -1].all()
        prompts = [
            ''.join(map(chr, row[mask == 1].tolist()))
            for row, mask in zip(input_ids, attention_mask)
        ]
        self.batches.append(prompts)
        rows = [[ord(c) for c in self.reply(prompt)] for prompt in prompts]
        rows = [[*row, END][: config.max_new_tokens] for row in rows]
        width = max(map(len, rows))
        rows = [row + [config.pad_token_id] * (width - len(row)) for row in rows]
        return torch.cat([input_ids, torch.tensor(rows)], dim=1)


def build(reply=str.upper, window=None, system='own', **options):
    tokenizer = FakeTokenizer()
    tokenizer.system = system
    llm = SimpleNamespace(
        tokenizer=tokenizer,
        llm=FakeModel(reply, window),
        device=torch.device('cpu'),
        model_name='tiny',
    )
    return LocalChat(llm, **options)


def user(text):
    return [{'role': 'user', 'content': text}]


def test_answers_in_order_with_their_tokens():
    chat = build(batch_size=2)
    asked = ['one', 'twenty', 'three']
    replies = chat([user(text) for text in asked])
    assert replies == ['U:ONE|A:', 'U:TWENTY|A:', 'U:THREE|A:']
    assert [reply.prompt_tokens for reply in replies] == [8, 11, 10]
    assert [reply.answer_tokens for reply in replies] == [
        9,
        12,
        11,
    ]  # Including the end token.
    assert list(map(len, chat.llm.llm.batches)) == [2, 1]
    # The model's own settings are restored.
    assert chat.llm.llm.generation_config.num_beams == 3


def test_threads_share_batches():
    started, go = threading.Event(), threading.Event()

    def slow(prompt):
        started.set()
        assert go.wait(10)
        return prompt

    chat = build(slow, batch_size=4)
    found = {}

    def ask(text):
        found[text] = chat([user(text)])

    threads = [threading.Thread(target=ask, args=(f'{k}',)) for k in range(7)]
    threads[0].start()
    assert started.wait(10)
    for thread in threads[1:]:
        thread.start()
    while len(chat._waiting) < 6:
        time.sleep(0.001)
    go.set()
    for thread in threads:
        thread.join(10)
    assert found == {f'{k}': [f'u:{k}|a:'] for k in range(7)}
    assert list(map(len, chat.llm.llm.batches)) == [1, 4, 2]


def test_twice_as_many_threads_fill_each_batch():
    chat = build(batch_size=3)
    generate = chat.llm.llm.generate

    def slow(**options):
        time.sleep(0.05)
        return generate(**options)

    chat.llm.llm.generate = slow

    def ask(thread):
        for turn in range(4):
            assert chat([user(f'{thread},{turn}')]) == [f'U:{thread},{turn}|A:']

    threads = [threading.Thread(target=ask, args=(k,)) for k in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    sizes = list(map(len, chat.llm.llm.batches))
    assert (
        sum(sizes) == 24 and sizes.count(3) >= 6
    )  # The first and the last may be smaller.


def test_an_error_reaches_its_whole_batch_and_no_other():
    chat = build(batch_size=2)
    working = chat.llm.llm.reply
    chat.llm.llm.reply = lambda prompt: 1 / 0
    errors = []

    def ask(text):
        try:
            chat([user(text)])
        except ZeroDivisionError as error:
            errors.append(error)

    threads = [threading.Thread(target=ask, args=(f'{k}',)) for k in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
    assert len(errors) == 3
    # In a list, nothing after the error is asked.
    with pytest.raises(ZeroDivisionError):
        chat([user(text) for text in 'abcdef'])
    assert chat.llm.llm.batches[-1] == ['u:a|a:', 'u:b|a:'] and not chat._waiting
    chat.llm.llm.reply = working
    assert chat([user('x')]) == ['U:X|A:']


def test_an_interrupt_stops_at_once():
    def stop(prompt):
        raise KeyboardInterrupt

    chat = build(stop)
    with pytest.raises(KeyboardInterrupt):
        chat([user('a'), user('b')])
    assert len(chat.llm.llm.batches) == 1 and not chat._waiting


@pytest.mark.parametrize('system', ['none', 'ignored'])
def test_templates_without_a_system_role(system):
    asked = [{'role': 'system', 'content': 'Be good.'}, *user('Why?')]
    assert build(str)([asked]) == ['s:Be good.|u:Why?|a:']
    assert build(str, system=system)([asked]) == ['u:Be good.\n\nWhy?|a:']
    assert build(str, system=system)([user('Why?')]) == ['u:Why?|a:']


@pytest.mark.parametrize(
    ('written', 'expected'),
    [
        ('<think>\nhm\n</think>\n\nyes', 'yes'),
        ('hm {}\n</think>\n\nyes', 'yes'),  # The template opened the thoughts.
        ('<|channel|>analysis<|message|>no<|channel|>final<|message|>yes', 'yes'),
        ('<THINKING>hm</THINKING>yes', 'yes'),
    ],
)
def test_thoughts_are_removed(written, expected):
    assert build(lambda prompt: written)([user('?')]) == [expected]


def test_unfinished_thoughts_are_not_an_answer():
    with pytest.raises(ChatError, match='thoughts do not end: raise max') as caught:
        build(lambda prompt: '<think> {"a": 1}')([user('?')])
    assert caught.value.kind == 'refused' and caught.value.reply.answer_tokens == 17


@pytest.mark.parametrize('written', ['{"a": 1}</think>\n', '<think>hm</think>'])
def test_thoughts_alone_are_not_an_answer(written):
    with pytest.raises(ChatError, match='thoughts and no answer: raise') as caught:
        build(lambda prompt: written)([user('?')])
    assert caught.value.kind == 'refused' and caught.value.reply == ''


def test_a_cut_off_answer_is_not_an_answer():
    with pytest.raises(ChatError, match="cut off at 4 tokens: raise 'max_") as caught:
        build(max_tokens=4)([user('one')])
    assert caught.value.kind == 'refused' and caught.value.reply == 'U:ON'
    # Only the end token is missing.
    assert build(lambda prompt: '{ }', max_tokens=3)([user('?')]) == ['{ }']


def test_generation_uses_the_precision_of_the_language_model():
    chat = build(lambda prompt: str(torch.is_autocast_enabled('cpu')), batch_size=2)
    assert chat([user('x')]) == ['False']
    chat.llm.autocast_context = torch.amp.autocast('cpu', dtype=torch.bfloat16)
    assert chat([user('x'), user('y'), user('z')]) == ['True'] * 3


def test_too_long_for_the_model():
    chat = build(window=20, max_tokens=10)
    assert chat([user('1234')]) == ['U:1234|A:']
    chat._encode(user('12345'))
    with pytest.raises(ChatError, match=r'11 tokens of .* and 10 of .* 20') as caught:
        chat([user('123456')])
    assert caught.value.kind == 'refused' and len(chat.llm.llm.batches) == 1
    # Multimodal models have it here.
    chat.llm.llm.config = SimpleNamespace(text_config=chat.llm.llm.config)
    with pytest.raises(ChatError, match='11 tokens'):
        chat([user('123456')])


@pytest.mark.parametrize(
    'error',
    [
        torch.OutOfMemoryError('CUDA out of memory'),
        RuntimeError("[enforce fail at alloc_cpu.cpp:127] can't allocate memory"),
        MemoryError(),
    ],
)
def test_too_long_for_the_memory(error):
    chat = build(batch_size=4)
    generate = chat.llm.llm.generate

    def small(input_ids, **options):
        if input_ids.numel() > 20:
            raise error
        return generate(input_ids, **options)

    chat.llm.llm.generate = small
    # Smaller batches are tried before a conversation is refused.
    assert chat([user(text) for text in '1234']) == [f'U:{n}|A:' for n in range(1, 5)]
    assert list(map(len, chat.llm.llm.batches)) == [2, 2]
    with pytest.raises(ChatError, match='too long for the memory') as caught:
        chat([user('long' * 9)])
    assert caught.value.kind == 'refused'
    with pytest.raises(ChatError, match='too long for the memory'):
        chat([user('1'), user('long' * 9)])
    assert chat([user('5')]) == ['U:5|A:']


def test_description():
    chat = build(max_tokens=7)
    shown = chat.describe()
    json.dumps(shown)
    template = hashlib.sha256(b'"a template"').hexdigest()
    assert shown['template_sha256'] == template
    expected = ('tiny', True, 7, 'torch.float32')
    names = ('model', 'language_model', 'max_tokens', 'dtype')
    assert tuple(shown[name] for name in names) == expected
    assert repr(chat) == 'LocalChat(tiny, max_tokens=7, batch_size=1)'


def test_weights_and_folders_are_distinguished(tmp_path):
    def describe(weights, name='tiny'):
        llm = build().llm
        llm.llm, llm.model_name = weights, name
        return LocalChat(llm).describe()

    layer = torch.nn.Linear(3, 2)
    shown = describe(layer)
    assert shown['weights_sha256'] == describe(layer)['weights_sha256']
    assert shown['weights_sha256'] == describe(layer.double())['weights_sha256']
    with torch.no_grad():
        layer.bias += 1
    assert shown['weights_sha256'] != describe(layer)['weights_sha256']
    # The path of a folder does not identify the model.
    assert describe(layer, str(tmp_path))['model'] == tmp_path.name
    describe(torch.nn.Linear(3, 2, device='meta'))


def test_wrong_arguments():
    with pytest.raises(
        ValueError, match="'max_tokens' must be an integer of at least 1"
    ):
        build(max_tokens=0)
    with pytest.raises(
        ValueError, match="'batch_size' must be an integer of at least 1"
    ):
        build(batch_size=0)
    with pytest.raises(ValueError, match=r"'llm' must be .* got Linear without"):
        LocalChat(torch.nn.Linear(1, 1))
    llm = build().llm
    llm.tokenizer.chat_template = None
    with pytest.raises(
        ValueError, match=r'must have a chat template .* got none in tiny'
    ):
        LocalChat(llm)


def test_intents_from_a_local_chat(tmp_path):
    pytest.importorskip('pydantic')
    chat = build(lambda prompt: answer('calm'), batch_size=4)
    out = tmp_path / 'intents.jsonl'
    extract = IntentExtractor(chat, concurrency=4, progress=False)
    manifest = extract(some_evidence(9), out)
    assert manifest['model']['model'] == 'tiny' and manifest['counts']['ok'] == 9
    assert manifest['counts']['answer_tokens'] == 9 * (len(answer('calm')) + 1)
    assert {each.intents[0].name for each in load_intents(out).records} == {'calm'}


@pytest.fixture(scope='module')
def llama():
    """A small Llama with random weights, and a tokenizer with one token per letter."""
    transformers = pytest.importorskip('transformers')
    tokenizers = pytest.importorskip('tokenizers')
    letters = [chr(code) for code in range(32, 127)]
    words = {word: n for n, word in enumerate(['<pad>', '</s>', '<unk>', *letters])}
    inner = tokenizers.Tokenizer(tokenizers.models.WordLevel(words, '<unk>'))
    inner.pre_tokenizer = tokenizers.pre_tokenizers.Split('', 'isolated')
    inner.decoder = tokenizers.decoders.Fuse()
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=inner, pad_token='<pad>', eos_token='</s>', unk_token='<unk>'
    )
    tokenizer.chat_template = (
        "{% for m in messages %}{% if m['role'] == 'system' %}"
        "{{ raise_exception('System role not supported') }}{% endif %}"
        "{{ m['content'] }} {% endfor %}"
    )
    torch.manual_seed(0)
    config = transformers.LlamaConfig(
        vocab_size=len(words),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=20_000,
        pad_token_id=0,
        eos_token_id=1,
        bos_token_id=None,
    )
    model = transformers.LlamaForCausalLM(config).double().eval()
    return SimpleNamespace(
        tokenizer=tokenizer, llm=model, device=model.device, model_name='llama'
    )


def written(chat, asked):
    """The text that a real model writes, complete or not."""
    tokens = chat._generate([chat._encode(each) for each in asked])
    return [chat.llm.tokenizer.decode(row, skip_special_tokens=True) for row in tokens]


def test_a_real_model_answers_a_batch_as_one_by_one(llama):
    asked = [user(text) for text in ('Hello', 'A longer question, is it not?', 'Why')]
    chat = LocalChat(llama, max_tokens=24)
    single = [written(chat, [each])[0] for each in asked]
    assert single == written(chat, asked) and len(set(single)) == 3
    assert [len(chat._encode(each)) for each in asked] == [6, 30, 4]
    assert llama.tokenizer.padding_side == 'right'
    system = {'role': 'system', 'content': 'Be'}
    merged = [{'role': 'user', 'content': 'Be\n\nHello'}]
    assert written(chat, [[system, *asked[0]]]) == written(chat, [merged])


@pytest.mark.parametrize(
    'own',
    [
        {'do_sample': True, 'temperature': 0.7, 'top_k': 3},
        {'repetition_penalty': 1.3, 'no_repeat_ngram_size': 2},
        {'num_beams': 2, 'num_return_sequences': 2},
        {'return_dict_in_generate': True, 'max_time': 1e-6},
        {'min_length': 60, 'max_length': 20},
    ],
)
def test_a_real_model_decodes_greedily(llama, own):
    asked = [user('Hello'), user('A longer question')]
    expected = []
    for (message,) in asked:
        tokens = llama.tokenizer(message['content'] + ' ')['input_ids']
        start = len(tokens)
        while len(tokens) < start + 12 and tokens[-1] != END:
            with torch.no_grad():
                scores = llama.llm(torch.tensor([tokens])).logits[0, -1]
            tokens.append(int(scores.argmax()))
        expected.append(
            llama.tokenizer.decode(tokens[start:], skip_special_tokens=True)
        )
    kept = llama.llm.generation_config
    llama.llm.generation_config = type(kept)(**{'eos_token_id': END} | own)
    try:
        assert written(LocalChat(llama, max_tokens=12), asked) == expected
    finally:
        llama.llm.generation_config = kept


class WithState(torch.nn.Module):
    def get_extra_state(self):
        return 1


def test_the_hash_covers_weights_after_other_state():
    model = torch.nn.Sequential(WithState(), torch.nn.Linear(2, 2))
    before = _hash_weights(model)
    with torch.no_grad():
        model[1].bias += 1
    assert _hash_weights(model) != before


def test_a_real_model_that_answers_nonsense(llama, tmp_path):
    pytest.importorskip('pydantic')
    out = tmp_path / 'intents.jsonl'
    chat = LocalChat(llama, max_tokens=8, batch_size=2)
    extract = IntentExtractor(chat, concurrency=2, progress=False)
    manifest = extract(some_evidence(3), out)
    assert manifest['counts']['failed'] == 3
    assert manifest['model']['dtype'] == 'torch.float64'
    assert all(each.reason for each in load_intents(out).records)
