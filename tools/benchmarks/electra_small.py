"""The sizes of ELECTRA-Small, for our models and those of others."""

VOCABULARY, POSITIONS = 30522, 512
WIDTH, EMBEDDING, LAYERS, HEADS, INNER = 256, 128, 12, 4, 1024
# Arguments of our `ElectraConfig`.
SIZES = {
    "vocab_size": VOCABULARY,
    "embedding_size": EMBEDDING,
    "hidden_size": WIDTH,
    "num_hidden_layers": LAYERS,
    "num_attention_heads": HEADS,
    "intermediate_size": INNER,
    "max_position_embeddings": POSITIONS,
}
