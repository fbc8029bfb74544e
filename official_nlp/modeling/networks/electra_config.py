"""The sizes of one network, under Hugging Face's names."""

import dataclasses
import json

from official_nlp.errors import InputError
from official_nlp.modeling.layers.multi_head_attention import POSITION_TYPES

_PRESETS = {
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
# No fields of Hugging Face's: written only where they differ from the default.
_OWN_FIELDS = ("generator_size", "initializer", "summary_first_dropout")
_INITIALIZERS = ("truncated_normal", "fan_in")
# Names that mean one function in Hugging Face's files and here. Others differ (Keras's `leaky_relu`
# is steeper) or are in one library alone.
_EXACT_GELU = ("gelu", "gelu_python")
_TANH_GELU = ("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh")
_OTHERS = ("relu", "relu6", "silu", "swish", "mish", "tanh", "sigmoid", "linear")
_ACTIVATIONS = _EXACT_GELU + _TANH_GELU + _OTHERS
_SUMMARY_TYPES = ("first", "last", "mean", "cls_index")
_PROBLEM_TYPES = ("regression", "single_label_classification", "multi_label_classification")
_LABEL_FIELDS = ("num_labels", "id2label", "label2id")


@dataclasses.dataclass(frozen=True)
class ElectraConfig:
    """Sizes and options of one ELECTRA network; the defaults are ELECTRA-Small's.

    Fields that Hugging Face's `config.json` has keep their names, meaning and defaults. Keys that
    are not known here are kept in `extra` and written back.

    Labels are said by their number or by their names: `num_labels=3` names them `LABEL_0` to
    `LABEL_2`; the number of names in `id2label`, or in `label2id`, gives `num_labels`. A file has
    the names. `replace` keeps the three in step.

    Attributes:
      vocab_size: number of tokens.
      embedding_size: width of the tables.
      hidden_size: width of the encoder; where it differs from `embedding_size` a projection lies
        between them.
      num_hidden_layers, num_attention_heads, intermediate_size: of the encoder.
      hidden_act: `gelu` (exact), `gelu_new` (tanh), `relu`, `silu`, `mish`, `tanh`, `sigmoid`,
        `relu6`, `linear`, or one of Hugging Face's other names of these.
      hidden_dropout_prob, attention_probs_dropout_prob: shares dropped in training.
      max_position_embeddings: longest row, in tokens.
      type_vocab_size: number of segments.
      initializer_range: standard deviation of the truncated normal.
      layer_norm_eps: added to the variance.
      summary_type, summary_use_proj, summary_activation, summary_last_dropout: of the multiple
        choice head, see `MultipleChoiceHead`; no activation is an empty name.
      pad_token_id, bos_token_id, eos_token_id: which tokens are [PAD], the beginning and the end
        where a decoder generates; None for no such token, several ends in a list. What is padding
        in a batch its mask says.
      position_embedding_type: `absolute`: a vector for each position; `relative_key` or
        `relative_key_query`: one for each distance, in every layer (`RelativeKeyEmbedding`).
      is_decoder: attend to earlier positions only.
      add_cross_attention: let a decoder attend to the states of an encoder.
      use_cache: let a decoder return its keys and values, unless the call says otherwise.
      classifier_dropout: before the classifiers of rows and tokens; None for
        `hidden_dropout_prob`.
      num_labels: number of outputs of the classifiers of rows and tokens; 2 where nobody says.
      id2label: dict of a number to the name of a label; keys that are text, as in a file, become
        numbers.
      label2id: dict of a name to its number; made of `id2label` if left out.
      problem_type: which loss a classifier of rows has: `regression`,
        `single_label_classification` or `multi_label_classification`; None to see it by the
        labels.
      tie_word_embeddings: whether the output of the generator is tied to the word table.
      output_hidden_states, output_attentions: what the encoder returns unless asked.
      generator_size: width of the generator that belongs to this discriminator, as a share of
        its own; None where nobody said. Set by `preset`.
      initializer: `truncated_normal`, the original's; or `fan_in`: matrices normal with standard
        deviation 1 / sqrt(inputs), tables normal 0.05, positions sinusoids, for tiny networks
        that train for minutes.
      summary_first_dropout: share dropped before the dense layer of the multiple choice head.
      extra: keys of a file that are not known here.

    Raises:
      InputError: a size is not a positive integer, a share not in [0, 1), a switch not a boolean,
        a token not in the vocabulary, a name not known; `add_cross_attention` without
        `is_decoder`; labels that contradict one another; or pruned attention heads.

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
    eos_token_id: int | list | None = None
    position_embedding_type: str = "absolute"
    use_cache: bool = True
    is_decoder: bool = False
    add_cross_attention: bool = False
    classifier_dropout: float | None = None
    tie_word_embeddings: bool = True
    output_hidden_states: bool = False
    output_attentions: bool = False
    num_labels: int | None = None
    id2label: dict | None = None
    label2id: dict | None = None
    problem_type: str | None = None
    generator_size: float | None = None
    initializer: str = "truncated_normal"
    summary_first_dropout: float = 0.0
    extra: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
        # Hugging Face's own classes of today refuse null here, and mean the same by these.
        for name, nothing in (("summary_activation", ""), ("summary_last_dropout", 0.0)):
            if getattr(self, name) is None:
                object.__setattr__(self, name, nothing)
        self._check_sizes()
        self._check_switches()
        self._check_names()
        self._check_tokens()
        self._name_labels()
        if self.add_cross_attention and not self.is_decoder:
            raise InputError(
                "add_cross_attention must be false where is_decoder is false: a decoder alone "
                "attends to an encoder; set both"
            )
        if self.hidden_size % self.num_attention_heads:
            raise InputError(
                f"hidden_size must be a multiple of num_attention_heads="
                f"{self.num_attention_heads}, was {self.hidden_size}"
            )
        if self.extra.get("pruned_heads"):
            raise InputError(
                f"pruned_heads must be empty, was {self.extra['pruned_heads']!r}: all layers have "
                "equal heads here; a head_mask in the call switches some off"
            )

    def _check_sizes(self):
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
            _check_positive(name, getattr(self, name))
        for name in (
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "classifier_dropout",
            "summary_first_dropout",
            "summary_last_dropout",
        ):
            value = getattr(self, name)
            unsaid = name == "classifier_dropout" and value is None
            if not unsaid and not _is_share(value):
                raise InputError(f"{name} must be a share in [0, 1), was {value!r}")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            if not _is_number(value) or not 0 < value < float("inf"):
                raise InputError(f"{name} must be a positive number, was {value!r}")

    def _check_switches(self):
        for field in dataclasses.fields(self):
            if not isinstance(field.default, bool):
                continue
            value = getattr(self, field.name)
            if value == "true":  # is found in published files
                object.__setattr__(self, field.name, True)
            elif not isinstance(value, bool):
                raise InputError(f"{field.name} must be true or false, was {value!r}")

    def _check_names(self):
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

    def _check_tokens(self):
        for name in ("pad_token_id", "bos_token_id", "eos_token_id"):
            value = getattr(self, name)
            several = name == "eos_token_id" and isinstance(value, (list, tuple))
            for token in value if several else [value]:
                if token is not None and not _is_id(token, self.vocab_size):
                    raise InputError(
                        f"{name} must be a number below vocab_size={self.vocab_size}, was {value!r}"
                    )

    def _name_labels(self):
        id2label, label2id = self._given_names()
        count = self.num_labels
        if id2label is not None and count not in (None, len(id2label)):
            if id2label != _unnamed(len(id2label)):
                raise InputError(
                    f"num_labels must be {len(id2label)} as id2label has names, was {count}; "
                    "replace(num_labels=...) of the configuration drops the names, "
                    "replace(id2label=...) gives others"
                )
            id2label = label2id = None
        if id2label is None:
            count = 2 if count is None else count
            _check_positive("num_labels", count)
            id2label = _unnamed(count)
        if label2id is None:
            label2id = {str(label): number for number, label in id2label.items()}
        object.__setattr__(self, "num_labels", len(id2label))
        object.__setattr__(self, "id2label", id2label)
        object.__setattr__(self, "label2id", label2id)

    def _given_names(self):
        """Returns both dicts, `id2label` with integers; None where nobody said."""
        id2label, label2id = self.id2label, self.label2id
        for name, value in (("id2label", id2label), ("label2id", label2id)):
            if value is not None and not (isinstance(value, dict) and value):
                raise InputError(f"{name} must be a dict of one label or more, was {value!r}")
        if id2label is None and label2id is not None:
            id2label = {number: label for label, number in label2id.items()}
        if id2label is not None:
            try:
                id2label = {int(number): label for number, label in id2label.items()}
            except (TypeError, ValueError) as error:
                raise InputError(f"labels must be numbered, was {id2label!r}") from error
        return id2label, label2id

    @classmethod
    def preset(cls, name: str) -> "ElectraConfig":
        """Returns the discriminator `small`, `small_plus_plus`, `base` or `large` of the paper."""
        if name not in _PRESETS:
            raise InputError(f"preset must be one of {', '.join(_PRESETS)}, was {name!r}")
        return cls(**_PRESETS[name])

    def replace(self, **changes) -> "ElectraConfig":
        """Returns a copy with other values; the labels' fields follow the one that changes.

        Another `num_labels` names the labels anew, the same keeps their names; other names in
        `id2label` or `label2id` give their number.
        """
        named = changes.keys() & {"id2label", "label2id"}
        if named or changes.get("num_labels", self.num_labels) != self.num_labels:
            changes = {**dict.fromkeys(_LABEL_FIELDS), **changes}
        return dataclasses.replace(self, **changes)

    def generator(self, size: float | None = None) -> "ElectraConfig":
        """Returns the generator that belongs to this discriminator.

        It is narrower, not shallower, and has the same embedding width: paper section 3.2.

        Args:
          size: its width as a share of this one's; None for `generator_size`.
        """
        size = self.generator_size if size is None else size
        if size is None or size <= 0:
            raise InputError(
                f"size must be a positive share of the discriminator's width, was {size!r}; a "
                "preset knows its own, other configurations need one, 0.25 say"
            )
        hidden_size = round(self.hidden_size * size)
        return dataclasses.replace(
            self,
            hidden_size=hidden_size,
            intermediate_size=4 * hidden_size,
            num_attention_heads=max(1, hidden_size // 64),
            generator_size=None,
        )

    @property
    def classifier_rate(self) -> float:
        """The share that classifiers of rows and tokens drop in training."""
        if self.classifier_dropout is None:
            return self.hidden_dropout_prob
        return self.classifier_dropout

    def to_dict(self) -> dict:
        """Returns what a `config.json` holds: all fields, `extra` merged in.

        Fields that are ours are there only where they differ from the default; `num_labels` is
        in the names, whose numbers are text as JSON has it.
        """
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        extra = values.pop("extra")
        del values["num_labels"]
        values["id2label"] = {str(number): label for number, label in self.id2label.items()}
        for field in dataclasses.fields(self):
            if field.name in _OWN_FIELDS and values[field.name] == field.default:
                del values[field.name]
        return {**extra, **values}

    @classmethod
    def from_dict(cls, values: dict) -> "ElectraConfig":
        """Returns the configuration of a dict such as a `config.json` holds."""
        known = {field.name for field in dataclasses.fields(cls)} - {"extra"}
        # `model_type` is no option: it says what file this is, and `to_json` writes it.
        extra = {k: v for k, v in values.items() if k not in known and k != "model_type"}
        return cls(**{k: v for k, v in values.items() if k in known}, extra=extra)

    def to_json(self) -> str:
        """Returns the text of a `config.json`."""
        values = {"model_type": "electra", **self.to_dict()}
        return json.dumps(values, indent=2, sort_keys=True) + "\n"

    @classmethod
    def from_json(cls, text: str) -> "ElectraConfig":
        """Returns the configuration that the text of a `config.json` describes.

        Raises:
          InputError: the text is not a JSON object, or of another type of model.
        """
        try:
            values = json.loads(text)
        except json.JSONDecodeError as error:
            raise InputError(f"the configuration must be a JSON object: {error}") from error
        if not isinstance(values, dict):
            raise InputError(f"the configuration must be a JSON object, was {text[:40]!r}")
        kind = values.get("model_type", "electra")
        if kind != "electra":
            raise InputError(f"model_type must be 'electra', was {kind!r}: another model's file")
        return cls.from_dict(values)


def _unnamed(count: int) -> dict:
    return {number: f"LABEL_{number}" for number in range(count)}


def _check_positive(name, value):
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise InputError(f"{name} must be a positive integer, was {value!r}")


def _is_id(token, vocab_size) -> bool:
    return isinstance(token, int) and 0 <= token < vocab_size


def _is_share(value) -> bool:
    return _is_number(value) and 0 <= value < 1


def _is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
