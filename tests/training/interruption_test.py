import os
import signal
import subprocess
import sys
import threading

import pytest

from official_nlp.training.interruption import StopRequest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request_and_handlers_are_put_back(number):
    before = signal.getsignal(number)
    stop = StopRequest()
    with stop.watched():
        assert not stop.made
        os.kill(os.getpid(), number)
        assert stop.made
    assert signal.getsignal(number) is before


def test_the_second_ctrl_c_interrupts_at_once():
    with StopRequest().watched():
        os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_the_answer_comes_while_the_main_thread_is_elsewhere():
    """Python's own handlers would wait for the end of the call."""
    child = """
import os, signal, threading, time
import tensorflow as tf
from official_nlp.training.interruption import StopRequest

stop = StopRequest()
with stop.watched(lambda: print("answered", time.monotonic(), flush=True)):
    @tf.function
    def work():
        return tf.while_loop(lambda i, x: i < 300_000, lambda i, x: (i + 1, x * 1.01), (0, 1.0))
    work.get_concrete_function()

    def send():
        print("sent", time.monotonic(), flush=True)
        os.kill(os.getpid(), signal.SIGTERM)

    threading.Timer(0.2, send).start()
    while not stop.made:
        work()
    print("returned", time.monotonic(), flush=True)
    os.kill(os.getpid(), signal.SIGTERM)
    time.sleep(0.1)
"""
    result = subprocess.run(
        [sys.executable, "-c", child], capture_output=True, text=True, timeout=200, check=True
    )
    lines = [line.split() for line in result.stdout.splitlines()]
    times = {name: float(at) for name, at in lines}
    assert [name for name, _ in lines] == ["sent", "answered", "returned"]
    waited = times["returned"] - times["sent"]
    assert times["answered"] - times["sent"] < waited / 2


def test_in_another_thread_it_does_not_listen():
    seen = []

    def run():
        with StopRequest().watched():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
