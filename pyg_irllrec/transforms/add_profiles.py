from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Optional

from torch_geometric.data.datapipes import functional_transform

from pyg_irllrec.text.intents.intent_record import IntentRecord
from pyg_irllrec.transforms._written_texts import WrittenTexts
from pyg_irllrec.typing import EdgeType, PathLike


@functional_transform('irllrec_add_profiles')
class AddProfiles(WrittenTexts):
    r"""Add profiles that a language model wrote to users and items, joined by their
    original ids (functional name: :obj:`irllrec_add_profiles`):
    :obj:`data[side].profile_text`, one text per node.
    :class:`~pyg_irllrec.transforms.EncodeText` turns them into vectors.
    :class:`~pyg_irllrec.transforms.ProfileTexts` needs no language model.

    A node without evidence gets :obj:`""`.

    Profiles must come from the texts and training interactions of this graph: made from
    its test interactions, they would leak. The evidence is therefore chosen again with
    the options in the manifest, and must be the same for every node. This takes as long
    as reading the texts of all interactions.

    Args:
        path (str or Path): The :obj:`.jsonl` file that
            :class:`~pyg_irllrec.text.IntentExtractor` wrote with
            :obj:`what="profiles"`, with its manifest in the same folder. Both are read
            when the transform runs.
        target (str): The attribute name of the texts. (default: :obj:`"profile_text"`)
        missing (str): How to treat nodes that failed or are not in the file:
            :obj:`"error"` raises, :obj:`"blank"` gives them :obj:`""`.
            (default: :obj:`"error"`)
        expect (dict, optional): Entries that the manifest must have, such as
            :obj:`{'evidence_sha256': '...'}`. (default: :obj:`None`)
        check_evidence (bool): Whether to compare the evidence. Only evidence from
            :func:`~pyg_irllrec.text.choose_evidence` can be compared.
            (default: :obj:`True`)
        unsplit (bool): Whether to accept profiles of all interactions, for a graph that
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
            made from other evidence, or lack the profile of a node.

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
