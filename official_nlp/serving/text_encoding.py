"""From strings to the inputs of a network, in a graph."""

import tensorflow as tf

from official_nlp.data import ElectraTokenizer, GraphTokenizer

# Bytes of a text that are read. A sequence has 512 tokens, so that no text of a language is cut by
# this, and a request of any size costs bounded time and memory.
MOST_BYTES = 1 << 18


class TextEncoding(tf.Module):
    """The tokenizer of a model in a graph, with the length of its sequences.

    Attributes:
      graph: the tokenizer in the graph.
      tokenizer: the tokenizer in Python.
      length: largest number of tokens in a sequence, special tokens included.

    Args:
      tokenizer: tokenizer of the model.
      length: the largest number of tokens.
    """

    def __init__(self, tokenizer: ElectraTokenizer, length: int):
        super().__init__()
        self.graph = GraphTokenizer(tokenizer)
        # A tuple of one hides the tokenizer from `tf.Module`, which would try to save it.
        self._python = (tokenizer,)
        self.length = length

    @property
    def tokenizer(self) -> ElectraTokenizer:
        """The tokenizer in Python."""
        return self._python[0]

    def encode(
        self, texts: tf.Tensor, pairs: tf.Tensor | None = None
    ) -> tuple[dict[str, tf.Tensor], tf.Tensor]:
        """Return the inputs of a network, and which sequences do not hold their whole text.

        Args:
          texts: strings `[batch]`.
          pairs: second texts `[batch]`, where an empty string is none; or None.

        Returns:
          int32 `[batch, length of the longest sequence]` by the names of the inputs, padded on the
          right as `Predictor` does; and bool `[batch]`.
        """
        texts, cut = self.bounded(texts)
        if pairs is not None:
            pairs, cut_pairs = self.bounded(pairs)
            cut |= cut_pairs
        sequences, truncated = self.graph.truncated(texts, pairs, self.length)
        return self.padded(sequences["input_ids"], sequences["token_type_ids"]), truncated | cut

    def bounded(self, texts: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        """Return the first bytes of texts as valid UTF-8, and which texts have more of them."""
        sizes = tf.strings.length(texts)
        most = tf.fill(tf.shape(texts), MOST_BYTES)
        # A tokenizer that truncates on the left keeps the end of a text.
        keeps_end = self.tokenizer.truncation_side == "left"
        starts = tf.maximum(sizes - most, 0) if keeps_end else tf.zeros_like(sizes)
        texts = tf.strings.substr(texts, starts, most)
        return tf.strings.unicode_transcode(texts, "UTF-8", "UTF-8"), sizes > most

    def padded(
        self, ids: tf.RaggedTensor, type_ids: tf.RaggedTensor | None = None
    ) -> dict[str, tf.Tensor]:
        """Return the inputs of a network for ragged sequences; without types, all are 0."""
        return {
            "input_word_ids": dense(ids, self.tokenizer.pad_token_id),
            "input_mask": dense(tf.ones_like(ids)),
            "input_type_ids": dense(tf.zeros_like(ids) if type_ids is None else type_ids),
        }

    def framed(self, pieces: tf.RaggedTensor) -> tf.RaggedTensor:
        """Return [CLS] pieces [SEP] for each text."""
        cls = tf.fill([pieces.nrows(), 1], self.tokenizer.cls_token_id)
        sep = tf.fill([pieces.nrows(), 1], self.tokenizer.sep_token_id)
        return tf.concat([cls, pieces, sep], 1)


def dense(values: tf.RaggedTensor, fill: float = 0) -> tf.Tensor:
    """Return rows padded to the longest one, or to one column, which a batch of no rows needs."""
    padded = values.to_tensor(fill)
    missing = tf.maximum(1 - tf.shape(padded)[1], 0)
    return tf.pad(padded, [[0, 0], [0, missing]], constant_values=fill)
