from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, nullcontext
from datetime import datetime, timezone
from functools import partial
from pathlib import Path
from typing import Any, Optional

from pyg_irllrec.text.chat._retrying_chat import ANSWER_TOKENS, count_tokens
from pyg_irllrec.text.chat.chat_model import ChatModel
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.text.intents._ask import ask
from pyg_irllrec.text.intents._ask_in_threads import ask_in_threads
from pyg_irllrec.text.intents._ask_on_ray import Calls, Workers, ask_on_ray
from pyg_irllrec.text.intents._batch_files import (
    check_answers,
    check_free,
    read_answers,
    write_requests,
)
from pyg_irllrec.text.intents._journal import Journal
from pyg_irllrec.text.intents._question_list import QuestionList
from pyg_irllrec.text.intents._question_maker import QuestionMaker
from pyg_irllrec.text.intents._run import Run, follow
from pyg_irllrec.text.intents._wanted import Wanted
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.intent_file import check_path, save_intents
from pyg_irllrec.text.intents.prompt import WRITTEN, Prompt
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import (
    as_path,
    check_flag,
    check_instance,
    is_iterable,
)
from pyg_irllrec.utils.checks import (
    check_choice,
    check_count,
    check_not_negative,
    check_positive,
)
from pyg_irllrec.utils.optional import import_optional


class IntentExtractor:
    r"""Ask a chat model for the intents of each node, or for a profile, and write one
    :class:`~pyg_irllrec.text.IntentRecord` per node.

    :class:`~pyg_irllrec.transforms.AddIntents` and
    :class:`~pyg_irllrec.transforms.AddProfiles` add the texts to the graph.

    **Interruption.** A run can be stopped at any time, with Ctrl-C or SIGKILL, and the
    next call continues from there. Each valid answer is stored at once in the journal,
    a SQLite file. Its key is a hash of the model's description, the prompt and the
    texts. The key does not include :obj:`"library"` and :obj:`"max_tokens"`, because a
    larger limit does not change complete answers. The model is asked only once about
    nodes with the same texts.

    **Retries.** A call that fails for a passing reason is retried after the time that
    the server asks for, or else after a delay that doubles, with jitter. The run ends
    if the key is wrong or 25 nodes fail in a row.

    **Scale.** Evidence is read on access, and the hashes of questions are in a
    temporary file. Memory therefore does not grow with the number of nodes if
    :obj:`evidence` is an :class:`~pyg_irllrec.text.EvidenceShards`. Batch files of a
    provider (:meth:`write_batch`, :meth:`read_batch`) and actors of a Ray cluster
    (:meth:`on_ray`) fill the same journal. Only one process at a time can open it.

    **Invalid answers.** An invalid answer is sent back once, with the reason. If the
    second answer is invalid, too, the node is recorded as failed, and the next run asks
    again. An answer that was cut off, filtered or declined fails without a second call,
    because the result would be the same. The recorded reason states what to change.
    Each conversation contains the texts of one node between fences, so no text can
    change the record of another node.

    Args:
        model (ChatModel): The model, with a method :obj:`describe()`.
        what (str): The kind of texts: :obj:`"intents"` (why users act and items are
            chosen) or :obj:`"profiles"` (what users like and items offer).
            (default: :obj:`"intents"`)
        prompts (dict, optional): The prompt of each node type.
            (default: :obj:`None`, :meth:`~pyg_irllrec.text.Prompt.packaged` by
            :obj:`Evidence.role`)
        max_intents (int): The largest number of intents per node. Profiles ignore it.
            (default: :obj:`5`)
        concurrency (int): The largest number of calls at once. (default: :obj:`8`)
        max_retries (int): The largest number of retries per call. (default: :obj:`6`)
        backoff (float): The number of seconds before the first retry, unless the server
            asks for a time. (default: :obj:`1.0`)
        rpm (float, optional): The largest number of requests per minute.
            (default: :obj:`None`, no limit)
        tpm (float, optional): The largest number of tokens per minute, of prompts and
            answers. (default: :obj:`None`, no limit)
        prompt_price (float): The price of 1000 tokens of prompts.
            (default: :obj:`0.0`)
        answer_price (float): The price of 1000 tokens of answers. If both prices are
            0, the cost is unknown (:obj:`None`). (default: :obj:`0.0`)
        progress (bool): Whether to show a progress bar. (default: :obj:`True`)

    Raises:
        ImportError: If pydantic is not installed.
        ValueError: If an argument is out of range, or the model has no description.

    Example:
        >>> from pyg_irllrec.text import Evidence, ExtractiveModel, IntentExtractor
        >>> evidence = [
        ...     Evidence('user', 'ann', ('A calm film about the sea',)),
        ...     Evidence('user', 'bob', ('A calm book about a storm at sea',)),
        ... ]
        >>> extract = IntentExtractor(ExtractiveModel(evidence), progress=False)
        >>> extract.estimate(evidence, 'intents.jsonl')['calls']
        2
        >>> extract(evidence, 'intents.jsonl')['counts']['ok']
        2
    """

    def __init__(
        self,
        model: ChatModel,
        *,
        what: str = 'intents',
        prompts: Optional[Mapping[str, Prompt]] = None,
        max_intents: int = 5,
        concurrency: int = 8,
        max_retries: int = 6,
        backoff: float = 1.0,
        rpm: Optional[float] = None,
        tpm: Optional[float] = None,
        prompt_price: float = 0.0,
        answer_price: float = 0.0,
        progress: bool = True,
    ) -> None:
        import_optional('pydantic', type(self).__name__, 'llm')
        check_choice('what', what, WRITTEN)
        check_count('max_intents', max_intents)
        check_count('concurrency', concurrency)
        check_count('max_retries', max_retries, least=0)
        check_flag('progress', progress)
        if prompts is not None:
            check_instance('prompts', prompts, Mapping)
            for side, prompt in prompts.items():
                check_instance(f'prompts[{side!r}]', prompt, Prompt)
        for name, value in (
            ('backoff', backoff),
            ('rpm', 1 if rpm is None else rpm),
            ('tpm', 1 if tpm is None else tpm),
        ):
            check_positive(name, value)
        for name, value in (
            ('prompt_price', prompt_price),
            ('answer_price', answer_price),
        ):
            check_not_negative(name, value)
        self.model = model
        self.what = what
        self.prompts = prompts
        self.max_intents = max_intents
        self.concurrency = concurrency
        self.max_retries = max_retries
        self.backoff = backoff
        self.rpm = rpm
        self.tpm = tpm
        self.prompt_price = prompt_price
        self.answer_price = answer_price
        self.progress = progress
        self._describe_model()

    def __call__(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        journal: Optional[PathLike] = None,
    ) -> dict[str, Any]:
        r"""Ask about each node without an answer in the journal. Write one record per
        node, in the order of :obj:`evidence`, and a manifest next to the file.

        Args:
            evidence (sequence of Evidence): The evidence, one per node. Threads take
                turns reading it.
            path (str or Path): The :obj:`.jsonl` file to write.
            journal (str or Path, optional): The SQLite file with the answers. Runs may
                share it, but not at the same time. A damaged journal is replaced by a
                new file with all readable answers, with a warning, and is kept under
                another name. (default: :obj:`None`, the path with the suffix
                :obj:`.sqlite`)

        Returns:
            The manifest: model, prompts, evidence, counts, cost and date.

        Raises:
            ValueError: If a path has the wrong suffix, or a node is repeated.
            OSError: If another run has locked the journal.
            ChatError: If the model will not answer any question. The journal keeps all
                answers so far, and :obj:`path` stays unchanged.
        """
        path = check_path(path)
        with self._open(evidence, _journal_path(path, journal)) as (run, entries):
            unasked, failed = run.pending()
            pending = len(unasked) + len(failed)
            cancelled = threading.Event()
            chat = self._calls().chat(self.model, cancelled)
            answers = ask_in_threads(
                partial(ask, chat, wanted=self._wanted()),
                run.questions(unasked, failed),
                entries,
                min(2 * self.concurrency, pending),
                cancelled,
            )
            with closing(answers):
                total = run.listed.num_questions()
                follow(answers, total, pending, self.what, self.progress)
            return self._save(run, path)

    def on_ray(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        journal: Optional[PathLike] = None,
        *,
        num_workers: int = 2,
        batch_size: int = 64,
        num_cpus: float = 0.0,
        num_gpus: float = 0.0,
    ) -> dict[str, Any]:
        r"""Do the same as :meth:`__call__`, but call the model from actors of Ray Data
        (extra :obj:`ray`), on the cluster that :obj:`ray.init` has joined or on this
        machine. Each actor makes up to :obj:`concurrency` calls at once and gets an
        equal share of :obj:`rpm` and :obj:`tpm`. A
        :class:`~pyg_irllrec.text.RayVLLM` uses its engines instead of actors. Only this
        process writes to the journal, so each answer is stored once, even if actors
        fail.

        During the run, the questions are in a folder next to the journal, such as
        :obj:`intents.questions`. All machines must be able to read it.

        Args:
            evidence (sequence of Evidence): As in :meth:`__call__`.
            path (str or Path): As in :meth:`__call__`.
            journal (str or Path, optional): As in :meth:`__call__`.
                (default: :obj:`None`)
            num_workers (int): The number of actors. (default: :obj:`2`)
            batch_size (int): The number of questions that an actor answers before it
                returns the answers. A killed run loses unfinished batches.
                (default: :obj:`64`)
            num_cpus (float): The number of CPUs per actor. Reading the questions needs
                one more. (default: :obj:`0.0`, because actors wait for an endpoint)
            num_gpus (float): The number of GPUs per actor. (default: :obj:`0.0`)

        Raises:
            ImportError: If Ray is not installed.
            ValueError: If an argument is out of range, or as in :meth:`__call__`.
            OSError: As in :meth:`__call__`.
            ChatError: As in :meth:`__call__`.
        """
        path = check_path(path)
        check_count('num_workers', num_workers)
        check_count('batch_size', batch_size)
        check_not_negative('num_cpus', num_cpus)
        check_not_negative('num_gpus', num_gpus)
        import_optional('ray.data', f'{type(self).__name__}.on_ray', 'ray')
        journal = _journal_path(path, journal)
        with self._open(evidence, journal) as (run, entries):
            unasked, failed = run.pending()
            answers = ask_on_ray(
                run.questions(unasked, failed),
                entries,
                journal.with_suffix('.questions'),
                self.model,
                self._wanted(),
                self._calls(num_workers),
                Workers(num_workers, batch_size, num_cpus, num_gpus),
            )
            with closing(answers):
                pending = len(unasked) + len(failed)
                total = run.listed.num_questions()
                follow(answers, total, pending, self.what, self.progress)
            return self._save(run, path)

    def write_batch(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        requests: PathLike,
        journal: Optional[PathLike] = None,
        *,
        max_requests: int = 50_000,
        max_bytes: int = 200_000_000,
    ) -> list[Path]:
        r"""Write all questions without an answer in the journal to batch files in
        OpenAI's format, which many providers and :obj:`vllm run-batch` accept:

        .. code-block:: python

            extract = IntentExtractor(OpenAIChat('gpt-4o-mini'))
            extract.write_batch(evidence, 'intents.jsonl', 'requests.jsonl')
            # Upload requests-1.jsonl, wait, download answers.jsonl and errors.jsonl.
            extract.read_batch(
                evidence, 'intents.jsonl', ['answers.jsonl', 'errors.jsonl']
            )

        No call is made, and no key is needed. The next call writes questions again if
        their answers have not been read.

        Args:
            evidence (sequence of Evidence): As in :meth:`__call__`.
            path (str or Path): As in :meth:`__call__`. It is not written.
            requests (str or Path): The :obj:`.jsonl` files to write. A number is added
                before the suffix. The folder is created if it does not exist.
            journal (str or Path, optional): As in :meth:`__call__`.
                (default: :obj:`None`)
            max_requests (int): The largest number of requests per file.
                (default: :obj:`50000`)
            max_bytes (int): The largest number of bytes per file.
                (default: :obj:`200000000`)

        Returns:
            The paths of the files. The list is empty if each question has an answer.

        Raises:
            ValueError: If the model is not an :class:`~pyg_irllrec.text.OpenAIChat`,
                request files with this name exist, a request exceeds
                :obj:`max_bytes`, or as in :meth:`__call__`.
            OSError: If another run has locked the journal.
        """
        path = check_path(path)
        model = self._batch_model('write_batch')
        requests = as_path('requests', requests)
        check_count('max_requests', max_requests)
        check_count('max_bytes', max_bytes)
        check_free(requests)
        with self._open(evidence, _journal_path(path, journal), False) as (run, _):
            questions = run.questions(*run.pending())
            return write_requests(questions, model, requests, max_requests, max_bytes)

    def read_batch(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        answers: Sequence[PathLike],
        journal: Optional[PathLike] = None,
    ) -> dict[str, int]:
        r"""Store the answers of batch files in the journal. The files may come in any
        order and in several calls. Once each question has an answer, the records and
        the manifest are written as in :meth:`__call__`. Before that, :meth:`__call__`
        would ask the remaining questions.

        An error or an invalid answer is recorded as failed, and the next batch or call
        asks again. A valid answer is never replaced. Warnings list the most frequent
        reasons of failures, and the lines with a different valid answer to the same
        question. Reading a file twice has no effect.

        Args:
            evidence (sequence of Evidence): As in :meth:`__call__`.
            path (str or Path): As in :meth:`__call__`.
            answers (sequence of str or Path): The provider's files of answers or
                errors.
            journal (str or Path, optional): As in :meth:`__call__`.
                (default: :obj:`None`)

        Returns:
            The counts of the manifest, and as :obj:`"missing"` the number of questions
            without an answer.

        Raises:
            ValueError: If the model is not an :class:`~pyg_irllrec.text.OpenAIChat`, a
                path is a folder, a line is damaged or answers no question about this
                evidence, or as in :meth:`__call__`. In these cases, nothing is written.
            FileNotFoundError: If a file does not exist.
            OSError: If another run has locked the journal.
        """
        path = check_path(path)
        model = self._batch_model('read_batch')
        paths = _existing_paths(answers)
        check = partial(check_answers, paths, model)
        journal = _journal_path(path, journal)
        with self._open(evidence, journal, check=check) as (run, entries):
            read_answers(paths, model, self._wanted(), run.listed, entries)
            missing = len(run.pending()[0])
            if missing == 0:
                self._save(run, path)
            return {**run.counts(), 'missing': missing}

    def estimate(
        self,
        evidence: Sequence[Evidence],
        path: PathLike,
        journal: Optional[PathLike] = None,
    ) -> dict[str, Any]:
        r"""Estimate the calls (without retries), tokens and cost of a run. Tokens are
        counted by :func:`~pyg_irllrec.text.approximate_tokens`, with 250 per answer.
        No call is made, no key is needed, and nothing is written.

        Args:
            evidence (sequence of Evidence): As in :meth:`__call__`.
            path (str or Path): As in :meth:`__call__`.
            journal (str or Path, optional): As in :meth:`__call__`.
                (default: :obj:`None`)

        Raises:
            ValueError: If a path has the wrong suffix, or a node is repeated.
            OSError: If another run has locked the journal.
        """
        path = check_path(path)
        with self._open(evidence, _journal_path(path, journal), False) as (run, _):
            unasked, failed = run.pending()
            questions = run.questions(unasked, failed)
            calls = len(unasked) + len(failed)
            counts = {
                **run.listed.counts(),
                'calls': calls,
                'prompt_tokens': sum(count_tokens(q.conversation) for q in questions),
                'answer_tokens': ANSWER_TOKENS * calls,
            }
        return {**counts, 'cost': self._cost(counts)}

    @contextmanager
    def _open(
        self,
        evidence: Sequence[Evidence],
        journal: Path,
        create: bool = True,
        check: Optional[Callable[[QuestionList], None]] = None,
    ) -> Iterator[tuple[Run, Any]]:
        r"""Open the questions and the journal. The journal is :obj:`None` if it does
        not exist and must not be created. The questions are checked first."""
        maker = QuestionMaker(self._describe_model(), self._wanted(), self.prompts)
        with closing(QuestionList(evidence, maker)) as listed:
            if check is not None:
                check(listed)
            exists = create or journal.is_file()
            with Journal(journal) if exists else nullcontext() as entries:
                yield Run(evidence, maker, listed, entries), entries

    def _save(self, run: Run, path: Path) -> dict[str, Any]:
        r"""Write the records and the manifest, and return the manifest."""
        counts = run.counts()
        prompts = sorted(run.maker.prompts.items())
        manifest = {
            'model': self._describe_model(),
            'prompts': {side: prompt.describe() for side, prompt in prompts},
            **self._wanted().describe(),
            'evidence': _describe_evidence(run.evidence),
            'evidence_sha256': run.listed.evidence_sha256,
            'counts': counts,
            'cost': self._cost(counts),
            'date': datetime.now(timezone.utc).isoformat(timespec='seconds'),
        }
        save_intents(path, run.records(), manifest)
        return manifest

    def _wanted(self) -> Wanted:
        return Wanted(self.what, self.max_intents)

    def _calls(self, num_workers: int = 1) -> Calls:
        r"""Return the settings for the calls of each worker."""
        limits = (
            None if each is None else each / num_workers
            for each in (self.rpm, self.tpm)
        )
        return Calls(self.concurrency, self.max_retries, self.backoff, *limits)

    def _batch_model(self, method: str) -> OpenAIChat:
        if not isinstance(self.model, OpenAIChat):
            raise ValueError(
                f"'model' must be an OpenAIChat for {method}, because batch files "
                f'contain its requests, got {self.model!r}'
            )
        return self.model

    def _describe_model(self) -> dict[str, Any]:
        describe = getattr(self.model, 'describe', None)
        if describe is None:
            raise ValueError(
                "'model' must have a method describe() that returns a dictionary, got "
                f'{self.model!r}'
            )
        return as_json('model.describe()', dict(describe()))

    def _cost(self, counts: Mapping[str, int]) -> Optional[float]:
        if self.prompt_price == self.answer_price == 0:
            return None  # Unknown rather than free.
        prompts = counts['prompt_tokens'] * self.prompt_price
        answers = counts['answer_tokens'] * self.answer_price
        return round((prompts + answers) / 1000, 6)

    def __repr__(self) -> str:
        return (
            f'{type(self).__name__}({self.model!r}, what={self.what!r}, '
            f'max_intents={self.max_intents}, concurrency={self.concurrency})'
        )


def _describe_evidence(evidence: Sequence[Evidence]) -> Optional[dict[str, Any]]:
    r"""Return the options that the evidence was chosen with, or :obj:`None`."""
    describe = getattr(evidence, 'describe', None)
    options = None if describe is None else describe()
    return None if options is None else as_json('evidence.describe()', options)


def _existing_paths(answers: Sequence[PathLike]) -> list[Path]:
    if not is_iterable(answers):
        raise ValueError(f"'answers' must be a list of files, got {answers!r}")
    paths = [as_path('answers', each) for each in answers]
    for path in paths:
        if path.is_dir():
            raise ValueError(
                f"'answers' must be files, got the folder {path}: list the files in it"
            )
        if not path.is_file():
            raise FileNotFoundError(
                f"{path} does not exist: 'answers' must be existing files"
            )
    return paths


def _journal_path(path: Path, journal: Optional[PathLike]) -> Path:
    if journal is None:
        return path.with_suffix('.sqlite')
    return as_path('journal', journal)
