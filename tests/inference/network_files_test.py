"""The program that runs a file of a network, and what it must not import."""

import numpy as np
import pytest

from official_nlp.inference import network_files
from tests.serving.conftest import FILES, exported, files  # noqa: F401


@pytest.mark.parametrize("name", FILES)
def test_a_file_has_named_inputs_and_outputs(files, name):  # noqa: F811
    content = (files / name / "1" / FILES[name]).read_bytes()
    network = network_files.open_network(FILES[name], content)
    inputs = sorted((each.name, each.dtype, each.shape) for each in network.inputs)
    assert inputs == [
        (name, "int32", (None, None)) for name in ("input_mask", "input_type_ids", "input_word_ids")
    ]
    assert network.outputs == [("logits", "float32", (None, 3))]
    ones = np.ones([2, 3], np.int32)
    found = network.run({each.name: ones for each in network.inputs})
    assert found["logits"].shape == (2, 3)


def test_a_program_that_imported_this_package_fails(files, tmp_path):  # noqa: F811
    np.savez(tmp_path / "in.npz")
    file = files / "onnx/1/model.onnx"
    with pytest.raises(SystemExit, match="must run without official_nlp, tensorflow, tf_keras"):
        network_files._main(str(file), str(tmp_path / "in.npz"), str(tmp_path / "out.npz"))
    assert not (tmp_path / "out.npz").exists()
