"""Being asked to stop, politely."""

import contextlib
import signal
import threading


class StopRequest:
    """Whether the process was asked to stop.

    Attributes:
      made: turns true at SIGTERM or at the first Ctrl-C. The second Ctrl-C interrupts at once.
    """

    def __init__(self):
        self.made = False

    @contextlib.contextmanager
    def watched(self):
        """Listens to the signals; elsewhere than in the main thread it cannot, and does not."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}

        def request(number, frame):
            if self.made and number == signal.SIGINT:
                raise KeyboardInterrupt
            self.made = True

        for number in old:
            signal.signal(number, request)
        try:
            yield
        finally:
            for number, handler in old.items():
                signal.signal(number, handler)
