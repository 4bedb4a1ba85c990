from __future__ import annotations

import hashlib
from typing import Optional

from pyg_irllrec.serving._bundle_files import BUNDLE_FILE
from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.serving.load import bundle_folder, load
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path


class BundleFolder:
    r"""The folder of a bundle, into which a new bundle may be saved at any time.

    Args:
        path (str or Path): The folder of the bundle, or of the run that contains
            it.
        device (str): The device of loaded bundles.
    """

    def __init__(self, path: PathLike, device: str = 'cpu') -> None:
        self._path = bundle_folder(as_path('bundle', path))
        self._device = device
        self._tried: Optional[str] = None  # The version that load() last tried.

    def load(self) -> tuple[Bundle, str]:
        r"""Load the bundle, and return it with its version."""
        self._tried = self.version()
        bundle = load(self._path, self._device)
        return bundle, self._tried or ''

    def version(self) -> Optional[str]:
        r"""The version of the bundle in the folder: a hash of its manifest, which
        contains the hashes of all other files. :obj:`None` if there is no manifest."""
        try:
            content = (self._path / BUNDLE_FILE).read_bytes()
        except OSError:
            return None
        return hashlib.sha256(content).hexdigest()[:12]

    def has_new(self) -> bool:
        r"""Whether the bundle was replaced or removed since the last call of
        :meth:`load`."""
        return self.version() != self._tried
