"""Encoders, heads built as networks, and the configuration of an encoder."""

from official_nlp.modeling.networks.classification import Classification
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder
from official_nlp.modeling.networks.encoder_scaffold import EncoderScaffold
from official_nlp.modeling.networks.span_labeling import SpanLabeling

__all__ = [
    "Classification",
    "ElectraConfig",
    "ElectraEncoder",
    "EncoderScaffold",
    "SpanLabeling",
]
