# What `__init__.py` provides lazily, for editors and type checkers.
from official_nlp.serving.export_model import export as export

__all__: list[str]

def __dir__() -> list[str]: ...
