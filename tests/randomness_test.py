"""Random bits are a function of seed and position, for any batch, replica and executor."""

import threading

import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.modeling import layers, ops
from official_nlp.randomness import Key

KEY = Key(17).fold(3, 1)


def bits(key=KEY, shape=(4, 6), first_row=0):
    return randomness.random_bits(key, list(shape), first_row).numpy()


# === Bits ===
def philox(seed, salt, block):
    """Return the four words of one block of Philox4x32-10, as its authors define it."""
    counter = [block & 0xFFFFFFFF, block >> 32, salt & 0xFFFFFFFF, salt >> 32]
    low, high = seed & 0xFFFFFFFF, seed >> 32
    for _ in range(10):
        one, other = counter[0] * 0xD2511F53, counter[2] * 0xCD9E8D57
        counter = [
            (other >> 32) ^ counter[1] ^ low,
            other & 0xFFFFFFFF,
            (one >> 32) ^ counter[3] ^ high,
            one & 0xFFFFFFFF,
        ]
        low, high = (low + 0x9E3779B9) & 0xFFFFFFFF, (high + 0xBB67AE85) & 0xFFFFFFFF
    return counter


@pytest.mark.parametrize("first_row", [0, 5, 2**33 + 1])
def test_bits_are_those_of_philox_with_the_salt_above_the_row(first_row):
    key = Key(2**63 + 12345).fold(2)
    drawn = bits(key, [2, 6], first_row)
    for i, row in enumerate(drawn):
        blocks = [philox(key.seed, key.salt, 2 * (first_row + i) + part) for part in (0, 1)]
        np.testing.assert_array_equal(row, np.uint32(blocks[0] + blocks[1])[:6])


def test_the_salt_of_a_place_never_changes():
    # A run started by an older version must continue with the same numbers.
    assert Key(1).fold(3, 1).salt == 0xEFFD886C6554360C


@pytest.mark.parametrize("words", [1, 3, 4, 5, 17])
def test_parts_of_a_batch_have_the_bits_of_the_batch(words):
    whole = bits(shape=[7, words], first_row=100)
    parts = [bits(shape=[2, words], first_row=100), bits(shape=[5, words], first_row=102)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)


def test_a_row_does_not_depend_on_the_shape_of_a_row_of_as_many_words():
    np.testing.assert_array_equal(bits(shape=[2, 3, 4]).reshape(2, 12), bits(shape=[2, 12]))


def test_one_axis_is_one_word_per_row():
    np.testing.assert_array_equal(bits(shape=[5]), bits(shape=[5, 1])[:, 0])


@pytest.mark.parametrize("jit_compile", [False, True])
@pytest.mark.parametrize("first_row", [0, 2**40 + 3])
def test_graph_and_xla_give_the_bits_of_eager(jit_compile, first_row):
    @tf.function(jit_compile=jit_compile)
    def draw(first_row):
        drawn = randomness.random_bits(KEY, [3, 7], first_row)
        return drawn, tf.bitcast(drawn, tf.uint16), randomness.to_uniform(drawn)

    drawn, halves, uniform = draw(tf.constant(first_row, tf.int64))
    eager = bits(shape=[3, 7], first_row=first_row)
    np.testing.assert_array_equal(drawn, eager)
    np.testing.assert_array_equal(halves, eager.view(np.uint16).reshape(3, 7, 2))
    np.testing.assert_array_equal(uniform, randomness.to_uniform(tf.constant(eager)))


def test_the_number_of_rows_and_the_seed_may_be_tensors():
    @tf.function(input_signature=[tf.TensorSpec([], tf.int32), tf.TensorSpec([], tf.uint64)])
    def draw(rows, seed):
        return randomness.random_bits(Key(seed).fold(3, 1), [rows, 6], 4)

    np.testing.assert_array_equal(draw(5, 17), bits(shape=[5, 6], first_row=4))


def test_neighbouring_rows_with_large_numbers_differ_and_overlap_correctly():
    far = 2**40
    rows = bits(shape=[3, 5], first_row=far)
    assert len({row.tobytes() for row in rows}) == 3
    np.testing.assert_array_equal(bits(shape=[2, 5], first_row=far + 1), rows[1:])


def test_unequal_keys_give_unrelated_bits():
    keys = [
        Key(1),
        Key(2),
        Key(1).fold(0),
        Key(1).fold(1),
        Key(1).fold(0, 0),
        Key(1).fold(0, 1),
        Key(1).fold(1, 0),
        Key(1).fold(-1),
        Key(-1),
    ]
    ones = [np.unpackbits(bits(key, [64, 32]).view(np.uint8)) for key in keys]
    for i, one in enumerate(ones):
        for other in ones[:i]:
            # 65,536 fair coins: 0.02 is ten standard deviations.
            assert abs(np.mean(one == other) - 0.5) < 0.02


def test_equal_folds_give_equal_keys():
    assert Key(1).fold(2).fold(3) == Key(1).fold(2, 3)
    assert Key(1).fold(2, 3) != Key(1).fold(3, 2)


def test_all_32_bits_are_fair():
    drawn = bits(shape=[1000, 40])
    ones = np.unpackbits(drawn.view(np.uint8)).reshape(-1, 32).mean(axis=0)
    np.testing.assert_allclose(ones, 0.5, atol=0.0125)  # five standard deviations


def test_uniform_lies_in_the_unit_interval_with_its_mean_and_variance():
    drawn = randomness.uniform(KEY, [1000, 200]).numpy()
    assert drawn.dtype == np.float32
    assert 0 <= drawn.min() < 1e-4
    assert 1 - 1e-4 < drawn.max() < 1
    assert abs(drawn.mean() - 0.5) < 5 * (1 / 12 / drawn.size) ** 0.5
    assert abs(drawn.var() - 1 / 12) < 1e-3


def test_uniform_of_the_largest_bits_is_below_one():
    extremes = tf.constant([0, 255, 256, 2**32 - 1], tf.uint32)
    np.testing.assert_array_equal(
        randomness.to_uniform(extremes), np.float32([0, 0, 2**-24, 1 - 2**-24])
    )


# === The stream ===
def test_draws_are_numbered_by_their_order():
    with randomness.stream(KEY, 5):
        first, second = randomness.draw([6], 2), randomness.draw([6], 2)
    with randomness.stream(KEY, 5):
        again = randomness.draw([6], 2)
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, second)


def test_a_scope_with_an_explicit_place_does_not_change_others():
    def drawn(with_third):
        with randomness.stream(KEY):
            if with_third:
                with randomness.scope(2):
                    randomness.draw([4], 1)
            with randomness.scope():
                by_order = randomness.draw([4], 1).numpy()
            with randomness.scope(1):
                by_place = randomness.draw([4], 1).numpy()
        return by_order, by_place

    np.testing.assert_array_equal(drawn(True), drawn(False))


def test_places_and_orders_scopes_and_draws_never_share_a_key():
    keys = []
    with randomness.stream(KEY):
        for place in (0, 1, None, 0, None):
            with randomness.scope(place):
                keys += [randomness.next_key()[0], randomness.next_key()[0]]
        keys.append(randomness.next_key()[0])
    # The scope 0 was opened twice, and is the same both times.
    assert len(keys) == 11
    assert len(set(keys)) == 9


def test_a_scope_outside_training_changes_nothing():
    with randomness.stream(KEY), randomness.scope(training=False):
        inside = randomness.draw([4], 1)
    with randomness.stream(KEY):
        np.testing.assert_array_equal(inside, randomness.draw([4], 1))


@pytest.mark.parametrize("as_given", [int, tf.constant])
def test_one_row_may_be_several_rows_inside_a_scope(as_given):
    rows = as_given(3)

    def drawn(first_row, count):
        with randomness.stream(KEY, first_row), randomness.scope(rows=rows):
            return randomness.draw([6], 3 * count)

    parts = [drawn(2**40, 1), drawn(2**40 + 1, 2)]
    np.testing.assert_array_equal(tf.concat(parts, axis=0), drawn(2**40, 3))
    with randomness.stream(KEY, 3 * 2**40), randomness.scope():
        np.testing.assert_array_equal(randomness.draw([6], 9), drawn(2**40, 3))


def test_a_stream_ends_with_its_block_even_after_an_error():
    def fails():
        with randomness.stream(Key(9)):
            raise ZeroDivisionError

    with randomness.stream(KEY):
        with pytest.raises(ZeroDivisionError):
            fails()
        inside = randomness.draw([4], 1)
    np.testing.assert_array_equal(inside, randomness.random_bits(KEY.fold(0), [1, 4]))


def test_threads_do_not_see_each_others_stream():
    both_open = threading.Barrier(2)
    drawn = {}

    def work(seed):
        with randomness.stream(Key(seed)):
            both_open.wait()
            drawn[seed] = randomness.draw([4], 2).numpy()
            both_open.wait()

    threads = [threading.Thread(target=work, args=[seed]) for seed in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for seed in (1, 2):
        np.testing.assert_array_equal(drawn[seed], bits(Key(seed).fold(0), [2, 4]))


@pytest.mark.parametrize("jit_compile", [None, False, True])
def test_outside_a_stream_every_call_draws_different_bits(jit_compile):
    def draw():
        with randomness.scope(), randomness.scope(3):
            return randomness.draw([4], 2), randomness.draw([4], 2)

    function = draw if jit_compile is None else tf.function(draw, jit_compile=jit_compile)
    drawn = [x.numpy().tobytes() for _ in range(2) for x in function()]
    assert len(set(drawn)) == 4


@pytest.mark.parametrize("jit_compile", [False, True])
def test_dynamic_sizes_give_the_same_bits(jit_compile):
    @tf.function(input_signature=[tf.TensorSpec([None, None])], jit_compile=jit_compile)
    def draw(x):
        rows, columns = tf.unstack(tf.shape(x))
        return randomness.random_bits(KEY, [rows, columns, 3], 2**40)

    np.testing.assert_array_equal(draw(tf.zeros([2, 7])), bits(KEY, [2, 7, 3], 2**40))


# === Layers and models ===
@pytest.fixture(scope="module")
def block():
    """A layer with all its dropouts, and inputs for four rows."""
    made = layers.TransformerEncoderBlock(
        2, 16, "gelu", output_dropout=0.3, attention_dropout=0.3, inner_dropout=0.3
    )
    inputs = tf.constant(np.random.default_rng(0).normal(size=[4, 5, 8]), tf.float32)
    made(inputs)
    return made, inputs


def called(layer, inputs, first_row=0):
    with randomness.stream(KEY, first_row):
        return layer(inputs, training=True)


def test_a_compiled_block_takes_its_key_as_an_argument(block):
    layer, inputs = block

    @tf.function(jit_compile=True)
    def compiled(inputs, seed, first_row):
        with randomness.stream(Key(seed, KEY.salt), first_row):
            return layer(inputs, training=True)

    for seed in (17, 18):
        with randomness.stream(Key(seed, KEY.salt), 2):
            expected = layer(inputs, training=True)
        actual = compiled(inputs, tf.constant(seed, tf.uint64), tf.constant(2, tf.int64))
        np.testing.assert_allclose(actual, expected, rtol=1e-5, atol=1e-5)


def test_recomputation_uses_the_same_dropout_mask(block):
    layer, inputs = block
    recomputed_calls = []

    def gradients(recompute):
        with randomness.stream(KEY, 7), tf.GradientTape() as tape:
            place = randomness.next_key()

            def run(x):
                recomputed_calls.append(recompute)
                with randomness.stream(*place):
                    return layer(x, training=True)

            # A second stream is open while the gradient runs: the block must not read it.
            outputs = (tf.recompute_grad(run) if recompute else run)(inputs)
            loss = tf.reduce_sum(outputs * tf.cast(tf.range(8), tf.float32))
        with randomness.stream(Key(99)):
            return [outputs, *tape.gradient(loss, layer.trainable_variables)]

    expected = gradients(recompute=False)
    actual = gradients(recompute=True)
    assert recomputed_calls.count(True) == 2
    for want, got in zip(expected, actual):
        np.testing.assert_allclose(got, want, rtol=1e-5, atol=1e-6)


def test_a_functional_model_draws_from_the_stream(block):
    layer, inputs = block
    symbolic = tf_keras.Input([5, 8])
    model = tf_keras.Model(symbolic, layer(symbolic))
    np.testing.assert_array_equal(called(model, inputs), called(layer, inputs))
    halves = [called(model, inputs[:2], 0), called(model, inputs[2:], 2)]
    np.testing.assert_allclose(np.concatenate(halves), called(layer, inputs), atol=1e-6)


def test_fit_uses_a_different_dropout_mask_in_every_step():
    seen = []

    class Dropping(tf_keras.layers.Layer):
        def call(self, inputs, training=None):
            with randomness.scope():
                return ops.apply_dropout(inputs, 0.5, training)

    class Remembering(tf_keras.Model):
        def train_step(self, data):
            tf.py_function(  # noqa: TID251  a test may look
                lambda x: seen.append(x.numpy().tobytes()), [self(data, training=True)], []
            )
            return {}

    model = Remembering(*[(x := tf_keras.Input([64])), Dropping()(x)])
    model.compile()
    model.fit(tf.data.Dataset.from_tensors(tf.ones([2, 64])).repeat(4), verbose=0)
    assert len(seen) == 4 == len(set(seen))


@pytest.fixture(scope="module")
def served(block, tmp_path_factory):
    """The layer's SavedModel, with a signature that trains and one that does not."""
    layer, _ = block
    # Once a program has set TensorFlow's global seed, every stateful operation holds one.
    tf.random.set_seed(None)  # noqa: TID251
    module = tf.Module()
    module.layer = layer
    signature = [tf.TensorSpec([None, 5, 8])]
    module.train = tf.function(lambda x: layer(x, training=True), input_signature=signature)
    module.infer = tf.function(lambda x: layer(x, training=False), input_signature=signature)
    folder = str(tmp_path_factory.mktemp("saved"))
    with randomness.stream(KEY):  # an open stream must not be baked in
        module.infer.get_concrete_function()
    tf.saved_model.save(module, folder)
    return tf.saved_model.load(folder)


def test_a_saved_model_draws_different_bits_in_every_call_and_only_in_training(served, block):
    layer, inputs = block
    assert not np.array_equal(served.train(inputs), served.train(inputs))
    np.testing.assert_allclose(served.infer(inputs), layer(inputs), atol=1e-6)


def test_a_saved_model_holds_no_key(served):
    graph = served.train.get_concrete_function(tf.TensorSpec([None, 5, 8])).graph
    operations = _all_operations(graph)
    draws = [op for op in operations if op.type == "RandomUniformInt"]
    assert draws
    assert all(op.get_attr("seed") == op.get_attr("seed2") == 0 for op in draws)
    for op in operations:
        if op.type == "StatelessRandomUniformFullIntV2":
            key = op.inputs[1]
            while key.op.type in ("Reshape", "Bitcast", "Cast", "Identity"):
                key = key.op.inputs[0]
            assert key.op.type == "RandomUniformInt"


def _all_operations(graph):
    """Operations of a loaded graph, with those of the functions it calls."""
    found = list(graph.get_operations())
    for op in list(found):
        if op.type in ("PartitionedCall", "StatefulPartitionedCall"):
            name = op.get_attr("f").name
            found += _all_operations(graph._get_function(name).graph)
    return found
