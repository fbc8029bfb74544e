"""A card says what is known of a network, and of nothing that it is known if it is not."""

import dataclasses

import pytest

from official_nlp.interchange import model_card

CONFIG = {
    "vocab_size": 30522,
    "embedding_size": 128,
    "hidden_size": 256,
    "num_hidden_layers": 12,
    "num_attention_heads": 4,
    "intermediate_size": 1024,
    "max_position_embeddings": 512,
    "hidden_act": "gelu",
}
PHASE = {
    "steps": 90,
    "batch_size": 1024,
    "length": 128,
    "generator_weight": 1.0,
    "discriminator_weight": 50.0,
}
TRAINING = model_card.Training(
    step=1200,
    last_step=1200,
    settings={
        "learning_rate": 5e-4,
        "warmup_steps": 10_000,
        "decay_power": 1.0,
        "beta_1": 0.9,
        "beta_2": 0.999,
        "epsilon": 1e-6,
        "weight_decay": 0.01,
        "clip": 1.0,
        "policy": "float32",
        "seed": 3,
    },
    oddities=(),
    phases=[PHASE, {**PHASE, "steps": 10, "length": 512, "data": "fed"}],
    masking={"probability": 0.15, "replaced": 0.85},
    sharing="shared",
    data={"name": "wikipedia", "train": 1_000_000, "held_out": 10_000, "length": 128},
    data_hash="abc",
    vocabulary={"kind": "wordpiece", "size": 30522, "lower_case": True, "hash": "def"},
    metrics={"step": 1000, "mlm_loss": 2.5, "rtd_auc": float("nan"), "rtd_loss": None},
    initial={},
    versions={"tensorflow": "2.20.0"},
)


def card(network="discriminator", **changes):
    training = dataclasses.replace(TRAINING, **changes)
    return model_card.write_card(network, CONFIG, 13_500_000, training)


def test_numbers_are_for_people():
    text = card()
    for part in (
        "| parameters | 13,500,000 |",
        "| examples | 1,000,000 |",
        "| phase 1 | 90 steps of 1,024 rows of 128 tokens; weights of the losses: generator 1, "
        "discriminator 50 |",
        "| phase 2 | 10 steps of 1,024 rows of 512 tokens",
        "discriminator 50; examples of its own, hash `fed` |",
        "| predicted tokens | 0.15 of the tokens, of which 0.85 become [MASK] |",
        "| vocabulary | wordpiece, 30,522 tokens, lower-cased |",
        "at step 1,000",
        "| rtd_auc | - |",
        "| rtd_loss | - |",
    ):
        assert part in text


def test_only_departures_from_the_right_way_are_named():
    assert "| oddities of the original code | none |" in card()
    text = card(oddities=("average_duplicates", "bias_correction"))
    assert "| oddities of the original code | average_duplicates, bias_correction |" in text


@pytest.mark.parametrize("sharing", ["shared", "word_only", "untied", "whole", "gdes"])
def test_it_says_what_the_networks_share(sharing):
    assert "They share " in card(sharing=sharing)


def test_a_model_of_sentence_pieces_has_no_tokenizer_in_transformers():
    text = card(vocabulary={**TRAINING.vocabulary, "kind": "sentencepiece"})
    assert "ElectraTokenizerFast" not in text
    assert "Transformers has no ELECTRA tokenizer for a SentencePiece model." in text


def test_where_it_began_is_said():
    begun = {"path": "a/b", "kind": "huggingface", "sha256": "012", "loaded": 7}
    text = card(initial={"discriminator": begun})
    assert "- discriminator: huggingface, `b` (sha256 of the tensors `012`), 7 tensors" in text
    assert "- generator: at random, but for what they share" in text


def test_whole_words_are_named():
    assert "0.15 of the whole words" in card(masking={**TRAINING.masking, "whole_word": True})
