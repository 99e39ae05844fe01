"""Read GGUF model files as if each were an attack: every count, length and offset is checked.

`open_model` maps a model, whole or split, and gives its tensors; `read_header` reads what stands
before the weights of one file; `geometry.py` draws the KV layout from it.
"""

from workbench.tiering.mmap_gguf.geometry import kv_geometry
from workbench.tiering.mmap_gguf.header import GGUFHeader, Skipped, TensorInfo, read_header
from workbench.tiering.mmap_gguf.model_map import ModelMap, open_model
from workbench.tiering.mmap_gguf.open_file import GGUFError
from workbench.tiering.mmap_gguf.tensors import Tensor, dequantized

__all__ = [
    "GGUFError",
    "GGUFHeader",
    "ModelMap",
    "Skipped",
    "Tensor",
    "TensorInfo",
    "dequantized",
    "kv_geometry",
    "open_model",
    "read_header",
]
