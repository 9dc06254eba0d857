"""DuckDB's full recompute of the same rows with the same cores."""

import os
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.incremental.company import Company
from benchmarks.incremental.marts import Model

TYPES = {
    "text": "varchar",
    "character varying": "varchar",
    "numeric": "decimal(18, 6)",
    "timestamp with time zone": "timestamptz",
}


class Duck:
    """The rows of the staging views as typed tables of a file."""

    def __init__(self, company: Company, models: Iterable[Model]) -> None:
        """Copy what the models read."""
        self.folder = tempfile.TemporaryDirectory(prefix="saas-benchmark-")
        self.connection = duckdb.connect(str(Path(self.folder.name, "company.duckdb")))
        self._execute(f"set threads = {os.cpu_count()}")
        self._execute("set TimeZone = 'UTC'")
        self._execute("create macro trim_scale(value) as value")
        for schema in ("staging", "intermediate", "seeds"):
            self._execute(f"create schema analytics_{schema}")
        self._execute("create schema analytics")
        relations = {
            each["relation"]
            for model in models
            for each in model.inputs
            if each["kind"] != "model"
        }
        for relation in sorted(relations):
            self._copy(company, relation)
        self._execute("checkpoint")

    def create_table(self, model: Model) -> float:
        """Seconds of one model; the models that it reads must exist."""
        self._execute(f"drop table if exists {model.relation}")
        began = time.perf_counter()
        self._execute(f"create table {model.relation} as {model.select}")
        return time.perf_counter() - began

    def close(self) -> None:
        """Remove the copy."""
        self.connection.close()
        self.folder.cleanup()

    def _copy(self, company: Company, relation: str) -> None:
        columns = company.execute(
            "select attname, format_type(atttypid, null) from pg_attribute "
            "where attrelid = %s::regclass and attnum > 0 order by attnum",
            (relation,),
        )
        types = {name: TYPES.get(kind, kind) for name, kind in columns}
        path = Path(self.folder.name, "rows.csv")
        with path.open("w") as file, company.connection.cursor() as cursor:
            cursor.copy_expert(f"copy (select * from {relation}) to stdout csv", file)
        self._execute(
            f"create table {relation} as select * from read_csv("
            f"'{path}', header = false, nullstr = '', columns = {types})"
        )
        path.unlink()

    def _execute(self, statement: str) -> Any:
        return self.connection.execute(statement)
