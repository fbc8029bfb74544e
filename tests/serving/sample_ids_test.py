"""Networks are tried with batches of several sizes and lengths."""

import numpy as np

from official_nlp.serving import heads
from official_nlp.serving.sample_ids import sample_ids


def samples(predictor, name, part=""):
    of = predictor(name)
    network = heads.served_networks(of.head, of.parts)[part]
    return of, sample_ids(network, of.parts[part].config, of.tokenizer, of.length)


def test_batches_have_sequences_with_and_without_padding(predictor):
    of, batches = samples(predictor, "tokens")
    shapes = [batch["input_word_ids"].shape for batch in batches]
    assert shapes == [(1, 8), (3, 16), (2, 32), (5, 32), (1, 32)]
    for batch in batches:
        ids, mask = batch["input_word_ids"], batch["input_mask"]
        sizes = mask.sum(axis=1)
        assert sizes[0] == ids.shape[1]
        assert {array.dtype for array in batch.values()} == {np.dtype(np.int32)}
        assert (ids[:, 0] == of.tokenizer.cls_token_id).all()
        assert (ids[np.arange(len(ids)), sizes - 1] == of.tokenizer.sep_token_id).all()
        assert (ids[mask == 0] == of.tokenizer.pad_token_id).all()
        types = batch["input_type_ids"]
        assert set(np.unique(types)) == {0, 1}
        assert not types[mask == 0].any()
    assert any((batch["input_mask"] == 0).any() for batch in batches)


def test_samples_are_the_same_in_every_call(predictor):
    _, batches = samples(predictor, "tokens")
    _, again = samples(predictor, "tokens")
    for one, other in zip(batches, again):
        np.testing.assert_equal(one, other)


def test_generators_get_positions_and_choosers_choices(predictor):
    _, batches = samples(predictor, "generator")
    assert [batch["masked_lm_positions"].shape for batch in batches][:2] == [(1, 1), (3, 2)]
    assert batches[0].keys() == {"input_word_ids", "input_mask", "masked_lm_positions"}
    _, batches = samples(predictor, "choices")
    assert [batch["input_mask"].shape for batch in batches][:2] == [(1, 1, 8), (3, 3, 16)]
