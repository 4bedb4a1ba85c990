from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn, Optional

from pyg_irllrec.text.chat._answer_text import is_whole_object
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import Conversation
from pyg_irllrec.text.chat.chat_reply import ChatReply
from pyg_irllrec.utils.argument_checks import check_instance, check_name
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.optional import import_optional


class RayVLLM:
    r"""A model that runs in vLLM engines on the GPUs of a Ray cluster, through
    :obj:`ray.data.llm` (extra :obj:`ray`, and :obj:`pip install 'ray[llm]'` on the
    machines with GPUs). Pass it to :class:`~pyg_irllrec.text.IntentExtractor` and call
    :meth:`~pyg_irllrec.text.IntentExtractor.on_ray`. It cannot be called directly.

    Args:
        model (str): The name of the model on the Hugging Face Hub, or a folder.
        max_tokens (int): The largest number of tokens per answer.
            (default: :obj:`1024`)
        options (dict, optional): Further sampling parameters of vLLM, merged with
            :obj:`{'temperature': 0}`. (default: :obj:`None`)
        engine_kwargs (dict, optional): Arguments of the engine, such as
            :obj:`{'max_model_len': 8192, 'tensor_parallel_size': 2}`.
            (default: :obj:`None`)
        num_engines (int): The number of engines. (default: :obj:`1`)
        batch_size (int): The number of questions per batch. An engine works on several
            batches at once. (default: :obj:`32`)

    Raises:
        ValueError: If an argument is out of range.

    Example:
        >>> from pyg_irllrec.text import IntentExtractor, RayVLLM
        >>> model = RayVLLM('Qwen/Qwen2.5-7B-Instruct', num_engines=4)
        >>> extract = IntentExtractor(model)
        >>> extract.on_ray(evidence, 'intents.jsonl')  # doctest: +SKIP
    """

    def __init__(
        self,
        model: str,
        *,
        max_tokens: int = 1024,
        options: Optional[Mapping[str, Any]] = None,
        engine_kwargs: Optional[Mapping[str, Any]] = None,
        num_engines: int = 1,
        batch_size: int = 32,
    ) -> None:
        check_name('model', model)
        check_count('max_tokens', max_tokens)
        check_count('num_engines', num_engines)
        check_count('batch_size', batch_size)
        options = {} if options is None else options
        engine_kwargs = {} if engine_kwargs is None else engine_kwargs
        check_instance('options', options, Mapping)
        check_instance('engine_kwargs', engine_kwargs, Mapping)
        if 'max_tokens' in options:
            raise ValueError(
                "'options' must hold further sampling parameters, got 'max_tokens', "
                'which is set separately'
            )
        self.model = model
        self.options = {'temperature': 0, **options, 'max_tokens': max_tokens}
        self.engine_kwargs = dict(engine_kwargs)
        self.num_engines = num_engines
        self.batch_size = batch_size

    def __call__(self, conversations: Sequence[Conversation]) -> NoReturn:
        r"""Raise a :class:`ValueError`, because the model only runs on Ray."""
        raise ValueError(
            "'model' is a RayVLLM, which only runs on Ray: call IntentExtractor.on_ray"
        )

    def describe(self) -> dict[str, Any]:
        r"""Return the model and its options, to be saved with its answers."""
        return {
            'model': self.model,
            'language_model': True,
            'options': self.options,
            'engine': {'name': 'vllm', **self.engine_kwargs},
        }

    def process(self, questions: Any) -> Any:
        r"""Answer a dataset of questions.

        Args:
            questions (ray.data.Dataset): Rows whose :obj:`messages` are JSON.

        Returns:
            A dataset of the answered rows, for :meth:`read`.

        Raises:
            ImportError: If Ray is not installed.
        """
        llm = import_optional('ray.data.llm', type(self).__name__, 'ray')
        config = llm.vLLMEngineProcessorConfig(
            model_source=self.model,
            engine_kwargs=self.engine_kwargs,
            concurrency=self.num_engines,
            batch_size=self.batch_size,
            should_continue_on_error=True,
        )
        options = self.options
        processor = llm.build_processor(
            config,
            preprocess=lambda row: {
                'key': row['key'],
                'num_texts': row['num_texts'],
                'again': row['again'],
                'messages': json.loads(row['messages']),
                'sampling_params': options,
            },
            postprocess=lambda row: {
                'key': row['key'],
                'num_texts': row['num_texts'],
                'again': row['again'],
                'generated_text': row['generated_text'],
                'num_input_tokens': row['num_input_tokens'],
                'num_generated_tokens': row['num_generated_tokens'],
                'max_tokens': options['max_tokens'],
            },
        )
        return processor(questions)

    @staticmethod
    def read(row: Mapping[str, Any]) -> ChatReply:
        r"""Return the answer in a row.

        Args:
            row (dict): A row of :meth:`process`.

        Raises:
            ChatError: If the engine failed, or the answer was cut off.
        """
        if row.get('__inference_error__'):
            raise ChatError(f'vLLM: {row["__inference_error__"]}', 'refused')
        counts = int(row['num_input_tokens']), int(row['num_generated_tokens'])
        reply = ChatReply(row['generated_text'], *counts)
        # Rows have no finish reason.
        if counts[1] >= row['max_tokens'] and not is_whole_object(reply):
            raise ChatError(
                "the answer was cut off at the token limit: raise 'max_tokens', or "
                'reduce the thinking of the model',
                'refused',
                reply=reply,
            )
        return reply

    def __repr__(self) -> str:
        return f'{type(self).__name__}({self.model!r})'
