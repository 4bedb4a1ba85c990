from __future__ import annotations

import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Optional

from torch_geometric.data import HeteroData
from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.text.intents.evidence import choose_evidence
from pyg_irllrec.text.intents.intent_file import load_intents, manifest_path
from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.text.intents.intents_to_text import intents_to_text
from pyg_irllrec.transforms._interaction_transform import InteractionTransform
from pyg_irllrec.typing import EdgeType, NodeId, PathLike
from pyg_irllrec.utils.argument_checks import as_path, check_flag, check_name
from pyg_irllrec.utils.checks import check_choice
from pyg_irllrec.utils.edge_store import check_hetero
from pyg_irllrec.utils.node_data import check_sides, read_ids


@functional_transform('irllrec_add_intents')
class AddIntents(InteractionTransform):
    r"""Puts intents in words on users and items, by their original ids (functional
    name: :obj:`irllrec_add_intents`): :obj:`data[side].intent_text`, a text per node.
    :class:`~pyg_irllrec.transforms.EncodeText` with :obj:`source="intent_text"` and
    :obj:`target="intent"` makes vectors of them.

    A node without evidence gets :obj:`""`.

    Intents belong to the interactions and texts that they were made from: made from
    others, such as those that are test interactions here, they would leak. So
    evidence is chosen again with the options in the manifest, node by node, and has to
    be the same. That takes as long as reading the texts of all interactions.

    Args:
        path (str or Path): The file that
            :class:`~pyg_irllrec.text.IntentExtractor` has written, :obj:`.jsonl`; its
            manifest has to lie beside it. Both are read when the transform runs.
        target (str): The name of the texts. (default: :obj:`"intent_text"`)
        missing (str): For nodes that the file does not hold, or that failed, an
            :obj:`"error"`, or a :obj:`"blank"`. (default: :obj:`"error"`)
        expect (dict, optional): What the manifest must hold, such as
            :obj:`{'max_intents': 5}`. (default: :obj:`None`)
        check_evidence (bool): Whether to compare the evidence. Evidence that was not
            made by :func:`~pyg_irllrec.text.choose_evidence` cannot be.
            (default: :obj:`True`)
        unsplit (bool): Whether intents of all interactions are taken for a graph that
            has not been split and will not be. (default: :obj:`False`)
        sides (sequence of str, optional): The types of nodes.
            (default: :obj:`None`, those of the manifest, or else users and items, found
            by their interactions)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, that of the manifest)
        rev_edge_type (tuple, optional): The type of the same interactions in reverse.
            (default: :obj:`None`, that of the manifest, or else found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)

    Raises:
        FileNotFoundError: If the file or its manifest is not there.
        ValueError: If they do not belong together, differ from :obj:`expect`, were made
            from other evidence, or have no intents for a node.
    """

    def __init__(
        self,
        path: PathLike,
        target: str = 'intent_text',
        missing: str = 'error',
        expect: Optional[dict[str, Any]] = None,
        check_evidence: bool = True,
        unsplit: bool = False,
        sides: Optional[Sequence[str]] = None,
        edge_type: Optional[EdgeType] = None,
        rev_edge_type: Optional[EdgeType] = None,
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
        r"""The graph with intents in words."""
        check_hetero(data, type(self).__name__)
        records, manifest = load_intents(self.path, self.expect)
        by_id = {(record.side, record.id): record for record in records}
        options = self._read_options(manifest)
        sides = self.sides
        if sides is None:
            sides = self._find_sides(data, (options or {}).get('sides'))
        found = {side: self._find_records(data, side, by_id) for side in sides}
        if self.check_evidence and options is not None:
            self._compare(data, found, options)
        for side, rows in found.items():
            data[side][self.target] = intents_to_text(rows)
        return data

    def _read_options(self, manifest: dict[str, Any]) -> Optional[dict[str, Any]]:
        r"""The options that the evidence was chosen with, if they are in the
        manifest."""
        options = manifest.get('evidence')
        if options is None:
            return None
        try:
            if not isinstance(options, dict):
                raise ValueError(f'it must be an object, got {options!r:.80}')
            names = inspect.signature(choose_evidence).parameters.keys() - {'data'}
            if unknown := sorted(options.keys() - names):
                raise ValueError(f'it has the name {unknown[0][:80]!r}')
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
                f"{self.path} must hold intents of each node of '{side}', "
                f'{len(absent)} of {len(records)} are missing or failed '
                f'({_some(absent)}): ask again, or pass them over with '
                "missing='blank'"
            )
        return records

    def _compare(
        self,
        data: HeteroData,
        found: dict[str, list[IntentRecord]],
        options: dict[str, Any],
    ) -> None:
        r"""Raises a :class:`ValueError` where a node has other evidence by now."""
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
                    '(check_evidence=False does without)'
                ) from None
            other, wrong = [], []
            for record, each in zip(records, evidence):
                if record.status == 'missing':
                    continue
                if record.evidence_sha256 != each.sha256:
                    other.append(record.id)
                cited = [n for intent in record.intents for n in intent.evidence]
                if max(cited, default=0) > len(each.texts):
                    wrong.append(record.id)
            if other:
                raise ValueError(
                    f'{self.path} must be made from the texts and training '
                    f'interactions of this graph: {len(other)} of {len(records)} '
                    f"nodes of '{side}' have others ({_some(other)}). Extract intents "
                    'from this split, or pass check_evidence=False'
                )
            if wrong:
                raise ValueError(
                    f'{self.path} is damaged: intents of {len(wrong)} of '
                    f"{len(records)} nodes of '{side}' rest on texts that the nodes "
                    f'do not have ({_some(wrong)})'
                )


def _some(names: list[NodeId]) -> str:
    return ', '.join(map(repr, names[:5])) + (', ...' if len(names) > 5 else '')
