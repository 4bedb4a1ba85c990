r"""Ranking losses, and losses that align a graph with texts."""

from .bpr_loss import BPRLoss
from .direct_au_loss import DirectAULoss
from .intent_alignment_loss import IntentAlignmentLoss, LossOutput
from .interaction_text_matching_loss import InteractionTextMatchingLoss
from .pairwise_alignment_loss import PairwiseAlignmentLoss
from .softmax_loss import SoftmaxLoss
from .translation_alignment_loss import TranslationAlignmentLoss

__all__ = [
    'BPRLoss',
    'DirectAULoss',
    'IntentAlignmentLoss',
    'InteractionTextMatchingLoss',
    'LossOutput',
    'PairwiseAlignmentLoss',
    'SoftmaxLoss',
    'TranslationAlignmentLoss',
]
