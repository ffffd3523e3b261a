"""Statements are compiled once for each kind of document, and kinds are never mistaken."""

from sqlalchemy import Column, MetaData, Table, create_engine, insert, select

from headway.model.hold import Hold, Scope
from headway.model.verdict import Outcome, Verdict
from headway.server.database.tables import Document


def test_two_kinds_in_columns_of_one_name_are_read_as_what_they_are() -> None:
    engine = create_engine("sqlite://")
    hold = Hold("h", Scope.APP, "web", "bob", "lunch", 1.0)
    verdict = Verdict("errors", Outcome.PASS, "fine")
    for value in (hold, verdict, hold):
        table = Table("things", MetaData(), Column("thing", Document(type(value))))
        with engine.begin() as connection:
            table.drop(connection, checkfirst=True)
            table.create(connection)
            connection.execute(insert(table).values(thing=value))
            assert connection.scalar(select(table.c.thing)) == value


def test_statements_are_compiled_once() -> None:
    assert Document(Hold)._static_cache_key == Document(Hold)._static_cache_key
    assert Document(Hold)._static_cache_key != Document(Verdict)._static_cache_key
