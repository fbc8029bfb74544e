"""Report which tensors of a file were loaded into a model, and which were not."""

import dataclasses
from collections.abc import Iterable, Mapping, Sequence

from official_nlp import output
from official_nlp.errors import InputError

_SHOWN = 6  # names printed in one line, before "and 12 more"
_LONGEST = 200  # characters printed of a name


@dataclasses.dataclass(frozen=True)
class LoadReport:
    """Outcome of loading a file into a model, tensor by tensor.

    Attributes:
      source: path of the folder or file.
      loaded: names of the tensors that were loaded.
      missing: names of tensors that the model has and the file lacks. They keep their initial
        values.
      ignored: names of tensors that the file has and the model lacks.
      mismatched: tensors of different shapes, as `name: [2, 3] in the file, [4, 3] in the model`.
        They keep their initial values too.
      tied: names of tensors that the file stores although the model ties them to another tensor,
        to which they are equal.
      other_head: names of the tensors of a head that is another one than that of the model, such
        as one for other labels. They keep their initial values.
      notes: further sentences about the file.

    Example:
      >>> model, file = {"w": [2, 3], "b": [2]}, {"w": [2, 3], "x": [1]}
      >>> print(LoadReport.compare("old", model, file))
      old: 1 tensor loaded
        newly initialized, missing in the file: b
        ignored, unknown to the model: x
    """

    source: str
    loaded: tuple[str, ...] = ()
    missing: tuple[str, ...] = ()
    ignored: tuple[str, ...] = ()
    mismatched: tuple[str, ...] = ()
    tied: tuple[str, ...] = ()
    other_head: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @classmethod
    def compare(
        cls,
        source: str,
        model: Mapping[str, Sequence[int]],
        file: Mapping[str, Sequence[int]],
        tied: Iterable[str] = (),
        other_head: Iterable[str] = (),
    ) -> "LoadReport":
        """Compare the tensors of a model and of a file, before anything is loaded.

        Args:
          source: path of the folder or file.
          model: shapes of the model's tensors by name.
          file: shapes of the file's tensors by name.
          tied: names of tensors of the file that repeat another one of its tensors.
          other_head: names of tensors of the file that are not loaded, see the class.
        """
        other_head = tuple(other_head)
        common = [name for name in model if name in file and name not in other_head]
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
            other_head=other_head,
        )

    @property
    def newly_initialized(self) -> tuple[str, ...]:
        """Names of the model's tensors that keep their initial values."""
        other_shapes = tuple(line.partition(":")[0] for line in self.mismatched)
        return self.missing + other_shapes + self.other_head

    def __str__(self) -> str:
        lines = [f"{self.source}: {output.counted(len(self.loaded), 'tensor')} loaded"]
        for names, outcome in (
            (self.missing, "newly initialized, missing in the file"),
            (self.mismatched, "newly initialized, different shape in the file"),
            (self.other_head, "newly initialized, because the head of the file is another one"),
            (self.ignored, "ignored, unknown to the model"),
            (self.tied, "stored although tied"),
        ):
            if names:
                lines.append(f"  {outcome}: {listed(names)}")
        return "\n".join([*lines, *(f"  {note}" for note in self.notes)])

    def require_some(self) -> None:
        """Raise InputError if no tensor matched."""
        if not self.loaded:
            raise InputError(
                f"no tensor in {self.source} matches the model: the file holds "
                f"{listed(self.ignored + self.mismatched) or 'no tensors'}, the model expects "
                f"{listed(self.newly_initialized)}; give an ELECTRA checkpoint of the same sizes"
            )

    def require_shapes(self) -> None:
        """Raise InputError if a tensor has different shapes in the file and in the model."""
        if self.mismatched:
            raise InputError(
                f"{self.source} does not fit the model: {listed(self.mismatched)}; change the "
                "configuration, or pass ignore_mismatched_sizes=True to initialize these tensors "
                "newly"
            )

    def require_all(self) -> None:
        """Raise InputError unless file and model have the same tensors in the same shapes."""
        if self.missing or self.ignored or self.mismatched:
            raise InputError(
                f"strict=True requires the same tensors in {self.source} and in the model; "
                f"missing in the file: {listed(self.missing) or 'none'}; unknown to the model: "
                f"{listed(self.ignored) or 'none'}; of a different shape: "
                f"{listed(self.mismatched) or 'none'}; omit strict to load the tensors that match"
            )


def listed(names: Sequence[str]) -> str:
    """Return the first names, and the number of the others, as one line."""
    more = f" and {len(names) - _SHOWN} more" if len(names) > _SHOWN else ""
    return ", ".join(_short(name) for name in names[:_SHOWN]) + more


def _short(name: str) -> str:
    shown = output.escaped(name[:_LONGEST]) or "''"
    return f"{shown}..." if len(name) > _LONGEST else shown
