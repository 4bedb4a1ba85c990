from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.transforms._written_texts import WrittenTexts
from pyg_irllrec.typing import EdgeType, PathLike


@functional_transform('irllrec_add_profiles')
class AddProfiles(WrittenTexts):
    r"""Put profiles that a language model wrote on users and items, by their original
    ids (functional name: :obj:`irllrec_add_profiles`): :obj:`data[side].profile_text`,
    a text per node. :class:`~pyg_irllrec.transforms.EncodeText` makes vectors of them.
    :class:`~pyg_irllrec.transforms.ProfileTexts` needs no model.

    A node without evidence gets :obj:`""`.

    Profiles belong to the interactions and texts that they were made from: made from
    others, such as those that are test interactions here, they would leak. So
    evidence is chosen again with the options in the manifest, node by node, and has to
    be the same. That takes as long as reading the texts of all interactions.

    Args:
        path (str or Path): The file that
            :class:`~pyg_irllrec.text.IntentExtractor` has written with
            :obj:`what="profiles"`, :obj:`.jsonl`; its manifest has to lie beside it.
            Both are read when the transform runs.
        target (str): The name of the texts. (default: :obj:`"profile_text"`)
        missing (str): For nodes that the file does not hold, or that failed, an
            :obj:`"error"`, or a :obj:`"blank"`. (default: :obj:`"error"`)
        expect (dict, optional): What the manifest must hold, such as
            :obj:`{'evidence_sha256': '...'}`. (default: :obj:`None`)
        check_evidence (bool): Whether to compare the evidence. Evidence that was not
            made by :func:`~pyg_irllrec.text.choose_evidence` cannot be.
            (default: :obj:`True`)
        unsplit (bool): Whether profiles of all interactions are taken for a graph that
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
            from other evidence, or have no profile of a node.

    Example:
        >>> from pyg_irllrec.datasets import SyntheticIntents
        >>> from pyg_irllrec.text import (
        ...     ExtractiveModel, IntentExtractor, choose_evidence
        ... )
        >>> from pyg_irllrec.transforms import AddProfiles
        >>> data = SyntheticIntents(12, 10, num_intents=2)[0]
        >>> data['item'].text = data['item'].profile_text
        >>> evidence = choose_evidence(data)
        >>> model = ExtractiveModel(evidence, what='profiles')  # or OpenAIChat
        >>> extract = IntentExtractor(model, what='profiles', progress=False)
        >>> report = extract(evidence, 'profiles.jsonl')
        >>> data = AddProfiles('profiles.jsonl')(data)
        >>> data['item'].profile_text[0]
        'loaf, tin, brush, hiking, pastry, pin, rolling, offers'
    """

    _what = 'profiles'

    def __init__(
        self,
        path: PathLike,
        target: str = 'profile_text',
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
        return [record.profile for record in records]
