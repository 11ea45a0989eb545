"""Files of models, changed by hand."""

import json

from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from fastgru.exchange.container import digest_of


def rewrite(path, change):
    """Change a file's description and give it the right digest.

    change : takes the description and the arrays, and changes them in place
    """
    tensors = load_file(path)
    with safe_open(path, framework="numpy") as file:
        header = file.metadata()
    description = json.loads(header["model"])
    change(description, tensors)
    text = json.dumps(description)
    header |= {"model": text, "digest": digest_of(text, tensors)}
    save_file(tensors, path, metadata=header)


def split(content):
    """Return the header of a file as an object, and its data."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(content[8 : 8 + length]), content[8 + length :]


def join(header, data, *, padding=0):
    """Make a file of a header, an object or bytes, and data."""
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    text += b" " * padding
    return len(text).to_bytes(8, "little") + text + data
