"""Results and outputs are compared exactly, except for small differences of numbers."""

import numpy as np
import pytest

from official_nlp.serving.comparison import differences, is_close


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ({"a": [1.0, "x"]}, {"a": [1.000001, "x"]}, True),
        ({"a": [1.0, "x"]}, {"a": [1.0001, "x"]}, False),
        ({"a": 1.0}, {"b": 1.0}, False),
        ([1.0], [1.0, 1.0], False),
        (2, 2.0, False),
        (1000.0, 1000.001, True),
        ("x", "y", False),
        (float("nan"), float("nan"), False),
    ],
)
def test_results_are_close_if_only_digits_of_floats_differ(one, other, close):
    assert is_close(one, other) is close


# === Outputs of networks ===


def of(one, other):
    """Return the difference of an output."""
    return differences({"x": np.float32(one)}, {"x": np.float32(other)})["x"]


def test_a_difference_is_in_units_of_the_scale_of_the_output():
    found = of([3.0, 4.1], [3.0, 4.0])
    assert found.largest == pytest.approx(0.1)
    assert found.relative == pytest.approx(0.1 / 4)  # The number is larger than the scale.
    assert of([3.1, 4.0], [3.0, 4.0]).relative == pytest.approx(0.1 / np.sqrt(12.5))


def test_a_small_scale_counts_as_one():
    assert of([0.01, 0.02], [0.01, 0.01]).relative == pytest.approx(0.01)


def test_numbers_at_excluded_places_do_not_widen_the_scale():
    assert of([1.01, -1000.0], [1.0, -1000.0]).relative == pytest.approx(0.01)
    assert of([-1000.1, -1000.0], [-1000.0, -1000.0]).relative == pytest.approx(1e-4, rel=1e-3)


@pytest.mark.parametrize(
    ("one", "other"), [([np.nan], [1.0]), ([1.0], [np.nan]), ([1.0], [1.0, 2.0])]
)
def test_what_cannot_be_compared_differs_infinitely(one, other):
    assert of(one, other) == (np.inf, np.inf)


def test_other_names_and_types_differ_infinitely():
    assert differences({"x": np.zeros(1)}, {"y": np.zeros(1)}).keys() == {"x", "y"}
    found = differences({"x": np.zeros(1, np.float32)}, {"x": np.zeros(1, np.int32)})
    assert found["x"].largest == np.inf


def test_no_numbers_do_not_differ():
    assert of([], []) == (0.0, 0.0)


def test_starts_in_another_order_are_compared_by_position():
    ends = np.float32([[[1, 2], [3, 4], [5, 6]]])
    starts = np.int32([[7, 8, 9]])
    scores = np.float32([[0.3, 0.2, 0.2]])
    one = {"start_top_index": starts, "start_top_log_probs": scores, "end_logits": ends}
    swapped = {
        **one,
        "start_top_index": np.int32([[7, 6, 8]]),  # Another start has the score of the last one.
        "end_logits": np.float32([[[1, 2], [9, 9], [3, 4.5]]]),
    }
    found = differences(swapped, one)
    assert found.keys() == {"start_top_log_probs", "end_logits"}
    assert found["end_logits"].largest == pytest.approx(0.5)
    assert found["start_top_log_probs"].largest == 0
