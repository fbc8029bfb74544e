"""Models: networks with heads and a loss."""

from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer

__all__ = ["ElectraPretrainer"]
