"""Models: networks with heads and a loss."""

from official_nlp.modeling.models.electra_for import ElectraFor
from official_nlp.modeling.models.electra_for_causal_lm import ElectraForCausalLM
from official_nlp.modeling.models.electra_for_joint_question_answering import (
    ElectraForJointQuestionAnswering,
)
from official_nlp.modeling.models.electra_for_masked_lm import ElectraForMaskedLM
from official_nlp.modeling.models.electra_for_multiple_choice import ElectraForMultipleChoice
from official_nlp.modeling.models.electra_for_pre_training import ElectraForPreTraining
from official_nlp.modeling.models.electra_for_question_answering import (
    ElectraForQuestionAnswering,
)
from official_nlp.modeling.models.electra_for_sequence_classification import (
    ElectraForSequenceClassification,
)
from official_nlp.modeling.models.electra_for_token_classification import (
    ElectraForTokenClassification,
)
from official_nlp.modeling.models.electra_pretrainer import ElectraPretrainer

__all__ = [
    "ElectraFor",
    "ElectraForCausalLM",
    "ElectraForJointQuestionAnswering",
    "ElectraForMaskedLM",
    "ElectraForMultipleChoice",
    "ElectraForPreTraining",
    "ElectraForQuestionAnswering",
    "ElectraForSequenceClassification",
    "ElectraForTokenClassification",
    "ElectraPretrainer",
]
