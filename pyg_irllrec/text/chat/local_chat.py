from __future__ import annotations

import hashlib
import json
import re
import sys
import threading
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation, Message
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.utils.checks import check_positive

# Without their beginning where it is the template that opens them.
_THOUGHTS = re.compile(r'\s*(?:<think>)?.*?</think>\s*', flags=re.DOTALL)
_PROBE = 'a system text'


class LocalChat:
    r"""A chat model in this process: a language model of PyG,
    :class:`torch_geometric.llm.models.LLM` (extra :obj:`text`: transformers), asked
    through its chat template, the likeliest token each time, whatever its own settings
    of generation are.

    .. code-block:: python

        llm = torch_geometric.llm.models.LLM('Qwen/Qwen2.5-7B-Instruct')
        extract = IntentExtractor(LocalChat(llm, batch_size=8), concurrency=16)

    It may be called from many threads: one batch is answered at a time, of
    conversations that wait. Where the template knows no system role, its text opens
    the first message of the user. Thoughts before an answer are asked not to be had,
    and cut off.

    Args:
        llm (torch_geometric.llm.models.LLM): The language model, or anything with its
            :obj:`tokenizer`, :obj:`llm` and :obj:`device`.
        max_tokens (int): The longest answer, in tokens. (default: :obj:`1024`)
        batch_size (int): How many conversations are answered at once, at most.
            Batches are full where twice as many are asked at once, which is
            :obj:`concurrency` of :class:`~pyg_irllrec.text.IntentExtractor`: the next
            ones gather while a batch is answered. In another batch an answer may
            differ, by rounding. (default: :obj:`1`)

    Raises:
        ValueError: If an argument is out of range, or the model has no chat template.
        ChatError: If a conversation is too long for the model or for the memory.
    """

    def __init__(self, llm: Any, max_tokens: int = 1024, batch_size: int = 1) -> None:
        check_positive('max_tokens', max_tokens)
        check_positive('batch_size', batch_size)
        for part in ('tokenizer', 'llm', 'device'):
            if not hasattr(llm, part):
                raise ValueError(
                    "'llm' must be a torch_geometric.llm.models.LLM, got "
                    f"{type(llm).__name__}, which has no '{part}'"
                )
        if not getattr(llm.tokenizer, 'chat_template', None):
            raise ValueError(
                "'llm' must be a chat model, whose tokenizer has a chat template, got "
                f'{_name(llm)}'
            )
        self.llm = llm
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self._has_system_role = self._probe_system_role()
        self._weights_sha256 = _hash_weights(llm.llm)
        self._changed = threading.Condition()
        self._busy = False
        self._waiting: deque[_Question] = deque()

    def __call__(self, conversations: Sequence[Conversation]) -> list[ChatReply]:
        r"""An answer for each conversation."""
        questions = [_Question(self._encode(each)) for each in conversations]
        with self._changed:
            self._waiting.extend(questions)
        try:
            while batch := self._next_batch(questions):
                self._answer_batch(batch)
        finally:
            with self._changed:
                for question in set(questions).intersection(self._waiting):
                    self._waiting.remove(question)
        for question in questions:
            if question.error is not None:
                raise question.error
        return [question.get() for question in questions]

    def describe(self) -> dict[str, Any]:
        r"""What the answers were made with, for a record beside them."""
        template = json.dumps(self.llm.tokenizer.chat_template, sort_keys=True)
        config = getattr(self.llm.llm, 'config', None)
        transformers = sys.modules.get('transformers')
        return {
            'model': _name(self.llm),
            'revision': getattr(config, '_commit_hash', None),
            'weights_sha256': self._weights_sha256,
            'language_model': True,
            'max_tokens': self.max_tokens,
            'dtype': str(getattr(self.llm.llm, 'dtype', None)),
            'template_sha256': hashlib.sha256(template.encode()).hexdigest(),
            'library': f'transformers {getattr(transformers, "__version__", None)}',
        }

    def _encode(self, conversation: Conversation) -> list[int]:
        r"""The conversation in tokens."""
        tokens: list[int] = self.llm.tokenizer(
            self._render(conversation), add_special_tokens=False
        )['input_ids']
        config = getattr(self.llm.llm, 'config', None)
        config = getattr(config, 'text_config', config)  # Of models that see, too.
        window = getattr(config, 'max_position_embeddings', None)
        if window is not None and len(tokens) + self.max_tokens > window:
            raise ChatError(
                f'{_name(self.llm)}: {len(tokens)} tokens and {self.max_tokens} of an '
                f'answer are more than the {window} that it can hold',
                'refused',
            )
        return tokens

    def _render(self, conversation: Conversation) -> str:
        if not self._has_system_role:
            conversation = _without_system_role(conversation)
        return self._apply_template(conversation)

    def _apply_template(self, conversation: Conversation) -> str:
        text: str = self.llm.tokenizer.apply_chat_template(
            conversation,
            tokenize=False,
            add_generation_prompt=True,
            enable_thinking=False,
        )
        return text

    def _probe_system_role(self) -> bool:
        r"""Some templates raise where there is one, others pass it over."""
        probe: Conversation = [
            {'role': 'system', 'content': _PROBE},
            {'role': 'user', 'content': 'a question'},
        ]
        try:
            return _PROBE in self._apply_template(probe)
        except Exception:
            return False

    def _next_batch(self, questions: Sequence[_Question]) -> list[_Question]:
        r"""What the caller has to answer once the model is free, for others too; none
        as soon as its own questions are answered, which others may do."""
        with self._changed:
            self._changed.wait_for(lambda: _done(questions) or not self._busy)
            if _done(questions):
                return []
            self._busy = True
            size = min(self.batch_size, len(self._waiting))
            return [self._waiting.popleft() for _ in range(size)]

    def _answer_batch(self, batch: list[_Question]) -> None:
        try:
            self._answer(batch)
        except BaseException as error:
            for question in batch:  # Also of those whose threads only wait.
                if not question.answered:
                    question.error = error
            if not isinstance(error, Exception):
                raise
        finally:
            with self._changed:
                self._busy = False
                self._changed.notify_all()

    def _answer(self, batch: list[_Question]) -> None:
        try:
            answers = self._generate([question.tokens for question in batch])
        except (MemoryError, RuntimeError) as error:
            if not _out_of_memory(error):
                raise
            answers = None
        if answers is not None:
            for question, reply in zip(batch, answers):
                question.reply = reply
        elif len(batch) > 1:
            half = len(batch) // 2
            self._answer(batch[:half])
            self._answer(batch[half:])
        else:
            batch[0].error = ChatError(
                f'{_name(self.llm)}: {len(batch[0].tokens)} tokens and an answer are '
                'too long for the memory',
                'refused',
            )

    @torch.inference_mode()
    def _generate(self, prompts: list[list[int]]) -> list[ChatReply]:
        ends = self._end_tokens()
        pad = self.llm.tokenizer.pad_token_id
        pad = pad if pad is not None else min(ends, default=0)
        width = max(map(len, prompts))
        rows = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        with (
            getattr(self.llm, 'autocast_context', nullcontext()),
            self._greedy(pad, sorted(ends)),
        ):
            output: Tensor = self.llm.llm.generate(
                input_ids=torch.tensor(rows, device=self.llm.device),
                attention_mask=torch.tensor(mask, device=self.llm.device),
            )
        replies = []
        for prompt, row in zip(prompts, output[:, width:].tolist()):
            length = next((n for n, t in enumerate(row, 1) if t in ends), len(row))
            text = self.llm.tokenizer.decode(row[:length], skip_special_tokens=True)
            text = text[found.end() :] if (found := _THOUGHTS.match(text)) else text
            replies.append(ChatReply(text, len(prompt), length))
        return replies

    @contextmanager
    def _greedy(self, pad: int, ends: list[int]) -> Iterator[None]:
        r"""Settings that say all: what is passed to a model is merged with its own,
        which may sample, search by beams, or penalise what an answer has to repeat."""
        model = self.llm.llm
        own = model.generation_config
        model.generation_config = type(own)(
            do_sample=False,
            max_new_tokens=self.max_tokens,
            pad_token_id=pad,
            bos_token_id=getattr(own, 'bos_token_id', None),
            eos_token_id=ends or None,
        )
        try:
            yield
        finally:
            model.generation_config = own

    def _end_tokens(self) -> set[int]:
        r"""The tokens that end an answer."""
        found = getattr(self.llm.llm.generation_config, 'eos_token_id', None)
        if found is None:
            found = self.llm.tokenizer.eos_token_id
        if found is None:
            return set()
        return {found} if isinstance(found, int) else set(found)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({_name(self.llm)}, max_tokens={self.max_tokens}, '
            f'batch_size={self.batch_size})'
        )


class _Question:
    r"""A conversation that waits, and what becomes of it."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens
        self.reply: Optional[ChatReply] = None
        self.error: Optional[BaseException] = None

    @property
    def answered(self) -> bool:
        return self.reply is not None or self.error is not None

    def get(self) -> ChatReply:
        assert self.reply is not None
        return self.reply


def _done(questions: Sequence[_Question]) -> bool:
    failed = any(question.error is not None for question in questions)
    return failed or all(question.answered for question in questions)


def _without_system_role(conversation: Conversation) -> Conversation:
    if not conversation or conversation[0]['role'] != 'system':
        return conversation
    system, first, *rest = conversation
    text = f'{system["content"]}\n\n{first["content"]}'
    opening: Message = {'role': first['role'], 'content': text}
    return [opening, *rest]


def _out_of_memory(error: Exception) -> bool:
    kinds = (MemoryError, torch.OutOfMemoryError)
    # On a CPU it is a plain RuntimeError.
    return isinstance(error, kinds) or "can't allocate memory" in str(error)


def _hash_weights(model: Any) -> Optional[str]:
    r"""The first values of every weight: other weights under the same name are another
    model, and all of them would take minutes to read."""
    if not isinstance(model, Module):
        return None
    found = hashlib.sha256()
    for name, weight in model.state_dict().items():
        if not isinstance(weight, Tensor):
            continue
        found.update(f'{name} {tuple(weight.shape)}'.encode())
        if not weight.is_meta:  # One that is read from disk when it is needed.
            first = weight.flatten()[:16].cpu().double()
            found.update(json.dumps(first.tolist()).encode())
    return found.hexdigest()


def _name(llm: Any) -> str:
    r"""That of the model; of one in a folder the folder's own."""
    name = str(getattr(llm, 'model_name', type(llm).__name__))
    return Path(name).resolve().name if Path(name).is_dir() else name
