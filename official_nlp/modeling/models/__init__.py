"""Models: networks with heads and a loss."""

from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.modeling.models.electra_for_causal_lm import ElectraForCausalLM
from official_nlp.modeling.models.electra_for_masked_lm import ElectraForMaskedLM
from official_nlp.modeling.models.electra_for_pre_training import ElectraForPreTraining
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer

__all__ = [
    "ElectraFor",
    "ElectraForCausalLM",
    "ElectraForMaskedLM",
    "ElectraForPreTraining",
    "ElectraPretrainer",
]
