from __future__ import annotations

from typing import NamedTuple, Optional

import torch
from torch import Tensor
from torch.nn import Module

from pyg_irllrec.nn.loss.interaction_text_matching_loss import (
    InteractionTextMatchingLoss,
)
from pyg_irllrec.nn.loss.pairwise_alignment_loss import (
    PairwiseAlignmentLoss,
    align_sides,
)
from pyg_irllrec.nn.loss.translation_alignment_loss import TranslationAlignmentLoss
from pyg_irllrec.utils.checks import (
    check_matrix,
    check_not_negative,
    check_same_shape,
    check_triplets,
)
from pyg_irllrec.utils.first_occurrence import first_occurrence


class LossOutput(NamedTuple):
    r"""A loss and what it is the sum of."""

    total: Tensor
    """The scalar to differentiate."""
    terms: dict[str, Tensor]
    """The weighted terms by name; they add up to :obj:`total`."""


class IntentAlignmentLoss(Module):
    r"""The alignment of graph and text of the `"Intent Representation Learning
    with Large Language Model for Recommendation"
    <https://arxiv.org/abs/2502.03307>`_ paper: the weighted sum

    .. math::
        \mathcal{L} = w_1 \mathcal{L}_{\text{profile}} + w_2
        \mathcal{L}_{\text{intent}} + w_3 \mathcal{L}_{\text{translation}} + w_4
        \mathcal{L}_{\text{matching}}

    A pairwise term (profile, intent) is the sum of
    :class:`~pyg_irllrec.nn.PairwiseAlignmentLoss` over the users, the positive
    items and the negative items of a batch of triplets. A term of weight zero, or
    whose input is missing, is not computed and not listed.

    Args:
        profile_weight (float): :math:`w_1`. (default: :obj:`1e-2`)
        intent_weight (float): :math:`w_2`. (default: :obj:`1e-2`)
        translation_weight (float): :math:`w_3`. (default: :obj:`1e-3`)
        matching_weight (float): :math:`w_4`. (default: :obj:`1e-3`)
        profile_temperature (float): :math:`\tau` of the profile term.
            (default: :obj:`0.2`)
        intent_temperature (float): :math:`\tau` of the intent term.
            (default: :obj:`0.2`)
        user_negatives (str): :obj:`"batch"` or :obj:`"all"`, which users'
            texts stand in a denominator. (default: :obj:`"batch"`)
        item_negatives (str): The same for items. (default: :obj:`"batch"`)
        duplicates (bool): Whether a node that stands in the batch several times
            counts several times. (default: :obj:`False`)
        negative_item_intents (bool): Whether the intent term counts the negative
            items of a batch. (default: :obj:`True`)
        noise (float): The noise of the translation term. (default: :obj:`1.0`)
        eps (float): The floor under the translation term's logarithm.
            (default: :obj:`0.0`)
        impl (str): The implementation, see
            :func:`~pyg_irllrec.functional.info_nce`. (default: :obj:`"auto"`)
        translation_impl (str, optional): That of the translation term alone, which
            contrasts all nodes with all nodes: :obj:`"moments"` makes it linear in
            their number, and approximate. (default: :obj:`None`, :obj:`impl`)

    The authors' choices are :obj:`user_negatives="all"`,
    :obj:`duplicates=True` and :obj:`eps=1e-8`, see
    :func:`~pyg_irllrec.presets.authors_preset`.
    """

    def __init__(
        self,
        profile_weight: float = 1e-2,
        intent_weight: float = 1e-2,
        translation_weight: float = 1e-3,
        matching_weight: float = 1e-3,
        *,
        profile_temperature: float = 0.2,
        intent_temperature: float = 0.2,
        user_negatives: str = 'batch',
        item_negatives: str = 'batch',
        duplicates: bool = False,
        negative_item_intents: bool = True,
        noise: float = 1.0,
        eps: float = 0.0,
        impl: str = 'auto',
        translation_impl: Optional[str] = None,
    ) -> None:
        super().__init__()
        self.weights = {
            'profile': profile_weight,
            'intent': intent_weight,
            'translation': translation_weight,
            'matching': matching_weight,
        }
        for name, weight in self.weights.items():
            check_not_negative(f'{name}_weight', weight)

        def pairwise(temperature: float, negatives: str) -> PairwiseAlignmentLoss:
            return PairwiseAlignmentLoss(temperature, negatives, duplicates, impl)

        self.user_profile = pairwise(profile_temperature, user_negatives)
        self.item_profile = pairwise(profile_temperature, item_negatives)
        self.user_intent = pairwise(intent_temperature, user_negatives)
        self.item_intent = pairwise(intent_temperature, item_negatives)
        self.translation = TranslationAlignmentLoss(
            noise=noise, eps=eps, impl=translation_impl or impl
        )
        self.matching = InteractionTextMatchingLoss()
        self.negative_item_intents = negative_item_intents

    def batch_nodes(self, triplets: Tensor, num_nodes: int, num_users: int) -> Tensor:
        r"""The nodes whose texts the pairwise terms of a batch read: those in it, or
        all of a side whose negatives are :obj:`"all"`. Some may be named twice."""
        user, item = triplets[0], triplets[1:].flatten() + num_users
        nodes = torch.arange(num_nodes, device=triplets.device)
        if 'all' in (self.user_profile.negatives, self.user_intent.negatives):
            user = nodes[:num_users]
        if 'all' in (self.item_profile.negatives, self.item_intent.negatives):
            item = nodes[num_users:]
        return torch.cat([user, item])

    def needs_all_intents(self) -> bool:
        r"""Whether a term reads the intent texts of all nodes."""
        return self.weights['translation'] > 0 or self.weights['matching'] > 0

    def forward(
        self,
        embedding: Tensor,
        triplets: Tensor,
        num_users: int,
        *,
        profile: Optional[Tensor] = None,
        interaction_intent: Optional[Tensor] = None,
        text_intent: Optional[Tensor] = None,
        teacher_intent: Optional[Tensor] = None,
        generator: Optional[torch.Generator] = None,
    ) -> LossOutput:
        r"""The alignment of one batch.

        All node tensors have shape :math:`(|\mathcal{V}|, d)`, users first, then
        items.

        Args:
            embedding (torch.Tensor): Graph embeddings :math:`\mathbf{z}`.
            triplets (torch.Tensor): User, positive item and negative item ids,
                each from zero, of shape :math:`(3, B)`.
            num_users (int): The number of users.
            profile (torch.Tensor, optional): Projected profile texts
                :math:`\mathbf{p}`. (default: :obj:`None`)
            interaction_intent (torch.Tensor, optional): Intents
                :math:`\mathbf{r}` of the graph. (default: :obj:`None`)
            text_intent (torch.Tensor, optional): Projected intent texts
                :math:`\mathbf{q}`. (default: :obj:`None`)
            teacher_intent (torch.Tensor, optional): The teacher's
                :math:`\bar{\mathbf{q}}`. (default: :obj:`None`)
            generator (torch.Generator, optional): Where noise comes from.
                (default: :obj:`None`, torch's own)
        """
        weights = self.weights
        translated = text_intent if weights['translation'] > 0 else None
        _check_shapes(
            ('embedding', embedding, 'embedding', embedding),
            ('profile', profile, 'embedding', embedding),
            ('text_intent', translated, 'embedding', embedding),
            ('interaction_intent', interaction_intent, 'text_intent', text_intent),
            ('teacher_intent', teacher_intent, 'text_intent', text_intent),
        )
        check_triplets(triplets, num_users, embedding.size(0) - num_users)
        terms: dict[str, Tensor] = {}
        first = None if self.user_profile.duplicates else first_occurrence(triplets)
        if profile is not None and weights['profile'] > 0:
            terms['profile'] = align_sides(
                self.user_profile,
                self.item_profile,
                embedding,
                profile,
                triplets,
                num_users,
                first,
            )
        if text_intent is not None:
            if interaction_intent is not None and weights['intent'] > 0:
                terms['intent'] = align_sides(
                    self.user_intent,
                    self.item_intent,
                    interaction_intent,
                    text_intent,
                    triplets if self.negative_item_intents else triplets[:2],
                    num_users,
                    first,
                )
            if weights['translation'] > 0:
                terms['translation'] = self.translation.unchecked(
                    text_intent, embedding, generator
                )
            if teacher_intent is not None and weights['matching'] > 0:
                terms['matching'] = self.matching.unchecked(text_intent, teacher_intent)
        total = embedding.new_zeros(
            (), dtype=torch.promote_types(embedding.dtype, torch.float32)
        )
        for name, term in terms.items():
            terms[name] = weights[name] * term
            total = total + terms[name]
        return LossOutput(total, terms)

    def extra_repr(self) -> str:
        r"""The weights."""
        return ', '.join(f'{name}_weight={w}' for name, w in self.weights.items())


def _check_shapes(*pairs: tuple[str, Optional[Tensor], str, Optional[Tensor]]) -> None:
    r"""Raises a :class:`ValueError` unless those of each pair are matrices of the same
    shape."""
    for name, value, other_name, other in pairs:
        if value is None or other is None:
            continue
        if value.shape != other.shape:
            check_same_shape(name, value, other_name, other)
        if value.dim() != 2 or not value.is_floating_point():
            check_matrix(name, value)
