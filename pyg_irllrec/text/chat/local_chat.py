from __future__ import annotations

import hashlib
import json
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

from pyg_irllrec.text.chat._answer_text import (
    NO_ANSWER,
    UnfinishedThoughts,
    is_whole_object,
    strip_thoughts,
)
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation, Message
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.utils.checks import check_count

_SYSTEM_PROBE = 'a system text'


class LocalChat:
    r"""A chat model in this process: a :class:`torch_geometric.llm.models.LLM` of PyG
    (extra :obj:`text`) with its chat template. It decodes greedily and ignores the
    generation settings of the model.

    Many threads may call it. It answers the waiting conversations in batches, one batch
    at a time. If the template has no system role, the system message is put at the
    beginning of the first user message. Thinking is turned off if the template supports
    it; otherwise, thoughts are removed from the answer.

    Args:
        llm (torch_geometric.llm.models.LLM): The language model, or an object with the
            same attributes :obj:`tokenizer`, :obj:`llm` and :obj:`device`.
        max_tokens (int): The largest number of tokens per answer.
            (default: :obj:`1024`)
        batch_size (int): The largest number of conversations per batch. Set
            :obj:`concurrency` of :class:`~pyg_irllrec.text.IntentExtractor` to twice
            this number, so that the next batch fills while one is answered. Rounding
            can make an answer depend on its batch. (default: :obj:`1`)

    Raises:
        ValueError: If an argument is out of range, or the model has no chat template.
        ChatError: If a conversation does not fit the context or the memory, or an
            answer exceeds :obj:`max_tokens`.

    Example:
        >>> from torch_geometric.llm.models import LLM
        >>> from pyg_irllrec.text import IntentExtractor, LocalChat
        >>> chat = LocalChat(LLM('Qwen/Qwen2.5-7B-Instruct'), batch_size=8)
        >>> chat([[{'role': 'user', 'content': 'Why do people watch calm films?'}]])
        >>> extract = IntentExtractor(chat, concurrency=16)
    """

    def __init__(
        self, llm: Any, *, max_tokens: int = 1024, batch_size: int = 1
    ) -> None:
        check_count('max_tokens', max_tokens)
        check_count('batch_size', batch_size)
        for part in ('tokenizer', 'llm', 'device'):
            if not hasattr(llm, part):
                raise ValueError(
                    "'llm' must be a torch_geometric.llm.models.LLM, got "
                    f"{type(llm).__name__} without '{part}'"
                )
        if not getattr(llm.tokenizer, 'chat_template', None):
            raise ValueError(
                "'llm' must have a chat template in its tokenizer, got none in "
                f'{_model_name(llm)}'
            )
        self.llm = llm
        self.max_tokens = max_tokens
        self.batch_size = batch_size
        self._has_system_role = self._template_has_system_role()
        self._weights_sha256 = _hash_weights(llm.llm)
        self._changed = threading.Condition()
        self._busy = False
        self._waiting: deque[_Question] = deque()

    def __call__(self, conversations: Sequence[Conversation]) -> list[ChatReply]:
        r"""Return one answer per conversation."""
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
        r"""Return the model and its options, to be saved with its answers."""
        template = json.dumps(self.llm.tokenizer.chat_template, sort_keys=True)
        config = getattr(self.llm.llm, 'config', None)
        transformers = sys.modules.get('transformers')
        return {
            'model': _model_name(self.llm),
            'revision': getattr(config, '_commit_hash', None),
            'weights_sha256': self._weights_sha256,
            'language_model': True,
            'max_tokens': self.max_tokens,
            'dtype': str(getattr(self.llm.llm, 'dtype', None)),
            'template_sha256': hashlib.sha256(template.encode()).hexdigest(),
            'library': f'transformers {getattr(transformers, "__version__", None)}',
        }

    def _encode(self, conversation: Conversation) -> list[int]:
        r"""Tokenize a conversation."""
        tokens: list[int] = self.llm.tokenizer(
            self._render(conversation), add_special_tokens=False
        )['input_ids']
        config = getattr(self.llm.llm, 'config', None)
        config = getattr(config, 'text_config', config)  # For multimodal models.
        window = getattr(config, 'max_position_embeddings', None)
        if window is not None and len(tokens) + self.max_tokens > window:
            raise ChatError(
                f'{_model_name(self.llm)}: {len(tokens)} tokens of a conversation and '
                f'{self.max_tokens} of an answer exceed its context of {window}: '
                "shorten the texts, or lower 'max_tokens'",
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

    def _template_has_system_role(self) -> bool:
        r"""Return whether the template renders system messages. Templates without a
        system role raise an error or ignore the message."""
        probe: Conversation = [
            {'role': 'system', 'content': _SYSTEM_PROBE},
            {'role': 'user', 'content': 'a question'},
        ]
        try:
            return _SYSTEM_PROBE in self._apply_template(probe)
        except Exception:
            return False

    def _next_batch(self, questions: Sequence[_Question]) -> list[_Question]:
        r"""Wait until the model is free and return the next batch, which may include
        questions of other callers. Return an empty batch once the caller's own
        questions are answered."""
        with self._changed:
            self._changed.wait_for(lambda: _finished(questions) or not self._busy)
            if _finished(questions):
                return []
            self._busy = True
            size = min(self.batch_size, len(self._waiting))
            return [self._waiting.popleft() for _ in range(size)]

    def _answer_batch(self, batch: list[_Question]) -> None:
        try:
            self._answer(batch)
        except BaseException as error:
            for question in batch:  # Other threads may wait for these.
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
            for question, tokens in zip(batch, answers):
                try:
                    question.reply = self._read(len(question.tokens), tokens)
                except ChatError as error:
                    question.error = error
        elif len(batch) > 1:
            half = len(batch) // 2
            self._answer(batch[:half])
            self._answer(batch[half:])
        else:
            batch[0].error = ChatError(
                f'{_model_name(self.llm)}: a conversation of {len(batch[0].tokens)} '
                'tokens and its answer are too long for the memory: shorten the texts',
                'refused',
            )

    @torch.inference_mode()
    def _generate(self, prompts: list[list[int]]) -> list[list[int]]:
        r"""Generate the tokens of one answer per prompt, including the end token if
        there is one."""
        ends = self._end_tokens()
        pad = self.llm.tokenizer.pad_token_id
        pad = pad if pad is not None else min(ends, default=0)
        width = max(map(len, prompts))
        rows = [[pad] * (width - len(prompt)) + prompt for prompt in prompts]
        mask = [[0] * (width - len(prompt)) + [1] * len(prompt) for prompt in prompts]
        with (
            getattr(self.llm, 'autocast_context', nullcontext()),
            self._greedy_decoding(pad, sorted(ends)),
        ):
            output: Tensor = self.llm.llm.generate(
                input_ids=torch.tensor(rows, device=self.llm.device),
                attention_mask=torch.tensor(mask, device=self.llm.device),
            )
        answers: list[list[int]] = output[:, width:].tolist()
        lengths = [
            next((n for n, t in enumerate(row, 1) if t in ends), len(row))
            for row in answers
        ]
        return [row[:length] for row, length in zip(answers, lengths)]

    def _read(self, prompt_tokens: int, tokens: list[int]) -> ChatReply:
        r"""Decode an answer and remove thoughts and special tokens."""
        # Keep special tokens here, because some models mark their thoughts with them.
        written = self.llm.tokenizer.decode(tokens, skip_special_tokens=False)
        text = strip_thoughts(written)
        answer = self._without_specials(written if text is None else text)
        reply = ChatReply(answer, prompt_tokens, len(tokens))
        problem = None
        if text is None:
            problem = str(UnfinishedThoughts())
        elif not answer and self._without_specials(written):
            problem = NO_ANSWER
        elif tokens and tokens[-1] not in self._end_tokens():
            if not is_whole_object(answer):
                problem = (
                    f'the answer was cut off at {len(tokens)} tokens: raise '
                    "'max_tokens'"
                )
        if problem is not None:
            raise ChatError(
                f'{_model_name(self.llm)}: {problem}', 'refused', reply=reply
            )
        return reply

    def _without_specials(self, text: str) -> str:
        for special in getattr(self.llm.tokenizer, 'all_special_tokens', ()):
            text = text.replace(special, '')
        return text.strip()

    @contextmanager
    def _greedy_decoding(self, pad: int, ends: list[int]) -> Iterator[None]:
        r"""Replace the generation settings of the model, which may enable sampling,
        beam search or repetition penalties. Arguments of a call would only be merged
        with them."""
        model = self.llm.llm
        config = model.generation_config
        model.generation_config = type(config)(
            do_sample=False,
            max_new_tokens=self.max_tokens,
            pad_token_id=pad,
            bos_token_id=getattr(config, 'bos_token_id', None),
            eos_token_id=ends or None,
        )
        try:
            yield
        finally:
            model.generation_config = config

    def _end_tokens(self) -> set[int]:
        r"""Return the tokens that end an answer."""
        ends = getattr(self.llm.llm.generation_config, 'eos_token_id', None)
        if ends is None:
            ends = self.llm.tokenizer.eos_token_id
        if ends is None:
            return set()
        return {ends} if isinstance(ends, int) else set(ends)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({_model_name(self.llm)}, '
            f'max_tokens={self.max_tokens}, batch_size={self.batch_size})'
        )


class _Question:
    r"""A waiting conversation with its reply or error."""

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


def _finished(questions: Sequence[_Question]) -> bool:
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
    # On the CPU, torch raises a plain RuntimeError.
    return isinstance(error, kinds) or "can't allocate memory" in str(error)


def _hash_weights(model: Any) -> Optional[str]:
    r"""Hash the first values of each weight, to distinguish models with the same name.
    Reading all values would take minutes."""
    if not isinstance(model, Module):
        return None
    digest = hashlib.sha256()
    for name, weight in model.state_dict().items():
        if not isinstance(weight, Tensor):
            continue
        digest.update(f'{name} {tuple(weight.shape)}'.encode())
        if not weight.is_meta:  # Offloaded to disk.
            first = weight.flatten()[:16].cpu().double()
            digest.update(json.dumps(first.tolist()).encode())
    return digest.hexdigest()


def _model_name(llm: Any) -> str:
    r"""Return the name of the model, or of the folder that it was loaded from."""
    name = str(getattr(llm, 'model_name', type(llm).__name__))
    return Path(name).resolve().name if Path(name).is_dir() else name
