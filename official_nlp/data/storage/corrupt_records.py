"""The policy for corrupt records: stop at the first, or skip and count them."""

import os
import threading

from official_nlp.data.storage.framing import CorruptRecord
from official_nlp.errors import InputError

POLICIES = ("stop", "skip")
_LISTED = 5


class CorruptRecords:
    """Policy for corrupt records, with counts of those found; safe for use by several threads.

    Args:
      policy: "stop" raises an error at the first corrupt record. "skip" counts it and puts an empty
        example without weight in its place, so that every other example keeps its position in the
        stream.

    Attributes:
      policy: the policy.
      rows: number of examples left empty so far. A record is counted again in every epoch.

    Raises:
      InputError: `policy` is neither "stop" nor "skip".
    """

    def __init__(self, policy: str = "stop") -> None:
        if policy not in POLICIES:
            raise InputError(
                f"corrupt_records must be one of {', '.join(POLICIES)}, was {policy!r}"
            )
        self.policy = policy
        self.rows = 0
        self._found: dict[tuple[str, int], str] = {}
        self._truncated: dict[str, str] = {}
        self._lock = threading.Lock()

    @property
    def skip(self) -> bool:
        """Whether corrupt records are skipped."""
        return self.policy == "skip"

    def substitute(self, record: CorruptRecord) -> bytes:
        """Note a corrupt record of a batch and return an empty serialized example for it.

        Raises:
          InputError: the policy is "stop".
        """
        self.add(record)
        with self._lock:
            self.rows += 1
        return b""

    def add(self, record: CorruptRecord) -> None:
        """Note a corrupt record.

        Raises:
          InputError: the policy is "stop".
        """
        if not self.skip:
            # Exactly this class: TensorFlow passes an error of a dataset on as text, and the name
            # of the class in it distinguishes bad input from a bug.
            raise InputError(str(record)) from record
        with self._lock:
            # By position, so that a record that is met again in another epoch is listed once.
            self._found[str(record.file), record.offset] = record.what

    def add_truncated(self, file: str | os.PathLike, what: str) -> None:
        """Note a truncated shard.

        Args:
          file: the shard.
          what: its actual and its expected size, for the message.

        Raises:
          InputError: the policy is "stop".
        """
        if not self.skip:
            raise InputError(
                f"{file} {what}: copy or build it again, or give CORRUPT_RECORDS=skip to train "
                "without the missing records"
            )
        with self._lock:
            self._truncated[str(file)] = what

    def describe(self) -> str:
        """Return one line about everything found so far, empty if nothing was found."""
        with self._lock:
            truncated, found = sorted(self._truncated.items()), sorted(self._found.items())
        parts = [f"{file} {what}" for file, what in truncated]
        parts += [f"{file} at byte {offset}: {what}" for (file, offset), what in found[:_LISTED]]
        if len(found) > _LISTED:
            parts.append(f"and {len(found) - _LISTED:,} more")
        if not parts:
            return ""
        return (
            f"corrupt records: {len(found):,} found, {self.rows:,} examples left empty: "
            f"{'; '.join(parts)}"
        )
