r"""The requests and responses of the service."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated, Any, Optional, Union

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StrictStr,
    ValidationError,
    ValidatorFunctionWrapHandler,
    WrapValidator,
    model_validator,
)
from pydantic_core import PydanticCustomError
from typing_extensions import Self

from pyg_irllrec.serving._steer import MAX_WEIGHT
from pyg_irllrec.typing import NodeId

MAX_K = 1000
MAX_USERS = 1000
MAX_RESULTS = 100_000
MAX_IDS = 10_000
MAX_CHARACTERS = 10_000
MAX_INTENTS = 50
MAX_EXPLAINED = 50


def _check_id(value: Any, check: ValidatorFunctionWrapHandler) -> Any:
    try:
        return check(value)
    except ValidationError:
        raise PydanticCustomError(
            'id', 'must be an integer or a string of 1 to 1000 characters'
        ) from None


Id = Annotated[
    Union[
        Annotated[StrictInt, Field(ge=-(2**63), lt=2**63)],
        Annotated[StrictStr, Field(min_length=1, max_length=1000)],
    ],
    WrapValidator(_check_id),
]
Ids = Annotated[list[Id], Field(max_length=MAX_IDS)]
K = Annotated[StrictInt, Field(ge=1, le=MAX_K)]
Intent = Annotated[StrictStr, Field(min_length=1, max_length=MAX_CHARACTERS)]
Weight = Annotated[float, Field(ge=-MAX_WEIGHT, le=MAX_WEIGHT, strict=True)]
Dial = Annotated[float, Field(ge=0, le=MAX_WEIGHT, strict=True)]
Intents = Annotated[dict[Intent, Weight], Field(max_length=MAX_INTENTS)]


class Schema(BaseModel):
    r"""A request. Unknown fields are rejected, and numbers must be finite."""

    model_config = ConfigDict(extra='forbid', allow_inf_nan=False)

    @model_validator(mode='before')
    @classmethod
    def _check_names(cls, body: Any) -> Any:
        known = [*cls.model_fields]
        for name in body if isinstance(body, dict) else ():
            if name not in known:
                near = get_close_matches(name, known, 1)
                fields = f'The fields are {", ".join(known)}'
                hint = f'Did you mean {near[0]!r}?' if near else fields
                raise ValueError(f'unknown field {name[:100]!r}. {hint}')
        return body


class RecommendRequest(Schema):
    r"""Recommend items to users, or to a new user with items, a text or both."""

    users: Optional[Annotated[list[Id], Field(min_length=1, max_length=MAX_USERS)]] = (
        None
    )
    items: Optional[Ids] = None
    text: Optional[Annotated[StrictStr, Field(max_length=MAX_CHARACTERS)]] = None
    k: K = 10
    among: Optional[Ids] = None
    exclude: Optional[Ids] = None
    seen: StrictBool = False
    intents: Optional[Intents] = None
    dial: Dial = 1.0

    @model_validator(mode='after')
    def _check(self) -> Self:
        new = bool(self.items) or bool((self.text or '').strip())
        given = [name for name in ('items', 'text') if getattr(self, name) is not None]
        if given and not new and self.users is None:
            raise ValueError(
                "a new user needs at least one id in 'items', a text in 'text', or "
                f'both, got {" and ".join(map(repr, given))} without content'
            )
        if new == (self.users is not None):
            raise ValueError(
                "either 'users' or, for a new user, 'items', 'text' or both must be "
                'given'
            )
        if new and self.seen:
            raise ValueError("'seen' needs 'users'. A new user has seen 'items' only")
        if self.users is not None and len(self.users) * self.k > MAX_RESULTS:
            raise ValueError(
                f"'users' times 'k' must be at most {MAX_RESULTS}, got "
                f'{len(self.users) * self.k}'
            )
        return self

    def single_user(self) -> Optional[NodeId]:
        r"""Return the user of a request that can be computed in a batch with others: a
        request for one user, without candidates, exclusions or intents. Otherwise
        :obj:`None`."""
        plain = self.among is None and self.exclude is None and not self.intents
        if plain and self.users is not None and len(self.users) == 1:
            return self.users[0]
        return None


class SimilarRequest(Schema):
    r"""Find the items most similar to an item, or the users most similar to a user."""

    item: Optional[Id] = None
    user: Optional[Id] = None
    k: K = 10

    @model_validator(mode='after')
    def _check(self) -> Self:
        if (self.item is None) == (self.user is None):
            raise ValueError("exactly one of 'item' and 'user' must be given")
        return self


class ExplainRequest(Schema):
    r"""Explain items for a user."""

    user: Id
    items: Annotated[list[Id], Field(min_length=1, max_length=MAX_EXPLAINED)]


class SteerRequest(Schema):
    r"""Recommend items to a user with intents promoted or demoted."""

    user: Id
    intents: Intents = Field(default_factory=dict)
    dial: Dial = 1.0
    k: K = 10


class RankedItem(BaseModel):
    r"""An item in a list, best first."""

    rank: int
    item: Union[int, str]
    title: str
    score: float


class SimilarUser(BaseModel):
    r"""A user in a list, the most similar first."""

    rank: int
    user: Union[int, str]
    title: str
    score: float


class UserRecommendations(BaseModel):
    r"""The best items for a user; :obj:`user` is null for a new user."""

    user: Optional[Union[int, str]]
    items: list[RankedItem]


class RecommendResponse(BaseModel):
    r"""One list per user, in the order of the request."""

    recommendations: list[UserRecommendations]
    version: str


class SimilarResponse(BaseModel):
    r"""Similar items or users, the most similar first."""

    item: Optional[Union[int, str]]
    user: Optional[Union[int, str]]
    similar: Union[list[RankedItem], list[SimilarUser]]
    version: str


class NamedIntent(BaseModel):
    r"""An intent of a user. Requests steer by its name."""

    name: str
    share: float
    lift: float
    titles: list[str]


class Explanation(BaseModel):
    r"""An explanation of an item for a user: :obj:`rank` is its rank among the items
    that the user has not seen, and :obj:`similar` are the user's own similar items."""

    user: Union[int, str]
    item: Union[int, str]
    title: str
    text: str
    score: float
    rank: Optional[int]
    similar: list[RankedItem]
    intents: list[NamedIntent]


class ExplainResponse(BaseModel):
    r"""One explanation per item, in the order of the request."""

    explanations: list[Explanation]
    version: str


class SteeredItem(RankedItem):
    r"""An item in a steered list: :obj:`effects` has the change of its score by each
    intent, in standard deviations of the user's scores."""

    effects: dict[str, float]


class SteerResponse(BaseModel):
    r"""The intents of a user and the steered list."""

    user: Union[int, str]
    intents: list[NamedIntent]
    items: list[SteeredItem]
    version: str


class FoundUser(BaseModel):
    r"""A user who matches a search."""

    user: Union[int, str]
    title: str


class FoundItem(BaseModel):
    r"""An item that matches a search."""

    item: Union[int, str]
    title: str


class UsersResponse(BaseModel):
    r"""The first users whose id or title contains the query."""

    found: list[FoundUser]
    version: str


class ItemsResponse(BaseModel):
    r"""The first items whose id or title contains the query."""

    found: list[FoundItem]
    version: str


class HealthResponse(BaseModel):
    r"""The state of the service."""

    status: str
    version: str
    uptime_seconds: float
    reloads: int
    reload_error: Optional[str]
    bundle: dict[str, Any]


class ErrorResponse(BaseModel):
    r"""An error message in one line."""

    error: str
