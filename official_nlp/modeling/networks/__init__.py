"""Encoders, and the configuration that describes them."""

from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.networks.electra_encoder import ElectraEncoder

__all__ = ["ElectraConfig", "ElectraEncoder"]
