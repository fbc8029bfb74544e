"""Values of a configuration that are no text: classes, functions, layers and networks.

A network made of a user's parts is made again from their registered names. A name is all that a
file holds: it cannot make its reader import anything.
"""

import inspect

import tf_keras

from official_nlp.errors import InputError

_NAME = "registered"
_KERAS = (
    tf_keras.layers,
    tf_keras.initializers,
    tf_keras.activations,
    tf_keras.regularizers,
    tf_keras.constraints,
)


def encode(value, argument: str):
    """Returns the value as JSON has it; what is text already is returned itself.

    Args:
      value: nested dicts and lists of text, numbers, classes, functions and Keras objects.
      argument: name of the argument, for the message.

    Raises:
      InputError: something is not registered, or cannot be made again; says what.
    """
    if _is_text(value):
        return value
    if isinstance(value, dict):
        return {key: encode(part, f"{argument}[{key!r}]") for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(part, argument) for part in value]
    if inspect.isclass(value) or inspect.isfunction(value):
        return {_NAME: _registered_name(value, argument)}
    name, made_of = _registered_name(type(value), argument), _arguments(value, argument)
    return {_NAME: name, "config": encode(made_of, f"{argument}: {type(value).__name__}")}


def decode(value, custom_objects=None):
    """Returns what `encode` was given: text itself, layers and networks anew.

    Raises:
      InputError: a name is not registered.
    """
    if isinstance(value, (list, tuple)):
        parts = [decode(part, custom_objects) for part in value]
        return value if all(a is b for a, b in zip(parts, value)) else parts
    if not isinstance(value, dict):
        return value
    if _NAME not in value:
        return {key: decode(part, custom_objects) for key, part in value.items()}
    found = _find(value[_NAME], custom_objects)
    if found is None:
        raise InputError(
            f"{value[_NAME]!r} is not registered: import the module that defines it before the "
            "network is loaded"
        )
    if "config" not in value:
        return found
    with tf_keras.saving.custom_object_scope(custom_objects or {}):
        return found.from_config(decode(value["config"], custom_objects))


def _is_text(value):
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_text(part) for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_text(part) for part in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _registered_name(value, argument):
    name = tf_keras.saving.get_registered_name(value)
    # What tf_keras.Model makes of symbolic tensors is of a class that has no public name.
    found = _find(name)
    if found is not value and not (found is tf_keras.Model and issubclass(value, found)):
        raise InputError(
            f"{argument} holds {value.__name__}, which is not registered: decorate it with "
            "@tf_keras.utils.register_keras_serializable(package=...), that a saved network may "
            "find it; or keep the weights alone, with tf.train.Checkpoint"
        )
    return name


def _arguments(value, argument):
    """Returns the configuration of an object."""
    get_config = value.get_config
    if type(value).get_config is tf_keras.Model.get_config:
        # That of a model is empty where it should say that there is none.
        get_config = super(tf_keras.Model, value).get_config
    try:
        return get_config()
    except Exception as error:
        raise InputError(
            f"{argument} cannot be made again: {type(value).__name__}.get_config() raised "
            f"{type(error).__name__}; write one that returns the arguments of the constructor"
        ) from error


def _find(name, custom_objects=None):
    found = tf_keras.saving.get_registered_object(name, custom_objects=custom_objects)
    if found is None and name == "Functional":
        return tf_keras.Model
    return found or next((getattr(part, name) for part in _KERAS if hasattr(part, name)), None)
