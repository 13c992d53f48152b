"""Start the home's server again, once, if its process ends while a command waits for it."""

import threading
from collections.abc import Callable

from tuning.settings import Settings
from tuning.warehouse import emulator


class Revival:
    """Hold the server that clients use, and what is needed to start it again. Clients and threads may share it."""

    def __init__(self, settings: Settings, server: emulator.Server, say: Callable[[str], None] = print) -> None:
        self.server = server
        self._settings = settings
        self._say = say
        self.was_used = False
        self._lock = threading.Lock()

    def revive(self, used: emulator.Server) -> bool:
        """Return whether a request that failed on the server `used` can be sent again, and start the server if needed.

        Raises TuningError if the server ended a second time, was stopped on purpose, or does not start.
        """
        with self._lock:
            if self.server != used:  # another thread has started it again
                return True
            if not emulator.is_gone(used):
                return False
            if self.was_used:
                raise emulator.ended_again(self._settings, used)
            self.was_used = True
            self.server = emulator.start_again(self._settings, used, self._say)
            return True
