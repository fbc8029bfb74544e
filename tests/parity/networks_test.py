"""Our encoder is tfnlp's `BertEncoder` without the pooler, which nothing in ELECTRA reads."""

import numpy as np
import pytest
import tensorflow as tf
from official.nlp.modeling import networks as tfnlp  # noqa: TID251

from official_nlp.modeling import networks
from tests.modeling import tiny
from tests.parity import sizes, weights


@pytest.mark.parametrize("embedding_size", [8, 16])
@pytest.mark.parametrize("version", ["BertEncoder", "BertEncoderV2"])
def test_electra_encoder_computes_what_berts_does_but_for_its_pooler(embedding_size, version):
    options = {"dict_outputs": True} if version == "BertEncoder" else {}
    theirs = sizes.bert_encoder(getattr(tfnlp, version), embedding_size=embedding_size, **options)
    ours = networks.ElectraEncoder(sizes.config(embedding_size=embedding_size))
    names = ("input_word_ids", "input_mask", "input_type_ids")
    batch = {name: tiny.batch()[name] for name in names}
    theirs(batch)
    weights.perturb(theirs)
    ours.set_weights(sizes.without_pooler(theirs))

    def outputs(network):
        made = network(batch)
        return [made["sequence_output"], *made["encoder_outputs"]]

    theirs_variables = theirs.variables[:-2]
    mine = weights.run(lambda _: outputs(ours), [], ours.variables)
    others = weights.run(lambda _: outputs(theirs), [], theirs_variables)
    weights.compare(mine, others)
    np.testing.assert_array_equal(ours.get_embedding_table(), theirs.get_embedding_table())
    assert isinstance(theirs.get_embedding_table(), tf.Variable)
