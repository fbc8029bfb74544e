"""Serialization of classes, functions and layers in a configuration."""

import json

import pytest
import tf_keras

from official_nlp.errors import InputError
from official_nlp.modeling import layers, ops
from official_nlp.modeling.networks.config_values import decode, encode


def _through_json(value):
    return decode(json.loads(json.dumps(encode(value, "hidden_cfg"))))


@pytest.mark.parametrize("value", [None, 3, 0.5, "gelu", [1, ["a"]], {"a": {"b": [True]}}])
def test_json_values_are_returned_unchanged(value):
    assert encode(value, "hidden_cfg") is value
    assert decode(value) is value or value == decode(value)
    assert _through_json(value) == value


def test_classes_and_functions_are_found_by_name():
    value = {
        "cls": layers.SelfAttentionMask,
        "activations": [ops.gelu_new, tf_keras.activations.relu],
        "dense": tf_keras.layers.Dense,
    }
    assert _through_json(value) == value


def test_layers_and_initializers_are_rebuilt():
    value = [layers.SpanHead(name="spans"), tf_keras.initializers.RandomNormal(stddev=0.1)]
    head, initializer = _through_json(value)
    assert isinstance(head, layers.SpanHead)
    assert head is not value[0]
    assert head.get_config() == value[0].get_config()
    assert initializer.get_config() == value[1].get_config()


def test_a_functional_model_is_rebuilt():
    x = tf_keras.Input([4], name="x")
    model = tf_keras.Model(x, tf_keras.layers.Dense(2)(x))
    again = _through_json(model)
    assert again.input_names == ["x"]
    assert again.count_params() == model.count_params()


def test_an_unregistered_part_raises():
    class Homemade(tf_keras.layers.Layer):
        pass

    for value in (Homemade, Homemade(), [Homemade]):
        with pytest.raises(
            InputError, match="hidden_cls contains Homemade, which is not registered"
        ):
            encode(value, "hidden_cls")
    with pytest.raises(InputError, match=r"hidden_cfg\['act'\] contains <lambda>, which is not"):
        encode({"act": lambda x: x}, "hidden_cfg")


@tf_keras.utils.register_keras_serializable(package="tests")
class _Shy(tf_keras.layers.Layer):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)
        self.secret = secret


@tf_keras.utils.register_keras_serializable(package="tests")
class _ShyModel(tf_keras.Model):
    def __init__(self, secret, **kwargs):
        super().__init__(**kwargs)
        self.secret = secret


@pytest.mark.parametrize("cls", [_Shy, _ShyModel])
def test_a_layer_without_configuration_raises(cls):
    with pytest.raises(InputError, match=rf"hidden_cls cannot be serialized: {cls.__name__}"):
        encode(cls(lambda x: x), "hidden_cls")


def test_an_unregistered_name_raises():
    with pytest.raises(InputError, match="'other>Block' is not registered: import the module"):
        decode({"hidden_cls": {"registered": "other>Block"}})


def test_custom_objects_may_be_given_for_loading():
    class Homemade(tf_keras.layers.Layer):
        pass

    assert decode({"registered": "Homemade"}, {"Homemade": Homemade}) is Homemade
