r"""Choose evidence, prompt a language model, and store the intents that it finds."""

from .evidence import Evidence, choose_evidence, evidence_sha256
from .evidence_shards import EvidenceShards, save_evidence
from .extractive_model import ExtractiveModel
from .intent_extractor import IntentExtractor
from .intent_file import IntentFile, load_intents, save_intents
from .intent_keywords import intent_keywords
from .intent_record import Intent, IntentRecord
from .intents_to_text import intents_to_text
from .prompt import Prompt

__all__ = [
    'Evidence',
    'EvidenceShards',
    'ExtractiveModel',
    'Intent',
    'IntentExtractor',
    'IntentFile',
    'IntentRecord',
    'Prompt',
    'choose_evidence',
    'evidence_sha256',
    'intent_keywords',
    'intents_to_text',
    'load_intents',
    'save_evidence',
    'save_intents',
]
