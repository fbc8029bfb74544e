"""The functions on tensors, compared with the original and with statistics."""

import hypothesis
import hypothesis.strategies as st
import numpy as np
import pytest
import tensorflow as tf
import tf_keras

from official_nlp import randomness
from official_nlp.modeling import ops
from official_nlp.randomness import Key


@pytest.fixture(scope="module")
def original(repository):
    """Inputs and outputs of the functions of the original."""
    with np.load(repository / "tests/golden/google_helpers/expected.npz") as arrays:
        return dict(arrays)


# === Activations ===
@pytest.mark.parametrize(
    ("name", "at_one"),
    [("gelu", 0.8413447), ("gelu_new", 0.8411920), ("relu", 1.0), ("tanh", 0.7615942), (None, 1.0)],
)
def test_activations_are_those_of_hugging_face(name, at_one):
    np.testing.assert_allclose(ops.activation(name)(tf.constant(1.0)), at_one, atol=1e-6)


def test_an_activation_may_be_a_function():
    assert ops.activation(tf.math.square) is tf.math.square


def test_an_unknown_activation_raises():
    with pytest.raises(ValueError, match="no_such_activation"):
        ops.activation("no_such_activation")


def test_gelu_is_exact_without_an_operation_that_converters_lack():
    x = tf.linspace(-6.0, 6.0, 101)
    np.testing.assert_allclose(ops.gelu(x), tf.nn.gelu(x), atol=1e-6)
    graph = tf.function(ops.gelu).get_concrete_function(x).graph
    assert "Erfc" not in {operation.type for operation in graph.get_operations()}
    assert ops.gelu(tf.cast(x, tf.bfloat16)).dtype == tf.bfloat16


@pytest.mark.parametrize("name", ["gelu", "gelu_new", None])
def test_activations_can_be_serialized(name):
    config = tf_keras.activations.serialize(ops.activation(name))
    again = tf_keras.activations.get(config)
    np.testing.assert_array_equal(again(tf.constant(0.7)), ops.activation(name)(tf.constant(0.7)))


def test_a_copied_initializer_draws_other_values():
    ours = tf_keras.initializers.TruncatedNormal(stddev=0.3)
    copy = ops.copy_initializer(ours)
    assert copy is not ours
    assert copy.get_config() == ours.get_config()


# === Shapes ===
def test_static_sizes_are_integers():
    found = []

    @tf.function(input_signature=[tf.TensorSpec([None, 3])])
    def trace(x):
        found.extend(ops.shape_list(x))
        return x

    trace.get_concrete_function()
    assert isinstance(found[0], tf.Tensor)
    assert found[1] == 3
    assert ops.shape_list(tf.zeros([2, 5])) == [2, 5]


# === Dropout ===
def dropped(x, rate, first_row=0):
    with randomness.stream(Key(3), first_row):
        return ops.apply_dropout(x, rate, training=True)


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.5, None), (0.0, True)])
def test_without_training_or_rate_dropout_returns_its_input(rate, training):
    x = tf.ones([2, 3])
    assert ops.apply_dropout(x, rate, training) is x


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_rate_and_preserves_the_mean(rate):
    result = dropped(tf.ones([200, 501]), rate).numpy()
    deviation = (rate * (1 - rate) / result.size) ** 0.5
    assert abs(np.mean(result == 0) - rate) < 5 * deviation
    np.testing.assert_allclose(result[result > 0], 1 / (1 - rate), rtol=1e-4)


@pytest.mark.parametrize("dtype", [tf.float32, tf.bfloat16, tf.float16])
def test_dropout_preserves_the_dtype_and_has_the_same_mask_in_each(dtype):
    result = dropped(tf.ones([4, 5, 6], dtype), 0.3)
    assert result.dtype == dtype
    np.testing.assert_array_equal(result == 0, dropped(tf.ones([4, 5, 6]), 0.3) == 0)


def test_dropout_of_parts_equals_dropout_of_the_batch():
    x = tf.ones([5, 3, 7])
    parts = [dropped(x[:2], 0.5, first_row=10), dropped(x[2:], 0.5, first_row=12)]
    np.testing.assert_array_equal(tf.concat(parts, 0), dropped(x, 0.5, first_row=10))


def test_dropout_under_xla_is_equal_bit_by_bit_for_any_batch_size():
    @tf.function(input_signature=[tf.TensorSpec([None, 3, 5])])
    def graph(x):
        return dropped(x, 0.4)

    x = tf.constant(np.random.default_rng(0).normal(size=[6, 3, 5]), tf.float32)
    expected = dropped(x, 0.4)
    compiled = tf.function(lambda x: dropped(x, 0.4), jit_compile=True)
    np.testing.assert_array_equal(graph(x), expected)
    np.testing.assert_array_equal(compiled(x), expected)


def test_dropout_blocks_the_gradient_of_dropped_elements():
    x = tf.Variable(tf.ones([3, 4]))
    with tf.GradientTape() as tape:
        result = dropped(x, 0.5)
    np.testing.assert_array_equal(tape.gradient(result, x), result)


# === Gather and scatter ===
def test_gather_equals_the_original(original):
    for ids, expected in (("seq", "gather2d"), ("seqf", "gather3d")):
        gathered = ops.gather_positions(original[ids], original["pos"])
        np.testing.assert_array_equal(gathered, original[expected])


def test_scatter_with_averages_equals_the_original(original):
    positions = original["pos"]
    scattered = ops.scatter_tokens(
        original["seq"], positions, original["upd"], positions != 0, average_duplicates=True
    )
    np.testing.assert_array_equal(scattered, original["scatter2d"])


def test_corrupted_inputs_equal_the_original(original):
    active = original["fake_masked_lm_weights"] > 0
    places = original["fake_masked_lm_positions"]

    def scatter(ids, updates):
        return ops.scatter_tokens(ids, places, updates, active, average_duplicates=True)

    unmasked = scatter(original["fake_masked_input_ids"], original["fake_masked_lm_ids"])
    np.testing.assert_array_equal(unmasked, original["fake_original_ids"])
    corrupted = scatter(unmasked, original["fake_sampled_tokids"])
    np.testing.assert_array_equal(corrupted, original["fake_updated_input_ids"])
    np.testing.assert_array_equal(corrupted != unmasked, original["fake_is_fake_tokens"])


SCATTERED = [
    # ids, positions, updates, active, expected
    ("nothing active", [1, 2, 3], [0, 1], [8, 9], [0, 0], [1, 2, 3]),
    ("position 0 counts when active", [1, 2, 3], [0, 2], [8, 9], [1, 1], [8, 2, 9]),
    ("the first of two counts", [1, 2, 3], [1, 1], [8, 9], [1, 1], [1, 8, 3]),
    ("the first active one counts", [1, 2, 3], [1, 1], [8, 9], [0, 1], [1, 9, 3]),
    ("the last position", [1, 2, 3], [2, 2], [8, 9], [1, 0], [1, 2, 8]),
    ("token 0", [1, 2, 3], [1, 0], [0, 5], [1, 0], [1, 0, 3]),
]


@pytest.mark.parametrize("case", SCATTERED, ids=[case[0] for case in SCATTERED])
@pytest.mark.parametrize("dtype", [np.int32, np.int64])
@pytest.mark.parametrize("jit_compile", [None, True])
def test_scatter_writes_the_first_active_update_of_a_position(case, dtype, jit_compile):
    _, ids, positions, updates, active, expected = case
    # A second example without updates shows that examples do not affect each other.
    ids, expected = dtype([ids, [4, 5, 6]]), [expected, [4, 5, 6]]
    active = np.array([active, [0, 0]], bool)
    function = tf.function(ops.scatter_tokens, jit_compile=True) if jit_compile else None
    function = function or ops.scatter_tokens
    result = function(ids, np.int32([positions] * 2), np.int32([updates] * 2), active)
    np.testing.assert_array_equal(result, expected)
    assert result.dtype == dtype


def test_scatter_works_with_dynamic_shapes():
    ints = tf.TensorSpec([None, None], tf.int32)

    @tf.function(input_signature=[ints, ints, ints, tf.TensorSpec([None, None], tf.bool)])
    def scatter(*arguments):
        return ops.scatter_tokens(*arguments)

    result = scatter([[1, 2, 3]], [[1, 2]], [[7, 8]], [[True, True]])
    np.testing.assert_array_equal(result, [[1, 7, 8]])


# === Packed sequences ===
@st.composite
def packed_rows(draw):
    """Draw sequences of a few documents with arbitrary numbers, followed by padding."""
    rows = []
    for _ in range(draw(st.integers(1, 3))):
        numbers = draw(st.lists(st.integers(1, 2**31 - 1), max_size=4, unique=True))
        lengths = [draw(st.integers(1, 3)) for _ in numbers]
        rows.append(np.repeat(np.int64(numbers), lengths))
    longest = max([1, *(len(row) for row in rows)])
    ids = np.zeros([len(rows), longest], draw(st.sampled_from([np.int32, np.int64])))
    for row, written in zip(ids, rows):
        row[: len(written)] = written
    return ids


@hypothesis.given(packed_rows())
def test_packed_positions_restart_and_the_mask_is_block_diagonal(ids):
    positions, mask = ops.packed_positions(ids).numpy(), ops.packed_attention_mask(ids).numpy()
    assert (positions.dtype, mask.dtype) == (np.int32, bool)
    for b, row in enumerate(ids):
        expected, place = np.zeros([len(row), len(row)], bool), 0
        for number in dict.fromkeys(row[row > 0]):
            length = np.sum(row == number)
            block = slice(place, place + length)
            expected[block, block] = True
            np.testing.assert_array_equal(positions[b, block], np.arange(length))
            place += length
        np.testing.assert_array_equal(mask[b], expected)
        assert not positions[b, place:].any()


def test_packed_sequences_work_with_dynamic_shapes_and_xla():
    ids = np.int32([[4, 4, 9, 9, 9, 0], [1, 1, 1, 1, 1, 1]])

    def both(ids):
        return ops.packed_positions(ids), ops.packed_attention_mask(ids)

    expected = both(ids)
    dynamic = tf.function(both, input_signature=[tf.TensorSpec([None, None], tf.int32)])
    for run in (dynamic, tf.function(both, jit_compile=True)):
        for got, want in zip(run(tf.constant(ids)), expected):
            np.testing.assert_array_equal(got, want)


# === Sampling ===
def sampled(logits, draws=20_000, seed=1, **options):
    """Return the frequency of each token among many draws from one distribution `[V]`."""
    logits = np.broadcast_to(np.float32(logits), [draws // 10, 10, len(logits)])
    if "disallowed" in options:
        options["disallowed"] = np.full(logits.shape[:2], options["disallowed"])
    drawn = ops.sample_tokens(logits, Key(seed), **options)
    assert drawn.dtype == tf.int32
    return np.bincount(drawn.numpy().ravel(), minlength=logits.shape[-1])


def chi_square(counts, probabilities):
    """Return Pearson's statistic over the possible tokens."""
    possible = probabilities > 0
    assert counts[~possible].sum() == 0
    expected = probabilities[possible] * counts.sum()
    return np.sum((counts[possible] - expected) ** 2 / expected)


def softmax(logits):
    powers = np.exp(logits - np.max(logits))
    return powers / powers.sum()


LOGITS = np.array([0.0, 1.0, 2.0, -1.0, 0.5])
# With 4 degrees of freedom one sample in 100,000 is above 28.
LIMIT = 28


@pytest.mark.parametrize("temperature", [0.5, 1.0, 3.0])
def test_tokens_are_drawn_with_softmax_probabilities(temperature):
    counts = sampled(LOGITS, temperature=temperature)
    assert chi_square(counts, softmax(LOGITS / temperature)) < LIMIT


@pytest.mark.parametrize("disallowed", range(5))
def test_a_disallowed_token_is_never_drawn_and_others_keep_their_ratios(disallowed):
    probabilities = softmax(LOGITS)
    probabilities[disallowed] = 0
    counts = sampled(LOGITS, disallowed=disallowed)
    assert chi_square(counts, probabilities / probabilities.sum()) < LIMIT


@pytest.mark.parametrize("disallowed", [0, 2, 4])
def test_other_tokens_are_drawn_fairly_if_a_certain_one_is_disallowed(disallowed):
    logits = np.zeros(5)
    logits[disallowed] = 30
    probabilities = np.full(5, 0.25)
    probabilities[disallowed] = 0
    assert chi_square(sampled(logits, disallowed=disallowed), probabilities) < LIMIT


def test_frequencies_equal_those_of_the_original(original):
    for name, options in (("sample_freq", {}), ("sample_freq_disallow2", {"disallowed": 2})):
        shares = sampled(original["sample_logits"], **options) / 20_000
        # Both are estimates from 20,000 draws: five standard deviations of their difference.
        np.testing.assert_allclose(shares, original[name], atol=0.025)


@pytest.mark.parametrize("impossible", [[0], [4], [1, 2], [0, 3, 4]])
def test_a_token_of_probability_zero_is_never_drawn(impossible):
    logits = LOGITS.copy()
    logits[impossible] = -np.inf
    assert chi_square(sampled(logits), softmax(logits)) < LIMIT


def test_the_largest_random_number_draws_the_last_possible_token(monkeypatch):
    monkeypatch.setattr(randomness, "uniform", lambda key, shape, row: tf.fill(shape, 1 - 2.0**-24))
    # Totals a little above and below 1, and a token of probability 0 at the end.
    logits = np.random.default_rng(0).normal(size=[1, 500, 50]).astype(np.float32)
    logits[..., 48:] = -np.inf
    drawn = ops.sample_tokens(logits, Key(1)).numpy()
    assert drawn.max() == 47
    assert drawn.min() > 40


def test_unused_slots_may_disallow_anything():
    drawn = ops.sample_tokens(tf.zeros([1, 3, 4]), Key(1), disallowed=[[-100, 3, 0]])
    assert drawn.shape == [1, 3]


@pytest.mark.parametrize("disallow", [False, True])
def test_graphs_and_xla_draw_the_same_tokens_as_eager_execution(disallow):
    logits = tf.constant(np.random.default_rng(1).normal(size=[8, 5, 100]), tf.float32)
    options = {"disallowed": tf.argmax(logits, axis=-1)} if disallow else {}

    def sample(logits):
        return ops.sample_tokens(logits, Key(5), first_row=3, temperature=0.7, **options)

    expected = sample(logits)
    np.testing.assert_array_equal(tf.function(sample)(logits), expected)
    np.testing.assert_array_equal(tf.function(sample, jit_compile=True)(logits), expected)
    rows = ops.sample_tokens(logits[4:], Key(5), 7, 0.7, **{k: v[4:] for k, v in options.items()})
    np.testing.assert_array_equal(rows, expected[4:])


@pytest.mark.parametrize("dtype", [tf.bfloat16, tf.float16])
def test_sampling_computes_in_float32(dtype):
    logits = tf.cast(tf.random.stateless_normal([4, 5, 300], [1, 2]), dtype)  # noqa: TID251
    expected = ops.sample_tokens(tf.cast(logits, tf.float32), Key(2))
    np.testing.assert_array_equal(ops.sample_tokens(logits, Key(2)), expected)


def test_no_gradient_flows_through_a_sample():
    logits = tf.Variable(tf.zeros([1, 2, 3]))
    with tf.GradientTape() as tape:
        drawn = tf.cast(ops.sample_tokens(logits, Key(1)), tf.float32)
    assert tape.gradient(drawn, logits) is None
