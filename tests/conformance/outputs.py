"""Comparison of outputs by name, independent of the package under test."""

import numpy as np


def flat(outputs, name="") -> dict:
    """Return the tensors of nested outputs by path; a single tensor is named `output`."""
    if isinstance(outputs, dict):
        pairs = outputs.items()
    elif isinstance(outputs, (list, tuple)):
        pairs = enumerate(outputs)
    else:
        return {name or "output": outputs}
    prefix = f"{name}." if name else ""
    return {path: x for k, part in pairs for path, x in flat(part, f"{prefix}{k}").items()}


def assert_close(actual: dict, expected: dict, rtol=1e-4, atol=5e-5):
    """Assert that two results have the same outputs, with equal dtypes and close values."""
    assert actual.keys() == expected.keys()
    for key in expected:
        want, got = np.asarray(expected[key]), np.asarray(actual[key])
        assert want.dtype == got.dtype, key
        if want.dtype.kind == "f":
            np.testing.assert_allclose(got, want, rtol=rtol, atol=atol, err_msg=key)
        else:
            np.testing.assert_array_equal(got, want, err_msg=key)


def same(one: dict, other: dict) -> bool:
    """Return whether all outputs are equal bit by bit."""
    return all(np.array_equal(one[key], other[key]) for key in one)
