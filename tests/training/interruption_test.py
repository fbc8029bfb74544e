"""Requests to stop by a signal."""

import os
import signal
import threading
import time

import pytest
import tensorflow as tf

from official_nlp.training.interruption import StopRequest


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_is_a_request_and_handlers_are_restored(number):
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


def test_the_answer_comes_while_the_main_thread_is_in_tensorflow():
    """Python's own handlers would wait for the end of the call."""
    times = {}

    def note(name):
        times.setdefault(name, time.monotonic())

    @tf.function
    def work():
        return tf.while_loop(lambda i, x: i < 200_000, lambda i, x: (i + 1, x * 1.01), (0, 1.0))

    work.get_concrete_function()
    stop = StopRequest()
    with stop.watched(lambda: note("answered")):

        def send():
            note("sent")
            os.kill(os.getpid(), signal.SIGTERM)

        threading.Timer(0.2, send).start()
        while not stop.made:
            work()
        note("returned")
        # A second request is not answered again.
        os.kill(os.getpid(), signal.SIGTERM)
    assert list(times) == ["sent", "answered", "returned"]
    waited = times["returned"] - times["sent"]
    assert times["answered"] - times["sent"] < waited / 2


def test_outside_the_main_thread_signals_are_not_handled():
    seen = []

    def run():
        with StopRequest().watched():
            seen.append(signal.getsignal(signal.SIGTERM))

    before = signal.getsignal(signal.SIGTERM)
    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert seen == [before]
