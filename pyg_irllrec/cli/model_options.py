r"""The options that select a model. ``train`` and ``tune`` share them."""

from __future__ import annotations

from typing import Annotated, Literal, NamedTuple

from typer import Option

BackboneName = Literal['lightgcn', 'sgl', 'simgcl', 'dccf', 'bigcf', 'alpharec']
AlignmentName = Literal['auto', 'none', 'profile', 'reconstruction', 'intents', 'full']

BackboneOption = Annotated[BackboneName, Option('--backbone', help='Graph model.')]
AlignmentOption = Annotated[
    AlignmentName,
    Option(
        '--alignment',
        help='Use of texts. auto: the recipe for your own data; none: no texts; '
        'profile: RLMRec-Con; reconstruction: RLMRec-Gen; intents: profiles and '
        'intents, pairwise; full: IRLLRec.',
    ),
]
EncoderOption = Annotated[
    str,
    Option(
        '--encoder',
        help='Text encoder: tfidf, sentence:MODEL, openai:MODEL or openai:MODEL@URL.',
    ),
]
TextsOption = Annotated[
    bool, Option('--texts/--no-texts', help='Use texts. --no-texts leaves out all.')
]
IntentsOption = Annotated[
    bool,
    Option('--intents/--no-intents', help='Use DATA/intents.jsonl if it exists.'),
]
ProfilesOption = Annotated[
    bool,
    Option('--profiles/--no-profiles', help='Use DATA/profiles.jsonl if it exists.'),
]
MissingOption = Annotated[
    Literal['error', 'blank'],
    Option(
        '--missing',
        help='If the language model failed for some users or items: stop, or leave '
        'their intents and profiles blank.',
    ),
]


class TextChoices(NamedTuple):
    r"""The texts of the data to train with."""

    texts: bool = True
    """Whether to use any."""
    intents: bool = True
    """Whether to read extracted intents, if there are any."""
    profiles: bool = True
    """Whether to read extracted profiles, if there are any, instead of joining the
    texts of items."""
    missing: Literal['error', 'blank'] = 'error'
    """How to treat nodes whose intents or profiles are missing."""
