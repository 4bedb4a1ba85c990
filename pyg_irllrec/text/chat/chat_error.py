from __future__ import annotations

from typing import Optional

from pyg_irllrec.text.chat.chat_reply import ChatReply


class ChatError(RuntimeError):
    r"""A chat model did not answer.

    Args:
        reason (str): The reason, in one sentence, without secrets.
        kind (str): :obj:`"passing"` if a retry may succeed (a rate limit, a server
            that fails or is slow); :obj:`"refused"` if this conversation will never be
            answered with these settings (it is too long, it breaks a rule, or
            :obj:`max_tokens` is too small); or :obj:`"final"` if no conversation will
            be answered (a wrong key, an unknown model). (default: :obj:`"passing"`)
        retry_after (float, optional): The number of seconds to wait, as requested by
            the server. (default: :obj:`None`)
        reply (ChatReply, optional): The unusable reply, if the model sent one that is
            cut off, filtered or empty, with its token counts. (default: :obj:`None`)

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
