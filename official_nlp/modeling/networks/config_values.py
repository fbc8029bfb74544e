"""Serialization of configuration values that JSON cannot hold: classes, functions, layers.

A network of the user's own parts is rebuilt from their registered names. A file holds only these
names, so that reading it cannot import or run anything.
"""

import inspect
from typing import Any

import tf_keras

from official_nlp.errors import InputError

# Key of the dict that stands for an object. The value is the name under which Keras registered the
# object or its class.
_NAME = "registered"
# The parts of Keras are not registered; their public names identify them.
_KERAS = (
    tf_keras.layers,
    tf_keras.initializers,
    tf_keras.activations,
    tf_keras.regularizers,
    tf_keras.constraints,
)


def encode(value: Any, argument: str) -> Any:
    """Convert a value to what JSON can hold; a value that JSON can hold is returned itself.

    Args:
      value: nested dicts and lists of strings, numbers, classes, functions and Keras objects.
      argument: name of the argument, for the message.

    Raises:
      InputError: the value contains something that is not registered or cannot be serialized.
    """
    if _is_json(value):
        return value
    if isinstance(value, dict):
        return {key: encode(part, f"{argument}[{key!r}]") for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [encode(part, argument) for part in value]
    if inspect.isclass(value) or inspect.isfunction(value):
        return {_NAME: _registered_name(value, argument)}
    # A configuration may hold classes and layers in turn, such as those of a nested network.
    name, config = _registered_name(type(value), argument), _config(value, argument)
    return {_NAME: name, "config": encode(config, f"{argument}: {type(value).__name__}")}


def decode(value: Any, custom_objects: dict[str, Any] | None = None) -> Any:
    """Invert `encode`: find classes and functions by name, and build new layers and networks.

    Args:
      value: result of `encode`.
      custom_objects: classes and functions by name, in addition to the registered ones.

    Raises:
      InputError: a name is not registered.
    """
    if isinstance(value, (list, tuple)):
        parts = [decode(part, custom_objects) for part in value]
        # Unchanged values keep their type (a tuple) and identity.
        return value if all(a is b for a, b in zip(parts, value)) else parts
    if not isinstance(value, dict):
        return value
    if _NAME not in value:
        return {key: decode(part, custom_objects) for key, part in value.items()}
    found = _find(value[_NAME], custom_objects)
    if found is None:
        raise InputError(
            f"{value[_NAME]!r} is not registered: import the module that defines it before you "
            "load the network"
        )
    if "config" not in value:
        return found
    # `from_config` of a class may look up names itself, as that of a nested Keras model does.
    with tf_keras.saving.custom_object_scope(custom_objects or {}):
        return found.from_config(decode(value["config"], custom_objects))


def _is_json(value: Any) -> bool:
    if isinstance(value, dict):
        return all(isinstance(key, str) and _is_json(part) for key, part in value.items())
    if isinstance(value, (list, tuple)):
        return all(_is_json(part) for part in value)
    return value is None or isinstance(value, (bool, int, float, str))


def _registered_name(value: Any, argument: str) -> str:
    """Return the name under which `decode` finds a class or function."""
    name = tf_keras.saving.get_registered_name(value)
    # `tf_keras.Model` of symbolic tensors creates an instance of a subclass without public name.
    found = _find(name)
    if found is not value and not (found is tf_keras.Model and issubclass(value, found)):
        raise InputError(
            f"{argument} contains {value.__name__}, which is not registered: decorate it with "
            "@tf_keras.utils.register_keras_serializable(package=...), so that a saved network "
            "finds it, or save only the weights, with tf.train.Checkpoint"
        )
    return name


def _config(value: Any, argument: str) -> dict[str, Any]:
    """Return the configuration of an object.

    Raises:
      InputError: `get_config` raised.
    """
    get_config = value.get_config
    if type(value).get_config is tf_keras.Model.get_config:
        # The default of models returns an empty dict instead of raising as layers do.
        get_config = super(tf_keras.Model, value).get_config
    try:
        return get_config()
    except Exception as error:
        raise InputError(
            f"{argument} cannot be serialized: {type(value).__name__}.get_config() raised "
            f"{type(error).__name__}; define get_config() to return the constructor's arguments"
        ) from error


def _find(name: str, custom_objects: dict[str, Any] | None = None) -> Any:
    """Return the registered object or the Keras class of this name; None if there is none."""
    found = tf_keras.saving.get_registered_object(name, custom_objects=custom_objects)
    # The class of functional models is not public; a `tf_keras.Model` is built from its config.
    if found is None and name == "Functional":
        return tf_keras.Model
    return found or next((getattr(part, name) for part in _KERAS if hasattr(part, name)), None)
