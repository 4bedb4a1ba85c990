from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.text.intents.intents_to_text import intents_to_text
from pyg_irllrec.transforms._written_texts import WrittenTexts
from pyg_irllrec.typing import EdgeType, PathLike


@functional_transform('irllrec_add_intents')
class AddIntents(WrittenTexts):
    r"""Add intents in words to users and items, joined by their original ids
    (functional name: :obj:`irllrec_add_intents`): :obj:`data[side].intent_text`, one
    text per node. :class:`~pyg_irllrec.transforms.EncodeText` with
    :obj:`source="intent_text"` and :obj:`target="intent"` turns them into vectors.

    A node without evidence gets :obj:`""`.

    Intents must come from the texts and training interactions of this graph: made from
    its test interactions, they would leak. The evidence is therefore chosen again with
    the options in the manifest, and must be the same for every node. This takes as long
    as reading the texts of all interactions.

    Args:
        path (str or Path): The :obj:`.jsonl` file that
            :class:`~pyg_irllrec.text.IntentExtractor` wrote, with its manifest in the
            same folder. Both are read when the transform runs.
        target (str): The attribute name of the texts. (default: :obj:`"intent_text"`)
        missing (str): How to treat nodes that failed or are not in the file:
            :obj:`"error"` raises, :obj:`"blank"` gives them :obj:`""`.
            (default: :obj:`"error"`)
        expect (dict, optional): Entries that the manifest must have, such as
            :obj:`{'max_intents': 5}`. (default: :obj:`None`)
        check_evidence (bool): Whether to compare the evidence. Only evidence from
            :func:`~pyg_irllrec.text.choose_evidence` can be compared.
            (default: :obj:`True`)
        unsplit (bool): Whether to accept intents of all interactions, for a graph that
            is not split and will not be. (default: :obj:`False`)
        sides (sequence of str, optional): The node types. (default: :obj:`None`, from
            the manifest, or else users and items, found by their interactions)
        edge_type (tuple, optional): The type of the interactions.
            (default: :obj:`None`, from the manifest)
        rev_edge_type (tuple, optional): The type of the reverse interactions.
            (default: :obj:`None`, from the manifest, or else found by
            :func:`~pyg_irllrec.utils.find_interaction_types`)

    Raises:
        FileNotFoundError: If the file or its manifest does not exist.
        ValueError: If file and manifest do not match, differ from :obj:`expect`, were
            made from other evidence, or lack the intents of a node.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.text import (
        ...     ExtractiveModel, IntentExtractor, choose_evidence
        ... )
        >>> from pyg_irllrec.transforms import AddIntents
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> data['item'].text = data['item'].intent_text
        >>> evidence = choose_evidence(data)
        >>> model = ExtractiveModel(evidence, num_intents=1)  # or OpenAIChat
        >>> extract = IntentExtractor(model, progress=False)
        >>> report = extract(evidence, 'intents.jsonl')
        >>> data = AddIntents('intents.jsonl')(data)
        >>> data['item'].intent_text[0]
        'bake: beside bread, family, chosen, people.'
    """

    _what = 'intents'

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
        super().__init__(
            path,
            target,
            missing,
            expect,
            check_evidence,
            unsplit,
            sides,
            edge_type,
            rev_edge_type,
        )

    def _to_texts(self, records: list[IntentRecord]) -> list[str]:
        return intents_to_text(records)
