"""What the two networks have in common, in each mode."""

import pytest

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


@pytest.mark.parametrize(("mode", "count"), [("shared", 5), ("word_only", 1), ("untied", 0)])
def test_a_mode_shares_its_variables_and_no_others(mode, count):
    first, second = pair(mode)
    assert len(common(first, second)) == count
    tables = first.get_embedding_table(), second.get_embedding_table()
    assert (tables[0] is tables[1]) == (mode != "untied")


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


def test_an_unknown_mode_is_refused():
    with pytest.raises(InputError, match="one of shared, word_only, untied, whole, was 'all'"):
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
