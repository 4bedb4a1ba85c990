from __future__ import annotations

import hashlib
from typing import Optional

from pyg_irllrec.serving._bundle_files import BUNDLE_FILE
from pyg_irllrec.serving.bundle import Bundle
from pyg_irllrec.serving.load import bundle_folder, load
from pyg_irllrec.typing import PathLike
from pyg_irllrec.utils.argument_checks import as_path


class BundleFolder:
    r"""The folder of a bundle, in which a new one may be saved while it is served.

    Args:
        path (str or path-like): The folder, or that of the run that it lies in.
        device (str): Where bundles are put.
    """

    def __init__(self, path: PathLike, device: str = 'cpu') -> None:
        self._path = bundle_folder(as_path('bundle', path))
        self._device = device
        self._tried: Optional[str] = None

    def load(self) -> tuple[Bundle, str]:
        r"""The bundle, and the version that names it."""
        self._tried = self.version()
        bundle = load(self._path, self._device)
        return bundle, self._tried or ''

    def version(self) -> Optional[str]:
        r"""Names the bundle in the folder: a digest of its manifest, which in turn
        names all other files by their content. None where there is no manifest."""
        try:
            content = (self._path / BUNDLE_FILE).read_bytes()
        except OSError:
            return None
        return hashlib.sha256(content).hexdigest()[:12]

    def has_new(self) -> bool:
        r"""Whether there is another bundle, or none any longer, since :meth:`load` has
        last tried to read it."""
        return self.version() != self._tried
