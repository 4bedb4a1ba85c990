from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from pyg_irllrec.datasets._ingest.raw_files import find_folder
from pyg_irllrec.datasets._ingest.stored_dataset import StoredDataset, Transform
from pyg_irllrec.datasets._require_pyarrow import require_pyarrow

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan


class RawDataset(StoredDataset):
    r"""A known dataset, made once from its raw files in :obj:`root/raw` or in
    :obj:`root` itself.

    Args:
        root (str): The folder of the dataset.
        variant (str): The folder under :obj:`processed` to write to.
        processed_root (str, optional): Where :obj:`processed` is.
            (default: :obj:`None`, :obj:`root`)
        force (bool): Whether it is made anew.
        transform (callable, optional): A transform of every access.
    """

    def __init__(
        self,
        root: str,
        variant: str,
        processed_root: Optional[str],
        force: bool,
        transform: Optional[Transform],
    ) -> None:
        require_pyarrow(type(self).__name__)
        self._variant = variant
        self._processed_root = Path(processed_root or root).expanduser()
        super().__init__(str(root), transform, force_reload=force)
        folder = Path(self.processed_dir)
        # What has been made can be used without its raw files.
        if force or not folder.exists() or not self._missing():
            self._build_if_missing(folder)
        self._open(folder)

    @property
    def raw_dir(self) -> str:
        r"""Where the raw files are, or have to be put."""
        return str(find_folder(Path(self.root), self.raw_file_names))

    @property
    def processed_dir(self) -> str:
        r"""The folder that this variant is opened from."""
        return str(self._processed_root / 'processed' / self._variant)

    def _download(self) -> None:
        made = Path(self.processed_dir).exists() and not self.force_reload
        if self._missing() and not made:
            self.download()

    def _missing(self) -> list[str]:
        return [name for name in self.raw_file_names if not self._raw(name).is_file()]

    def _raw(self, name: str) -> Path:
        return Path(self.raw_dir) / name

    def _build_if_missing(self, folder: Path) -> None:
        from pyg_irllrec.datasets._ingest.build_plan import (
            Fingerprint,
            build_if_missing,
        )
        from pyg_irllrec.datasets._ingest.sources import FileSource

        if missing := self._missing():
            raise FileNotFoundError(
                f'{self.raw_dir} lacks {", ".join(missing)}: put them there'
            )
        sources = [FileSource(self._raw(name)) for name in self.raw_file_names]
        options = {'variant': self._variant}
        build_if_missing(
            folder, Fingerprint(sources, options), self._build_plan, self.force_reload
        )

    @abstractmethod
    def _build_plan(self) -> BuildPlan:
        r"""How it is made from its raw files."""
