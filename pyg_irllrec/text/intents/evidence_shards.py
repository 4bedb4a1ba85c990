from __future__ import annotations

import json
import os
import shutil
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, Optional, Union, overload

from pyg_irllrec.text.encoders._encoder_output import as_json
from pyg_irllrec.text.intents.evidence import Evidence
from pyg_irllrec.typing import NodeId, PathLike
from pyg_irllrec.utils.argument_checks import as_path, each_of
from pyg_irllrec.utils.checks import check_count
from pyg_irllrec.utils.optional import import_optional

_OPTIONS = b'pyg_irllrec.evidence'  # The key in the metadata of the schema.
_REQUIRED = ('side', 'id', 'texts')
_OPTIONAL = ('sources', 'role')
_CONTENT = {
    'side': 'strings',
    'id': 'integers or strings',
    'texts': 'lists of strings',
    'sources': 'strings',
    'role': 'strings',
}
_GROUP_ROWS = 10_000
_CHUNK_ROWS = 500


class EvidenceShards(Sequence[Evidence]):
    r"""A sequence of evidence in a folder of Parquet files, ordered by file name. The
    files come from :func:`save_evidence`, Ray or Spark. Evidence is read on access,
    and at most one row group is in memory, so row groups should be small.

    The columns are :obj:`side` (string), :obj:`id` (integer or string), :obj:`texts`
    (list of strings) and, optionally, :obj:`sources` (a JSON string such as
    :obj:`[["item", 3]]`) and :obj:`role` (string), as in
    :class:`~pyg_irllrec.text.Evidence`. An invalid row, for example one without an id,
    raises a :class:`ValueError` when it is read.

    Args:
        folder (str or Path): The folder.

    Raises:
        ImportError: If pyarrow is not installed.
        FileNotFoundError: If the folder has no Parquet file.
        ValueError: If a file is damaged, or lacks a column or has the wrong types.

    Example:
        >>> from pyg_irllrec.text import Evidence, EvidenceShards, save_evidence
        >>> nodes = [Evidence('user', k, (f'text {k}',)) for k in range(9)]
        >>> save_evidence('shards', nodes)
        >>> evidence = EvidenceShards('shards')
        >>> len(evidence), evidence[8].texts
        (9, ('text 8',))
    """

    def __init__(self, folder: PathLike) -> None:
        import_optional('pyarrow.parquet', type(self).__name__, 'data')
        self.folder = as_path('folder', folder)
        paths = sorted(self.folder.glob('*.parquet'))
        if not paths:
            raise FileNotFoundError(
                f'{self.folder} has no Parquet file: create them with save_evidence'
            )
        # Each row group: the file, its number and its first row in the file.
        self._groups: list[tuple[Path, int, int]] = []
        sizes: list[int] = []
        self._options: Optional[dict[str, Any]] = None
        for path in paths:
            sizes += self._read_layout(path)
        self._end = list(accumulate(sizes))
        # Always replaced as a whole, because several threads read them.
        self._group: tuple[int, Any] = (-1, None)
        self._chunk: tuple[range, list[Evidence]] = (range(0), [])

    def describe(self) -> Optional[dict[str, Any]]:
        r"""Return the options that the evidence was chosen with, or :obj:`None` if the
        files do not have them."""
        return None if self._options is None else dict(self._options)

    def __len__(self) -> int:
        return self._end[-1] if self._end else 0

    @overload
    def __getitem__(self, index: int) -> Evidence: ...

    @overload
    def __getitem__(self, index: slice) -> list[Evidence]: ...

    def __getitem__(self, index: Union[int, slice]) -> Union[Evidence, list[Evidence]]:
        if isinstance(index, slice):
            return [self[row] for row in range(*index.indices(len(self)))]
        row = range(len(self))[index]
        rows, chunk = self._chunk
        if row not in rows:
            rows, chunk = self._chunk = self._read_chunk(row)
        return chunk[row - rows.start]

    def _read_layout(self, path: Path) -> Iterator[int]:
        r"""Check the columns of a file and yield the sizes of its row groups."""
        import pyarrow as pa
        from pyarrow import parquet

        try:
            with parquet.ParquetFile(path) as file:
                schema, metadata = file.schema_arrow, file.metadata
        except pa.ArrowInvalid as error:
            raise ValueError(f'{path} is not a Parquet file: {error}') from None
        missing = [name for name in _REQUIRED if name not in schema.names]
        if missing:
            raise ValueError(
                f'{path} must have the columns {", ".join(_REQUIRED)}, got no column '
                f'{missing[0]!r}'
            )
        for field in schema:
            if not _holds(_CONTENT.get(field.name), field.type):
                raise ValueError(
                    f'{path} must hold {_CONTENT[field.name]} in the column '
                    f"'{field.name}', got {field.type}: write it with that type"
                )
        found = (schema.metadata or {}).get(_OPTIONS)
        self._options = self._options if found is None else json.loads(found)
        first = 0
        for group in range(metadata.num_row_groups):
            self._groups.append((path, group, first))
            first += metadata.row_group(group).num_rows
            yield metadata.row_group(group).num_rows

    def _read_chunk(self, row: int) -> tuple[range, list[Evidence]]:
        group = bisect_right(self._end, row)
        start = 0 if group == 0 else self._end[group - 1]
        number, table = self._group
        path, part, above = self._groups[group]
        if number != group:
            table = self._read_group(path, part)
            self._group = group, table
        first = (row - start) // _CHUNK_ROWS * _CHUNK_ROWS
        columns = table.slice(first, _CHUNK_ROWS).to_pydict()
        chunk = []
        for place, each in enumerate(zip(*columns.values()), start=above + first + 1):
            try:
                chunk.append(_to_evidence(*each))
            except ValueError as error:
                raise ValueError(f'{path}, row {place}, {error}') from None
        return range(start + first, start + first + len(chunk)), chunk

    def _read_group(self, path: Path, group: int) -> Any:
        import pyarrow as pa
        from pyarrow import parquet

        with parquet.ParquetFile(path) as file:
            names = set(file.schema_arrow.names)
            known = [name for name in (*_REQUIRED, *_OPTIONAL) if name in names]
            table = file.read_row_group(group, columns=known)
        for name in _OPTIONAL:
            if name not in known:
                table = table.append_column(name, pa.nulls(len(table), pa.string()))
        return table.select([*_REQUIRED, *_OPTIONAL])

    def __repr__(self) -> str:
        return f'{type(self).__name__}({str(self.folder)!r}, nodes={len(self)})'


def save_evidence(
    folder: PathLike, evidence: Iterable[Evidence], shard_size: int = 100_000
) -> None:
    r"""Write evidence to a folder of Parquet files, to be read with
    :class:`EvidenceShards`. The evidence is streamed, and the folder appears only when
    it is complete.

    Args:
        folder (str or Path): The folder, which must not exist.
        evidence (iterable of Evidence): The evidence, one per node.
        shard_size (int): The largest number of nodes per file. Each file has nodes of
            one type. (default: :obj:`100000`)

    Raises:
        ImportError: If pyarrow is not installed.
        ValueError: If the folder exists, or a node type has both integer and string
            ids.

    Example:
        >>> from pathlib import Path
        >>> from pyg_irllrec.text import Evidence, save_evidence
        >>> evidence = [Evidence('user', k, (f'text {k}',)) for k in range(9)]
        >>> save_evidence('shards', evidence, shard_size=5)
        >>> sorted(path.name for path in Path('shards').iterdir())
        ['part-00000.parquet', 'part-00001.parquet']
    """
    import_optional('pyarrow.parquet', 'save_evidence', 'data')
    from pyarrow import parquet

    folder = as_path('folder', folder)
    check_count('shard_size', shard_size)
    if folder.exists():
        raise ValueError(f"'folder' must not exist, got {folder}")
    part = folder.with_name(f'.{folder.name}.tmp')
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    describe = getattr(evidence, 'describe', None)
    options = None if describe is None else as_json('evidence.describe()', describe())
    writer, count, side, size = None, 0, '', 0
    try:
        for rows in _groups(evidence, min(_GROUP_ROWS, shard_size)):
            table = _to_table(rows, options)
            if writer is None or side != rows[0].side or size + len(rows) > shard_size:
                if writer is not None:
                    writer.close()
                path = part / f'part-{count:05d}.parquet'
                writer = parquet.ParquetWriter(path, table.schema)
                count, side, size = count + 1, rows[0].side, 0
            writer.write_table(table)
            size += len(rows)
    finally:
        if writer is not None:
            writer.close()
    os.replace(part, folder)


def _groups(evidence: Iterable[Evidence], size: int) -> Iterator[list[Evidence]]:
    r"""Yield groups of consecutive nodes of one type, with at most :obj:`size`
    nodes."""
    rows: list[Evidence] = []
    for each in each_of('evidence', evidence, Evidence):
        if len(rows) == size or (rows and rows[0].side != each.side):
            yield rows
            rows = []
        rows.append(each)
    if rows:
        yield rows


def _to_table(rows: list[Evidence], options: Optional[dict[str, Any]]) -> Any:
    import pyarrow as pa

    ids = [each.id for each in rows]
    if len({type(each) for each in ids}) > 1:
        raise ValueError(
            f"'evidence' must have ids of one type for '{rows[0].side}', got integers "
            'and strings'
        )
    columns = {
        'side': pa.array([each.side for each in rows], pa.string()),
        'id': pa.array(ids, pa.string() if isinstance(ids[0], str) else pa.int64()),
        'texts': pa.array([each.texts for each in rows], pa.list_(pa.string())),
        'sources': pa.array([json.dumps(each.sources) for each in rows], pa.string()),
        'role': pa.array([each.role for each in rows], pa.string()),
    }
    table = pa.table(columns)
    if options is None:
        return table
    return table.replace_schema_metadata({_OPTIONS: json.dumps(options).encode()})


def _holds(content: Optional[str], kind: Any) -> bool:
    r"""Return whether a column of this pyarrow type can have the content. A column of
    nulls can have any content."""
    outer = str(kind).split('<')[0]  # For example 'large_list'.
    if content == 'lists of strings' and 'list' in outer:
        content, kind = 'strings', kind.value_type
    if outer == 'dictionary':
        kind = kind.value_type
    name = str(kind)
    is_text = name in ('string', 'large_string', 'string_view')
    is_integer = name.lstrip('u').startswith('int')
    return (
        content is None
        or name == 'null'
        or (is_text and 'strings' in content and 'lists' not in content)
        or (is_integer and 'integers' in content)
    )


def _to_evidence(
    side: Optional[str],
    name: Any,
    texts: Optional[list[Optional[str]]],
    sources: Optional[str],
    role: Optional[str],
) -> Evidence:
    for column, value in (('side', side), ('id', name)):
        if value is None:
            raise ValueError(f"must have a value in the column '{column}', got null")
    known = [text for text in texts or () if text is not None]
    if len(known) < len(texts or ()):
        raise ValueError(
            "must hold strings in the list in the column 'texts', got null: remove it "
            'and its source'
        )
    return Evidence(str(side), name, tuple(known), _parse_sources(sources), role)


def _parse_sources(sources: Optional[str]) -> tuple[tuple[str, NodeId], ...]:
    try:
        found = json.loads(sources or '[]')
        return tuple((kind, node) for kind, node in found)
    except (ValueError, TypeError):
        raise ValueError(
            'must hold JSON such as [["item", 3]] in the column \'sources\', got '
            f'{sources!r:.80}'
        ) from None
