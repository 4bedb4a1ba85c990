r"""Training and evaluation (extra :obj:`train`)."""

from . import _require_lightning  # noqa: F401  It must be first.
from .atomic_checkpoint_io import AtomicCheckpointIO
from .captured_step import CapturedStep
from .cutoffs import fitting_cutoffs
from .default_space import default_space
from .evaluate import evaluate, evaluate_ranker
from .fingerprint import fingerprint
from .fit import fit
from .fit_result import FitResult
from .interaction_data_module import InteractionDataModule
from .lit_recommender import LitRecommender
from .load_weights import load_weights
from .parse_device import parse_device
from .progress_bar import EpochProgressBar
from .ranking_loader import RankingBatch, RankingLoader
from .ranking_metrics import RankingMetrics
from .run_folder import RunFolder
from .sampled_data_module import SampledDataModule
from .sampled_loss import sampled_loss
from .subgraph_sampler import SampledBatch, SubgraphSampler
from .triplet_loader import TripletLoader
from .tune import tune
from .tune_result import TuneResult

__all__ = [
    'AtomicCheckpointIO',
    'CapturedStep',
    'EpochProgressBar',
    'FitResult',
    'InteractionDataModule',
    'LitRecommender',
    'RankingBatch',
    'RankingLoader',
    'RankingMetrics',
    'RunFolder',
    'SampledBatch',
    'SampledDataModule',
    'SubgraphSampler',
    'TripletLoader',
    'TuneResult',
    'default_space',
    'evaluate',
    'evaluate_ranker',
    'fingerprint',
    'fit',
    'fitting_cutoffs',
    'load_weights',
    'parse_device',
    'sampled_loss',
    'tune',
]
