"""The schema of answers. It is imported only to read answers, because pydantic is an
optional dependency."""

from __future__ import annotations

from typing import Annotated, Optional

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

_Name = Annotated[str, StringConstraints(min_length=1, max_length=80)]
_Text = Annotated[str, StringConstraints(min_length=1, max_length=400)]
_Step = Annotated[str, StringConstraints(max_length=1000)]


class _Strict(BaseModel):
    model_config = ConfigDict(
        strict=True, extra='forbid', str_strip_whitespace=True, frozen=True
    )


class AnsweredIntent(_Strict):
    r"""One intent in an answer."""

    name: _Name
    reason: _Text
    evidence: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]


class AnsweredIntents(_Strict):
    r"""An answer with intents. The steps are reasoning and are discarded."""

    steps: Optional[Annotated[list[_Step], Field(max_length=10)]] = None
    intents: Annotated[list[AnsweredIntent], Field(min_length=1)]


class AnsweredProfile(_Strict):
    r"""An answer with a profile. The reasoning is discarded."""

    reasoning: Optional[_Step] = None
    profile: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
