r"""Graph convolutions."""

from .intent_lg_conv import IntentLGConv

__all__ = ['IntentLGConv']
