"""Warm start: initialize the networks of a run from pretrained weights."""

import dataclasses
import functools
import hashlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import label_heads, sources
from official_nlp.interchange.label_heads import LabelFit
from official_nlp.interchange.load_report import LoadReport, listed
from official_nlp.interchange.task_networks import HasNetworks
from official_nlp.interchange.weights import (
    EMBEDDINGS,
    OUTPUT_TABLE,
    WORD_TABLE,
    Weights,
    repeats_word_table,
)
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor

_PRESETS = ("small", "small_plus_plus", "base", "large")

# Fields that determine a shape, or what is computed from the tensors. The size of the vocabulary is
# compared apart from these, because the data determines it.
_SIZES = (
    "embedding_size",
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "max_position_embeddings",
    "type_vocab_size",
    "hidden_act",
    "layer_norm_eps",
    "position_embedding_type",
    "add_cross_attention",
)
_ROWS = "vocab_size"
# The head of a decoder is that of a generator.
_SAME_HEAD = {"ElectraForCausalLM": "ElectraForMaskedLM"}
# Prefix of the names of tensors that belong to no head.
_ENCODER = "electra."


def setting(network: str) -> str:
    """Return the setting of a recipe that names the source of a network, such as INIT_GENERATOR."""
    return f"INIT_{network.upper()}" if network else "INIT"


@dataclasses.dataclass(frozen=True)
class _Pretrained:
    """Pretrained weights of one network.

    Attributes:
      path: path of the source, as the user wrote it.
      kind: its kind, one of `sources.KINDS`.
      weights: configuration and arrays.
      assumed: fields of the configuration that the source does not state.
      tokenizer: tokenizer of the source, None if it has none.
    """

    path: str
    kind: str
    weights: Weights
    assumed: tuple[str, ...]
    tokenizer: ElectraTokenizer | None

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of the names and values of the tensors, whatever format stores them."""
        digest = hashlib.sha256()
        for name in sorted(self.weights.arrays):
            digest.update(name.encode())
            # Bytes in the order of the axes: readers return transposed views of some formats.
            digest.update(np.ascontiguousarray(self.weights.arrays[name]).data)
        return digest.hexdigest()


class WarmStart:
    """Pretrained weights for some or all networks of a task.

    The constructor reads the sources and checks that they fit the task; `assign` puts the weights
    into a model. A network without a source is newly initialized, except for the variables that it
    shares with one that has a source.

    Args:
      paths: path of the source of each network, in any format that `sources.open` reads; None for
        networks without one.
      task: the task of the run.
      tokenizer: tokenizer of the run's data.
      shared_from: name of the network whose values the shared variables get where two sources
        differ; None raises an error there.

    Attributes:
      notes: sentences on what could not be compared.

    Raises:
      InputError: a source cannot be read or lacks the network, its sizes or its vocabulary are not
        those of the run, or shared variables differ.
    """

    def __init__(
        self,
        paths: Mapping[str, str | None],
        task: HasNetworks,
        tokenizer: ElectraTokenizer,
        shared_from: str | None = None,
    ):
        self._task = task
        self._names = tuple(task.networks())
        self._pretrained = _read(paths, task)
        self.notes: list[str] = []
        self._check_vocabularies(tokenizer)
        self._check_sizes()
        self._check_shared_from(shared_from)
        self._values = self._with_shared(shared_from)

    def describe(self) -> dict[str, dict[str, Any]]:
        """Return path, kind and hash of the source of each network, for `run.json`."""
        return {
            name: {"path": found.path, "kind": found.kind, "sha256": found.sha256}
            for name, found in self._pretrained.items()
        }

    # === Do the sources fit the run? ===

    def _check_vocabularies(self, tokenizer: ElectraTokenizer) -> None:
        for name, found in self._pretrained.items():
            theirs = found.tokenizer
            if theirs is None:
                self.notes.append(
                    f"{found.path} has no vocabulary: whether it is that of the data is unknown"
                )
                continue
            # The hash covers tokens and their order; other settings change the text that they see.
            if theirs.vocab_hash != tokenizer.vocab_hash:
                raise InputError(
                    f"{setting(name)}={found.path} has another vocabulary ({theirs.vocab_size:,} "
                    f"tokens) than the data ({tokenizer.vocab_size:,} tokens), so that ids mean "
                    "different tokens; build the examples with the vocabulary of the network: "
                    f"electra examples --tokenizer {found.path}"
                )
            different = theirs.differences(tokenizer)
            if different:
                self.notes.append(
                    f"warning: {found.path} was trained on text that its tokenizer treats in "
                    f"another way than that of the data ({different}); build the examples "
                    f"with electra examples --tokenizer {found.path} unless you want that"
                )

    def _check_sizes(self) -> None:
        configs = {
            name: ElectraConfig.from_dict(found.weights.config)
            for name, found in self._pretrained.items()
        }
        ours = self._task.networks()
        different = {
            name: self._different_sizes(name, ours[name], theirs)
            for name, theirs in configs.items()
        }
        if any(different.values()):
            lines = [
                f"{setting(name)}={self._pretrained[name].path} has {', '.join(fields.values())}"
                for name, fields in different.items()
                if fields
            ]
            only_rows = {field for fields in different.values() for field in fields} == {_ROWS}
            raise InputError(
                f"the pretrained networks do not fit the recipe: {'; '.join(lines)}; "
                f"{_advice(configs, only_rows)}"
            )

    def _different_sizes(
        self, name: str, ours: ElectraConfig, theirs: ElectraConfig
    ) -> dict[str, str]:
        """Return the fields that differ; note those that the source does not state."""
        # An assumed field, such as heads by rule, must not contradict a recipe that states it.
        found, lines = self._pretrained[name], {}
        if theirs.is_decoder != ours.is_decoder:
            # Both have the same tensors, and learn from each other.
            seen = {True: "only the tokens before it", False: "all tokens"}
            self.notes.append(
                f"{found.path}: a token saw {seen[theirs.is_decoder]}, and now sees "
                f"{seen[ours.is_decoder]}"
            )
        for field in (_ROWS, *_SIZES):
            expected, value = getattr(ours, field), getattr(theirs, field)
            if expected == value:
                continue
            if field in found.assumed:
                self.notes.append(
                    f"warning: {found.path} does not state {field} of the {name or 'network'}: "
                    f"the recipe's {expected} is used, where {value} is usual"
                )
            else:
                lines[field] = f"{field} {value} (recipe: {expected})"
        return lines

    def _check_shared_from(self, shared_from: str | None) -> None:
        if shared_from is None:
            return
        if shared_from not in self._names:
            raise InputError(
                f"INIT_SHARED must be one of {', '.join(self._names)}, was {shared_from!r}"
            )
        if len(self._pretrained) < 2:
            raise InputError(
                "INIT_SHARED chooses between two pretrained networks, but only one has a source; "
                f"leave it out, or set {' and '.join(setting(name) for name in self._names)}"
            )

    # === Shared variables ===

    def _with_shared(self, shared_from: str | None) -> dict[str, dict[str, np.ndarray]]:
        """Return the values of each network; shared variables have the same values in all.

        1. One network has a source: the others get what they share with it.
        2. Both have one and share nothing, as with `untied` and `gdes`: each gets its own.
        3. Both have one, and shared variables are equal: each gets its own.
        4. Shared variables differ: those of `shared_from` win; without it this is an error.
        """
        arrays = {name: found.weights.arrays for name, found in self._pretrained.items()}
        if len(arrays) == 1:
            ((source, own),) = arrays.items()
            return {name: own if name == source else self._common(own) for name in self._names}
        if self._task.sharing == "gdes" or not arrays:
            return arrays
        if shared_from is None:
            self._check_equal(arrays)
            return arrays
        winner = self._common(arrays[shared_from])
        return {name: own if name == shared_from else own | winner for name, own in arrays.items()}

    def _common(self, arrays: Mapping[str, np.ndarray]) -> dict[str, np.ndarray]:
        """Return the arrays of one network that initialize the other one too."""
        if self._task.sharing == "gdes":
            # Nothing is shared: the discriminator's tables are the generator's plus differences.
            # Equal tables make the differences start at zero.
            return {name: x for name, x in arrays.items() if name.startswith(EMBEDDINGS)}
        return {name: x for name, x in arrays.items() if self._task.is_shared(name)}

    def _check_equal(self, arrays: Mapping[str, Mapping[str, np.ndarray]]) -> None:
        one, other = arrays
        common = self._common(arrays[one]), self._common(arrays[other])
        differing = [
            name
            for name in common[0]
            if name in common[1] and not np.array_equal(common[0][name], common[1][name])
        ]
        if differing:
            sharing = self._task.sharing
            lines = [_difference(name, common[0][name], common[1][name]) for name in differing]
            # Model Garden shares the word table alone.
            only_words = sharing == "shared" and WORD_TABLE not in differing
            mode = "word_only" if only_words else "untied"
            raise InputError(
                f"with sharing {sharing!r} both networks share {len(common[0])} tensors, but these "
                f"differ between {self._pretrained[one].path} and {self._pretrained[other].path}: "
                f"{'; '.join(lines[:3])}"
                f"{f' and {len(lines) - 3} more' if len(lines) > 3 else ''}; give "
                f"SHARING={mode} to keep both, or INIT_SHARED={other} (or {one}) to use the values "
                "of one network"
            )

    # === Assigning ===

    def assign(
        self, model: Any, report: Callable[[str], object] = print
    ) -> dict[str, dict[str, Any]]:
        """Assign the pretrained weights to a model of the task. Call this once.

        The arrays are released afterwards, which halves the memory for weights during training.

        Args:
          model: the model that the task built.
          report: function that gets lines on each network: which tensors were loaded, ignored or
            newly initialized.

        Returns:
          What `describe` returns, with counts and names of the tensors of each network.

        Raises:
          InputError: a source has no tensor of a network, or shapes that contradict its own
            configuration.
        """
        described = self.describe()
        assignments: list[tuple[NamedTensor, np.ndarray]] = []
        order: list[int] | None = None
        for name, named_tensors in self._task.named_tensors(model).items():
            tensors = {tensor.name: tensor for tensor in named_tensors}
            values = self._values.get(name, {})
            if name in self._pretrained:
                labels = label_heads.compare(
                    self._task.architectures[name],
                    self._task.networks()[name],
                    self._pretrained[name].weights,
                )
                order = labels.order
                load_report = self._compare(name, tensors, labels)
                values = {n: x for n, x in values.items() if n not in load_report.other_head}
                text = f"{name} from {load_report}" if name else str(load_report)
                for line in text.splitlines():
                    report(line)
                described[name] |= _counts(load_report)
            else:
                report(_newly_initialized(name, len(values)))
            assignments += [
                (tensors[key], x)
                for key, x in values.items()
                if key in tensors and list(tensors[key].shape) == list(x.shape)
            ]
        # A difference is computed from the value of its base, which therefore comes first.
        for tensor, value in sorted(assignments, key=lambda pair: pair[0].base is not None):
            tensor.assign_hugging_face(value)
        if order is not None:
            label_heads.reorder(model, order)
        self._pretrained, self._values = {}, {}
        return described

    def _compare(
        self, name: str, tensors: Mapping[str, NamedTensor], labels: LabelFit
    ) -> LoadReport:
        found = self._pretrained[name]
        arrays = found.weights.arrays
        head = [x for x in tensors if x in arrays and not x.startswith(_ENCODER)]
        tied = OUTPUT_TABLE not in tensors and repeats_word_table(arrays)
        report = LoadReport.compare(
            found.path,
            model={key: tensor.shape for key, tensor in tensors.items()},
            file={key: value.shape for key, value in arrays.items()},
            tied=[OUTPUT_TABLE] if tied else [],
            other_head=[] if labels.keeps_head else head,
        )
        report.require_some()
        if report.mismatched:
            raise InputError(
                f"{found.path} has tensors whose shapes contradict its own configuration: "
                f"{listed(report.mismatched)}; copy it again"
            )
        notes = [labels.note] if labels.note else []
        if OUTPUT_TABLE in report.ignored and "generator_lm_head.bias" in tensors:
            notes.append("its output table differs from its word table, which replaces it here")
        return dataclasses.replace(report, notes=tuple(notes))


# === Reading ===


def _read(paths: Mapping[str, str | None], task: HasNetworks) -> dict[str, _Pretrained]:
    """Open each path once, and choose from it the network that the task asks for."""
    opened: dict[str, sources.Source] = {}
    found = {}
    for name, path in paths.items():
        if path is None:
            continue
        path = str(path)
        try:
            if path not in opened:
                opened[path] = sources.open(path)
        except InputError as error:
            raise InputError(f"{setting(name)}: {error}") from error
        source = opened[path]
        weights = choose(source, name, task.architectures[name])
        if weights is None:
            raise InputError(
                f"{setting(name)}={path} must hold a {name}, but is {source.title} and holds a "
                f"{' and a '.join(source.networks)}; leave the setting out for a newly initialized "
                f"{name}"
            )
        found[name] = _Pretrained(
            path, source.kind, weights, source.assumed, source.load_tokenizer()
        )
    return found


def choose(source: sources.Source, name: str, architecture: str = "") -> Weights | None:
    """Return the network of a source for a network of the task, None if there is none.

    A source with a single network fits any task. A task with a single network takes from a pair
    the one with the head of its own architecture, else the discriminator, which is the one to
    fine-tune.
    """
    networks = source.networks
    if name in networks or "" in networks:
        return networks.get(name, networks.get(""))
    if name:
        return None
    wanted = _SAME_HEAD.get(architecture, architecture)
    same = [x for x in networks.values() if x.config.get("architectures") == [wanted]]
    return next(iter([*same, networks.get("discriminator"), *networks.values()]))


# === Messages ===


def _advice(configs: Mapping[str, ElectraConfig], only_rows: bool) -> str:
    """Return what to do about sizes that differ."""
    for preset in _PRESETS:
        discriminator = ElectraConfig.preset(preset)
        fits = {"generator": discriminator.generator()}
        same = (_same_sizes(x, fits.get(name, discriminator)) for name, x in configs.items())
        if not only_rows and all(same):
            return f"the recipe {preset} has these sizes"
    if only_rows:
        rows = max(theirs.vocab_size for theirs in configs.values())
        return f"VOCAB_SIZE={rows} gives the word table of the run as many rows"
    widths = {theirs.embedding_size for theirs in configs.values()}
    tables = " with SHARING=untied, as the tables differ in width," if len(widths) > 1 else ""
    return f"write a recipe of your own{tables} that sets these values: see configs/README.md"


def _same_sizes(one: ElectraConfig, other: ElectraConfig) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in _SIZES)


def _difference(name: str, one: np.ndarray, other: np.ndarray) -> str:
    if one.shape != other.shape:
        return f"{name} is {list(one.shape)} and {list(other.shape)}"
    apart = np.abs(one.astype(np.float64) - other)
    rows = np.count_nonzero(apart.reshape(len(apart), -1).max(axis=1))
    return f"{name} by up to {apart.max():.3g}, in {rows} of {len(apart)} rows"


def _counts(report: LoadReport) -> dict[str, Any]:
    return {
        "loaded": len(report.loaded),
        "missing": [*report.missing, *report.other_head],
        "ignored": len(report.ignored),
        "tied": len(report.tied),
    }


def _newly_initialized(name: str, shared: int) -> str:
    suffix = f", except for {shared} tensors shared with the other network" if shared else ""
    return f"{name}: newly initialized{suffix}"
