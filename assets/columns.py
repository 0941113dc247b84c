"""Columns for the metadata of assets: the schema of a table of ours, which the Dagster UI shows."""

import dagster as dg


def columns(*told: tuple[str, str, str], may_be_null: tuple[str, ...] = ()) -> dg.TableSchema:
    """A schema of columns, each told as its name, its type and what it holds; those that may be null are named."""
    return dg.TableSchema(
        [
            dg.TableColumn(name, kind, said, constraints=dg.TableColumnConstraints(nullable=name in may_be_null))
            for name, kind, said in told
        ]
    )
