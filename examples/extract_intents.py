r"""Texts in, intents out: what each user acts for, and what each item serves, in words;
or profiles: what each user likes, and what each item offers (--what profiles).

    python examples/extract_intents.py --interactions ratings.csv --user userId \
        --item movieId --timestamp timestamp --items movies.csv \
        --item-text title genres --llm extractive --out runs/intents.jsonl

    export OPENAI_API_KEY=...
    python examples/extract_intents.py ... --llm https://api.openai.com/v1 \
        --model gpt-4o-mini --concurrency 32 --rpm 500 --tpm 200000 \
        --price 0.00015 0.0006 --dry-run

--llm is the address of any endpoint that speaks OpenAI's chat completions (vLLM,
Ollama and llama.cpp do); "local", a model of the hub or a folder in this process, by
torch_geometric.llm; or "extractive": salient words by TF-IDF, no language model. The
key comes from OPENAI_API_KEY; an endpoint that needs none takes any.

Evidence comes from training interactions alone, which examples/own_data.py splits
alike, given the same options of the data. Beside --out are its manifest
(.manifest.json), the answers so far (.sqlite) and the interactions (.data/). Stopped at
any moment, the same command continues. It returns 1 where intents, or the profile, of
a node are still missing.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from torch_geometric.transforms import Compose

from pyg_irllrec.cli.argument_types import positive_int
from pyg_irllrec.cli.data_options import (
    add_data_options,
    check_data_options,
    read_dataset,
    record_extraction_options,
    split_steps,
)
from pyg_irllrec.cli.run_command import run_command
from pyg_irllrec.text.chat.chat_error import ChatError
from pyg_irllrec.text.chat.chat_model import ChatModel
from pyg_irllrec.text.chat.local_chat import LocalChat
from pyg_irllrec.text.chat.openai_chat import OpenAIChat
from pyg_irllrec.text.intents.evidence import Evidence, choose_evidence
from pyg_irllrec.text.intents.extractive_model import ExtractiveModel
from pyg_irllrec.text.intents.intent_extractor import IntentExtractor
from pyg_irllrec.text.intents.intent_file import check_path, load_intents
from pyg_irllrec.text.intents.prompt import Prompt
from pyg_irllrec.utils.printable import printable


def main(argv: list[str] | None = None) -> int:
    args = parse_args(argv)
    failed = 0

    def work() -> None:
        nonlocal failed
        try:
            failed = run(args)
        except ChatError as error:
            raise OSError(f'{error} (the same command continues from here)') from None

    code = run_command(work, 'the same command continues from here')
    return code or int(failed > 0)


def run(args: argparse.Namespace) -> int:
    check_path(args.out)
    dataset = read_dataset(args, args.out.with_suffix('.data'), force=True)
    data = Compose(split_steps(args))(dataset[0])
    evidence = choose_evidence(
        data, args.sides, by=args.evidence, max_evidence_tokens=args.evidence_tokens
    )
    extract = IntentExtractor(
        build_chat(args, evidence),
        what=args.what,
        prompts=read_prompts(args),
        max_intents=args.max_intents,
        concurrency=args.concurrency,
        max_retries=args.max_retries,
        rpm=args.rpm,
        tpm=args.tpm,
        prompt_price=args.price[0],
        answer_price=args.price[1],
        progress=not args.quiet,
    )
    if args.dry_run:
        print(json.dumps(extract.estimate(evidence, args.out), indent=1))
        return 0
    manifest = extract(evidence, args.out)
    record_extraction_options(args.out, args)
    counts = manifest['counts']
    print(', '.join(f'{name}: {count}' for name, count in counts.items()))
    if manifest['cost']:
        print(f'cost: {manifest["cost"]}')
    show(args.out)
    if counts['failed']:
        print(f'{counts["failed"]} failed: the same command asks again for them')
    return int(counts['failed'])


def build_chat(args: argparse.Namespace, evidence: Sequence[Evidence]) -> ChatModel:
    if args.llm == 'extractive':
        return ExtractiveModel(evidence, args.max_intents, what=args.what)
    if args.llm == 'local':
        from torch_geometric.llm.models import LLM

        # Half of them are answered while the others gather.
        return LocalChat(LLM(args.model), batch_size=max(1, args.concurrency // 2))
    return OpenAIChat(args.model, args.llm, timeout=args.timeout)


def read_prompts(args: argparse.Namespace) -> dict[str, Prompt]:
    given = {'user': args.user_prompt, 'item': args.item_prompt}
    return {side: Prompt(path) for side, path in given.items() if path is not None}


def show(path: Path, most: int = 3) -> None:
    records = load_intents(path).records
    for side in dict.fromkeys(record.side for record in records):
        found = [r for r in records if r.side == side and r.status == 'ok']
        for record in found[:most]:
            print(f'\n{side} {printable(record.id)}')
            if record.profile:
                print(f'  {printable(record.profile)}')
            for intent in record.intents:
                print(f'  {printable(intent.name)}: {printable(intent.reason)}')
    for record in [r for r in records if r.status == 'failed'][:1]:
        print(
            f'\n{record.side} {printable(record.id)} failed: {printable(record.reason)}'
        )


def parse_args(argv: list[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add_data_options(parser, texts_required=True)
    add = parser.add_argument
    add('--what', choices=('intents', 'profiles'), default='intents')
    add('--llm', required=True, metavar='extractive|local|URL')
    add('--model', metavar='NAME', help='of the model, local or behind the URL')
    add('--sides', nargs='+', choices=('user', 'item'), default=['user', 'item'])
    add('--evidence', choices=('recent', 'rare', 'random'), default='recent')
    add('--evidence-tokens', type=positive_int, default=1000, metavar='N')
    add('--user-prompt', type=Path, metavar='FILE', help='a prompt of your own')
    add('--item-prompt', type=Path, metavar='FILE', help='likewise')
    add('--max-intents', type=positive_int, default=5, metavar='N')
    add('--concurrency', type=positive_int, default=8, metavar='N')
    add('--max-retries', type=int, default=6, metavar='N')
    add('--timeout', type=float, default=60.0, help='seconds per request')
    add('--rpm', type=float, help='requests per minute, at most')
    add('--tpm', type=float, help='tokens per minute, at most')
    add(
        '--price',
        type=float,
        nargs=2,
        default=[0.0, 0.0],
        metavar=('PROMPT', 'ANSWER'),
        help='of 1000 tokens',
    )
    add('--dry-run', action='store_true', help='count calls, tokens and cost')
    add('--out', type=Path, required=True, metavar='FILE.jsonl')
    add('--quiet', action='store_true', help='no progress bars')
    args = parser.parse_args(argv)
    check_data_options(parser, args)
    known = args.llm in ('extractive', 'local')
    if not known and not args.llm.startswith(('http://', 'https://')):
        parser.error("--llm must be 'extractive', 'local' or an http(s) URL")
    if args.llm != 'extractive' and args.model is None:
        parser.error(f'--llm {"local" if known else "URL"} needs --model')
    if len(set(args.sides)) < len(args.sides):
        parser.error('--sides must be distinct')
    return args


if __name__ == '__main__':
    sys.exit(main())
