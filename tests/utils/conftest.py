from __future__ import annotations

from tests.distributed.conftest import ranks  # noqa: F401
