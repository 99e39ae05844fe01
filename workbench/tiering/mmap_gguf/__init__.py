"""Read GGUF model files as if each were an attack: every count, length and offset is checked.

`header.py` reads everything before the weights; `geometry.py` draws the KV layout from it.
"""

from workbench.tiering.mmap_gguf.geometry import kv_geometry
from workbench.tiering.mmap_gguf.header import GGUFHeader, Skipped, TensorInfo, read_header
from workbench.tiering.mmap_gguf.reader import GGUFError

__all__ = [
    "GGUFError",
    "GGUFHeader",
    "Skipped",
    "TensorInfo",
    "kv_geometry",
    "read_header",
]
