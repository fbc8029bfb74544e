"""The configuration of a model for Triton, and models that it cannot serve."""

import pytest

from official_nlp.errors import InputError
from official_nlp.inference.predictor import Predictor
from official_nlp.modeling import models
from official_nlp.serving import heads, triton_config
from official_nlp.serving.export_model import export
from tests.inference.conftest import config
from tests.serving.export_model_test import written
from tests.serving.formats.network_file_test import networks, quick  # noqa: F401

REGRESSION = """\
platform: "onnxruntime_onnx"
max_batch_size: 64
input [
  { name: "input_mask" data_type: TYPE_INT32 dims: [ -1 ] },
  { name: "input_type_ids" data_type: TYPE_INT32 dims: [ -1 ] },
  { name: "input_word_ids" data_type: TYPE_INT32 dims: [ -1 ] }
]
output [
  { name: "logits" data_type: TYPE_FP32 dims: [ 1 ] }
]
"""


def test_a_configuration_lies_beside_the_versions(predictor, tmp_path, quick):  # noqa: F811
    for format in ("onnx", "onnx-int8"):
        export(predictor("regression"), tmp_path, format, triton=True)
    assert written(tmp_path) == ["1", "2", "config.pbtxt"]
    assert (tmp_path / "config.pbtxt").read_text() == REGRESSION


def test_axes_other_than_the_batch_and_outputs_without_any_are_described(tokenizer):
    of = Predictor(models.ElectraForJointQuestionAnswering(config()), tokenizer)
    found = triton_config.configuration(heads.served_networks(of.head, of.parts))
    for line in (
        '{ name: "answerable_logits" data_type: TYPE_FP32 dims: [ 1 ] reshape: { shape: [ ] } }',
        '{ name: "end_logits" data_type: TYPE_FP32 dims: [ -1, -1 ] }',
        '{ name: "start_top_index" data_type: TYPE_INT32 dims: [ -1 ] }',
    ):
        assert line in found


def test_another_configuration_is_not_replaced(predictor, tmp_path, quick):  # noqa: F811
    (tmp_path / "config.pbtxt").write_text("mine")
    with pytest.raises(InputError, match=r"config.pbtxt must be that of this model, but differs"):
        export(predictor("regression"), tmp_path, "onnx", triton=True)
    assert written(tmp_path) == ["config.pbtxt"]


def test_formats_that_triton_does_not_load_are_refused(predictor, tmp_path):
    for format in ("saved_model", "litert"):
        with pytest.raises(InputError, match=f"onnx and onnx-int8, got {format}"):
            export(predictor("regression"), tmp_path, format, triton=True)
    assert written(tmp_path) == []


def test_a_pair_is_refused():
    with pytest.raises(InputError, match="this has generator and discriminator"):
        triton_config.configuration({"generator": None, "discriminator": None})
