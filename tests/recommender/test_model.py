"""The recommender: what it finds, what it must not see, edge cases, and its files."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import numpy as np
import pytest

from assets.recommender.config import AlsConfig
from assets.recommender.evaluate import OURS, OWN_THEN_POPULAR, evaluate, fit_baselines
from assets.recommender.histories import histories_of, session_of
from assets.recommender.interactions import Interactions
from assets.recommender.model import ModelError, Recommender
from assets.recommender.pyfunc import _load_pyfunc
from assets.recommender.sources import Folding, fit_als
from assets.recommender.split import split
from tests.recommender.made import Row, day, made, small_config, two_tastes

CUT = day(50)


@pytest.fixture(scope="module")
def whole() -> Interactions:
    return two_tastes()


@pytest.fixture(scope="module")
def model(whole: Interactions) -> Recommender:
    return Recommender.fit(whole, small_config(repeats=False), CUT)


def state(model: Recommender) -> dict[str, bytes]:
    arrays = {name: getattr(model, name).tobytes() for name in ("is_listed", "popular", "rising", "factors")}
    for name in ("covisits", "similar"):
        table = getattr(model, name)
        arrays[name] = table.data.tobytes() + table.indices.tobytes() + table.indptr.tobytes()
    blend = {str(key): weights.tobytes() for key, weights in model.blend.weights.items()}
    return arrays | blend | {"products": "|".join(model.product_ids.to_pylist()).encode()}


def test_two_tastes_are_told_apart(whole: Interactions, model: Recommender) -> None:
    actors, chosen, _ = model.recommend_all(whole, 5, day(60))
    names = np.array([*model.product_ids.to_pylist(), ""])
    right = [
        product[0] == actor[0]
        for actor, row in zip(actors.to_pylist(), chosen, strict=True)
        for product in names[row]
        if product
    ]
    assert len(right) > 500 and np.mean(right) > 0.9
    assert all(product[0] == "b" for product, _ in model.recommend(["b01", "b03"], 5))


def test_it_beats_what_is_popular_where_there_are_tastes(whole: Interactions, model: Recommender) -> None:
    past, queries = split(whole, model.config, CUT)
    models = fit_baselines(past, model.config, CUT) | {OURS: model}
    judged = evaluate(models, queries, seed=1)
    ours, popular = (judged.per_query(name, False).mean() for name in (OURS, "popularity"))
    assert ours > popular + 0.05
    rows = judged.rows()
    assert {row["model"] for row in rows} == {*models} and OWN_THEN_POPULAR in models
    for row in rows:
        assert row["ndcg@10_low"] <= row["ndcg@10"] <= row["ndcg@10_high"]
        assert row["recall@20"] <= row["candidate_recall"] + 1e-9
    assert "| new only | warm |" in judged.markdown()
    assert len(judged.figure().axes) == len({(row["items"], row["actors"]) for row in rows})


def test_the_same_input_gives_the_same_model(whole: Interactions, model: Recommender) -> None:
    assert state(Recommender.fit(whole, model.config, CUT)) == state(model)
    other = Recommender.fit(whole, small_config(repeats=False, seed=7), CUT)
    assert state(other)["factors"] != state(model)["factors"]


def test_what_comes_after_the_cut_changes_nothing(whole: Interactions, model: Recommender) -> None:
    assert (whole.occurred_at >= CUT.timestamp() * 1e6).any()
    assert state(Recommender.fit(whole.until(CUT), model.config, CUT)) == state(model)


def test_one_session_and_everybody_are_scored_alike(whole: Interactions, model: Recommender) -> None:
    at = day(60)
    actors, chosen, scores = model.recommend_all(whole, 10, at)
    histories = histories_of(whole, model.config, at)
    for row in (0, 7, len(actors) - 1):
        part = histories.part(row, row + 1).within(model.product_ids)
        single, values = model.top(part, 10)
        assert (single[0] == chosen[row]).all()
        assert values[0] == pytest.approx(scores[row], abs=1e-5)


def test_a_single_product_weighs_nothing(model: Recommender) -> None:
    one, *others = (dict(model.recommend(history, 10)) for history in (["a01"], [("a01", 1e-3)], ["a01"] * 3))
    for other in others:
        assert list(other) == list(one) and list(other.values()) == pytest.approx(list(one.values()), rel=1e-5)
    # Many rows of one product are asked for once, and answered as one alone is.
    histories = session_of(["a01"], model.product_ids, model._places)
    many, _ = model.top(histories.choose(np.zeros(5, np.int64)), 10)
    assert (many == model.top(histories, 10)[0][0]).all()


def test_repeats_are_recommended_only_where_they_may_be(model: Recommender) -> None:
    history = session_of(["a00", "a01", "a02"], model.product_ids, model._places)
    new, _ = model.top(history, 30, repeats=False)
    assert not set(history.product.tolist()) & set(new[0].tolist())
    again, _ = model.top(history, 30, repeats=True)
    assert set(history.product.tolist()) <= set(again[0].tolist())


def test_who_is_not_known_gets_what_is_popular(model: Recommender) -> None:
    popular = model.fallback(5)
    counts = dict(zip(model.product_ids.to_pylist(), model.popular.tolist(), strict=True))
    assert [product for product, _ in popular] == sorted(counts, key=lambda name: -counts[name])[:5]
    assert model.recommend(["no such product", ("a01", float("nan")), ("a02", -1.0)], 5) == popular


def test_the_excluded_are_left_out_and_made_up_for(model: Recommender) -> None:
    first = [product for product, _ in model.recommend(["a01"], 5)]
    got = [product for product, _ in model.recommend(["a01"], 5, exclude=[first[0], "no such product"])]
    assert first[0] not in got and len(got) == 5 and got[:4] == first[1:]


def test_what_is_not_listed_is_learned_from_and_never_recommended(whole: Interactions) -> None:
    gone = made(
        [
            (
                whole.actor_ids[int(a)].as_py(),
                whole.product_ids[int(p)].as_py(),
                "view",
                (at / 1e6 - day(0).timestamp()) / 86400,
            )
            for a, p, at in zip(whole.actor, whole.product, whole.occurred_at, strict=True)
        ],
        unlisted=["a00", "b00"],
    )
    model = Recommender.fit(gone, small_config(), CUT)
    for history in ([], ["a01"], ["a00"], ["a00", "a02"]):
        assert not {"a00", "b00"} & {product for product, _ in model.recommend(history, 40)}
    assert all(product[0] == "a" for product, _ in model.recommend(["a00"], 3))


EDGES: dict[str, list[Row]] = {
    "ten interactions": [(f"u{n % 4}", f"p{n % 3}", "view", float(n)) for n in range(10)],
    "one user": [("u", f"p{n}", "purchase", float(n)) for n in range(6)],
    "one item": [(f"u{n}", "p", "view", float(n)) for n in range(6)],
    "one row": [("u", "p", "view", 1.0)],
    "identical timestamps": [(f"u{n % 5}", f"p{n % 7}", "cart", 3.0) for n in range(60)],
    "all long ago": [(f"u{n % 5}", f"p{n % 7}", "view", -3000.0 - n % 5) for n in range(60)],
    "nothing": [],
}


@pytest.mark.parametrize("repeats", [True, False])
@pytest.mark.parametrize("name", EDGES)
def test_the_smallest_shops_get_sensible_answers(name: str, repeats: bool, tmp_path: Path) -> None:
    rows = EDGES[name]
    interactions = made(rows)
    config = small_config(repeats=repeats)
    model = Recommender.fit(interactions, config, day(20))
    actors, chosen, scores = model.recommend_all(interactions, 5, day(20))
    assert len(actors) == len(interactions.actor_ids) == len(chosen)
    there = chosen >= 0
    assert np.isfinite(scores[there]).all() and (scores[~there] == -np.inf).all()
    for actor, row in zip(range(len(actors)), chosen, strict=True):
        listed = row[row >= 0].tolist()
        assert len(set(listed)) == len(listed)
        own = set(interactions.product[interactions.actor == actor].tolist())
        if repeats:
            assert len(listed) == min(5, len(interactions.product_ids))
        else:
            assert not own & set(listed)
    assert len(model.fallback(5)) == min(5, len(interactions.product_ids))
    model.save(tmp_path)
    assert state(Recommender.load(tmp_path)) == state(model)
    past, queries = split(interactions, config, day(4))
    judged = evaluate(fit_baselines(past, config, day(4)) | {OURS: Recommender.fit(past, config, day(4))}, queries, 1)
    for row in judged.rows():
        assert all(0 <= row[f"{metric}@10"] <= 1 for metric in ("ndcg", "hit", "recall", "mrr"))


def test_saved_and_loaded_it_answers_the_same(whole: Interactions, model: Recommender, tmp_path: Path) -> None:
    model.save(tmp_path)
    loaded = Recommender.load(tmp_path)
    assert state(loaded) == state(model)
    assert (loaded.trained_to, loaded.trained_on, loaded.config) == (CUT, len(whole.until(CUT)), model.config)
    assert loaded.recommend(["a01", "a05"], 10) == model.recommend(["a01", "a05"], 10)
    assert {path.name for path in tmp_path.iterdir()} == {"model.npz", "model.json"}


def newer(folder: Path) -> None:
    facts = json.loads((folder / "model.json").read_text())
    (folder / "model.json").write_text(json.dumps(facts | {"format": 2}))


def without_array(folder: Path) -> None:
    with np.load(folder / "model.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files if name != "factors"}
    np.savez(folder / "model.npz", **kept)


def with_short_array(folder: Path) -> None:
    with np.load(folder / "model.npz") as arrays:
        kept = {name: arrays[name] for name in arrays.files}
    np.savez(folder / "model.npz", **{**kept, "popular": kept["popular"][:-1]})


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (newer, "format 2 and this version reads up to 1: update cartograph"),
        (without_array, "lacks 'factors"),
        (with_short_array, "products and arrays of"),
        (lambda folder: (folder / "model.npz").unlink(), r"model\.npz: this file of the model is missing"),
        (lambda folder: (folder / "model.npz").write_bytes(b"PK no zip"), "cannot be read"),
        (lambda folder: (folder / "model.json").write_text("{"), "cannot be read"),
    ],
)
def test_a_damaged_model_says_what_is_wrong(
    model: Recommender, tmp_path: Path, damage: Callable[[Path], None], message: str
) -> None:
    model.save(tmp_path)
    damage(tmp_path)
    with pytest.raises(ModelError, match=message):
        Recommender.load(tmp_path)


def test_folding_in_is_the_step_of_als(whole: Interactions) -> None:
    """Against `implicit`, for histories on both sides of where the way of solving changes."""
    from implicit.cpu.als import AlternatingLeastSquares

    rows = [("many", f"{taste}{n:02d}", "view", float(n)) for taste in "ab" for n in range(20)]
    few = [("few", "a01", "cart", 1.0), ("few", "b02", "view", 2.0), ("one", "a03", "view", 3.0)]
    config = AlsConfig(factors=6, regularization=0.5, alpha=2.0, iterations=4)
    interactions = made([*rows, *few])
    histories = histories_of(interactions, small_config(), day(60))
    matrix = histories.matrix(histories.weight)
    factors = fit_als(matrix, config, 1)
    theirs = AlternatingLeastSquares(factors=6, regularization=0.5, alpha=1.0, num_threads=1)
    theirs.item_factors = factors
    matrix.data = 1 + 2.0 * matrix.data
    wanted = theirs.recalculate_user(np.arange(matrix.shape[0]), matrix)
    assert histories.sizes.max() > 32 > histories.sizes.min()
    assert Folding(factors, config).fold(histories) == pytest.approx(wanted, rel=1e-3, abs=1e-5)


def test_histories_that_go_on_after_training_are_read(whole: Interactions, model: Recommender) -> None:
    later = made([("late", "b01", "view", 70.0), ("late", "b02", "view", 71.0), ("late", "unheard of", "view", 72.0)])
    actors, chosen, _ = model.recommend_all(later, 5, day(80))
    assert actors.to_pylist() == ["late"]
    assert {model.product_ids[int(place)].as_py()[0] for place in chosen[0]} == {"b"}
    assert day(80) - CUT == timedelta(days=30)


def test_mlflow_loads_it_from_its_folder(model: Recommender, tmp_path: Path) -> None:
    import pandas as pd

    model.save(tmp_path)
    loaded = _load_pyfunc(str(tmp_path))
    frame = pd.DataFrame({"session": [["a01", "a02"], [], None], "top": [3, 2, 2]}, index=[5, 6, 7])
    got = loaded.predict(frame)
    assert got.index.tolist() == [5, 6, 7] and [len(row) for row in got["product_ids"]] == [3, 2, 2]
    assert list(zip(got["product_ids"][5], got["scores"][5], strict=True)) == model.recommend(["a01", "a02"], 3)
    assert got["product_ids"][6] == got["product_ids"][7] == [product for product, _ in model.fallback(2)]
    assert len(loaded.predict(frame[["session"]])["scores"][5]) == model.config.top_n
    with pytest.raises(ValueError, match="needs `session`"):
        loaded.predict(frame[["top"]])
    with pytest.raises(ValueError, match="top: 0"):
        loaded.predict(frame.assign(top=0))
