"""What the two networks have in common, in each mode."""

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import models, networks
from official_nlp.modeling.models import sharing
from tests.modeling import tiny


def pair(mode):
    discriminator = tiny.config()
    generator = discriminator if mode == "whole" else tiny.config(hidden_size=8)
    return sharing.build_pair(generator, discriminator, mode)


def common(first, second):
    """Names of the variables that both have, without the network's own name."""
    theirs = {v.ref() for v in second.variables}
    return sorted(
        v.name.split(":")[0].split("/", 1)[-1] for v in first.variables if v.ref() in theirs
    )


@pytest.mark.parametrize(
    ("mode", "count"), [("shared", 5), ("word_only", 1), ("untied", 0), ("gdes", 0)]
)
def test_a_mode_shares_its_variables_and_no_others(mode, count):
    first, second = pair(mode)
    assert len(common(first, second)) == count
    tables = first.get_embedding_table(), second.get_embedding_table()
    assert (tables[0] is tables[1]) == (count > 0)


def test_the_whole_encoder_may_be_both():
    first, second = pair("whole")
    assert first is second


@pytest.mark.parametrize("mode", sharing.MODES)
def test_the_mode_of_two_networks_can_be_seen(mode):
    assert sharing.detect(*pair(mode)) == mode


def test_networks_may_be_in_half_precision():
    first, second = sharing.build_pair(
        tiny.config(), tiny.config(), "shared", dtype="mixed_bfloat16"
    )
    assert first.dtype_policy.name == second.dtype_policy.name == "mixed_bfloat16"


@pytest.mark.parametrize("mode", sharing.MODES)
def test_the_policy_of_a_pre_trainer_is_its_networks_too(mode):
    model = tiny.pretrainer(mode, dtype="mixed_bfloat16")
    again = models.ElectraPretrainer.from_config(model.get_config())
    for one in (model, again):
        for part in (one, one.generator_network, one.discriminator_network.embeddings):
            assert part.dtype_policy.name == "mixed_bfloat16"


def test_an_unknown_mode_is_refused():
    with pytest.raises(
        InputError, match="one of shared, word_only, untied, whole, gdes, was 'all'"
    ):
        sharing.build_pair(tiny.config(), tiny.config(), "all")


def test_one_encoder_of_two_configurations_is_refused():
    with pytest.raises(
        InputError, match=r"different: hidden_size \(8, 16\), vocab_size \(40, 32\)"
    ):
        sharing.build_pair(tiny.config(hidden_size=8, vocab_size=40), tiny.config(), "whole")


def test_one_encoder_of_configurations_that_differ_in_notes_alone_is_built():
    noted = networks.ElectraConfig.from_dict({**tiny.config().to_dict(), "architectures": ["X"]})
    first, second = sharing.build_pair(noted, tiny.config(generator_size=1.0), "whole")
    assert first is second


@pytest.mark.parametrize(
    ("mode", "changes", "message"),
    [
        ("shared", {"embedding_size": 12}, "embedding_width=8 .* had 12"),
        ("shared", {"max_position_embeddings": 16}, "max_length=8 .* had 16"),
        ("word_only", {"embedding_size": 12}, "embedding_width=8, had 32 and 12"),
        ("word_only", {"vocab_size": 40}, "vocab_size=32 .* had 40 and 8"),
    ],
)
def test_tables_of_unequal_sizes_cannot_be_shared(mode, changes, message):
    with pytest.raises(InputError, match=message):
        sharing.build_pair(tiny.config(**changes), tiny.config(), mode)


def test_tables_that_are_not_shared_may_have_unequal_widths():
    sharing.build_pair(tiny.config(embedding_size=12), tiny.config(), "untied")
    sharing.build_pair(tiny.config(max_position_embeddings=16), tiny.config(), "word_only")


@pytest.mark.parametrize("wanted", sharing.MODES)
@pytest.mark.parametrize("given", sharing.MODES)
def test_the_model_refuses_networks_in_another_mode(given, wanted):
    networks_given = pair(given)

    def build():
        return models.ElectraPretrainer(
            *networks_given, tiny.VOCABULARY, 0, tiny.PREDICTIONS, sharing=wanted
        )

    if given == wanted:
        assert build().sharing == wanted
        return
    with pytest.raises(InputError, match=f"sharing='{wanted}' contradicts .* which are '{given}'"):
        build()


def test_the_model_takes_networks_as_they_are_and_knows_their_mode():
    for mode in sharing.MODES:
        made = models.ElectraPretrainer(*pair(mode), tiny.VOCABULARY, 0, tiny.PREDICTIONS)
        assert made.sharing == mode


@pytest.mark.parametrize("mode", sharing.MODES)
def test_what_was_shared_is_shared_again_by_from_config(mode):
    made = tiny.pretrainer(mode)
    again = models.ElectraPretrainer.from_config(made.get_config())
    assert again.sharing == mode
    assert len(again.trainable_variables) == len(made.trainable_variables)
    assert again.masked_lm.table is again.generator_network.get_embedding_table()


# === Gradient-disentangled ===
def test_each_mode_has_its_number_of_variables():
    counts = {}
    for mode in ("shared", "word_only", "untied", "gdes"):
        made = tiny.pretrainer(mode)
        assert len({v.ref() for v in made.variables}) == len(made.variables)
        counts[mode] = len(made.variables)
    # Three tables and the LayerNorm's two: shared by both, or each network's own.
    assert counts["gdes"] == counts["untied"] == counts["word_only"] + 1 == counts["shared"] + 5


def test_differences_start_at_zero_and_both_networks_embeddings_follow_the_generator(batch):
    made = tiny.pretrainer("gdes", dropout=False)
    first, second = made.generator_network, made.discriminator_network
    np.testing.assert_array_equal(second.get_embedding_table(), first.get_embedding_table())
    assert not any(np.any(table) for table in second.embeddings.own.tables)
    before = second(batch["input_word_ids"])["sequence_output"].numpy()
    first.get_embedding_table().assign_add(tf.ones([tiny.VOCABULARY, 8]) * np.arange(8.0))
    np.testing.assert_array_equal(second.get_embedding_table(), first.get_embedding_table())
    assert not np.allclose(second(batch["input_word_ids"])["sequence_output"], before)


def test_disentangled_networks_come_back_joined(tmp_path, batch):
    made = tiny.pretrainer("gdes")
    made.save(tmp_path / "model.keras")
    again = tf_keras.models.load_model(tmp_path / "model.keras")
    for one in (made, again):
        assert one.discriminator_network.embeddings.base is one.generator_network.embeddings
    assert len(again.variables) == len(made.variables)


def test_a_generator_whose_table_is_a_sum_is_refused():
    _, sums = pair("gdes")
    with pytest.raises(TypeError, match=r"must be a variable, .* ElectraEncoder was a EagerTensor"):
        models.ElectraPretrainer(sums, sums, tiny.VOCABULARY, 0, tiny.PREDICTIONS)


def test_a_discriminator_that_leans_on_a_third_network_is_not_disentangled_from_this_one():
    _, sums = pair("gdes")
    other = networks.ElectraEncoder(tiny.config())
    assert sharing.detect(other, sums) == "untied"
