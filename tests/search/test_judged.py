"""Judged queries: reading them from a CSV, and making them of a catalogue."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from assets.search.judged import Query, known_items, read

HEAD = "query,product_id,grade,kind\n"


def written(folder: Path, text: str) -> Path:
    path = folder / "queries.csv"
    path.write_text(text, encoding="utf-8")
    return path


def test_rows_of_one_query_become_one_query(tmp_path: Path) -> None:
    path = written(tmp_path, HEAD + '"mug, red",7,3,words\nlamp,8,2,plain\n"mug, red",9,1,words\n')
    assert read(path) == [Query("mug, red", {"7": 3, "9": 1}, "words"), Query("lamp", {"8": 2}, "plain")]
    assert read(written(tmp_path, HEAD)) == []


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", r"line 1: the columns are '': write 'query,product_id,grade,kind'"),
        ("query,id\n", r"line 1: the columns are 'query,id': write"),
        (HEAD + "mug,7,3\n", r"line 2: 3 values .*: write 4"),
        (HEAD + "mug,7,3,words\n ,7,3,words\n", r"line 3: query is ' ': fill it in"),
        (HEAD + "mug,,3,words\n", r"line 2: product_id is '': fill it in"),
        (HEAD + "mug,7,3,\n", r"line 2: kind is '': fill it in"),
        (HEAD + "mug,7,4,words\n", r"line 2: the grade is '4': write 1 \(near\), 2 \(fits\) or 3 \(exact\)"),
        (HEAD + "mug,7,3.0,words\n", r"line 2: the grade is '3.0'"),
        (HEAD + "mug,7,3,words\nmug,7,2,words\n", r"line 3: '7' is judged twice for 'mug': keep one"),
        (HEAD + "mug,7,3,words\nmug,8,2,plain\n", r"line 3: 'mug' is of the kind 'plain', and on line 2 'words'"),
        (HEAD + "cup,1,3,words\nmug,7,1,words\n", r"line 3: no product has a grade of 2 or more for 'mug': judge one"),
        (HEAD + 'mug,"7"x,3,words\n', r"line 2: it is no CSV"),
    ],
)
def test_a_wrong_file_is_refused_with_its_line_and_what_to_do(tmp_path: Path, text: str, said: str) -> None:
    path = written(tmp_path, text)
    with pytest.raises(ValueError, match=re.escape(str(path)) + ", " + said):
        read(path)


def test_a_file_of_another_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "queries.csv"
    path.write_bytes(HEAD.encode() + "café,7,3,words\n".encode("latin-1"))
    with pytest.raises(ValueError, match=r"queries\.csv.*not UTF-8.*save the file as UTF-8"):
        read(path)


@pytest.mark.parametrize(
    ("text", "grades", "said"),
    [(" ", {"a": 3}, "empty"), ("mug", {"a": 4}, "'a' has the grade 4 for 'mug'"), ("mug", {"a": 1}, "no product has")],
)
def test_a_query_that_cannot_be_judged_is_refused(text: str, grades: dict[str, int], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        Query(text, grades, "words")


STORY = " ".join(f"word{letter}{other} of" for letter in "abcdefgh" for other in "abcde")  # 80 words
DOCUMENTS = [
    ("1", "Red Enamel Mug", "for coffee, with the handle"),
    ("2", "RED  enamel mug", "For coffee,  with the handle"),
    ("3", "Silver Candle Lantern", "brass hinges and a glass window"),
    ("4", "Blue mug", ""),
    ("5", "Long Story", STORY.replace("word", "")),
]


def test_known_items_ask_for_content_words_of_one_text_and_all_its_copies_are_right() -> None:
    queries = known_items(DOCUMENTS, 100, 1)
    shuffled = {frozenset(query.grades): query for query in queries if query.kind == "shuffled"}
    # The two mugs have one text; the blue one has too few words to be known by.
    assert set(shuffled) == {frozenset("12"), frozenset("3")}
    words = shuffled[frozenset("12")].text.split()
    assert 3 <= len(words) <= 5 and len(set(words)) == len(words)
    assert set(words) <= {"red", "enamel", "mug", "coffee", "handle"}
    assert all(set(query.grades.values()) == {3} for query in queries)


def test_known_items_with_a_typing_error_have_one_word_that_no_text_has() -> None:
    documents = [(str(number), f"sturdy wooden garden table {number}", "painted olive") for number in range(50)]
    typos = [query for query in known_items(documents, 150, 3) if query.kind == "typo"]
    assert len(typos) > 10
    for query in typos:
        wrong = set(query.text.split()) - {"sturdy", "wooden", "garden", "table", "painted", "olive"}
        assert len(wrong) == 1
        assert wrong.pop()[0] in "swgtpo"


def test_long_texts_are_asked_for_with_a_part_as_it_stands() -> None:
    story = " ".join(f"Plot{chr(97 + number % 26)}{number}," for number in range(60))
    documents = [("long", "Saga", story), ("short", "Ballad", " ".join(story.split()[:39]))]
    parts = [query for query in known_items(documents, 20, 5) if query.kind == "part"]
    assert [dict(query.grades) for query in parts] == [{"long": 3}]
    assert parts[0].text in story and 8 <= len(parts[0].text.split()) <= 12


def test_known_items_are_the_same_for_the_same_documents_and_seed_in_any_order() -> None:
    documents = [
        (str(number), f"title {chr(97 + number)}{chr(98 + number)}c", "some wooden thing") for number in range(20)
    ]
    first = known_items(documents, 15, 1)
    assert first == known_items(documents[::-1], 15, 1)
    assert first != known_items(documents, 15, 2)
    assert len(first) == 15 and len({query.text for query in first}) == 15


def test_known_items_take_turns_between_the_kinds_and_stop_where_the_texts_end() -> None:
    kinds = [query.kind for query in known_items(DOCUMENTS, 3, 1)]
    assert kinds == ["shuffled", "typo", "part"]
    assert len(known_items(DOCUMENTS, 1000, 1)) == 5
    assert known_items([], 10, 1) == []
    with pytest.raises(ValueError, match="0 queries were asked for"):
        known_items(DOCUMENTS, 0, 1)
