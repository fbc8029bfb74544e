"""Configuration of one ELECTRA network, with Hugging Face's field names."""

import dataclasses
import json
from typing import Any

from official_nlp.errors import InputError
from official_nlp.modeling.layers.multi_head_attention import POSITION_TYPES

# Differences from the defaults, which are those of ELECTRA-Small. Sizes and generator fractions are
# those of paper table 6; Small++, the released small model, has a generator of full width.
_PRESETS: dict[str, dict[str, Any]] = {
    "small": {"generator_size": 1 / 4},
    "small_plus_plus": {"generator_size": 1.0},
    "base": {
        "embedding_size": 768,
        "hidden_size": 768,
        "num_attention_heads": 12,
        "intermediate_size": 3072,
        "generator_size": 1 / 3,
    },
    "large": {
        "embedding_size": 1024,
        "hidden_size": 1024,
        "num_hidden_layers": 24,
        "num_attention_heads": 16,
        "intermediate_size": 4096,
        "generator_size": 1 / 4,
    },
}
# Fields that Hugging Face does not have: written only if they differ from the default, so that
# `config.json` stays as plain as its own.
_OWN_FIELDS = ("generator_size", "initializer", "summary_first_dropout")
_INITIALIZERS = ("truncated_normal", "fan_in")
# Names of the same function in Hugging Face and in Keras. Other names differ between the two (the
# `leaky_relu` of Keras is steeper) or exist in one of them only.
_EXACT_GELU = ("gelu", "gelu_python")
_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh")
_OTHER_ACTIVATIONS = ("relu", "relu6", "silu", "swish", "mish", "tanh", "sigmoid", "linear")
_ACTIVATIONS = _EXACT_GELU + _TANH_GELU + _OTHER_ACTIVATIONS
_SUMMARY_TYPES = ("first", "last", "mean", "cls_index")
_PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
# Default of the fields that `__post_init__` derives from each other: no instance holds None there.
_DERIVED: Any = None
# Far above any network: a damaged or hostile file must not make us build layers for ever.
_LARGEST_SIZE = 10**8
_LARGEST = {"num_hidden_layers": 1000, "num_labels": 10**6}
_LABEL_FIELDS = ("num_labels", "id2label", "label2id")


@dataclasses.dataclass(frozen=True)
class ElectraConfig:
    """Sizes and options of one ELECTRA network; the defaults are those of ELECTRA-Small.

    Fields of Hugging Face's `config.json` keep their names, meanings and defaults. Unknown keys of
    a file are retained in `extra` and written back.

    The number of labels follows from `num_labels`, which names them `LABEL_0`, `LABEL_1`, ..., or
    from the names in `id2label` or `label2id`. Files contain the names. `replace` keeps the three
    fields consistent.

    Attributes:
      vocab_size: number of tokens.
      embedding_size: width of the embedding tables.
      hidden_size: width of the encoder; if it differs from `embedding_size`, a linear projection
        connects the two.
      num_hidden_layers, num_attention_heads, intermediate_size: number of layers, heads per layer,
        and width of the feed-forward networks.
      hidden_act: activation of the feed-forward networks: `gelu` (exact), `gelu_new` (tanh),
        `relu`, `silu`, `mish`, `tanh`, `sigmoid`, `relu6`, `linear`, or another name that Hugging
        Face has for one of them.
      hidden_dropout_prob, attention_probs_dropout_prob: dropout rates of hidden states and of
        attention probabilities.
      max_position_embeddings: length of the longest sequence, in tokens.
      type_vocab_size: number of segment types.
      initializer_range: standard deviation of the truncated normal initializer.
      layer_norm_eps: number added to the variance in LayerNorm.
      summary_type, summary_use_proj, summary_activation, summary_last_dropout: options of the
        multiple-choice head, see `MultipleChoiceHead`; an empty `summary_activation` means none.
      pad_token_id, bos_token_id, eos_token_id: ids of the padding token and of the tokens at which
        a decoder starts and stops; None for no such token; `eos_token_id` may be a list. Padding of
        a batch is determined by its mask, not by `pad_token_id`.
      position_embedding_type: `absolute`, one vector per position; or `relative_key` or
        `relative_key_query`, one vector per distance in every layer (`RelativeKeyEmbedding`).
      is_decoder: whether tokens attend only to themselves and earlier tokens.
      add_cross_attention: whether a decoder attends to the states of an encoder.
      use_cache: whether a decoder returns its keys and values by default.
      classifier_dropout: dropout rate before sequence and token classifiers; None for
        `hidden_dropout_prob`.
      num_labels: number of outputs of sequence and token classifiers; 2 by default.
      id2label: dict of label id to name; string keys, as in a file, are converted to integers.
      label2id: dict of name to label id; derived from `id2label` by default.
      problem_type: loss of a sequence classifier: `regression`, `single_label_classification` or
        `multi_label_classification`; None to derive it from the labels.
      tie_word_embeddings: whether the generator's output weights are tied to its word table.
      output_hidden_states, output_attentions: which outputs the encoder returns by default.
      generator_size: width of the generator of this discriminator as a fraction of its own width;
        None if unknown. `preset` sets it.
      initializer: `truncated_normal`, as in the original; or `fan_in`: normal kernels with standard
        deviation 1 / sqrt(inputs), normal tables with 0.05 and sinusoidal positions, for tiny
        networks that train for minutes.
      summary_first_dropout: dropout rate before the dense layer of the multiple-choice head.
      extra: unknown keys of a file.

    Raises:
      InputError: a size is not a positive integer, a rate is not in [0, 1), a flag is not a
        boolean, a token is not in the vocabulary, a name is unknown; `add_cross_attention` without
        `is_decoder`; label fields contradict one another; or attention heads are pruned.

    Example:
      >>> discriminator = ElectraConfig.preset("small")
      >>> discriminator.hidden_size, discriminator.generator().hidden_size
      (256, 64)
      >>> sentiment = discriminator.replace(id2label={0: "negative", 1: "neutral", 2: "positive"})
      >>> sentiment.num_labels, sentiment.label2id["positive"]
      (3, 2)

    Reference: paper table 6.
    """

    vocab_size: int = 30522
    embedding_size: int = 128
    hidden_size: int = 256
    num_hidden_layers: int = 12
    num_attention_heads: int = 4
    intermediate_size: int = 1024
    hidden_act: str = "gelu"
    hidden_dropout_prob: float = 0.1
    attention_probs_dropout_prob: float = 0.1
    max_position_embeddings: int = 512
    type_vocab_size: int = 2
    initializer_range: float = 0.02
    layer_norm_eps: float = 1e-12
    summary_type: str = "first"
    summary_use_proj: bool = True
    summary_activation: str = "gelu"
    summary_last_dropout: float = 0.1
    pad_token_id: int | None = 0
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    position_embedding_type: str = "absolute"
    use_cache: bool = True
    is_decoder: bool = False
    add_cross_attention: bool = False
    classifier_dropout: float | None = None
    tie_word_embeddings: bool = True
    output_hidden_states: bool = False
    output_attentions: bool = False
    num_labels: int = _DERIVED
    id2label: dict[int, str] = _DERIVED
    label2id: dict[str, int] = _DERIVED
    problem_type: str | None = None
    generator_size: float | None = None
    initializer: str = "truncated_normal"
    summary_first_dropout: float = 0.0
    extra: dict[str, Any] = dataclasses.field(default_factory=dict)

    def __post_init__(self) -> None:
        # Older files have null here, which current Hugging Face classes refuse. They express the
        # same by these values.
        for name, none in (("summary_activation", ""), ("summary_last_dropout", 0.0)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, none)  # the way past `frozen`
        self._check_sizes()
        self._check_flags()
        self._check_names()
        self._check_tokens()
        self._name_labels()
        if self.add_cross_attention and not self.is_decoder:
            raise InputError(
                "add_cross_attention must be false if is_decoder is false: only a decoder attends "
                "to an encoder; set both"
            )
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size must be a multiple of num_attention_heads="
                f"{self.num_attention_heads}, was {self.hidden_size}"
            )
        if self.extra.get("pruned_heads"):
            raise InputError(
                f"pruned_heads must be empty, was {self.extra['pruned_heads']!r}: all layers have "
                "the same number of heads; use head_mask in the call to disable some"
            )

    def _check_sizes(self) -> None:
        for name in (
            "vocab_size",
            "embedding_size",
            "hidden_size",
            "num_hidden_layers",
            "num_attention_heads",
            "intermediate_size",
            "max_position_embeddings",
            "type_vocab_size",
        ):
            _check_positive(name, getattr(self, name), _LARGEST.get(name, _LARGEST_SIZE))
        for name in (
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "classifier_dropout",
            "summary_first_dropout",
            "summary_last_dropout",
        ):
            value = getattr(self, name)
            is_default = name == "classifier_dropout" and value is None
            if not is_default and not _is_rate(value):
                raise InputError(f"{name} must be a dropout rate in [0, 1), was {value!r}")
        for name in ("initializer_range", "layer_norm_eps", "generator_size"):
            value = getattr(self, name)
            is_unknown = name == "generator_size" and value is None
            if not is_unknown and not (_is_number(value) and 0 < value < float("inf")):
                raise InputError(f"{name} must be a positive number, was {value!r}")

    def _check_flags(self) -> None:
        for field in dataclasses.fields(self):
            if not isinstance(field.default, bool):
                continue
            value = getattr(self, field.name)
            if value == "true":  # Some published files have the string.
                object.__setattr__(self, field.name, True)
            elif not isinstance(value, bool):
                raise InputError(f"{field.name} must be true or false, was {value!r}")

    def _check_names(self) -> None:
        for name, known in (
            ("initializer", _INITIALIZERS),
            ("position_embedding_type", POSITION_TYPES),
            ("hidden_act", _ACTIVATIONS),
            ("summary_activation", (*_ACTIVATIONS, "")),
            ("summary_type", _SUMMARY_TYPES),
            ("problem_type", (*_PROBLEM_TYPES, None)),
        ):
            value = getattr(self, name)
            if not isinstance(value, (str, type(None))) or value not in known:
                names = ", ".join(choice for choice in known if choice)
                raise InputError(f"{name} must be one of {names}, was {value!r}")

    def _check_tokens(self) -> None:
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            value = getattr(self, name)
            several = name == "eos_token_id" and isinstance(value, (list, tuple))
            for token in value if several else [value]:
                if token is not None and not _is_id(token, self.vocab_size):
                    raise InputError(
                        f"{name} must be a number below vocab_size={self.vocab_size}, was {value!r}"
                    )

    def _name_labels(self) -> None:
        """Derive each of the three label fields that is missing from the others."""
        id2label, label2id = self._label_names()
        count = self.num_labels
        if id2label is not None and count not in (None, len(id2label)):
            if id2label != _default_names(len(id2label)):
                raise InputError(
                    f"num_labels must be {len(id2label)}, the number of names in id2label, was "
                    f"{count}; use replace(num_labels=...) of the configuration to drop the names, "
                    "replace(id2label=...) to change them"
                )
            # Default names carry no information, so another number of labels may replace them.
            id2label = label2id = None
        if id2label is None:
            count = 2 if count is None else count
            _check_positive("num_labels", count, _LARGEST["num_labels"])
            id2label = _default_names(count)
        if label2id is None:
            label2id = {str(label): number for number, label in id2label.items()}
        object.__setattr__(self, "num_labels", len(id2label))
        object.__setattr__(self, "id2label", id2label)
        object.__setattr__(self, "label2id", label2id)

    def _label_names(self) -> tuple[dict | None, dict | None]:
        """Return `id2label` with integer keys and `label2id`; None for those not given."""
        id2label, label2id = self.id2label, self.label2id
        for name, value in (("id2label", id2label), ("label2id", label2id)):
            if value is not None and not (isinstance(value, dict) and value):
                raise InputError(f"{name} must be a dict with at least one label, was {value!r}")
        if id2label is None and label2id is not None:
            id2label = {number: label for label, number in label2id.items()}
        if id2label is not None:
            try:
                id2label = {int(number): label for number, label in id2label.items()}
            except (TypeError, ValueError) as error:
                raise InputError(
                    f"the labels of id2label must be numbered by integers, was {id2label!r}"
                ) from error
        return id2label, label2id

    @classmethod
    def preset(cls, name: str) -> "ElectraConfig":
        """Return a discriminator of the paper.

        Args:
          name: `small`, `small_plus_plus`, `base` or `large`.

        Raises:
          InputError: the name is unknown.
        """
        if name not in _PRESETS:
            raise InputError(f"preset must be one of {', '.join(_PRESETS)}, was {name!r}")
        return cls(**_PRESETS[name])

    def replace(self, **changes: Any) -> "ElectraConfig":
        """Return a copy with changed fields; the label fields stay consistent.

        Another `num_labels` gives the labels default names; other names in `id2label` or `label2id`
        determine `num_labels`.

        Args:
          **changes: field names and their new values.
        """
        named = changes.keys() & {"id2label", "label2id"}
        if named or changes.get("num_labels", self.num_labels) != self.num_labels:
            # The fields that are not given become None and are derived from the others again.
            changes = {**dict.fromkeys(_LABEL_FIELDS), **changes}
        return dataclasses.replace(self, **changes)

    def generator(self, size: float | None = None) -> "ElectraConfig":
        """Return the generator of this discriminator.

        The generator is narrower, not shallower, and has the same embedding width: paper section
        3.2.

        Args:
          size: width of the generator as a fraction of this width; None for `generator_size`.

        Raises:
          InputError: the size is not positive, or None and the configuration has no
            `generator_size`.
        """
        size = self.generator_size if size is None else size
        if size is None or size <= 0:
            raise InputError(
                f"size must be a positive fraction of the discriminator's width, was {size!r}; "
                "presets have a default, other configurations need one, for example 0.25"
            )
        # As `get_generator_config` of google-research; the number of layers stays.
        hidden_size = round(self.hidden_size * size)
        return dataclasses.replace(
            self,
            hidden_size=hidden_size,
            intermediate_size=4 * hidden_size,
            num_attention_heads=max(1, hidden_size // 64),  # heads of width 64, paper table 6
            generator_size=None,
        )

    @property
    def classifier_rate(self) -> float:
        """Dropout rate before sequence and token classifiers, in training."""
        if self.classifier_dropout is None:
            return self.hidden_dropout_prob
        return self.classifier_dropout

    def to_dict(self) -> dict[str, Any]:
        """Return the content of a `config.json`: all fields, merged with `extra`.

        Fields that Hugging Face does not have are left out if they have their default value.
        `num_labels` is left out, because the names imply it. Ids of labels are strings, as in JSON.
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        extra = values.pop("extra")
        del values["num_labels"]
        values["id2label"] = {str(number): label for number, label in self.id2label.items()}
        for field in dataclasses.fields(self):
            if field.name in _OWN_FIELDS and values[field.name] == field.default:
                del values[field.name]
        # A field takes precedence over a key of the same name in `extra`.
        return {**extra, **values}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "ElectraConfig":
        """Build a configuration from the content of a `config.json`."""
        known = {field.name for field in dataclasses.fields(cls)} - {"extra"}
        # `model_type` identifies the kind of file rather than an option; `to_json` writes it.
        extra = {k: v for k, v in values.items() if k not in known and k != "model_type"}
        return cls(**{k: v for k, v in values.items() if k in known}, extra=extra)

    def to_json(self) -> str:
        """Return the text of a `config.json`."""
        values = {"model_type": "electra", **self.to_dict()}
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ElectraConfig":
        """Build a configuration from the text of a `config.json`.

        Raises:
          InputError: the text is not a JSON object, or describes another type of model.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"the configuration must be a JSON object: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"the configuration must be a JSON object, was {text[:40]!r}")
        kind = values.get("model_type", "electra")
        if kind != "electra":
            raise InputError(
                f"model_type must be 'electra', was {kind!r}: the file is of another model"
            )
        return cls.from_dict(values)


def _default_names(count: int) -> dict[int, str]:
    return {number: f"LABEL_{number}" for number in range(count)}


def _check_positive(name: str, value: Any, largest: int) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a positive integer, was {value!r}")
    if value > largest:
        raise InputError(f"{name} must be at most {largest:,}, was {value:,}; give the real size")


def _is_id(token: Any, vocab_size: int) -> bool:
    return isinstance(token, int) and 0 <= token < vocab_size


def _is_rate(value: Any) -> bool:
    return _is_number(value) and 0 <= value < 1


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
