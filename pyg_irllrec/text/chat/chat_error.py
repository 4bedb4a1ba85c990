from __future__ import annotations

from typing import Optional

from pyg_irllrec.text.chat.chat_reply import ChatReply


class ChatError(RuntimeError):
    r"""A chat model could not answer.

    Args:
        reason (str): The reason, in one sentence, without a secret.
        kind (str): :obj:`"passing"` if another try may succeed (the rate is too high,
            the server is broken or slow); :obj:`"refused"` if this conversation will
            never be answered under these settings (it is too long, against the rules,
            or :obj:`max_tokens` too small); :obj:`"final"` if
            no conversation will be answered (a wrong key, no such model).
            (default: :obj:`"passing"`)
        retry_after (float, optional): The seconds that the server asks to wait.
            (default: :obj:`None`)
        reply (ChatReply, optional): What the model wrote and counted, where it is no
            answer: it was cut off, filtered or empty. (default: :obj:`None`)

    Example:
        >>> from pyg_irllrec.text import ChatError
        >>> error = ChatError('429, too many requests', retry_after=20.0)
        >>> error.kind, error.retry_after
        ('passing', 20.0)
    """

    def __init__(
        self,
        reason: str,
        kind: str = 'passing',
        retry_after: Optional[float] = None,
        reply: Optional[ChatReply] = None,
    ) -> None:
        super().__init__(reason)
        self.kind = kind
        self.retry_after = retry_after
        self.reply = reply
