from __future__ import annotations

from abc import abstractmethod
from pathlib import Path
from typing import TYPE_CHECKING, Optional

from pyg_irllrec.datasets._ingest.check_options import check_options
from pyg_irllrec.datasets._ingest.raw_files import find_folder
from pyg_irllrec.datasets._ingest.stored_dataset import StoredDataset
from pyg_irllrec.typing import DataTransform, PathLike
from pyg_irllrec.utils.argument_checks import as_path
from pyg_irllrec.utils.optional import import_optional

if TYPE_CHECKING:
    from pyg_irllrec.datasets._ingest.build_plan import BuildPlan


class RawDataset(StoredDataset):
    r"""A published dataset, built once from its raw files in :obj:`root/raw` or in
    :obj:`root` itself.

    Args:
        root (str): The folder of the dataset.
        variant (str): The name of the folder in :obj:`processed` to write to.
        processed_root (str, optional): The folder that contains :obj:`processed`;
            :obj:`None` for :obj:`root`.
        transform (callable, optional): A transform that is applied on every access.
        force_reload (bool): Whether to build the dataset again.
    """

    def __init__(
        self,
        root: PathLike,
        variant: str,
        processed_root: Optional[PathLike],
        transform: Optional[DataTransform],
        force_reload: bool,
    ) -> None:
        import_optional('pyarrow', type(self).__name__, 'data')
        folder = check_options(root, transform, force_reload)
        if processed_root is not None:
            folder = as_path('processed_root', processed_root)
        self._variant = variant
        self._processed_root = folder.expanduser()
        super().__init__(str(root), transform, force_reload=force_reload)
        folder = Path(self.processed_dir)
        # Once the dataset is built, its raw files are no longer needed.
        if force_reload or not folder.exists() or not self._missing_files():
            self._build_if_missing(folder)
        self._open(folder)

    @property
    def raw_dir(self) -> str:
        r"""The folder of the raw files, whether they exist or not."""
        return str(find_folder(Path(self.root), self.raw_file_names))

    @property
    def processed_dir(self) -> str:
        r"""The folder that this variant is written to and opened from."""
        return str(self._processed_root / 'processed' / self._variant)

    def _download(self) -> None:
        is_built = Path(self.processed_dir).exists() and not self.force_reload
        if self._missing_files() and not is_built:
            self.download()

    def _missing_files(self) -> list[str]:
        names = self.raw_file_names
        return [name for name in names if not self._raw_path(name).is_file()]

    def _raw_path(self, name: str) -> Path:
        return Path(self.raw_dir) / name

    def _build_if_missing(self, folder: Path) -> None:
        from pyg_irllrec.datasets._ingest.build_plan import (
            Fingerprint,
            build_if_missing,
        )
        from pyg_irllrec.datasets._ingest.file_source import FileSource

        if missing := self._missing_files():
            raise FileNotFoundError(
                f'{self.raw_dir} lacks {", ".join(missing)}: put them there'
            )
        sources = [FileSource(self._raw_path(name)) for name in self.raw_file_names]
        options = {'variant': self._variant}
        build_if_missing(
            folder, Fingerprint(sources, options), self._build_plan, self.force_reload
        )

    @abstractmethod
    def _build_plan(self) -> BuildPlan:
        r"""Return the plan to build the dataset from its raw files."""
