"""A checkpoint written by tfnlp's pre-trainer is read, and the result computes the same."""

import dataclasses

import numpy as np
import pytest
import tensorflow as tf

from official_nlp.data.tokenization.tokenizer import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import model_garden, sources, warm_start
from official_nlp.modeling import models, networks, ops
from official_nlp.modeling.models import pretrainer_tensors
from official_nlp.tasks import ElectraPretraining, PretrainingConfig
from tests.data.conftest import VOCABULARY
from tests.modeling import tiny
from tests.parity import sizes, weights

NARROW = {"hidden_size": 8, "heads": 1}


def their_pretrainer(tied=True):
    # Imported here, because the import takes ten seconds in every process that collects tests.
    from official.nlp.modeling import networks as tfnlp  # noqa: TID251
    from official.nlp.modeling.models import electra_pretrainer  # noqa: TID251

    discriminator = sizes.bert_encoder(tfnlp.BertEncoder, dict_outputs=True)
    layer = discriminator.get_embedding_layer() if tied else None
    generator = sizes.bert_encoder(
        tfnlp.BertEncoder, dict_outputs=True, embedding_layer=layer, **NARROW
    )
    model = electra_pretrainer.ElectraPretrainer(
        generator_network=generator,
        discriminator_network=discriminator,
        vocab_size=tiny.VOCABULARY,
        num_classes=3,
        num_token_predictions=tiny.PREDICTIONS,
        mlm_activation=ops.gelu_new,
    )
    model(tiny.batch())
    weights.perturb(model)
    return model


def written(folder, **items):
    return tf.train.Checkpoint(**items).write(str(folder / "ckpt"))


@pytest.fixture(scope="module")
def theirs():
    return their_pretrainer()


def filled(found, sharing):
    """Return our pre-trainer of the configurations and tensors that were read."""
    configs = [
        networks.ElectraConfig.from_dict(found.networks[name].config)
        for name in ("generator", "discriminator")
    ]
    ours = models.ElectraPretrainer.from_config_pair(
        *configs, sharing=sharing, mlm_activation=ops.gelu_new
    )
    for name, network in found.networks.items():
        tensors = {tensor.name: tensor for tensor in pretrainer_tensors.of(ours, name)}
        assert tensors.keys() == network.arrays.keys()
        for key, tensor in tensors.items():
            tensor.assign_hugging_face(network.arrays[key])
    return ours


@pytest.mark.parametrize("tied", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_both_networks_compute_the_same_as_before(tmp_path, theirs, tied):
    model = theirs if tied else their_pretrainer(tied=False)
    slots = {"optimizer": tf.Module(), "global_step": tf.Variable(7)}
    prefix = written(tmp_path, model=model, **slots, **model.checkpoint_items)
    found = model_garden.read_model_garden(prefix)
    ours, batch = filled(found, "word_only" if tied else "untied"), tiny.batch()
    close = {"atol": weights.TOLERANCE, "rtol": weights.TOLERANCE}
    np.testing.assert_allclose(ours(batch)["lm_outputs"], model(batch)["lm_outputs"], **close)
    names = ("input_word_ids", "input_mask", "input_type_ids")
    sequence = model.discriminator_network([batch[name] for name in names])["sequence_output"]
    logits = model.discriminator_head(model.discriminator_projection(sequence))[..., 0]
    mine = ours.discriminate(*[batch[name] for name in names])
    np.testing.assert_allclose(mine, logits, **close)


def test_a_run_is_warm_started_from_the_checkpoint(tmp_path, theirs):
    prefix = written(tmp_path, model=theirs)
    paths = {"generator": str(prefix), "discriminator": str(tmp_path)}
    found = sources.open(prefix)
    assert found.kind == "tfnlp"
    sizes = [networks.ElectraConfig.from_dict(found.networks[x].config) for x in paths]
    # What the file does not say, the recipe does.
    exact = [dataclasses.replace(x, hidden_act="gelu") for x in sizes]
    words = ElectraTokenizer(VOCABULARY)

    def warm_started(sizes, sharing):
        task = ElectraPretraining(PretrainingConfig(*sizes, sharing=sharing))
        return warm_start.WarmStart(paths, task, words)

    with pytest.raises(InputError, match="give SHARING=word_only to keep both"):
        warm_started(exact, "shared")
    first = warm_started(exact, "word_only")
    assert "does not state hidden_act of the generator: the recipe's gelu is" in first.notes[2]
    model, batch, lines = PretrainingConfig(*sizes, sharing="word_only").build(), tiny.batch(), []
    told = warm_started(sizes, "word_only").assign(model, lines.append)
    assert told["generator"]["missing"] == told["discriminator"]["missing"] == []
    model.mlm_activation = model.masked_lm.activation = ops.gelu_new
    np.testing.assert_allclose(
        model(batch)["lm_outputs"],
        theirs(batch)["lm_outputs"],
        atol=weights.TOLERANCE,
        rtol=weights.TOLERANCE,
    )


def test_ignored_variables_are_reported(tmp_path, theirs):
    found = model_garden.read_model_garden(written(tmp_path, model=theirs))
    assert len(found.ignored) == 8  # two poolers and two layers of the sentence head
    assert {name.split("/")[1] for name in found.ignored} == {
        "classification",
        "generator_network",
        "discriminator_network",
    }
    assert found.assumed == ("hidden_act",)
    assert found.vocabulary is None
    config = found.networks["generator"].config
    assert (config["hidden_size"], config["num_attention_heads"]) == (8, 1)
    assert config["hidden_act"] == "gelu_new"


def test_checkpoint_items_for_fine_tuning_hold_a_discriminator_without_head(tmp_path, theirs):
    (tmp_path / "vocab.txt").write_text("")
    found = model_garden.read_model_garden(written(tmp_path, **theirs.checkpoint_items))
    assert list(found.networks) == ["discriminator"]
    assert found.networks["discriminator"].config["architectures"] == ["ElectraModel"]
    assert "it holds no generator" in found.notes
    assert len(found.ignored) == 2
    assert found.vocabulary == tmp_path / "vocab.txt"


def test_weights_saved_by_keras_are_read(tmp_path, theirs):
    theirs.save_weights(str(tmp_path / "weights"))
    found = model_garden.read_model_garden(tmp_path)
    whole = model_garden.read_model_garden(written(tmp_path, model=theirs))
    for name, network in found.networks.items():
        for key, value in network.arrays.items():
            np.testing.assert_array_equal(value, whole.networks[name].arrays[key])


class Bag(tf.Module):
    def __init__(self, **parts):
        super().__init__()
        for name, part in parts.items():
            setattr(self, name, part)


@pytest.mark.parametrize(
    ("items", "message"),
    [
        ({"head": tf.Module()}, "must be a checkpoint of Model Garden's .* it holds head"),
        (
            {name: tf.Module() for name in ("generator", "discriminator", "generator_head")},
            "is the checkpoint of a run: give the run folder",
        ),
        (
            {"model": Bag(discriminator_network=tf.Module(), masked_lm=tf.Module())},
            "networks of type BertEncoder: expected dense, found nothing",
        ),
    ],
)
def test_objects_of_another_model_raise(tmp_path, items, message):
    with pytest.raises(InputError, match=message):
        model_garden.read_model_garden(written(tmp_path, **items))


def test_named_variables_raise(tmp_path):
    tf.raw_ops.SaveV2(
        prefix=str(tmp_path / "old"), tensor_names=["x"], shape_and_slices=[""], tensors=[1.0]
    )
    assert not model_garden.is_object_based(tmp_path / "old")
    with pytest.raises(InputError, match="it holds named variables, as TensorFlow 1 writes them"):
        model_garden.read_model_garden(tmp_path / "old")


def test_a_damaged_file_raises(tmp_path, theirs):
    prefix = written(tmp_path, model=theirs)
    data = tmp_path / "ckpt.data-00000-of-00001"
    data.write_bytes(data.read_bytes()[:2000])
    with pytest.raises(InputError, match=r"is damaged: .* cannot be read; copy it again"):
        model_garden.read_model_garden(prefix)
    (tmp_path / "ckpt.index").write_bytes(b"no index")
    with pytest.raises(InputError, match=r"cannot be read: .*; copy it again"):
        model_garden.read_model_garden(prefix)
