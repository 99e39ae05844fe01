"""Write llama_cpp_ids.json again: what llama.cpp makes of awkward strings, by its Python binding.

The strings are this project's own. To run, with `make peers` done and a GGUF file per case:

    PEERS_PYTHON tests/workbench/inference/tokenizer/write_llama_cpp_ids.py CASE=FILE.gguf ...

The cases: `gpt-2:NAME` is the GPT-2 vocabulary of the data set tokenizer-vectors with
tokenizer.ggml.pre set to NAME, `stories260K` the file that stories.py writes.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

PLACE = Path(__file__).with_name("llama_cpp_ids.json")


def ids(vocabulary: object, text: str) -> list[int]:
    raw = text.encode()
    room = (llama_cpp.llama_token * (len(raw) + 8))()
    n_tokens = llama_cpp.llama_tokenize(vocabulary, raw, len(raw), room, len(room), True, True)
    assert n_tokens >= 0
    return list(room[:n_tokens])


def main() -> None:
    table = json.loads(PLACE.read_text())
    parameters = llama_cpp.llama_model_default_params()
    parameters.vocab_only = True
    for case, _, file in (argument.partition("=") for argument in sys.argv[1:]):
        model = llama_cpp.llama_model_load_from_file(file.encode(), parameters)
        vocabulary = llama_cpp.llama_model_get_vocab(model)
        table["ids"][case] = [ids(vocabulary, text) for text in table["texts"]]
    rows = [f"  {json.dumps(text)}" for text in table["texts"]]
    lines = [f"  {json.dumps(case)}: {json.dumps(found)}" for case, found in table["ids"].items()]
    texts, found = ",\n".join(rows), ",\n".join(lines)
    PLACE.write_text(f'{{"texts": [\n{texts}\n],\n"ids": {{\n{found}\n}}}}\n')


if __name__ == "__main__":
    import llama_cpp

    main()
