"""How a statement is routed: by its own words, never by what stands in strings, comments or data."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.clickhouse.errors import RequestError
from infra.clickhouse.execution import checked
from infra.clickhouse.statements import (
    first_words,
    has_second_statement,
    insert_data,
    names_a_file,
    quoted,
    trailing_format,
)

#: Text in which no token of a statement can hide: what a string literal may hold.
ANYTHING = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=40)


@given(ANYTHING)
def test_a_string_literal_never_ends_a_statement(inside: str) -> None:
    assert not has_second_statement(f"SELECT {quoted(inside)}, 1;".encode())


@given(ANYTHING)
def test_what_follows_a_semicolon_is_a_second_statement_whatever_stands_before(inside: str) -> None:
    assert has_second_statement(f"SELECT {quoted(inside)}; SELECT 2".encode())


@given(st.binary(max_size=60))
def test_insert_data_begins_right_after_the_format_line_byte_for_byte(data: bytes) -> None:
    text = b"INSERT INTO t (a, `format csv`) FORMAT Native\n" + data
    found = insert_data(text)
    assert found is not None
    assert (found.format, text[found.data_offset :]) == ("Native", data)
    assert found.statement == "INSERT INTO t (a, `format csv`) "


@pytest.mark.parametrize(
    "text",
    [
        b"INSERT INTO t VALUES (1, 'FORMAT CSV')",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH x AS (SELECT 1) SELECT * FROM x FORMAT CSV",
        b"INSERT INTO t FORMAT Values (1)",
        b"INSERT INTO t",
    ],
)
def test_an_insert_without_a_body_of_its_own_is_left_to_the_engine(text: bytes) -> None:
    assert insert_data(text) is None


def test_first_words_skip_comments_and_brackets() -> None:
    assert first_words(b"/* a */ -- b\n (SELECT 1)") == ["SELECT"]
    assert first_words(b"set /* x */ role all") == ["SET", "ROLE", "ALL"]


def test_only_real_file_clauses_count() -> None:
    assert names_a_file(b"SELECT 1 INTO OUTFILE 'x'")
    assert not names_a_file(b"SELECT 'INTO OUTFILE'")


def test_the_format_at_the_end_wins_over_one_in_a_string() -> None:
    assert trailing_format("SELECT 'FORMAT x' FORMAT JSONEachRow SETTINGS max_threads = 1;") == "JSONEachRow"
    assert trailing_format("SELECT 1") is None


def test_kill_query_finds_the_clients_own_id() -> None:
    text = checked(b"KILL QUERY WHERE query_id = 'x'", ["KILL"], "TSV").text
    assert text == "KILL QUERY WHERE Settings['log_comment'] = 'x'"


@pytest.mark.parametrize("text", [b"SET ROLE x", b"set default role x", b"SELECT 1 ; anything set  role x"])
def test_a_role_is_never_changed(text: bytes) -> None:
    with pytest.raises(RequestError, match="497"):
        checked(text, first_words(text), "TSV")
