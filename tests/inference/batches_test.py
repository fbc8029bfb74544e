import numpy as np
import pytest
import tensorflow as tf

from official_nlp.errors import InputError
from official_nlp.inference.batches import BatchRunner, TokenSequence


class Recorder:
    """Stands in for a network: sums the ids, and records the shapes that it is traced for."""

    def __init__(self):
        self.shapes = []

    def __call__(self, batch, factor=1):
        self.shapes.append(tuple(batch["input_word_ids"].shape))
        mask = batch["input_mask"]
        total = tf.reduce_sum(batch["input_word_ids"] * mask, axis=1) * factor
        return {"total": total, "types": tf.reduce_sum(batch["input_type_ids"], axis=1), **batch}


def sequences(*lengths):
    return [TokenSequence(np.arange(1, length + 1)) for length in lengths]


def test_results_come_in_the_order_of_the_sequences():
    runner = BatchRunner(Recorder(), pad_token_id=9, length=64, batch_size=4)
    lengths = [3, 40, 17, 3, 64, 5, 33]
    results = runner.run(sequences(*lengths))
    assert [int(each["total"]) for each in results] == [n * (n + 1) // 2 for n in lengths]


def test_few_shapes_are_traced():
    network = Recorder()
    runner = BatchRunner(network, pad_token_id=0, length=50, batch_size=8)
    for count in (1, 2, 3, 4, 5, 8, 9, 20):
        runner.run(sequences(*[5 + i % 2 for i in range(count)]))
    assert sorted(network.shapes) == [(1, 16), (4, 16), (8, 16)]
    runner.run(sequences(16, 17, 32, 33, 50))
    assert set(network.shapes[3:]) == {(1, 32), (4, 32), (1, 50), (4, 50)} - {(1, 32), (1, 50)}


def test_sequences_are_padded_and_masked():
    runner = BatchRunner(Recorder(), pad_token_id=9, length=64, batch_size=4)
    (result,) = runner.run([TokenSequence([5, 6, 7], [0, 1, 1], position=2)])
    assert result["input_word_ids"].tolist() == [5, 6, 7] + [9] * 13
    assert result["input_mask"].tolist() == [1] * 3 + [0] * 13
    assert result["input_type_ids"].tolist() == [0, 1, 1] + [0] * 13
    assert result["masked_lm_positions"].tolist() == [2]


def test_sequences_of_exact_lengths_are_not_padded():
    network = Recorder()
    runner = BatchRunner(network, 9, length=64, batch_size=4, exact_lengths=True)
    results = runner.run(sequences(3, 7, 3))
    assert [len(each["input_word_ids"]) for each in results] == [3, 7, 3]
    assert set(network.shapes) == {(1, 7), (4, 3)}


def test_options_reach_the_network():
    network = Recorder()
    runner = BatchRunner(network, pad_token_id=0, length=16, batch_size=1)
    totals = [int(runner.run(sequences(2), factor=f)[0]["total"]) for f in (1, 5, 1)]
    assert totals == [3, 15, 3]
    assert len(network.shapes) == 2


def test_no_sequences_give_no_results():
    assert BatchRunner(Recorder(), 0, length=16, batch_size=1).run([]) == []


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_outputs_that_are_not_finite_are_refused(value):
    runner = BatchRunner(lambda batch: {"logits": tf.constant([value])}, 0, 16, 1)
    with pytest.raises(InputError, match="the model's logits are not finite"):
        runner.run(sequences(2))
