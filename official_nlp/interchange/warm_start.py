"""What a run's variables begin with, where they do not begin at random: the networks of files."""

import dataclasses
import functools
import hashlib
from collections.abc import Mapping

import numpy as np

from official_nlp.data import ElectraTokenizer
from official_nlp.errors import InputError
from official_nlp.interchange import sources
from official_nlp.interchange.load_report import LoadReport, listed
from official_nlp.interchange.weights import OUTPUT_TABLE, WORD_TABLE, Network, repeats_word_table
from official_nlp.modeling.models import pretrainer_tensors
from official_nlp.modeling.networks import ElectraConfig
from official_nlp.tasks import PretrainingConfig

NETWORKS = ("generator", "discriminator")
SETTINGS = {name: f"INIT_{name.upper()}" for name in NETWORKS}
PRESETS = ("small", "small_plus_plus", "base", "large")

# Each of these decides a shape, or what is computed of the tensors. The vocabulary is the data's.
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
    "is_decoder",
    "add_cross_attention",
)
_ROWS = "vocab_size"


@dataclasses.dataclass(frozen=True)
class Given:
    """A network that is to begin a run.

    Attributes:
      path: where it was read, as the user said it.
      kind: one of `sources.KINDS`.
      network: its configuration and tensors.
      assumed: fields of the configuration that nothing there says.
      tokenizer: its own, None where there is none beside it.
    """

    path: str
    kind: str
    network: Network
    assumed: tuple[str, ...]
    tokenizer: ElectraTokenizer | None

    @property
    def state(self) -> dict[str, np.ndarray]:
        return self.network.state

    @functools.cached_property
    def sha256(self) -> str:
        """Hash of names and values of the tensors, in whatever file they lie."""
        digest = hashlib.sha256()
        for name in sorted(self.state):
            digest.update(name.encode())
            digest.update(np.ascontiguousarray(self.state[name]).data)
        return digest.hexdigest()


def read(paths: Mapping[str, str | None]) -> dict[str, Given]:
    """Reads the networks that the settings `INIT_...` name.

    Args:
      paths: of `generator` and `discriminator`: a folder of Hugging Face's, a pair of such folders
        in one, a run, a checkpoint of google's or of Model Garden's; None for none.

    Raises:
      InputError: a path cannot be read, or holds no such network.
    """
    wanted = {name: str(path) for name, path in paths.items() if path is not None}
    sources = {path: _source(name, path) for name, path in wanted.items()}
    return {name: _given(name, path, *sources[path]) for name, path in wanted.items()}


def _source(name, path):
    try:
        kind = sources.guess(path)
        return kind, sources.read(path, kind)
    except InputError as error:
        raise InputError(f"{SETTINGS[name]}: {error}") from error


def _given(name, path, kind, source) -> Given:
    network = source.networks.get(name, source.networks.get(""))
    if network is None:
        raise InputError(
            f"{SETTINGS[name]}={path} must hold a {name}, but is {source.title} and holds a "
            f"{' and a '.join(source.networks)}; leave the setting out for a fresh {name}"
        )
    return Given(path, kind, network, source.assumed, source.find_tokenizer())


class WarmStart:
    """Networks of files as the first values of a pre-trainer.

    Args:
      given: by `generator` and `discriminator`, both or one.
      config: of the run.
      tokenizer: of its data.
      shared_from: whose values the variables get that both networks share, where those of the
        files differ: `generator`, `discriminator`, or None for an error.

    Attributes:
      notes: sentences on what could not be compared.

    Raises:
      InputError: sizes or vocabulary are not the run's, or what is to be shared differs.
    """

    def __init__(
        self,
        given: Mapping[str, Given],
        config: PretrainingConfig,
        tokenizer: ElectraTokenizer,
        shared_from: str | None = None,
    ):
        self._given = dict(given)
        self._sharing = config.sharing
        self.notes: list[str] = []
        self._check_vocabularies(tokenizer)
        self._check_sizes(config)
        self._check_winner(shared_from)
        self._values = self._with_shared(shared_from)

    def describe(self) -> dict:
        """Returns what `run.json` says of it before anything is assigned."""
        return {
            name: {"path": given.path, "kind": given.kind, "sha256": given.sha256}
            for name, given in self._given.items()
        }

    # === What the files must be ===

    def _check_vocabularies(self, tokenizer):
        for name, given in self._given.items():
            theirs = given.tokenizer
            if theirs is None:
                self.notes.append(
                    f"{given.path} has no vocabulary beside it: that it is the data's is not known"
                )
                continue
            if theirs.vocab_hash != tokenizer.vocab_hash:
                raise InputError(
                    f"{SETTINGS[name]}={given.path} has another vocabulary ({theirs.vocab_size:,} "
                    f"tokens) than the data ({tokenizer.vocab_size:,} tokens), whose ids mean "
                    "other words; build the examples with that of the network: electra examples "
                    f"--tokenizer {given.path}"
                )
            if theirs.do_lower_case != tokenizer.do_lower_case:
                cases = {True: "lower-cased", False: "cased"}
                self.notes.append(
                    f"warning: the text of {given.path} was {cases[theirs.do_lower_case]}, that of "
                    f"the data is {cases[tokenizer.do_lower_case]}"
                )

    def _check_sizes(self, config):
        found = {
            name: ElectraConfig.from_dict(given.network.config)
            for name, given in self._given.items()
        }
        different = {
            name: self._different_sizes(name, getattr(config, name), theirs)
            for name, theirs in found.items()
        }
        if any(different.values()):
            lines = [
                f"{SETTINGS[name]}={self._given[name].path} has {', '.join(fields.values())}"
                for name, fields in different.items()
                if fields
            ]
            only_rows = {field for fields in different.values() for field in fields} == {_ROWS}
            raise InputError(
                f"the networks that are given do not fit the recipe: {'; '.join(lines)}; "
                f"{_advice(found, only_rows)}"
            )

    def _different_sizes(self, name, ours, theirs) -> dict[str, str]:
        """Returns what differs, by field; notes what only a rule says of the file."""
        given, lines = self._given[name], {}
        for field in (_ROWS, *_SIZES):
            wanted, found = getattr(ours, field), getattr(theirs, field)
            if wanted == found:
                continue
            if field in given.assumed:
                self.notes.append(
                    f"warning: {given.path} does not say {field} of the {name}: the recipe's "
                    f"{wanted} is taken, where {found} would be usual"
                )
            else:
                lines[field] = f"{field} {found} (the recipe {wanted})"
        return lines

    def _check_winner(self, shared_from):
        if shared_from is None:
            return
        if shared_from not in NETWORKS:
            raise InputError(
                f"INIT_SHARED must be one of {', '.join(NETWORKS)}, was {shared_from!r}"
            )
        if len(self._given) < 2:
            raise InputError(
                "INIT_SHARED says which of two networks counts, and only one is given; leave it "
                f"out, or give {' and '.join(SETTINGS.values())}"
            )

    # === What both networks share ===

    def _with_shared(self, shared_from) -> dict[str, dict]:
        """Returns the values of both networks, those that they share the same in both."""
        states = {name: given.state for name, given in self._given.items()}
        if len(states) == 1:
            ((source, state),) = states.items()
            (other,) = set(NETWORKS) - {source}
            return {source: state, other: self._common(state)}
        if self._sharing == "gdes":  # Each has tables of its own, however they are kept.
            return states
        if shared_from is None:
            self._check_equal(*(self._common(states[name]) for name in NETWORKS))
            return states
        (loser,) = set(NETWORKS) - {shared_from}
        return {**states, loser: {**states[loser], **self._common(states[shared_from])}}

    def _common(self, state) -> dict:
        """Returns those tensors of one network that the other one begins with, too."""
        # Differences begin at nothing.
        sharing = "shared" if self._sharing == "gdes" else self._sharing
        return {k: x for k, x in state.items() if pretrainer_tensors.is_shared(k, sharing)}

    def _check_equal(self, generators, discriminators):
        apart = [
            name
            for name in generators
            if name in discriminators and not np.array_equal(generators[name], discriminators[name])
        ]
        if apart:
            lines = [_difference(n, generators[n], discriminators[n]) for n in apart]
            # As Model Garden ties them.
            only_words = self._sharing == "shared" and WORD_TABLE not in apart
            mode = "word_only" if only_words else "untied"
            raise InputError(
                f"with sharing {self._sharing!r} {len(generators)} tensors are one in both "
                f"networks, but differ between {self._given['generator'].path} and "
                f"{self._given['discriminator'].path}: {'; '.join(lines[:3])}"
                f"{f' and {len(lines) - 3} more' if len(lines) > 3 else ''}; give "
                f"SHARING={mode} to keep both, or INIT_SHARED=discriminator (or generator) to take "
                "those of one"
            )

    # === Assigning ===

    def assign_to(self, model, say=print) -> dict:
        """Assigns the values to a pre-trainer of the run's configuration.

        The values are let go: they would lie beside the model for as long as it trains.

        Args:
          model: an `ElectraPretrainer`.
          say: called with lines about what was taken, what is fresh and what was ignored.

        Returns:
          What `run.json` says of it.

        Raises:
          InputError: a file has none of a network's tensors, or of other shapes than its own
            configuration says.
        """
        told = self.describe()
        for name in NETWORKS:
            tensors = {tensor.name: tensor for tensor in pretrainer_tensors.of(model, name)}
            if name in self._given:
                report = self._report(name, tensors)
                say(f"{name} from {report}")
                told[name] |= _counts(report)
            else:
                say(_fresh(name, len(self._values[name])))
            for key, value in self._values[name].items():
                if key in tensors:
                    tensors[key].assign_hugging_face(value)
        self._given, self._values = {}, {}
        return told

    def _report(self, name, tensors) -> LoadReport:
        given = self._given[name]
        tied = repeats_word_table(given.state)
        report = LoadReport.compare(
            given.path,
            model={key: tensor.shape for key, tensor in tensors.items()},
            file={key: value.shape for key, value in given.state.items()},
            tied=[OUTPUT_TABLE] if tied else [],
        )
        report.require_some()
        if report.mismatched:
            raise InputError(
                f"{given.path} has tensors of other shapes than its own configuration says: "
                f"{listed(report.mismatched)}; get the file anew"
            )
        notes = []
        if OUTPUT_TABLE in given.state and not tied and name == "generator":
            notes.append("its output table is not its word table: here it becomes that")
        return dataclasses.replace(report, notes=tuple(notes))


def _advice(found, only_rows) -> str:
    for preset in PRESETS:
        discriminator = ElectraConfig.preset(preset)
        fits = {"generator": discriminator.generator(), "discriminator": discriminator}
        if all(_same_sizes(theirs, fits[name]) for name, theirs in found.items()) and not only_rows:
            return f"the recipe {preset} has these sizes"
    if only_rows:
        rows = max(theirs.vocab_size for theirs in found.values())
        return f"VOCAB_SIZE={rows} gives the word table of the run so many rows"
    widths = {theirs.embedding_size for theirs in found.values()}
    tables = ", with SHARING=untied, as the tables have two widths," if len(widths) > 1 else ""
    return f"a recipe of your own{tables} can have these values: configs/README.md says how"


def _same_sizes(one: ElectraConfig, other: ElectraConfig) -> bool:
    return all(getattr(one, field) == getattr(other, field) for field in _SIZES)


def _difference(name, one, other) -> str:
    if one.shape != other.shape:
        return f"{name} is {list(one.shape)} and {list(other.shape)}"
    apart = np.abs(one.astype(np.float64) - other)
    rows = np.count_nonzero(apart.reshape(len(apart), -1).max(axis=1))
    return f"{name} by up to {apart.max():.3g}, in {rows} of {len(apart)} rows"


def _counts(report: LoadReport) -> dict:
    return {
        "loaded": len(report.loaded),
        "missing": list(report.missing),
        "ignored": len(report.ignored),
        "tied": len(report.tied),
    }


def _fresh(name, shared) -> str:
    but = f", but for {shared} tensors that it shares with the other network" if shared else ""
    return f"{name}: fresh{but}"
