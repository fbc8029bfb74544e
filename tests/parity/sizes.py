"""The tiny networks of `tests/modeling/tiny.py` as encoders of tfnlp and of this project."""

from official_nlp.modeling import ops
from tests.modeling import tiny


def config(**changes):
    """Return our configuration with the default activation of tfnlp's encoder."""
    return tiny.without_dropout(hidden_act="gelu_new", **changes)


def bert_encoder(cls, embedding_size=8, hidden_size=16, heads=2, **options):
    """Return tfnlp's encoder of the same sizes."""
    return cls(
        vocab_size=tiny.VOCABULARY,
        hidden_size=hidden_size,
        num_layers=2,
        num_attention_heads=heads,
        max_sequence_length=tiny.LENGTH,
        type_vocab_size=2,
        inner_dim=32,
        inner_activation=ops.gelu_new,
        output_dropout=0.0,
        attention_dropout=0.0,
        embedding_width=embedding_size,
        **options,
    )


def without_pooler(encoder) -> list:
    """Return the weights of the encoder without the last two, the kernel and bias of the pooler."""
    *rest, kernel, bias = encoder.get_weights()
    assert kernel.shape == (16, 16)
    assert bias.shape == (16,)
    return rest
