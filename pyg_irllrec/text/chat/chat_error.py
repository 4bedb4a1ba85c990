from __future__ import annotations

from typing import Optional


class ChatError(RuntimeError):
    r"""A chat model could not answer.

    Args:
        reason (str): The reason, in one sentence, without a secret.
        kind (str): :obj:`"passing"` if another try may succeed (the rate is too high,
            the server is broken or slow); :obj:`"refused"` if this conversation will
            never be answered (it is too long, or against the rules); :obj:`"final"` if
            no conversation will be answered (a wrong key, no such model).
            (default: :obj:`"passing"`)
        retry_after (float, optional): The seconds that the server asks to wait.
            (default: :obj:`None`)
    """

    def __init__(
        self, reason: str, kind: str = 'passing', retry_after: Optional[float] = None
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.retry_after = retry_after
