"""What becomes of records that are damaged."""

import os
import threading

from official_nlp.data.storage.framing import CorruptRecord
from official_nlp.errors import InputError

POLICIES = ("stop", "skip")
_NAMED = 5


class CorruptRecords:
    """A policy for damaged records, and what was met under it. May be used from several threads.

    Args:
      policy: `stop`: the first is an error. `skip`: it is counted, and an empty row of a batch,
        without weight, takes its place; so all other rows stay where they are.

    Attributes:
      rows: number of rows left empty so far; a record can be met in every epoch.
    """

    def __init__(self, policy: str = "stop"):
        if policy not in POLICIES:
            raise InputError(
                f"corrupt_records must be one of {', '.join(POLICIES)}, was {policy!r}"
            )
        self.policy = policy
        self.rows = 0
        self._found: dict[tuple[str, int], str] = {}
        self._short: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def skip(self) -> bool:
        """Whether a damaged record is passed over."""
        return self.policy == "skip"

    def met(self, torn: CorruptRecord) -> bytes:
        """Takes note of a damaged record of a batch; returns an empty example in its place.

        Raises:
          InputError: it is not to be passed over.
        """
        self.note(torn)
        with self._lock:
            self.rows += 1
        return b""

    def note(self, torn: CorruptRecord) -> None:
        """Takes note of a damaged record.

        Raises:
          InputError: it is not to be passed over.
        """
        if not self.skip:
            # Of this very class: its name is what tells it from faults of the program in a dataset.
            raise InputError(str(torn)) from torn
        with self._lock:
            self._found[str(torn.file), torn.offset] = torn.what

    def short(self, file: str | os.PathLike, what: str) -> None:
        """Takes note of a file that lacks its end.

        Args:
          file: the file.
          what: where it ends, and where it should.

        Raises:
          InputError: that is not to be passed over.
        """
        if not self.skip:
            raise InputError(
                f"{file} {what}: copy or build it again, or give CORRUPT_RECORDS=skip to train "
                "without the records that are missing"
            )
        self._short[str(file)] = what

    def describe(self) -> str:
        """Returns a line on all that was met, empty if nothing was."""
        parts = [f"{file} {what}" for file, what in sorted(self._short.items())]
        with self._lock:
            found = sorted(self._found.items())
        parts += [f"{file} at byte {offset}: {what}" for (file, offset), what in found[:_NAMED]]
        if len(found) > _NAMED:
            parts.append(f"and {len(found) - _NAMED:,} more")
        if not parts:
            return ""
        return (
            f"torn records: {len(found):,} were met, {self.rows:,} rows left empty: "
            f"{'; '.join(parts)}"
        )
