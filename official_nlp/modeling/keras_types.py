"""Types of the arguments that many Keras layers share."""

from collections.abc import Callable, Sequence

import tensorflow as tf
import tf_keras

# A name, a serialized object (a dict) or the object itself: what the `get` functions of Keras
# convert. Only arguments whose default is None may also be None, which each constructor states.
Activation = str | dict | Callable[[tf.Tensor], tf.Tensor]
Initializer = str | dict | tf_keras.initializers.Initializer
Regularizer = str | dict | tf_keras.regularizers.Regularizer
Constraint = str | dict | tf_keras.constraints.Constraint

# The shape that Keras hands to `build`. An axis whose size is unknown is None.
Shape = tf.TensorShape | Sequence[int | None]
# A size, known when the graph is traced or only when it runs.
Size = int | tf.Tensor
