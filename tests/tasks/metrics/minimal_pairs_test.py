"""Preferences between the sentences of minimal pairs."""

import pytest

from official_nlp.errors import InputError
from official_nlp.tasks.metrics.minimal_pairs import preference_table


def test_the_table_has_all_pairs_and_each_category_and_ties_count_half():
    found = preference_table(
        scores_good=[-1.0, -2.0, -3.0, -4.0],
        scores_bad=[-2.0, -1.0, -3.0, -9.0],
        categories=["number", "gender", "number", "gender"],
    )
    assert found == {"accuracy": 0.625, "gender_accuracy": 0.5, "number_accuracy": 0.75}
    assert list(found) == ["accuracy", "gender_accuracy", "number_accuracy"]


def test_rows_that_do_not_fit_are_refused():
    with pytest.raises(InputError, match="scores_bad has 1, categories has 2"):
        preference_table([1.0, 2.0], [1.0], ["a", "b"])
