"""The schema of an answer. It is imported only to read answers, as pydantic is an
extra."""

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
    r"""An intent in an answer."""

    name: _Name
    reason: _Text
    evidence: Annotated[list[Annotated[int, Field(ge=1)]], Field(min_length=1)]


class AnsweredIntents(_Strict):
    r"""An answer that holds intents. Its steps are reasoning, and are not kept."""

    steps: Optional[Annotated[list[_Step], Field(max_length=10)]] = None
    intents: Annotated[list[AnsweredIntent], Field(min_length=1)]


class AnsweredProfile(_Strict):
    r"""An answer that is a profile. Its reasoning is not kept."""

    reasoning: Optional[_Step] = None
    profile: Annotated[str, StringConstraints(min_length=1, max_length=1000)]
