from __future__ import annotations

import inspect
from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Optional

from torch_geometric.data import HeteroData

from pyg_irllrec.text.intents.evidence import choose_evidence
from pyg_irllrec.text.intents.intent_file import load_intents, manifest_path
from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType, NodeId, PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_name
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.edge_store import check_hetero
from pyg_irllrec.utils.node_data import check_sides, read_ids


class WrittenTexts(InteractionTransform):
    r"""The base class of transforms that add to users and items what a language model
    wrote about them; for the arguments see
    :class:`~pyg_irllrec.transforms.AddIntents`."""

    _what: ClassVar[str]

    def __init__(
        self,
        path: PathLike,
        target: str,
        missing: str,
        expect: Optional[dict[str, Any]],
        check_evidence: bool,
        unsplit: bool,
        sides: Optional[Sequence[str]],
        edge_type: Optional[EdgeType],
        rev_edge_type: Optional[EdgeType],
    ) -> None:
        check_choice('missing', missing, ('error', 'blank'))
        as_path('path', path)
        self.path = path
        check_name('target', target)
        self.target = target
        self.missing = missing
        self.expect = expect
        check_flag('check_evidence', check_evidence)
        self.check_evidence = check_evidence
        check_flag('unsplit', unsplit)
        self.unsplit = unsplit
        self.sides = None if sides is None else check_sides(sides)
        super().__init__(edge_type, rev_edge_type)

    def forward(self, data: HeteroData) -> HeteroData:
        r"""The graph with one text per node."""
        check_hetero(data, type(self).__name__)
        records, manifest = load_intents(self.path, self.expect)
        what = manifest.get('what', 'intents')
        if what != self._what:
            raise ValueError(
                f'{self.path} must hold {self._what} for {type(self).__name__}, got '
                f'{what!r:.80}'
            )
        by_id = {(record.side, record.id): record for record in records}
        options = self._read_options(manifest)
        sides = self.sides
        if sides is None:
            sides = self._find_sides(data, (options or {}).get('sides'))
        found = {side: self._find_records(data, side, by_id) for side in sides}
        if self.check_evidence and options is not None:
            self._compare(data, found, options)
        for side, rows in found.items():
            data[side][self.target] = self._to_texts(rows)
        return data

    @abstractmethod
    def _to_texts(self, records: list[IntentRecord]) -> list[str]:
        r"""One text per record, :obj:`""` if nothing was written."""

    def _read_options(self, manifest: dict[str, Any]) -> Optional[dict[str, Any]]:
        r"""The options in the manifest that the evidence was chosen with, if any."""
        options = manifest.get('evidence')
        if options is None:
            return None
        try:
            if not isinstance(options, dict):
                raise ValueError(f'got {options!r:.80}, not an object')
            names = inspect.signature(choose_evidence).parameters.keys() - {'data'}
            if unknown := sorted(options.keys() - names):
                raise ValueError(f'got the unknown option {unknown[0][:80]!r}')
            if options.get('sides') is not None:
                check_sides(options['sides'])
        except ValueError as error:
            raise ValueError(
                f"{manifest_path(Path(self.path))} is damaged: 'evidence' must hold "
                f'options of choose_evidence: {error}'
            ) from None
        return options

    def _find_records(
        self,
        data: HeteroData,
        side: str,
        by_id: dict[tuple[str, NodeId], IntentRecord],
    ) -> list[IntentRecord]:
        r"""The record of each node."""
        ids = read_ids(data, side)
        records = [
            by_id.get((side, name), IntentRecord(side, name, 'missing', ()))
            for name in ids
        ]
        absent = [r.id for r in records if r.status not in ('ok', 'no evidence')]
        if absent and self.missing == 'error':
            raise ValueError(
                f"{self.path} must hold {self._what} of each node of '{side}', but "
                f'{len(absent)} of {len(records)} are missing or failed '
                f'({_some(absent)}): run the extraction again, or leave them blank '
                "with missing='blank'"
            )
        return records

    def _compare(
        self,
        data: HeteroData,
        found: dict[str, list[IntentRecord]],
        options: dict[str, Any],
    ) -> None:
        r"""Raise a :class:`ValueError` if the evidence of a node has changed."""
        own: dict[str, Any] = {'unsplit': self.unsplit}
        for name in ('edge_type', 'rev_edge_type'):
            if getattr(self, name) is not None:
                own[name] = getattr(self, name)
        for side, records in found.items():
            try:
                evidence = choose_evidence(data, **options | own | {'sides': side})
            except (TypeError, ValueError) as error:
                raise ValueError(
                    f'{self.path} cannot be compared with this graph: {error} '
                    '(pass check_evidence=False to skip this check)'
                ) from None
            changed, wrong = [], []
            for record, each in zip(records, evidence):
                if record.status == 'missing':
                    continue
                if record.evidence_sha256 != each.sha256:
                    changed.append(record.id)
                cited = [n for intent in record.intents for n in intent.evidence]
                if max(cited, default=0) > len(each.texts):
                    wrong.append(record.id)
            if changed:
                raise ValueError(
                    f'{self.path} must be made from the texts and training '
                    f'interactions of this graph, but {len(changed)} of '
                    f"{len(records)} nodes of '{side}' have other evidence here "
                    f'({_some(changed)}). Extract {self._what} from this split, or '
                    'pass check_evidence=False'
                )
            if wrong:
                raise ValueError(
                    f'{self.path} is damaged: intents of {len(wrong)} of '
                    f"{len(records)} nodes of '{side}' cite texts that the nodes "
                    f'do not have ({_some(wrong)})'
                )


def _some(names: list[NodeId]) -> str:
    return ', '.join(map(repr, names[:5])) + (', ...' if len(names) > 5 else '')
