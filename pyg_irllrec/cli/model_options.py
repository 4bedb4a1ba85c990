r"""The options that select a model. ``train`` and ``tune`` share them."""

from __future__ import annotations

from typing import Annotated, Literal

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
