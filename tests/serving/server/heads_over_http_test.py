"""Every exported head answers requests that are merged into one batch as the predictor does."""

import asyncio
import json

import httpx
import numpy as np
import pytest
import tensorflow as tf

from official_nlp.serving.comparison import is_close
from official_nlp.serving.server import monitoring
from official_nlp.serving.server.application import Service
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.model_version import ModelVersion
from official_nlp.serving.server.repository import Repository

QUESTIONS = [
    {"question": "old boat?", "context": "The red boat walks a green river. The old bird sings."},
    {"question": "a", "context": "stone"},
]
CHOICES = [
    {"text": "The red boat", "choices": ["walks", "a green bird sings"]},
    {"text": "a", "choices": ["stone", "old"]},
]
# Texts of several lengths: a short one must not see the padding of a long one.
TEXTS = [
    {"text": "The red boat."},
    {"text": "A green-old bird's boat walks a river - a 中文 stone!"},
    {"text": ""},
]
BLANKS = [{"text": "the [MASK] boat"}, {"text": "___ bird [MASK] a ______ stone"}]
REQUESTS = {
    "classification": {"serving_default": TEXTS},
    "tokens": {"serving_default": TEXTS},
    "questions": {"serving_default": QUESTIONS},
    "choices": {"serving_default": CHOICES},
    "pair": {"serving_default": TEXTS, "fill_blanks": BLANKS},
}


async def answers(folder, signature, instances):
    """Return the predictions of requests with one instance each, and the number of batches."""
    limits, metrics = Limits(batch_wait=0.5), monitoring.Metrics()
    repository = Repository(
        [folder], ModelVersion, limits, lambda *_, **__: None, metrics.observe_batch
    )
    await repository.start()
    transport = httpx.ASGITransport(Service(repository, limits, metrics).application())
    async with httpx.AsyncClient(transport=transport, base_url="http://test") as client:
        found = await asyncio.gather(
            *(
                client.post(
                    f"/v1/models/{folder.name}:predict",
                    json={"signature_name": signature, "instances": [each]},
                )
                for each in instances
            )
        )
        batches = (await client.get("/metrics")).text
    await repository.close()
    assert {each.status_code for each in found} == {200}
    assert f'electra_batch_rows_count{{model="{folder.name}"}} 1.0' in batches
    return [each.json()["predictions"][0] for each in found]


def as_outputs(prediction):
    """Return a prediction as the outputs of a batch of one."""
    arrays = {name: np.array([value]) for name, value in prediction.items()}
    return {n: a.astype(object) if a.dtype.kind == "U" else a for n, a in arrays.items()}


def as_input(name, instance):
    if name == "questions":
        return (instance["question"], instance["context"])
    return instance if name == "choices" else instance["text"]


@pytest.mark.slow
@pytest.mark.parametrize("name", REQUESTS)
@pytest.mark.filterwarnings("ignore:.* truncated")
def test_merged_requests_have_the_answers_of_the_predictor(served, predictor, tmp_path, name):
    head, signatures = served(name)
    folder = tmp_path / name
    tf.saved_model.save(head, str(folder / "1"), signatures=signatures)
    for signature, instances in REQUESTS[name].items():
        found = asyncio.run(answers(folder, signature, instances))
        expected = predictor(name)([as_input(name, each) for each in instances])
        for instance, one, other in zip(instances, found, expected):
            (result,) = head.results(as_outputs(one))
            assert is_close(result, other.to_dict(), 1e-4), json.dumps(instance)
