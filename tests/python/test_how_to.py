"""Pages of docs/how-to are followed word by word, on a copy of the project.

A page is its fenced blocks, in their order. A block `sh` is run. A block below a
paragraph that begins with a file in backticks is an edit: `diff` replaces the lines
that it shows, any other language is the whole file. Nothing else of the page is read.
"""

import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import pytest

from saas_analytics.refresh import engine
from tests.python.support import (
    ROOT,
    Database,
    copy_of_marts,
    environment,
    new_database,
)
from tests.python.workload import SCHEMA

FOLDER = ROOT / "docs" / "how-to"
PAGES = (
    *("add-an-event-table.md", "add-a-mart.md", "add-a-column.md"),
    *("add-a-plan-billing-cycle-or-event-category.md", "map-your-own-schema.md"),
)
MOST_EDITS = 5
BLOCK = re.compile(
    r"(?P<above>(?:[^\n]+\n)*)\n"
    r"(?P<fence>`{3,})(?P<language>\w+)\n(?P<text>.*?\n)(?P=fence)\n",
    re.DOTALL,
)
NAMED = re.compile(r"^(?:\*\*Edit \d+\.\*\* )?`([\w./]+)`:")
COPIED = (
    *("bootstrap", "macros", "models", "packages", "saas_analytics", "seeds"),
    *("snapshots", "tests/generic", "tests/integrity", "tests/singular"),
    *("tests/mutation", "docs", ".dbtignore", "dbt_project.yml", "profiles.yml"),
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page: a command, or an edit of a file."""

    file: str | None
    language: str
    text: str


def blocks(page: str) -> Iterator[Block]:
    """The blocks of a page that are to be followed, in their order."""
    text = (FOLDER / page).read_text("utf-8")
    file = None
    for found in BLOCK.finditer(text):
        if named := NAMED.match(found["above"]):
            file = named[1]
        # A second block of a file has the first one above it.
        elif found["above"]:
            file = None
        if found["language"] == "sh":
            file = None
        yield Block(file, found["language"], found["text"])


@dataclass(frozen=True)
class Reader:
    """A user who follows pages in a checkout."""

    root: Path
    database: Database

    def follow(self, page: str) -> None:
        for block in blocks(page):
            if block.language == "sh":
                self.run(block.text)
            elif block.file and block.file.endswith("app.sql"):
                self.database.execute(block.text)
            elif block.file:
                self.edit(block.file, block)

    def run(self, commands: str) -> str:
        done = subprocess.run(
            ["bash", "-euc", commands],
            cwd=self.root,
            env=environment(
                DATABASE_URL=self.database.url,
                PYTHONPATH=str(self.root),
                DBT_SEND_ANONYMOUS_USAGE_STATS="false",
            ),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def edit(self, file: str, block: Block) -> None:
        path = self.root / file
        if number := re.match(r"\d{3}(?=_)", path.name):
            # The number is the next free one.
            (path,) = path.parent.glob(path.name.replace(number[0], "[0-9]*", 1))
        if block.language != "diff":
            path.write_text(block.text, "utf-8")
            return
        lines = block.text.splitlines()
        old = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "+")
        new = "".join(f"{line[1:]}\n" for line in lines if line[:1] != "-")
        text = path.read_text("utf-8")
        assert text.count(old) == 1, f"{file} has {text.count(old)} times:\n{old}"
        path.write_text(text.replace(old, new), "utf-8")

    def refresh(self, *models: str) -> dict[str, str]:
        """Refresh models and compare each with its select. Returns the methods."""
        with closing(self.database.connect()) as connection:
            runs = engine.refresh(
                connection,
                SCHEMA,
                models=models,
                inspect=lambda each: engine.verify(each, SCHEMA, models),
            )
        return {run.model: run.method for run in runs}


def checkout(folder: Path) -> Path:
    """A copy of the project, with the programs of this one."""
    root = folder / "project"
    for name in COPIED:
        source, target = ROOT / name, root / name
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(
                source, target, ignore=shutil.ignore_patterns("__pycache__", "python")
            )
        else:
            shutil.copy(source, target)
    (root / ".venv").symlink_to(ROOT / ".venv")
    return root


@pytest.fixture(scope="module")
def company(
    server_url: str, marts_template: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Reader]:
    """A company with its marts, to which one page after the other adds something."""
    with copy_of_marts(server_url, marts_template) as made:
        yield Reader(checkout(tmp_path_factory.mktemp("how-to")), made)


@pytest.mark.parametrize("page", PAGES)
def test_a_page_has_at_most_five_edits(page: str) -> None:
    text = (FOLDER / page).read_text("utf-8")
    numbers = re.findall(r"^\*\*Edit (\d+)\.\*\* `", text, re.MULTILINE)
    assert numbers == [str(each + 1) for each in range(len(numbers))]
    assert 1 <= len(numbers) <= MOST_EDITS


def test_an_own_event_table_and_a_mart_over_it_stay_exact(company: Reader) -> None:
    company.follow("add-an-event-table.md")
    company.follow("add-a-mart.md")
    mart = "fct_support_tickets_daily"
    write = company.database.execute
    write(
        "insert into support_tickets (user_id, priority, subject, occurred_at) "
        "select id, (array['low', 'normal', 'high'])[1 + floor(random() * 3)], 'Help', "
        "timestamptz '2026-01-01 00:00+00' + random() * interval '60 days' "
        "from users limit 40"
    )
    assert company.refresh(mart) == {mart: "partial"}
    write(
        "update support_tickets set priority = 'high', occurred_at = occurred_at "
        "- interval '20 days' where id in (select id from support_tickets limit 9)"
    )
    write(
        "delete from support_tickets where id in "
        "(select id from support_tickets order by id desc limit 9)"
    )
    assert company.refresh(mart) == {mart: "partial"}
    ((tickets,),) = write(f"select sum(support_tickets) from analytics.{mart}")
    assert tickets == 31
    assert write("select count(*) from support_tickets_default") != [(0,)]
    company.run(".venv/bin/saas partitions")
    assert write("select count(*) from support_tickets_default") == [(0,)]
    assert company.refresh(mart)[mart] != "full"


def test_an_own_column_reaches_the_staging_view_and_before_images(
    company: Reader,
) -> None:
    company.follow("add-a-column.md")
    company.database.execute("update users set country = 'DE'")
    assert company.database.execute(
        "select distinct country from analytics_staging.stg_saas__users"
    ) == [("DE",)]
    company.database.execute("update users set country = 'FR'")
    assert company.database.execute(
        "select old_row ->> 'country' from change_tombstones "
        "where table_name = 'users' order by change_xid desc limit 1"
    ) == [("DE",)]
    assert company.refresh("dim_users") != {}


def test_an_own_plan_cycle_and_category_reach_the_marts(company: Reader) -> None:
    company.follow("add-a-plan-billing-cycle-or-event-category.md")
    write = company.database.execute
    ((license_id,),) = write("select id from licenses where status = 'active' limit 1")
    write(
        "update licenses set plan_type = 'team' where id = %s; "
        "delete from subscriptions where license_id = %s; "
        "insert into subscriptions (license_id, status, plan_type, billing_cycle, "
        "amount_cents, currency, created_at, current_period_start, current_period_end) "
        "values (%s, 'active', 'team', 'quarterly', 3001, 'USD', "
        "now() - interval '10 days', now() - interval '10 days', "
        "now() + interval '80 days'); "
        "insert into usage_events (license_id, event_type, event_category, event_name) "
        "values (%s, 'mail_opened', 'marketing', 'mail_opened')",
        (license_id,) * 4,
    )
    company.refresh()
    assert write(
        "select closing_mrr_cents from analytics.fct_mrr_monthly "
        "where plan_type = 'team' order by mrr_month desc limit 1"
    ) == [(1000,)]
    assert write(
        "select plan_rank from analytics.dim_plans where plan_type = 'team'"
    ) == [(4,)]


def test_the_way_back_of_each_page_works(company: Reader) -> None:
    company.database.execute(
        "delete from subscriptions where plan_type = 'team'; "
        "update licenses set plan_type = 'pro' where plan_type = 'team'; "
        "delete from usage_events where event_category = 'marketing'"
    )
    company.run(".venv/bin/saas rollback 009_stale_usage --yes")
    assert company.database.execute(
        "select to_regclass('support_tickets')::text, count(*) from pg_attribute "
        "where attrelid = 'users'::regclass and attname = 'country'"
    ) == [(None, 0)]


def test_an_own_schema_is_mapped_onto_the_contract(
    server_url: str, template_database: str, tmp_path: Path
) -> None:
    with new_database(server_url, template=template_database) as made:
        reader = Reader(checkout(tmp_path), made)
        reader.follow("map-your-own-schema.md")
        made.execute(
            """
            insert into app.accounts (mail) values ('a@b.c'), ('d@e.f'), ('g@h.i');
            insert into app.actions (account_id, verb, seconds, at)
            select 1 + n % 3, 'search', n, now() - n * interval '1 day'
            from generate_series(1, 60) as n;
            insert into app.calls (account_id, path, status, at)
            select 1 + n % 3, '/v1/a', 200, now() - n * interval '1 day'
            from generate_series(1, 60) as n;
            """
        )
        marts = ("fct_usage_daily", "fct_api_usage_daily")
        reader.refresh(*marts)
        made.execute(
            """
            update app.actions set at = at - interval '40 days', verb = 'export'
            where action_id % 7 = 0;
            delete from app.actions where action_id % 11 = 0;
            update app.calls set status = 500, path = '/v1/b' where call_id % 7 = 0;
            delete from app.calls where call_id % 11 = 0;
            delete from app.accounts where account_id = 2;
            """
        )
        assert set(reader.refresh(*marts).values()) == {"partial"}
        assert made.execute(
            "select (select sum(event_count) from analytics.fct_usage_daily), "
            "(select sum(requests) from analytics.fct_api_usage_daily)"
        ) == [(55, 55)]

        made.execute(
            "create or replace view analytics_staging.stg_saas__api_usage as "
            + made.execute(
                "select pg_get_viewdef('analytics_staging.stg_saas__api_usage'"
                "::regclass)"
            )[0][0].replace("FROM app.calls", "FROM app.calls CROSS JOIN app.accounts")
        )
        with pytest.raises(Exception, match=r"reads more than app\.calls"):
            reader.refresh("fct_api_usage_daily")

        made.execute(
            "alter table usage_events rename to events; "
            "create view usage_events as select * from events; "
            "create or replace view analytics_staging.stg_saas__usage_events as "
            + made.execute(
                "select pg_get_viewdef('analytics_staging.stg_saas__usage_events'"
                "::regclass)"
            )[0][0].replace("FROM events", "FROM usage_events")
        )
        for _ in range(2):
            made.execute("insert into app.actions (verb) values ('late')")
            assert reader.refresh("fct_usage_daily") == {"fct_usage_daily": "full"}
