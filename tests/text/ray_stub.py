"""A stub of the parts of Ray Data that this package calls: `ray.data` and
`ray.data.llm`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import pyarrow.dataset

Row = dict[str, Any]


class Dataset:
    """A stream of rows."""

    def __init__(self, rows: Iterator[Row]) -> None:
        self.rows = rows
        self.rows_per_block = 1
        self.options: dict[str, Any] = {}

    def repartition(self, *, target_num_rows_per_block: int) -> Dataset:
        self.rows_per_block = target_num_rows_per_block
        return self

    def map_batches(
        self, fn: type, *, fn_constructor_args: tuple[Any, ...], **options: Any
    ) -> Dataset:
        actor = fn(*fn_constructor_args)
        return Dataset(self._mapped(actor, options['batch_size']))

    def _mapped(self, actor: Callable[[Any], Any], size: int) -> Iterator[Row]:
        for batch in _batches(self.rows, size):
            columns = {
                name: np.array([row[name] for row in batch]) for name in batch[0]
            }
            yield from _rows(actor(columns))

    def iter_rows(self) -> Iterator[Row]:
        return self.rows


def ray_data(generate: Callable[[Row], Row] | None = None) -> dict[str, ModuleType]:
    """The modules, with an engine that answers each row with :obj:`generate`."""
    ray, data, llm = map(ModuleType, ('ray', 'ray.data', 'ray.data.llm'))
    ray.data = data

    def read_parquet(folder: str) -> Dataset:
        return Dataset(iter(pyarrow.dataset.dataset(folder).to_table().to_pylist()))

    def build_processor(
        config: SimpleNamespace,
        preprocess: Callable[[Row], Row],
        postprocess: Callable[[Row], Row],
    ) -> Callable[[Dataset], Dataset]:
        assert config.should_continue_on_error

        def process(dataset: Dataset) -> Dataset:
            def rows() -> Iterator[Row]:
                for row in dataset.rows:
                    asked = preprocess(row)
                    found = asked | generate(asked)
                    # As Ray returns failed rows.
                    failed = '__inference_error__' in found
                    yield found if failed else postprocess(found)

            return Dataset(rows())

        return process

    data.read_parquet = read_parquet
    data.ActorPoolStrategy = SimpleNamespace
    llm.vLLMEngineProcessorConfig = SimpleNamespace
    llm.build_processor = build_processor
    return {'ray': ray, 'ray.data': data, 'ray.data.llm': llm}


def _batches(rows: Iterator[Row], size: int) -> Iterator[list[Row]]:
    batch: list[Row] = []
    for row in rows:
        batch.append(row)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def _rows(columns: dict[str, Any]) -> Iterator[Row]:
    for values in zip(*columns.values()):
        yield dict(zip(columns, values))
