"""Columns for the metadata of assets: the schema of a table of ours, which the Dagster UI shows."""

import dagster as dg


def columns(*told: tuple[str, str, str]) -> dg.TableSchema:
    """A schema of columns that are never null, each told as its name, its type and what it holds."""
    filled = dg.TableColumnConstraints(nullable=False)
    return dg.TableSchema([dg.TableColumn(name, kind, said, constraints=filled) for name, kind, said in told])
