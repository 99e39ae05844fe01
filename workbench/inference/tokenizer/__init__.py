"""Turn text into a model's token ids and back, by the vocabulary in its own GGUF file."""

from workbench.inference.tokenizer.text_stream import TextStream
from workbench.inference.tokenizer.tokenizer import Tokenizer, read_tokenizer

__all__ = ["TextStream", "Tokenizer", "read_tokenizer"]
