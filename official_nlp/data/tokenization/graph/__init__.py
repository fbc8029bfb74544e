"""Tokenizers made of TensorFlow operations, for `tf.data` and SavedModels."""
