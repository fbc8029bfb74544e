"""Requests to stop by a signal."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Records whether the process was asked to stop.

    Attributes:
      made: True after SIGTERM or the first Ctrl-C. A second Ctrl-C interrupts at once.
    """

    def __init__(self):
        self.made = False
        self._interrupts = 0

    @contextlib.contextmanager
    def watched(self, answer: Callable[[], None] = lambda: None) -> Iterator[None]:
        """Handle the signals during the block; outside the main thread this is not possible.

        Args:
          answer: called at the first signal, in a separate thread: Python's own handlers run only
            when the main thread returns from TensorFlow, which can take minutes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def request(number, frame):
            # Two signals during one call of TensorFlow reach this handler only once.
            if number == signal.SIGINT and (self.made or self._interrupts > 1):
                raise KeyboardInterrupt
            self.made = True

        def received(number):
            self._interrupts += number == signal.SIGINT

        with _announced(received, answer):
            old = {number: signal.signal(number, request) for number in _SIGNALS}
            try:
                yield
            finally:
                for number, handler in old.items():
                    signal.signal(number, handler)


@contextlib.contextmanager
def _announced(received: Callable[[int], None], answer: Callable[[], None]):
    """Call `received` for each signal as soon as it arrives, and `answer` for the first."""
    reading, writing = os.pipe()
    # `set_wakeup_fd` requires it: a signal handler must never wait for a full pipe.
    os.set_blocking(writing, False)

    def listen():
        answered = False
        while number := os.read(reading, 1):
            # Every signal that has a Python handler is written to the pipe.
            if number[0] not in _SIGNALS:
                continue
            received(number[0])
            if not answered:
                answered = True
                answer()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    # Python's C-level handler writes the signal's number into the pipe at once, whatever the main
    # thread does meanwhile.
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        # The thread reads the end of the pipe now, and ends.
        os.close(writing)
        thread.join()
        os.close(reading)
