"""An index of a data folder with other values, as another program would write it."""

import json
import pathlib
from typing import Any

from official_nlp.data.storage import index


def change_index(folder: pathlib.Path, **changes: Any) -> None:
    """Change values of the index of a folder, and the checksum that belongs to them."""
    file = folder / index.INDEX_FILE
    content = json.loads(file.read_text()) | changes
    del content["checksum"]
    file.write_text(json.dumps(content | {"checksum": index._checksum(content)}))
