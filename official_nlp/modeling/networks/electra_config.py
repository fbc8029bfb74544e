"""The sizes of one network, under Hugging Face's names."""

import dataclasses
import json

from official_nlp.errors import InputError
from official_nlp.modeling import ops
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
# Ours, not Hugging Face's: written only where they differ from the default.
_OWN_FIELDS = ("generator_size", "initializer")
_INITIALIZERS = ("truncated_normal", "fan_in")


@dataclasses.dataclass(frozen=True)
class ElectraConfig:
    """Sizes and options of one ELECTRA network; the defaults are ELECTRA-Small's.

    Fields that Hugging Face's `config.json` has keep their names, meaning and defaults. Keys that
    are not known here are kept in `extra` and written back.

    Attributes:
      vocab_size: number of tokens.
      embedding_size: width of the tables.
      hidden_size: width of the encoder; where it differs from `embedding_size` a projection lies
        between them.
      num_hidden_layers, num_attention_heads, intermediate_size: of the encoder.
      hidden_act: `gelu` (exact), `gelu_new` (tanh), `relu`, `silu` or another Keras name.
      hidden_dropout_prob, attention_probs_dropout_prob: shares dropped in training.
      max_position_embeddings: longest row, in tokens.
      type_vocab_size: number of segments.
      initializer_range: standard deviation of the truncated normal.
      layer_norm_eps: added to the variance.
      summary_type, summary_use_proj, summary_activation, summary_last_dropout: of the multiple
        choice head.
      pad_token_id: id of [PAD].
      position_embedding_type: `absolute`: a vector for each position; `relative_key` or
        `relative_key_query`: one for each distance, in every layer (`RelativeKeyEmbedding`).
      is_decoder: attend to earlier positions only.
      add_cross_attention: let a decoder attend to the states of an encoder.
      use_cache: let a decoder return its keys and values, unless the call says otherwise.
      classifier_dropout: before the classifiers; None for `hidden_dropout_prob`.
      tie_word_embeddings: whether the output of the generator is tied to the word table.
      output_hidden_states, output_attentions: what the encoder returns unless asked.
      generator_size: width of the generator that belongs to this discriminator, as a share of
        its own; None where nobody said. Set by `preset`.
      initializer: `truncated_normal`, the original's; or `fan_in`: matrices normal with standard
        deviation 1 / sqrt(inputs), tables normal 0.05, positions sinusoids, for tiny networks
        that train for minutes.
      extra: keys of a file that are not known here.

    Raises:
      InputError: a size is not a positive integer, a share not in [0, 1), a name not known, or
        `add_cross_attention` without `is_decoder`.

    Example:
      >>> discriminator = ElectraConfig.preset("small")
      >>> discriminator.hidden_size, discriminator.generator().hidden_size
      (256, 64)

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
    pad_token_id: int = 0
    position_embedding_type: str = "absolute"
    use_cache: bool = True
    is_decoder: bool = False
    add_cross_attention: bool = False
    classifier_dropout: "float | None" = None
    tie_word_embeddings: bool = True
    output_hidden_states: bool = False
    output_attentions: bool = False
    generator_size: "float | None" = None
    initializer: str = "truncated_normal"
    extra: dict = dataclasses.field(default_factory=dict)

    def __post_init__(self):
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
            value = getattr(self, name)
            if not isinstance(value, int) or value < 1:
                raise InputError(f"{name} must be a positive integer, was {value!r}")
        for name in (
            "hidden_dropout_prob",
            "attention_probs_dropout_prob",
            "classifier_dropout",
            "summary_last_dropout",
        ):
            value = getattr(self, name)
            optional = name in ("classifier_dropout", "summary_last_dropout")
            if not (value is None and optional) and not _is_share(value):
                raise InputError(f"{name} must be a share in [0, 1), was {value!r}")
        for name in ("initializer_range", "layer_norm_eps"):
            value = getattr(self, name)
            if not isinstance(value, (int, float)) or value <= 0:
                raise InputError(f"{name} must be a positive number, was {value!r}")
        self._check_names()
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

    def _check_names(self):
        for name, known in (
            ("initializer", _INITIALIZERS),
            ("position_embedding_type", POSITION_TYPES),
        ):
            value = getattr(self, name)
            if value not in known:
                raise InputError(f"{name} must be one of {', '.join(known)}, was {value!r}")
        try:
            known = isinstance(self.hidden_act, str) and ops.activation(self.hidden_act)
        except ValueError:
            known = False
        if not known:
            raise InputError(
                "hidden_act must be the name of an activation (gelu, gelu_new, relu, silu, ...), "
                f"was {self.hidden_act!r}"
            )

    @classmethod
    def preset(cls, name: str) -> "ElectraConfig":
        """Returns the discriminator `small`, `small_plus_plus`, `base` or `large` of the paper."""
        if name not in _PRESETS:
            raise InputError(f"preset must be one of {', '.join(_PRESETS)}, was {name!r}")
        return cls(**_PRESETS[name])

    def generator(self, size: "float | None" = None) -> "ElectraConfig":
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

    def to_dict(self) -> dict:
        """Returns all fields, `extra` merged in; ours only where they differ from the default."""
        values = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)}
        extra = values.pop("extra")
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


def _is_share(value) -> bool:
    return isinstance(value, (int, float)) and 0 <= value < 1
