"""The best spans of a model that scores ends given starts."""

import itertools

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.modeling.models import ElectraForJointQuestionAnswering
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks.finetuning.joint_spans import SPAN_ROWS, best_joint_spans

# [CLS] question [SEP] context context context [SEP], and padding; a shorter one.
TYPES = np.array([[0, 0, 0, 1, 1, 1, 1, 0], [0, 0, 0, 1, 1, 0, 0, 0]])
MASK = np.array([[1, 1, 1, 1, 1, 1, 1, 0], [1, 1, 1, 1, 1, 0, 0, 0]])
CONTEXTS = [range(3, 6), range(3, 4)]


@pytest.fixture(scope="module")
def outputs():
    config = ElectraConfig(
        vocab_size=20,
        embedding_size=8,
        hidden_size=16,
        num_hidden_layers=1,
        num_attention_heads=2,
        intermediate_size=16,
        initializer_range=0.5,
    )
    model = ElectraForJointQuestionAnswering(config)
    # All starts fit into the beam.
    ids = tf.constant([[2, 5, 3, 7, 8, 9, 3, 0], [2, 6, 3, 10, 3, 0, 0, 0]])
    inputs = {
        "input_word_ids": ids,
        "input_mask": tf.constant(MASK),
        "input_type_ids": tf.constant(TYPES),
    }
    return {name: x.numpy() for name, x in model(inputs).items()}


@pytest.mark.parametrize("longest", [1, 2, 30])
def test_the_best_span_has_the_most_probable_start_and_end_given_it(outputs, longest):
    inputs = {"input_mask": tf.constant(MASK), "input_type_ids": tf.constant(TYPES)}
    found = best_joint_spans({n: tf.constant(x) for n, x in outputs.items()}, inputs, longest)
    assert tuple(found) == SPAN_ROWS
    end_log_probs = tf.nn.log_softmax(outputs["end_logits"]).numpy()
    for row, context in enumerate(CONTEXTS):
        beam = outputs["start_top_index"][row].tolist()
        scores = {
            (i, j): outputs["start_top_log_probs"][row, beam.index(i)]
            + end_log_probs[row, beam.index(i), j]
            for i, j in itertools.product(context, context)
            if i <= j < i + longest
        }
        best = max(scores, key=scores.get)
        assert (found["span_first"][row], found["span_last"][row]) == best
        np.testing.assert_allclose(found["span_score"][row], scores[best], rtol=1e-6)
    np.testing.assert_array_equal(found["null_score"], -outputs["answerable_logits"])
