"""What `benchmarks.search` runs in an environment that has sentence-transformers: texts embedded on demand, in seconds.

Arguments: the folder of the model, a JSON file with the texts, the file for their vectors, processors, texts in a
batch. For each line that it reads it embeds all texts once, and prints the seconds.
"""

import json
import sys
import time
from pathlib import Path

import numpy as np
import torch
from sentence_transformers import SentenceTransformer


def main() -> None:
    folder, texts, out, threads, batch = sys.argv[1:]
    torch.set_num_threads(int(threads))
    model = SentenceTransformer(folder, device="cpu")
    model.max_seq_length = 256
    found = json.loads(Path(texts).read_text(encoding="utf-8"))
    model.encode(found[:32], batch_size=int(batch))
    print("ready", flush=True)
    for _ in sys.stdin:
        began = time.perf_counter()
        vectors = model.encode(found, batch_size=int(batch), normalize_embeddings=True, show_progress_bar=False)
        print(time.perf_counter() - began, flush=True)
        np.save(out, vectors)


if __name__ == "__main__":
    main()
