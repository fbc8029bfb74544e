"""Being asked to stop, politely."""

import contextlib
import os
import signal
import threading
from collections.abc import Callable

_SIGNALS = (signal.SIGTERM, signal.SIGINT)


class StopRequest:
    """Whether the process was asked to stop.

    Attributes:
      made: turns true at SIGTERM or at the first Ctrl-C. The second Ctrl-C interrupts at once.
    """

    def __init__(self):
        self.made = False
        self._interrupts = 0

    @contextlib.contextmanager
    def watched(self, answer: Callable[[], None] = lambda: None):
        """Listens to the signals; elsewhere than in the main thread it cannot, and does not.

        Args:
          answer: called when the first signal comes, in a thread of its own: Python's handlers wait
            until the main thread is back from TensorFlow, which can take minutes.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return

        def request(number, frame):
            # Of two that come during one call from TensorFlow, Python tells but once.
            if number == signal.SIGINT and (self.made or self._interrupts > 1):
                raise KeyboardInterrupt
            self.made = True

        def come(number):
            self._interrupts += number == signal.SIGINT

        with _announced(come, answer):
            old = {number: signal.signal(number, request) for number in _SIGNALS}
            try:
                yield
            finally:
                for number, handler in old.items():
                    signal.signal(number, handler)


@contextlib.contextmanager
def _announced(come: Callable[[int], None], answer: Callable[[], None]):
    """Calls `come` for each of the signals as soon as it has come, and `answer` for the first."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)

    def listen():
        answered = False
        while number := os.read(reading, 1):
            if number[0] not in _SIGNALS:
                continue
            come(number[0])
            if not answered:
                answered = True
                answer()

    thread = threading.Thread(target=listen, daemon=True)
    thread.start()
    before = signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        os.close(writing)
        thread.join()
        os.close(reading)
