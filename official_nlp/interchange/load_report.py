"""What became of every tensor when a file was loaded into a model."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from official_nlp.errors import InputError

_SHOWN = 6  # names in one line, before "and 12 more"
_LONGEST = 200  # characters of a name


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """The fate of the tensors of a file and of a model.

    Attributes:
      source: the folder or file.
      loaded: names of what was taken.
      missing: of the model, but not in the file: they stay fresh.
      ignored: of the file, but the model has no place for them.
      mismatched: `name: [2, 3] in the file, [4, 3] in the model`; they stay fresh, too.
      tied: of the file, but tied to another tensor in the model, and equal to it.
      notes: what else is to be said, a sentence each.

    Example:
      >>> model, file = {"w": [2, 3], "b": [2]}, {"w": [2, 3], "x": [1]}
      >>> print(LoadReport.compare("old", model, file))
      old: 1 tensor loaded
        fresh, for they are not in the file: b
        ignored, for the model has no place for them: x
    """

    source: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def compare(
        cls,
        source: str,
        model: Mapping[str, Sequence[int]],
        file: Mapping[str, Sequence[int]],
        tied: Iterable[str] = (),
    ) -> "LoadReport":
        """Returns what loading will do.

        Args:
          source: the folder or file.
          model: shapes of the model's tensors, by name.
          file: shapes of the file's.
          tied: names of the file that say again what another one says.
        """
        common = [name for name in model if name in file]
        fits = {name: list(model[name]) == list(file[name]) for name in common}
        return cls(
            source=source,
            loaded=tuple(name for name in common if fits[name]),
            missing=tuple(name for name in model if name not in file),
            ignored=tuple(name for name in file if name not in model and name not in tied),
            mismatched=tuple(
                f"{name}: {list(file[name])} in the file, {list(model[name])} in the model"
                for name in common
                if not fits[name]
            ),
            tied=tuple(tied),
        )

    @property
    def fresh(self) -> tuple[str, ...]:
        """Names of the model's tensors that stay as they were initialized."""
        return self.missing + tuple(line.partition(":")[0] for line in self.mismatched)

    def __str__(self):
        lines = [f"{self.source}: {_tensors(len(self.loaded))} loaded"]
        for names, what in (
            (self.missing, "fresh, for they are not in the file"),
            (self.mismatched, "fresh, for they have another shape"),
            (self.ignored, "ignored, for the model has no place for them"),
            (self.tied, "stored again, though tied"),
        ):
            if names:
                lines.append(f"  {what}: {listed(names)}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def require_some(self):
        """Raises InputError if nothing matched."""
        if not self.loaded:
            raise InputError(
                f"nothing in {self.source} matched the model: it holds "
                f"{listed(self.ignored + self.mismatched) or 'no tensors'}, the model wants "
                f"{listed(self.fresh)}; give a checkpoint of ELECTRA of the same sizes"
            )

    def require_shapes(self):
        """Raises InputError if a tensor has another shape in the file than in the model."""
        if self.mismatched:
            raise InputError(
                f"{self.source} does not fit the model: {listed(self.mismatched)}; change the "
                "configuration, or pass ignore_mismatched_sizes=True to leave them fresh"
            )

    def require_all(self):
        """Raises InputError unless every tensor of the file went into the model, and back."""
        if self.missing or self.ignored or self.mismatched:
            raise InputError(
                f"strict loading wants the same tensors in {self.source} and in the model; "
                f"missing: {listed(self.missing) or 'none'}; without a place: "
                f"{listed(self.ignored) or 'none'}; of another shape: "
                f"{listed(self.mismatched) or 'none'}; leave strict out to load what matches"
            )


def listed(names: Sequence[str]) -> str:
    """Returns the first names and the number of the others."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(_printable(name) for name in names[:_SHOWN]) + more


def _printable(name: str) -> str:
    """A file may hold any name, one that turns a terminal over, too."""
    name = name if len(name) <= _LONGEST else name[:_LONGEST] + "..."
    return name if name.isprintable() and name else repr(name)


def _tensors(count):
    return "1 tensor" if count == 1 else f"{count} tensors"
