"""A migration of a release is never edited: lint and this test say what to do."""

import shutil
from pathlib import Path

import pytest

from bootstrap import adopt
from scripts import released


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A copy of the migrations, to be edited."""
    copied = tmp_path / "migrations"
    shutil.copytree(released.FOLDER, copied)
    return copied


def test_no_released_migration_is_edited() -> None:
    assert f"{adopt.SAME_AS}.sql" in released.recorded(released.FOLDER)
    assert released.complaints(released.FOLDER) == []


def test_an_edited_or_removed_migration_is_named_with_what_to_do(folder: Path) -> None:
    with (folder / "002_affiliates.sql").open("a") as file:
        file.write("-- edited\n")
    (folder / "009_stale_usage.sql").unlink()
    # A way back may be corrected.
    (folder / "001_initial_schema.down.sql").write_text("")

    edited, removed = released.complaints(folder)

    assert "002_affiliates.sql was released and is edited: restore it" in edited
    assert "write a new migration" in edited
    assert "009_stale_usage.sql was released and is removed" in removed


def test_a_new_migration_may_be_edited_until_it_is_recorded(folder: Path) -> None:
    new = folder / "999_more.sql"
    new.write_text("begin;\ncommit;\n")
    assert released.complaints(folder) == []
    released.record(folder)
    new.write_text("begin;\n\ncommit;\n")

    (complaint,) = released.complaints(folder)

    assert "999_more.sql was released and is edited" in complaint
