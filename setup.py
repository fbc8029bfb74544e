"""Packaging: what the program needs, and where its parts go when it is installed."""

import pathlib
import re

import setuptools
from setuptools.command import build_py

ROOT = pathlib.Path(__file__).parent

REQUIREMENTS = [
    # Orbit, the training loop, comes with tf-models-official, which holds TensorFlow to its own
    # minor version; tensorflow-text must have TensorFlow's. These four move together.
    "tensorflow>=2.20,<2.21",
    "tf-keras>=2.20.1,<2.21",
    "tensorflow-text>=2.20.1,<2.21",
    "tf-models-official>=2.20,<2.21",
    "absl-py>=1.4",
    # The command's handling of configuration errors is written for the messages of this version.
    "gin-config==0.5.0",
    "google-crc32c>=1.5",
    "h5py>=3.10",
    "matplotlib>=3.8",
    "ml-dtypes>=0.4",
    "numpy>=1.26",
    "protobuf>=5.28",
    # Reads Parquet, the format of most data sets on the Hugging Face hub.
    "pyarrow>=15",
    "rich>=13",
    # Numbers in bfloat16, and arrays written without a copy.
    "safetensors>=0.8,<1",
    # Metrics of classifiers.
    "scikit-learn>=1.4,<2",
    # Correlations, and the minimum that is the temperature of a classifier.
    "scipy>=1.11,<2",
    # Its offsets in characters came with this one.
    "sentencepiece>=0.2.3,<0.3",
    # F1 of entities as the shared tasks of CoNLL define it.
    "seqeval>=1.2.2,<2",
    "tokenizers>=0.20",
]

# For `electra serve` alone.
SERVE_REQUIREMENTS = [
    "prometheus-client>=0.20,<1",
    "starlette>=1.0,<2",
    "uvicorn>=0.30,<1",
]

# For `electra export --format onnx` and `onnx-int8`, and for their folders.
ONNX_REQUIREMENTS = [
    # The first for numpy 2; earlier ones call functions that it has removed.
    "tf2onnx>=1.17,<2",
    # The quantization of onnxruntime imports it without requiring it.
    "onnx>=1.17,<2",
    "onnxruntime>=1.20,<2",
]

# For `electra export --format litert` and `litert-int8`, and for their folders. The converter is in
# TensorFlow, whose own interpreter is deprecated for this one.
LITERT_REQUIREMENTS = ["ai-edge-litert>=2,<3"]

TEST_REQUIREMENTS = [
    *SERVE_REQUIREMENTS,
    *ONNX_REQUIREMENTS,
    *LITERT_REQUIREMENTS,
    "httpx>=0.27,<1",
    "hypothesis>=6.100",
    "import-linter>=2.1",
    "mypy>=1.11",
    "pre-commit>=3.7",
    "pytest>=8.1",
    "pytest-timeout>=2.3",
    "pytest-xdist>=3.7",
    "ruff>=0.9",
    "setuptools>=65",
    "wheel>=0.43",
]


# For pytorch_model.bin alone. Before this version a pickle could run code in spite of all care.
TORCH_REQUIREMENTS = ["torch>=2.6"]


class BuildWithRecipes(build_py.build_py):
    """Copy configs/ into the package; in a checkout it is a folder beside the package.

    An editable install needs no copy, because the package also looks beside itself.
    """

    def run(self):
        super().run()
        if not self.editable_mode:
            self.copy_tree("configs", str(pathlib.Path(self.build_lib, "official_nlp", "configs")))

    def get_source_files(self):
        return super().get_source_files() + [str(file) for file in recipe_files()]


def recipe_files() -> list[pathlib.Path]:
    folder = ROOT / "configs"
    return sorted(file.relative_to(ROOT) for file in folder.rglob("*.*") if file.is_file())


def version() -> str:
    source = (ROOT / "official_nlp" / "__init__.py").read_text(encoding="utf-8")
    return re.search(r'^__version__ = "(.+)"$', source, re.MULTILINE).group(1)


def readme() -> str:
    file = ROOT / "README.md"
    return file.read_text(encoding="utf-8") if file.exists() else ""


setuptools.setup(
    name="official_nlp",
    version=version(),
    description="ELECTRA for TensorFlow: text in, a pre-trained generator and discriminator out",
    long_description=readme(),
    long_description_content_type="text/markdown",
    license="Apache-2.0",
    python_requires=">=3.10",
    packages=setuptools.find_packages(include=["official_nlp", "official_nlp.*"]),
    package_data={
        # Types for users' editors and type checkers.
        "official_nlp": ["py.typed"],
        "": ["*.pyi"],
        # The page of `electra serve`.
        "official_nlp.serving.server": ["page/*"],
    },
    cmdclass={"build_py": BuildWithRecipes},
    install_requires=REQUIREMENTS,
    extras_require={
        "litert": LITERT_REQUIREMENTS,
        "onnx": ONNX_REQUIREMENTS,
        "serve": SERVE_REQUIREMENTS,
        "test": TEST_REQUIREMENTS,
        "torch": TORCH_REQUIREMENTS,
    },
    entry_points={"console_scripts": ["electra = official_nlp.__main__:main"]},
    zip_safe=False,
)
