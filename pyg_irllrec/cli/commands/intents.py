from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, Optional, Union

from typer import Exit, Option

from pyg_irllrec.cli.command import Command
from pyg_irllrec.cli.data_folder import DataFolder
from pyg_irllrec.cli.options import Config, DataArgument, Json, Quiet
from pyg_irllrec.cli.output import Output
from pyg_irllrec.cli.split_options import WITHOUT_COLD_ADVICE
from pyg_irllrec.text import IntentExtractor, Prompt, choose_evidence, load_intents
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.local_chat import LocalChat
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.text.intents.extractive_model import ExtractiveModel
from pyg_irllrec.text.intents.intent_file import read_manifest
from pyg_irllrec.typing import SIDES

HINT = 'run the same command to continue'

EXAMPLES = """\
pyg-irllrec intents data/books --llm extractive
pyg-irllrec intents data/books --llm https://api.openai.com/v1 --model gpt-4o-mini \\
    --concurrency 32 --rpm 500 --price 0.00015 --answer-price 0.0006 --dry-run
pyg-irllrec intents data/books --what profiles --llm local --model Qwen/Qwen3-4B
pyg-irllrec intents data/books --llm https://api.openai.com/v1 --model gpt-4o-mini \\
    --write-batch requests.jsonl
pyg-irllrec intents data/books --llm https://api.openai.com/v1 --model gpt-4o-mini \\
    --read-batch answers.jsonl --read-batch errors.jsonl"""

OPTIONS = {
    "'rpm'": '--rpm',
    "'tpm'": '--tpm',
    "'timeout'": '--timeout',
    "'max_intents'": '--max-intents',
    "'concurrency'": '--concurrency',
    "'max_retries'": '--max-retries',
    "'answer_price'": '--answer-price',
    "'prompt_price'": '--price',
    "'requests'": '--write-batch',
    "'answers'": '--read-batch',
    **WITHOUT_COLD_ADVICE,
}


def intents(
    data: DataArgument,
    llm: Annotated[
        str,
        Option(
            metavar='extractive|local|URL',
            help='extractive: salient words by TF-IDF, without a language model. '
            'local: a Hugging Face model in this process. URL: a server with '
            "OpenAI's chat API, with the key in OPENAI_API_KEY.",
        ),
    ],
    model: Annotated[
        Optional[str],
        Option(metavar='NAME', help='Model name. Required for local and URL.'),
    ] = None,
    what: Annotated[
        Literal['intents', 'profiles'],
        Option(
            help='What to write. intents: why users act and items are chosen; '
            'profiles: what users like and items offer.'
        ),
    ] = 'intents',
    evidence: Annotated[
        Literal['recent', 'rare', 'random'],
        Option(
            help='Order of training interactions in the prompt: latest first, rarest '
            'first, or random.'
        ),
    ] = 'recent',
    evidence_tokens: Annotated[
        int, Option(min=1, help='Maximum tokens of evidence per user or item.')
    ] = 1000,
    user_prompt: Annotated[
        Optional[Path],
        Option(
            metavar='FILE',
            show_default='built-in prompt',
            help='File with your own prompt for users.',
        ),
    ] = None,
    item_prompt: Annotated[
        Optional[Path],
        Option(
            metavar='FILE',
            show_default='built-in prompt',
            help='File with your own prompt for items.',
        ),
    ] = None,
    max_intents: Annotated[
        int, Option(min=1, help='Maximum number of intents per user or item.')
    ] = 5,
    concurrency: Annotated[
        int, Option(min=1, help='Maximum number of concurrent requests.')
    ] = 8,
    max_retries: Annotated[
        int, Option(min=0, help='Maximum number of retries per request.')
    ] = 6,
    timeout: Annotated[
        float, Option(help='Seconds before a request times out.')
    ] = 60.0,
    rpm: Annotated[
        Optional[float],
        Option(show_default='no limit', help='Maximum requests per minute.'),
    ] = None,
    tpm: Annotated[
        Optional[float],
        Option(show_default='no limit', help='Maximum tokens per minute.'),
    ] = None,
    price: Annotated[
        float, Option(min=0, help='Price of 1000 prompt tokens, to compute the cost.')
    ] = 0.0,
    answer_price: Annotated[
        float, Option(min=0, help='Price of 1000 answer tokens.')
    ] = 0.0,
    dry_run: Annotated[
        bool,
        Option(
            '--dry-run', help='Estimate requests, tokens and cost, and send nothing.'
        ),
    ] = False,
    write_batch: Annotated[
        Optional[Path],
        Option(
            metavar='FILE',
            help="Send nothing, but write the requests for a provider's batch API to "
            'numbered files: FILE requests.jsonl becomes requests-1.jsonl.',
        ),
    ] = None,
    read_batch: Annotated[
        Optional[list[Path]],
        Option(
            metavar='FILE',
            help="Read a provider's file of answers or errors. Repeatable.",
        ),
    ] = None,
    force: Annotated[
        bool, Option('--force', help='Replace the results of another model.')
    ] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    config: Config = None,
) -> None:
    r"""Describe the intents of users and items in words.

    The evidence is the texts of training interactions. The results are in
    DATA/intents.jsonl, or in DATA/profiles.jsonl with --what profiles. Answers are
    saved as they arrive: after an interruption, the same command continues. The exit
    code is 1 if a user or item has no valid answer yet.
    """
    _check_llm(llm, model)
    _check_batch(llm, dry_run, write_batch, read_batch)
    output = Output(as_json, quiet)
    folder = DataFolder(data)
    prompts = {'user': user_prompt, 'item': item_prompt}
    own_prompts = {
        side: Prompt(path) for side, path in prompts.items() if path is not None
    }
    graph = folder.split()
    if 'text' not in graph['item']:
        raise ValueError(
            f'{data} must contain texts of items, got none: run pyg-irllrec prepare '
            'with --items'
        )
    chosen = choose_evidence(
        graph, list(SIDES), by=evidence, max_evidence_tokens=evidence_tokens
    )
    path = folder.intents if what == 'intents' else folder.profiles
    chat = _build_chat(llm, model, chosen, what, max_intents, concurrency, timeout)
    extract = IntentExtractor(
        chat,
        what=what,
        prompts=own_prompts,
        max_intents=max_intents,
        concurrency=concurrency,
        max_retries=max_retries,
        rpm=rpm,
        tpm=tpm,
        prompt_price=price,
        answer_price=answer_price,
        progress=output.progress,
    )
    if dry_run:
        expected = extract.estimate(chosen, path)
        output.result(expected, (f'{name}: {expected[name]}' for name in expected))
        return
    if write_batch is not None:
        files = extract.write_batch(chosen, path, write_batch)
        lines = list(map(str, files)) or ['every request has an answer']
        output.result({'files': files}, lines)
        return
    if not force:
        _check_same_model(path, chat.describe()['model'])
    if read_batch:
        _read_batch(extract, chosen, path, read_batch, output)
        return
    try:
        manifest = extract(chosen, path)
    except ChatError as error:
        raise OSError(f'{error} ({HINT})') from None
    output.result(
        {'path': path, 'counts': manifest['counts'], 'cost': manifest['cost']},
        _lines(path, manifest),
    )
    if manifest['counts']['failed']:
        raise Exit(1)


def _check_llm(llm: str, model: Optional[str]) -> None:
    is_name = llm in ('extractive', 'local')
    if not is_name and not llm.startswith(('http://', 'https://')):
        raise ValueError(
            f"--llm must be 'extractive', 'local' or an http(s) URL, got {llm!r}"
        )
    if llm == 'extractive' and model is not None:
        raise ValueError(f'--llm extractive uses no model: omit --model {model}')
    if llm != 'extractive' and model is None:
        raise ValueError(f'--llm {"local" if is_name else "URL"} needs --model')


def _check_batch(
    llm: str,
    dry_run: bool,
    write_batch: Optional[Path],
    read_batch: Optional[list[Path]],
) -> None:
    if not write_batch and not read_batch:
        return
    name = '--write-batch' if write_batch else '--read-batch'
    if llm in ('extractive', 'local'):
        raise ValueError(f'{name} needs --llm URL, the URL of a provider, got {llm!r}')
    if dry_run or (write_batch and read_batch):
        other = '--dry-run' if dry_run else '--read-batch'
        raise ValueError(f'{name} and {other} exclude each other: pass one of them')


def _check_same_model(path: Path, given: str) -> None:
    try:
        found = read_manifest(path)['model']['model'] if path.is_file() else None
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return  # Without a valid manifest, the file is written again.
    if found not in (None, given):
        raise ValueError(
            f'{path} contains the results of {found!r}, got {given!r} as the model: '
            'replace them with --force'
        )


def _read_batch(
    extract: IntentExtractor,
    evidence: Sequence[Evidence],
    path: Path,
    answers: list[Path],
    output: Output,
) -> None:
    counts = extract.read_batch(evidence, path, answers)
    missing = counts['missing']
    lines = [', '.join(f'{name}: {count}' for name, count in counts.items())]
    if missing:
        lines.append(
            f'{missing} missing: {path.name} is written once all answers are read'
        )
    elif counts['failed']:
        lines.append(f'{counts["failed"]} failed: --write-batch repeats them')
    written = None if missing else path
    output.result({'path': written, 'counts': counts}, lines)
    if missing or counts['failed']:
        raise Exit(1)


def _build_chat(
    llm: str,
    model: Optional[str],
    evidence: Sequence[Evidence],
    what: str,
    max_intents: int,
    concurrency: int,
    timeout: float,
) -> Union[ExtractiveModel, LocalChat, OpenAIChat]:
    if model is None:
        return ExtractiveModel(evidence, max_intents, what=what)
    if llm == 'local':
        from torch_geometric.llm.models import LLM

        # Two batches in flight: the next one fills while one is answered.
        return LocalChat(LLM(model), batch_size=max(1, concurrency // 2))
    return OpenAIChat(model, llm, timeout=timeout)


def _lines(path: Path, manifest: dict[str, Any], most: int = 3) -> Iterator[str]:
    r"""Yield the counts, a few records of each side, and the reasons for failures."""
    counts = manifest['counts']
    yield ', '.join(f'{name}: {count}' for name, count in counts.items())
    if manifest['cost']:
        yield f'cost: {manifest["cost"]}'
    records = load_intents(path).records
    for side in SIDES:
        found = [r for r in records if r.side == side and r.status == 'ok']
        for record in found[:most]:
            yield f'{side} {record.id}'
            if record.profile:
                yield f'  {record.profile}'
            for intent in record.intents:
                yield f'  {intent.name}: {intent.reason}'
    failed = [record for record in records if record.status == 'failed']
    if failed:
        reasons = Counter(record.reason for record in failed)
        for reason, count in reasons.most_common(most):
            first = next(record for record in failed if record.reason == reason)
            others = f' and {count - 1} more' if count > 1 else ''
            yield f'{first.side} {first.id}{others} failed: {reason}'
        yield (
            f'{len(failed)} failed: run the same command to repeat them, or leave them '
            'blank with train --missing blank'
        )


command = Command(intents, EXAMPLES, OPTIONS, HINT)
