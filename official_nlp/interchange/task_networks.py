"""The interfaces of tasks whose networks are converted, and initialized from other weights."""

from collections.abc import Mapping, Sequence
from typing import Any, Protocol, runtime_checkable

from official_nlp.data import ElectraTokenizer
from official_nlp.modeling.networks.electra_config import ElectraConfig
from official_nlp.modeling.tensor_names import NamedTensor
from official_nlp.training import TaskConfig


@runtime_checkable
class HasNetworks(Protocol):
    """A task whose model consists of ELECTRA networks.

    A task satisfies this protocol by its structure. It need not import this module, and this
    package knows no task. Mappings are keyed by the name of the network, such as `generator` and
    `discriminator`; a task with a single network uses the empty name. A task that cannot begin with
    a new head of the discriminator may name its tensors in `required_tensors`.

    Attributes:
      sharing: how the networks share variables, a mode of `ElectraPretrainer`; None for a single
        network.
      architectures: name of the transformers class of each network, for its `config.json`.
    """

    sharing: str | None
    architectures: Mapping[str, str]

    def load_tokenizer(self) -> ElectraTokenizer:
        """Return the tokenizer of the data or of the saved run."""

    def networks(self) -> Mapping[str, ElectraConfig]:
        """Return the configuration of each network, complete with its vocabulary size."""

    def named_tensors(self, model: Any) -> Mapping[str, Sequence[NamedTensor]]:
        """Return the tensors of each network of a built model, under Hugging Face names."""

    def is_shared(self, tensor_name: str) -> bool:
        """Return whether the tensor of this name is one variable of all networks."""


@runtime_checkable
class TakesNetwork(Protocol):
    """A task config that takes the sizes of its network, and its tokenizer, from pretrained ones.

    Attributes:
      network, tokenizer: the network and its tokenizer; None until `with_network` is called.
    """

    network: ElectraConfig | None
    tokenizer: ElectraTokenizer | None

    @property
    def architecture(self) -> str:
        """Name of the transformers class that fits best where a source holds several networks.

        Empty for none in particular.
        """

    def with_network(self, network: ElectraConfig, tokenizer: ElectraTokenizer) -> TaskConfig:
        """Return the configuration for a network and its tokenizer."""
