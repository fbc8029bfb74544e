"""A model card states what is known about a network, and what is not."""

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
    "loss_weights": {"mlm": 1.0, "rtd": 50.0},
}
SETTINGS = {
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
    "reference_quirks": {"average_duplicates": False, "bias_correction": True},
}
TRAINING = model_card.Training(
    step=1200,
    last_step=1200,
    settings=SETTINGS,
    phases=[
        PHASE,
        {**PHASE, "steps": 10, "length": 512, "data": "fed", "mask_probability": 0.25},
    ],
    masking={"probability": 0.15, "replaced": 0.85},
    sharing="shared",
    data={"name": "wikipedia", "train": 1_000_000, "held_out": 10_000, "length": 128},
    data_hash="abc",
    vocabulary={"kind": "wordpiece", "size": 30522, "lower_case": True, "hash": "def"},
    metrics={"step": 1000, "mlm_loss": 2.5, "rtd_auc": float("nan"), "rtd_loss": None},
    warm_start={},
    versions={"tensorflow": "2.20.0"},
)


def card(network="discriminator", **changes):
    training = dataclasses.replace(TRAINING, **changes)
    return model_card.write_card(network, CONFIG, 13_500_000, training)


@pytest.mark.parametrize(
    "part",
    [
        "| parameters | 13,500,000 |",
        "| training examples | 1,000,000 |",
        "| phase 1 | 90 steps of 1,024 sequences of 128 tokens; loss weights: masked language "
        "modelling 1, replaced token detection 50 |",
        "| phase 2 | 10 steps of 1,024 sequences of 512 tokens",
        "replaced token detection 50; predicted tokens: 0.25; its own examples, hash `fed` |",
        "| predicted tokens | 0.15 of the tokens, of which 0.85 are replaced by [MASK] |",
        "| vocabulary | wordpiece, 30,522 tokens, lower-cased |",
        "at step 1,000",
        "| rtd_auc | - |",
        "| rtd_loss | - |",
        "All variables were initialized randomly.",
    ],
)
def test_the_card_has_tables_with_readable_numbers(part):
    assert part in card()


def test_unknown_data_and_metrics_are_declared_unknown():
    text = card(data={}, metrics={})
    assert "| name | not recorded |" in text
    assert "| training examples | not recorded |" in text
    assert "No evaluation on the held-out set was recorded" in text


def test_reproduced_quirks_of_the_reference_are_listed():
    assert "| reference quirks | none |" in card()
    quirks = {"average_duplicates": True, "bias_correction": False}
    text = card(settings={**SETTINGS, "reference_quirks": quirks})
    assert "| reference quirks | average_duplicates=True, bias_correction=False |" in text


@pytest.mark.parametrize("sharing", ["shared", "word_only", "untied", "whole", "gdes"])
def test_the_card_states_what_the_networks_share(sharing):
    assert "The two networks share " in card(sharing=sharing)


def test_a_sentencepiece_model_has_no_tokenizer_in_transformers():
    text = card(vocabulary={**TRAINING.vocabulary, "kind": "sentencepiece"})
    assert "ElectraTokenizerFast" not in text
    assert "Transformers has no ELECTRA tokenizer for a SentencePiece model." in text


def test_a_warm_start_is_recorded_without_paths_of_the_machine():
    origin = {"path": "a/b", "kind": "huggingface", "sha256": "012", "loaded": 7}
    text = card(warm_start={"discriminator": origin})
    assert "- discriminator: from huggingface, `b` (sha256 of the tensors `012`), 7 tensors" in text
    assert "- generator: randomly, except for shared variables" in text


def test_a_run_without_clipping_is_recorded_as_such():
    assert "gradients clipped to norm 1 |" in card()
    assert "gradients not clipped |" in card(settings={**SETTINGS, "clip": None})


def test_whole_word_masking_is_stated():
    assert "0.15 of the whole words" in card(masking={**TRAINING.masking, "whole_word": True})


def test_a_checkpoint_before_the_last_step_is_recorded_as_such():
    assert "| steps | 1,200 of 5,000 planned |" in card(last_step=5000)
