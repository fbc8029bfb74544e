"""Requests are merged, bounded, cancelled, and each gets its own answer."""

import asyncio
import random
import threading

import numpy as np
import pytest

from official_nlp.serving.server import rows
from official_nlp.serving.server.batching import Batcher
from official_nlp.serving.server.limits import Limits
from official_nlp.serving.server.refused import Refused
from tests.serving.server import toy


def texts(*each):
    return {"text": np.array([text.encode() for text in each], object)}


async def submit(batcher, name, inputs):
    with batcher.place():
        return await batcher.submit(name, inputs)


def run(scenario, limits=None, block=None):
    """Run an async function of a batcher and its model, and return its result."""

    async def main():
        model = toy.Toy(block=block)
        batcher = Batcher(model.run, toy.SIGNATURES, None, limits or Limits(batch_wait=0.05))
        try:
            return await asyncio.wait_for(scenario(batcher, model), 20)
        finally:
            if block:
                block.set()
            await batcher.close()

    return asyncio.run(main())


async def until(condition):
    while not condition():
        await asyncio.sleep(0.001)


def test_requests_at_one_time_are_one_batch():
    async def scenario(batcher, model):
        requests = [submit(batcher, "serving_default", texts("a b", "c" * n)) for n in range(5)]
        return await asyncio.gather(*requests), model.calls

    answers, calls = run(scenario)
    assert calls == [10]
    assert [answer["size"].tolist() for answer in answers] == [[3, n] for n in range(5)]


def test_what_arrives_during_a_batch_is_the_next_batch():
    block = threading.Event()

    async def scenario(batcher, model):
        first = asyncio.ensure_future(submit(batcher, "serving_default", texts("a")))
        await until(lambda: model.calls)
        others = [submit(batcher, "serving_default", texts("b")) for _ in range(3)]
        gathered = asyncio.ensure_future(asyncio.gather(*others))
        await until(lambda: batcher.waiting == 3)
        block.set()
        await asyncio.gather(first, gathered)
        return model.calls

    assert run(scenario, block=block) == [1, 3]


@pytest.mark.parametrize(
    ("requests", "calls"),
    [
        # Signatures, and numbers of elements, are not mixed.
        ([("serving_default", texts("a")), ("pairs", {**texts("a"), "text_pair": 1})], [1, 1]),
        ([("numbers", [[1, 2]]), ("numbers", [[1, 2, 3]]), ("numbers", [[3, 4]])], [2, 1]),
        # An output without rows belongs to one request.
        ([("whole", texts("a", "b")), ("whole", texts("c"))], [2, 1]),
    ],
)
def test_only_what_belongs_together_is_merged(requests, calls):
    def inputs(value):
        if isinstance(value, dict):
            return {**value, **({"text_pair": value["text"]} if "text_pair" in value else {})}
        return {"values": np.array(value, np.int32)}

    async def scenario(batcher, model):
        await asyncio.gather(*(submit(batcher, name, inputs(value)) for name, value in requests))
        return model.calls

    assert run(scenario) == calls


def test_a_batch_has_at_most_the_tokens_of_the_limit():
    # 30 bytes are 12 tokens.
    async def scenario(batcher, model):
        await asyncio.gather(
            *(submit(batcher, "serving_default", texts("x" * 30)) for _ in range(5))
        )
        return model.calls

    assert run(scenario, Limits(batch_wait=0.05, batch_tokens=24)) == [2, 2, 1]


def test_a_large_request_is_divided_and_joined():
    async def scenario(batcher, model):
        words = ["one", "one two", "x" * 30, "one two three", ""]
        return await submit(batcher, "serving_default", texts(*words)), model.calls

    answer, calls = run(scenario, Limits(batch_tokens=24))
    assert calls == [2, 2, 1]
    assert answer["num_words"].tolist() == [1, 2, 1, 3, 0]
    assert answer["word"].shape == (5, 3)


def test_many_clients_get_their_own_answers():
    async def client(batcher, seed):
        draw = random.Random(seed)
        for number in range(20):
            own = [f"{seed} {number} {'x ' * draw.randrange(5)}" for _ in range(draw.randint(1, 4))]
            answer = await submit(batcher, "serving_default", texts(*own))
            expected = toy.measured([text.encode() for text in own])
            assert {k: v.tolist() for k, v in answer.items()} == {
                k: v.tolist() for k, v in expected.items()
            }
            await asyncio.sleep(draw.random() / 1000)

    async def scenario(batcher, model):
        await asyncio.gather(*(client(batcher, seed) for seed in range(50)))
        return model.calls

    calls = run(scenario, Limits(batch_wait=0.001, batch_tokens=100))
    assert len(calls) < 1000, "requests were merged"


def test_one_failing_request_does_not_harm_the_others():
    async def scenario(batcher, model):
        requests = [submit(batcher, "serving_default", texts(t)) for t in ("a", "fail", "bc")]
        return await asyncio.gather(*requests, return_exceptions=True)

    first, failed, last = run(scenario)
    assert first["size"].tolist() == [1]
    assert isinstance(failed, RuntimeError)
    assert last["size"].tolist() == [2]


def test_outputs_that_turn_out_to_be_no_rows_are_computed_alone():
    async def main():
        calls = []

        def compute(name, inputs):
            calls.append(len(inputs["text"]))
            return {"size": np.zeros(7, np.int32)}

        batcher = Batcher(compute, toy.SIGNATURES, None, Limits(batch_wait=0.05))
        for _ in range(2):
            requests = [submit(batcher, "serving_default", texts("a")) for _ in range(2)]
            assert [len(a["size"]) for a in await asyncio.gather(*requests)] == [7, 7]
        await batcher.close()
        return calls

    assert asyncio.run(main()) == [2, 1, 1, 1, 1]


def test_a_fault_between_batches_ends_no_later_request(monkeypatch):
    async def scenario(batcher, model):
        with monkeypatch.context() as patch:
            patch.setattr(rows, "divided", lambda *_: 1 // 0)
            requests = [submit(batcher, "serving_default", texts("a")) for _ in range(2)]
            failed = await asyncio.gather(*requests, return_exceptions=True)
        assert [type(each) for each in failed] == [ZeroDivisionError] * 2
        return await submit(batcher, "serving_default", texts("abc"))

    assert run(scenario)["size"].tolist() == [3]


def test_a_full_queue_refuses_and_a_client_that_leaves_frees_its_place():
    block = threading.Event()

    async def scenario(batcher, model):
        running = asyncio.ensure_future(submit(batcher, "serving_default", texts("a")))
        await until(lambda: model.calls)
        leaving = asyncio.ensure_future(submit(batcher, "serving_default", texts("b")))
        await until(lambda: batcher.waiting == 1)
        with pytest.raises(Refused, match="2 requests wait, which is the limit") as refused:
            await submit(batcher, "serving_default", texts("c"))
        assert refused.value.status == 429
        assert refused.value.headers == {"Retry-After": "1"}
        leaving.cancel()
        await until(lambda: batcher.requests == 1)
        assert batcher.waiting == 0
        last = asyncio.ensure_future(submit(batcher, "serving_default", texts("de")))
        await until(lambda: batcher.waiting == 1)
        block.set()
        answer = await last
        await running
        return answer, model.calls

    answer, calls = run(scenario, Limits(queue=2, batch_wait=0), block)
    assert answer["size"].tolist() == [2]
    assert calls == [1, 1], "the request of the client that left was not computed"


def test_closing_waits_for_what_was_accepted():
    block = threading.Event()

    async def scenario(batcher, model):
        request = asyncio.ensure_future(submit(batcher, "serving_default", texts("a")))
        await until(lambda: model.calls)
        closing = asyncio.ensure_future(batcher.close())
        await asyncio.sleep(0.02)
        assert not closing.done()
        block.set()
        await closing
        return (await request)["size"].tolist()

    assert run(scenario, block=block) == [1]
