"""Warm-up requests are what TensorFlow Serving reads."""

import pytest
import tensorflow as tf

from official_nlp.serving import warmup


def records(folder) -> list[bytes]:
    return [each.numpy() for each in tf.data.TFRecordDataset(str(folder / warmup.FILE))]


def test_a_request_has_the_bytes_of_the_message():
    # Written by tensorflow-serving-api 2.20.0.
    expected = (
        b"2,\n*\n\x10\n\x07reviews\x1a\x05pairs"
        b"\x12\x16\n\x04text\x12\x0e\x08\x07\x12\x04\x12\x02\x08\x02B\x01aB\x01b"
    )
    assert warmup.prediction_log("reviews", "pairs", {"text": ["a", "b"]}) == expected


def test_a_record_is_written_for_each_signature(tmp_path):
    warmup.write(tmp_path, "m", {"serving_default": {"text": ["a"]}, "pairs": {"text": ["b"]}})
    assert records(tmp_path) == [
        warmup.prediction_log("m", "serving_default", {"text": ["a"]}),
        warmup.prediction_log("m", "pairs", {"text": ["b"]}),
    ]


def test_an_export_has_a_request_for_each_signature_of_strings(exported):
    found = records(exported / "served/1")
    for name, record in zip(("serving_default", "pairs"), found, strict=True):
        assert name.encode() in record
        assert b"The old bridge was closed for two years." in record


@pytest.mark.slow
def test_the_package_of_tensorflow_serving_reads_the_requests(tmp_path):
    reason = "the message is defined by tensorflow-serving-api: pip install it"
    logs = pytest.importorskip("tensorflow_serving.apis.prediction_log_pb2", reason=reason)
    long = "字" * 70_000  # Sizes have one to three groups of bits.
    request = {"text": ["a", "é"], "choices": [["a", "b"], ["", long]]}
    warmup.write(tmp_path, "m" * 200, {"serving_default": request})
    (record,) = records(tmp_path)
    log = logs.PredictionLog.FromString(record)
    assert log.WhichOneof("log_type") == "predict_log"
    found = log.predict_log.request
    assert found.model_spec.name == "m" * 200
    assert found.model_spec.signature_name == "serving_default"
    assert log.ByteSize() == len(record), "every byte is of a known field"
    decoded = {key: tf.make_ndarray(each).tolist() for key, each in found.inputs.items()}
    assert decoded == {
        "text": [b"a", "é".encode()],
        "choices": [[b"a", b"b"], [b"", long.encode()]],
    }
