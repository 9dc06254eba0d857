"""A mart of one's own is exact, or refused when it is built, whatever it says."""

from __future__ import annotations

import json
import os
import random
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from typing import Any

import psycopg2
import pytest

from saas_analytics.refresh import engine
from tests.python import torture
from tests.python.support import (
    Database,
    DbtProject,
    new_database,
    run,
    with_login,
)
from tests.python.torture import SCHEMA

NAME = f"saas_user_models_{os.getpid()}"
FOLDER = "models/marts"
OF_ONES_OWN = {"contract": {"enforced": False}, "access": "private"}


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> DbtProject:
    """Staging alone, to which tests add models."""
    made = DbtProject.copy(tmp_path_factory.mktemp("user_models"), domains=())
    (made.root / FOLDER).mkdir()
    return made


@pytest.fixture
def company(server_url: str, marts_template: str) -> Iterator[Database]:
    with new_database(server_url, template=marts_template, name=NAME) as made:
        yield made


def model(select: str, config: dict[str, Any] | None = None, **exact: Any) -> str:
    """The text of a model, with dbt's config and that of the package exact."""
    meta = {"meta": {"exact": exact}} if exact else {}
    # Jinja reads JSON, but for its word for False.
    literal = json.dumps({**OF_ONES_OWN, **(config or {}), **meta})
    literal = literal.replace("false", "False")
    return f"{{{{ config(**{literal}) }}}}\n{select}\n"


def build(
    project: DbtProject, company: Database, models: dict[str, str], stack: ExitStack
) -> str:
    """Build models; what dbt complained of."""
    for name, text in models.items():
        stack.enter_context(project.added(f"{FOLDER}/{name}.sql", text))
    return project.dbt("run", "--select", *models, database=company)


def refresh(company: Database, models: dict[str, str]) -> dict[str, engine.Run]:
    """Refresh models, and compare each with its select."""
    with closing(company.connect()) as connection:
        runs = engine.refresh(
            connection,
            SCHEMA,
            models=sorted(models),
            inspect=lambda each: engine.verify(each, SCHEMA, sorted(models)),
        )
    return {run.model: run for run in runs}


USERS_BY_ROLE = {
    "fct_users_by_role": model(
        'select role, count(*) as users from {{ ref("stg_saas__users") }} '
        "group by role",
        keys=["role"],
        inputs={"stg_saas__users": {}},
    )
}


def test_a_mart_by_a_column_that_is_not_captured_follows_every_change(
    project: DbtProject, company: Database
) -> None:
    def method() -> str:
        found = company.execute(
            "select role, users from analytics.fct_users_by_role order by role"
        )
        assert found == company.execute(
            "select role, count(*) from users group by role order by role"
        )
        return runs["fct_users_by_role"].method

    with ExitStack() as stack:
        assert build(project, company, USERS_BY_ROLE, stack) == ""
        for change in (
            "update users set role = 'admin' "
            "where id in (select id from users limit 7)",
            "delete from users where id in (select id from users where not exists "
            "(select from teams where owner_id = users.id) limit 2)",
        ):
            company.execute(change)
            runs = refresh(company, USERS_BY_ROLE)
            assert method() == "full"
            (advice,) = runs["fct_users_by_role"].advice
            assert advice == (
                "computed in full whenever stg_saas__users changes, because "
                "before-images of public.users lack role: "
                "`saas capture users role` adds it"
            )
        runs = refresh(company, USERS_BY_ROLE)
        assert method() == "unchanged"

        run("capture", "users", "role", env=company.environment()).check_returncode()
        refresh(company, USERS_BY_ROLE)
        company.execute(
            "update users set role = 'super_admin' "
            "where id in (select id from users limit 2)"
        )
        runs = refresh(company, USERS_BY_ROLE)
        assert method() == "partial"
        assert runs["fct_users_by_role"].advice == []


# --- Any config -----------------------------------------------------------------------

# Columns by which a model may group rows of staging, and those it may filter by. Some
# are kept in before-images, some are not.
GROUPS: dict[str, dict[str, str]] = {
    "stg_saas__usage_events": {
        "user_id": "user_id",
        "session_id": "session_id",
        "event_type": "event_type",
        "usage_date": "day of occurred_at",
        "arrival_date": "day of created_at or none",
        "usage_month": "month of occurred_at",
    },
    "stg_saas__licenses": {
        "plan_type": "plan_type",
        "seats_total": "seats_total",
        "end_month": "month of expires_at or none",
        "user_id": "user_id",
    },
    "stg_saas__subscriptions": {
        "billing_cycle": "billing_cycle",
        "currency": "currency",
        "start_date": "day of current_period_start_at or none",
    },
    "stg_saas__error_logs": {
        "severity": "severity",
        "endpoint": "endpoint",
        "error_date": "day of occurred_at",
    },
}
FILTERS = {
    "stg_saas__usage_events": ("duration_seconds > 0", "event_category = 'feature'"),
    "stg_saas__licenses": ("seats_used > 1", "status = 'active'"),
    "stg_saas__subscriptions": ("is_canceled_at_period_end", "plan_type = 'pro'"),
    "stg_saas__error_logs": ("endpoint is not null", "severity = 'critical'"),
}


def sql_of(part: str) -> str:
    """What a part of a key means, in a model's select."""
    text = part.removesuffix(" or none")
    if " of " not in text:
        return text
    period, column = text.split(" of ")
    macro = "reporting_date" if period == "day" else "reporting_month"
    return f'{{{{ {macro}("{column}") }}}}'


def any_model(generator: random.Random) -> str:
    """A model of random keys, filter and look-up."""
    staging = generator.choice(sorted(GROUPS))
    keys = generator.sample(sorted(GROUPS[staging]), generator.randint(1, 2))
    form: dict[str, Any] = {"keys": {name: GROUPS[staging][name] for name in keys}}
    condition = ""
    if generator.random() < 0.5:
        chosen = generator.choice(FILTERS[staging])
        condition = f"where {chosen}"
        if generator.random() < 0.7:
            form["where"] = chosen
    columns = ", ".join(f"{sql_of(GROUPS[staging][name])} as {name}" for name in keys)
    inputs: dict[str, Any] = {staging: form}
    if staging == "stg_saas__subscriptions" and not condition and keys == ["currency"]:
        inputs["stg_saas__licenses"] = {
            "lookup": {"in": "stg_saas__subscriptions", "by": "license_id"}
        }
        return model(
            "select rows.currency, count(*) as rows, sum(seats_total) as seats "
            'from {{ ref("stg_saas__subscriptions") }} as rows '
            'left join {{ ref("stg_saas__licenses") }} as licenses '
            "on rows.license_id = licenses.license_id group by rows.currency",
            keys=keys,
            inputs={staging: form} if generator.random() < 0.3 else inputs,
        )
    return model(
        f'select {columns}, count(*) as number from {{{{ ref("{staging}") }}}} '
        f"{condition} group by {', '.join(str(n + 1) for n in range(len(keys)))}",
        keys=keys,
        inputs=inputs,
    )


@pytest.mark.parametrize("seed", range(int(os.environ.get("MODEL_SEEDS", "2"))))
def test_any_model_of_ones_own_equals_a_rebuild_whatever_is_written(
    project: DbtProject, company: Database, seed: int
) -> None:
    generator = random.Random(seed)
    models = {f"fct_own_{number}": any_model(generator) for number in range(12)}
    methods: set[str] = set()
    with ExitStack() as stack, closing(company.connect()) as connection:
        assert build(project, company, models, stack) == ""
        for _ in range(8):
            with connection, connection.cursor() as cursor:
                for _ in range(generator.randint(1, 4)):
                    torture.write(cursor, generator)
                cursor.execute(
                    "update usage_events set session_id = 's' || random()::text, "
                    "created_at = created_at - interval '1 day' where id in "
                    "(select id from usage_events order by random() limit 3); "
                    "update licenses set seats_total = seats_total + 1 where id in "
                    "(select id from licenses order by random() limit 2); "
                    "update subscriptions set billing_cycle = 'yearly' where id in "
                    "(select id from subscriptions order by random() limit 2); "
                    "update error_logs set endpoint = null where id in "
                    "(select id from error_logs order by random() limit 2)"
                )
            methods |= {run.method for run in refresh(company, models).values()}
    assert {"partial", "full"} <= methods


# --- Refused when it is built ---------------------------------------------------------

BY_SEVERITY = (
    'select severity, count(*) as errors from {{ ref("stg_saas__error_logs") }} '
    "group by severity"
)


def by_severity(**form: Any) -> dict[str, Any]:
    """The config of a model by severity, with more in its entry for the input."""
    return {"keys": ["severity"], "inputs": {"stg_saas__error_logs": form}}


REFUSED: dict[str, tuple[str, str]] = {
    "misspelt_key": (
        model(BY_SEVERITY, **by_severity(wher="true")),
        "has wher in inputs of stg_saas__error_logs, which means nothing there",
    ),
    "misspelt_config_of_dbt": (
        model(BY_SEVERITY, {"indexs": []}),
        "has the config key indexs, which dbt does not know",
    ),
    "misspelt_name": (
        model(BY_SEVERITY, keis=["severity"]),
        "has keis in meta.exact, which means nothing there",
    ),
    "entry_of_the_former_form": (
        model(BY_SEVERITY, keys=["severity"], inputs={"stg_saas__error_logs": "x"}),
        "has inputs of stg_saas__error_logs that are not a dict",
    ),
    "where_in_keys": (
        model(BY_SEVERITY, **by_severity(keys=[{"where": "true"}])),
        "has where in keys in inputs of stg_saas__error_logs",
    ),
    "moments_without_clock": (
        model(BY_SEVERITY, **by_severity(moments=["occurred_at"])),
        "has moments in inputs of stg_saas__error_logs, which do nothing",
    ),
    "keys_alone": (model(BY_SEVERITY, keys=["severity"]), "keys without inputs"),
    "unknown_input": (
        model(BY_SEVERITY, keys=["severity"], inputs={"stg_saas__teams": {}}),
        "does not read stg_saas__teams, which `inputs` names",
    ),
    "unknown_clock": (model(BY_SEVERITY, clock="daily"), "clock daily"),
    "delta_without_count": (
        model(BY_SEVERITY, **by_severity(delta={})),
        "has delta of stg_saas__error_logs without count",
    ),
    "delta_of_a_source": (
        model(BY_SEVERITY, **by_severity(delta={"count": "errors"})),
        "has delta in inputs of stg_saas__error_logs, which is no exact model",
    ),
    "lookup_by_nothing": (
        model(BY_SEVERITY, **by_severity(lookup={"in": "stg_saas__error_logs"})),
        "has lookup of stg_saas__error_logs that lacks in or by",
    ),
    "lookup_in_nothing": (
        model(BY_SEVERITY, **by_severity(lookup={"in": "plans", "by": "severity"})),
        "has lookup of stg_saas__error_logs in plans: name an input whose own keys",
    ),
    "unknown_column": (
        model(BY_SEVERITY, **by_severity(keys={"severity": "severty"})),
        'column "severty" does not exist',
    ),
    "current_date": (
        model(f"select *, current_date as today from ({BY_SEVERITY}) as errors"),
        "calls current_date, whose result a later run would not repeat",
    ),
    "local_time": (
        model(f"select *, localtimestamp as seen_at from ({BY_SEVERITY}) as errors"),
        "calls localtimestamp",
    ),
    "real_clock": (
        model(f"select *, clock_timestamp() as now from ({BY_SEVERITY}) as errors"),
        "calls clock_timestamp(), which gives another result in another run",
    ),
    "today": (
        model(f"select *, date 'today' as today from ({BY_SEVERITY}) as errors"),
        "has a time such as 'today'",
    ),
    "chance": (
        model(f"select *, random() as chance from ({BY_SEVERITY}) as errors"),
        "calls random()",
    ),
    "other_table": (
        model(
            f"select *, (select count(*) from public.teams) from ({BY_SEVERITY}) as e"
        ),
        "reads public.teams, which is not a ref() of it",
    ),
    "other_table_in_a_key": (
        model(
            BY_SEVERITY,
            **by_severity(keys={"severity": "(select max(name) from public.teams)"}),
        ),
        "reads public.teams, which is not a ref() of it",
    ),
    "clock_in_where": (
        model(BY_SEVERITY, **by_severity(where="occurred_at < now()")),
        "THIS reads the clock in inputs of stg_saas__error_logs",
    ),
    "time_of_the_build_in_where": (
        model(BY_SEVERITY, **by_severity(where="NOW")).replace(
            '"NOW"', '"occurred_at < " ~ reporting_now()'
        ),
        "THIS reads the clock in inputs of stg_saas__error_logs",
    ),
    "iso_time_of_the_build_in_where": (
        model(BY_SEVERITY, **by_severity(where="NOW")).replace(
            '"NOW"',
            """"occurred_at < timestamptz '" ~ exact.now_iso() ~ "'\"""",
        ),
        "THIS reads the clock in inputs of stg_saas__error_logs",
    ),
    "start_of_the_run_in_where": (
        model(BY_SEVERITY, **by_severity(where="NOW")).replace(
            '"NOW"', '"occurred_at < \'" ~ run_started_at ~ "\'"'
        ),
        "THIS reads the clock in inputs of stg_saas__error_logs",
    ),
    "clock_in_a_key": (
        model(
            BY_SEVERITY,
            **by_severity(
                keys={"severity": "case when occurred_at < now() then '' end"}
            ),
        ),
        "THIS reads the clock in inputs of stg_saas__error_logs",
    ),
    "constant_for_a_column": (
        model(
            BY_SEVERITY.replace(" group", ' cross join {{ ref("plans") }} group'),
            **by_severity(keys={"severity": "'critical'"}),
        ),
        "config of fct_constant_for_a_column gives other rows of a severity than",
    ),
    "another_column": (
        model(BY_SEVERITY, **by_severity(keys={"severity": "endpoint"})),
        "config of fct_another_column gives other rows of a severity than",
    ),
    "filter_of_its_own": (
        model(BY_SEVERITY, **by_severity(where="severity = 'critical'")),
        "config of fct_filter_of_its_own gives other rows of a severity than",
    ),
    "rows_of_other_keys": (
        model(
            "select severity, errors, sum(errors) over () as all_errors "
            f"from ({BY_SEVERITY}) as errors",
            **by_severity(),
        ),
        "config of fct_rows_of_other_keys gives other rows of a severity than",
    ),
    "clock_in_where": (
        model(BY_SEVERITY, **changed(where="occurred_at < now()")),
        "reads the clock in changes of stg_saas__error_logs",
    ),
    "time_of_the_build_in_where": (
        model(BY_SEVERITY, **changed(where="NOW")).replace(
            '"NOW"', '"occurred_at < " ~ reporting_now()'
        ),
        "reads the clock in changes of stg_saas__error_logs",
    ),
    "clock_in_a_look_up": (
        model(
            BY_SEVERITY,
            scope=["severity"],
            changes={
                "stg_saas__error_logs": "select severity from changes "
                "where occurred_at < now()"
            },
        ),
        "reads the clock in changes of stg_saas__error_logs",
    ),
    "constant_for_a_column": (
        model(
            BY_SEVERITY.replace(
                " group", ' cross join {{ ref("countries") }} group'
            ),
            **changed(severity="'critical'"),
        ),
        "changes of fct_constant_for_a_column give other rows of a severity than",
    ),
    "another_column": (
        model(BY_SEVERITY, **changed(severity="endpoint")),
        "changes of fct_another_column give other rows of a severity than",
    ),
    "filter_of_its_own": (
        model(BY_SEVERITY, **changed(where="endpoint is null")),
        "changes of fct_filter_of_its_own give other rows of a severity than",
    ),
    "rows_of_other_scopes": (
        model(
            "select severity, errors, sum(errors) over () as all_errors "
            f"from ({BY_SEVERITY}) as errors",
            **SCOPED,
        ),
        "changes of fct_rows_of_other_scopes give other rows of a severity than",
    ),
    "function_that_reads": (
        model(f"select *, public.number_of_teams() from ({BY_SEVERITY}) as errors"),
        "number_of_teams(), which is not immutable",
    ),
}


def test_what_would_go_wrong_in_silence_is_refused_when_it_is_built(
    project: DbtProject, company: Database
) -> None:
    company.execute(
        "create function number_of_teams() returns bigint language sql stable "
        "as 'select count(*) from public.teams'"
    )
    models = {f"fct_{name}": text for name, (text, _) in REFUSED.items()}
    with ExitStack() as stack:
        complaints = build(project, company, models, stack)
        assert company.execute(f"select model from {SCHEMA}.models") == []
        pinned = [
            project.dbt(
                *("run", "--select", f"fct_{name}"),
                *("--vars", '{"as_of": "2026-03-31"}'),
                database=company,
            )
            for name in ("time_of_the_build_in_where", "iso_time_of_the_build_in_where")
        ]
    for name, (_, complaint) in REFUSED.items():
        # Several models break the same rule.
        message = complaint.replace("THIS", f"fct_{name}")
        assert message in complaints, (name, complaints)
    for said in pinned:
        assert "reads the clock in inputs of stg_saas__error_logs" in said


def test_a_partition_that_goes_takes_out_what_it_held_and_no_other_time(
    project: DbtProject, company: Database
) -> None:
    company.execute(
        "update usage_events set created_at = created_at + interval '70 days'"
    )
    models = {
        "fct_arrivals": model(
            "select {{ reporting_date('created_at') }} as arrival_date, count(*) as "
            'events from {{ ref("stg_saas__usage_events") }} group by 1',
            keys=["arrival_date"],
            inputs={
                "stg_saas__usage_events": {
                    "keys": {"arrival_date": "day of created_at or none"}
                }
            },
        ),
        "fct_events_by_user": model(
            "select user_id, count(*) as events "
            'from {{ ref("stg_saas__usage_events") }}'
            " group by user_id",
            keys=["user_id"],
            inputs={"stg_saas__usage_events": {"lookup": {}}},
        ),
    }
    with ExitStack() as stack:
        assert build(project, company, models, stack) == ""
        run(
            *("capture", "usage_events", "created_at"), env=company.environment()
        ).check_returncode()
        refresh(company, models)
        company.execute(
            "delete from usage_events where id in (select id from usage_events limit 2)"
        )
        runs = refresh(company, models)
        assert {run.method for run in runs.values()} == {"partial"}
        company.execute("drop table usage_events_y2026m01")
        runs = refresh(company, models)
        assert {run.method for run in runs.values()} == {"full"}


def test_a_key_that_the_select_does_not_give_is_named(
    project: DbtProject, company: Database
) -> None:
    models = {
        "fct_loud": model(
            BY_SEVERITY.replace("severity,", "upper(severity) as severity,"),
            **by_severity(),
        )
    }
    company.execute("create table kept as select * from error_logs")
    company.execute("delete from error_logs")
    with ExitStack() as stack:
        # Without a row the build can't see it.
        assert build(project, company, models, stack) == ""
        company.execute("insert into error_logs select * from kept")
        before = company.execute("select * from analytics.fct_loud order by 1")
        with pytest.raises(
            psycopg2.Error, match="config of fct_loud gives another severity than its"
        ):
            refresh(company, models)
        assert company.execute("select * from analytics.fct_loud order by 1") == before


@pytest.mark.parametrize("command", ["build", "test", "snapshot"])
def test_dbt_stops_where_a_policy_hides_rows_from_its_role(
    project: DbtProject, company: Database, command: str
) -> None:
    role = f"reader_{uuid.uuid4().hex[:8]}"
    company.execute(f"create role {role} login password 'x'")
    # dbt makes its schemas before anything of the project runs.
    company.execute(f"grant create on database {NAME} to {role}")
    try:
        company.execute("alter table error_logs enable row level security")
        reader = Database(with_login(company.url, role, "x"))
        complaint = project.dbt(command, database=reader)
        assert f"hides rows of public.error_logs from role {role}" in complaint
        assert f'alter role "{role}" bypassrls' in complaint
    finally:
        company.execute(f"drop owned by {role} cascade")
        company.execute(f"drop role {role}")


def test_a_time_in_a_comment_is_no_clock_and_one_in_the_select_is(
    project: DbtProject, company: Database
) -> None:
    models = {
        "fct_in_a_comment": model("-- now() and current_date\n" + BY_SEVERITY),
        "fct_in_the_select": model(
            f"select *, {{{{ reporting_now() }}}} as now from ({BY_SEVERITY}) as errors"
        ),
    }
    with ExitStack() as stack:
        assert build(project, company, models, stack) == ""
    assert dict(company.execute(f"select model, clock from {SCHEMA}.models")) == {
        "fct_in_a_comment": "none",
        "fct_in_the_select": "moment",
    }


# --- Staging views --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("select", "message"),
    [
        ("select distinct severity from {}", "depend on several rows"),
        ("select severity, row_number() over () from {}", "depend on several rows"),
        ("select severity from {} limit 10", "depend on several rows"),
        (
            "select severity, (select count(*) from public.teams) from {}",
            "reads more than",
        ),
        (
            "select severity from {} where occurred_at > now() - interval '1 day'",
            "now()",
        ),
        ("select severity, random() as chance from {}", "random()"),
    ],
)
def test_a_staging_view_that_is_not_row_by_row_is_refused(
    project: DbtProject, company: Database, select: str, message: str
) -> None:
    staging = select.format('{{ source("saas", "error_logs") }}')
    with ExitStack() as stack:
        stack.enter_context(project.added("models/staging/stg_saas__own.sql", staging))
        stack.enter_context(
            project.added(
                f"{FOLDER}/fct_own.sql",
                model('select * from {{ ref("stg_saas__own") }}'),
            )
        )
        complaint = project.dbt(
            "run", "--select", "stg_saas__own", "fct_own", database=company
        )
    assert message in complaint
    assert company.execute(f"select model from {SCHEMA}.models") == []


# --- Sessions -------------------------------------------------------------------------

OF_SESSIONS: dict[str, tuple[str, ...]] = {
    "timezone": ("UTC", "America/New_York", "Asia/Kolkata"),
    "datestyle": ("ISO, MDY", "German", "SQL, DMY"),
    "intervalstyle": ("postgres", "iso_8601", "sql_standard"),
    "extra_float_digits": ("1", "-5"),
    "bytea_output": ("hex", "escape"),
    "transform_null_equals": ("off", "on"),
}
BY_SETTINGS = {
    "fct_by_settings": model(
        "select severity, min(cast(occurred_at as date)) as first_date, "
        "min(cast(occurred_at as text)) as first_text, "
        "max(to_char(occurred_at, 'HH24 TZ')) as hour, "
        "max(cast(occurred_at - timestamptz '2020-02-01' as text)) as age, "
        "max(cast(cast(1 as double precision) / 3 as text)) as third, "
        "max(cast(decode('6100', 'hex') as text)) as bytes, "
        "cast('02/03/2026' as date) as third_of_february, "
        "count(*) filter (where endpoint = null) as none "
        'from {{ ref("stg_saas__error_logs") }} group by severity',
        **by_severity(),
    )
}


def any_settings(generator: random.Random) -> dict[str, str]:
    return {name: generator.choice(values) for name, values in OF_SESSIONS.items()}


@pytest.mark.parametrize("seed", range(int(os.environ.get("MODEL_SEEDS", "2"))))
def test_the_settings_of_a_session_decide_nothing_of_a_mart(
    project: DbtProject, company: Database, seed: int
) -> None:
    generator = random.Random(seed)
    options = " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}"
        for name, value in any_settings(generator).items()
    )
    with ExitStack() as stack:
        for name, text in BY_SETTINGS.items():
            stack.enter_context(project.added(f"{FOLDER}/{name}.sql", text))
        assert (
            project.dbt(
                "run",
                "--select",
                *BY_SETTINGS,
                database=company,
                PGTZ=generator.choice(OF_SESSIONS["timezone"]),
                PGOPTIONS=options,
            )
            == ""
        )
        for rebuild in (False, False, True):
            company.execute(
                "update error_logs set endpoint = null where id in "
                "(select id from error_logs order by random() limit 1)"
            )
            with closing(company.connect()) as connection:
                with connection, connection.cursor() as cursor:
                    for name, value in any_settings(generator).items():
                        cursor.execute(f"set {name} = '{value}'")
                (run,) = engine.refresh(
                    connection,
                    SCHEMA,
                    models=sorted(BY_SETTINGS),
                    rebuild=rebuild,
                    inspect=lambda each: engine.verify(each, SCHEMA, [*BY_SETTINGS]),
                )
            assert run.is_unchanged, (run, options)


# --- Another version of the engine ----------------------------------------------------


def test_a_model_that_a_new_engine_refuses_is_named_until_it_is_built(
    project: DbtProject, company: Database
) -> None:
    names = ("fct_refused", "fct_reader", "fct_apart")
    text = model(BY_SEVERITY, {"access": "protected"}, **by_severity())
    reader = model('select * from {{ ref("fct_refused") }}')
    refused = model(f"select *, current_date as today from ({BY_SEVERITY}) as errors")

    with project.added(f"{FOLDER}/fct_apart.sql", text):
        with (
            project.added(f"{FOLDER}/fct_refused.sql", text),
            project.added(f"{FOLDER}/fct_reader.sql", reader),
        ):
            assert project.dbt("run", "--select", *names, database=company) == ""
            company.execute(f"comment on schema {SCHEMA} is 'Refresh engine of before'")
            with project.altered(f"{FOLDER}/fct_refused.sql", {text: refused}):
                project.dbt("run", "--select", *names, database=company)
            for models in ((), ("fct_refused",), ("fct_reader",)):
                with (
                    closing(company.connect()) as connection,
                    pytest.raises(
                        psycopg2.Error, match="built since the engine changed"
                    ) as caught,
                ):
                    engine.refresh(connection, SCHEMA, models=models)
                assert "make build" in (caught.value.diag.message_hint or "")
            assert list(refresh(company, {"fct_apart": ""})) == ["fct_apart"]

            # Still so if the engine changes again, until it is built.
            company.execute(f"comment on schema {SCHEMA} is 'Refresh engine of before'")
            project.dbt("run", "--select", "fct_reader", database=company)
            with (
                closing(company.connect()) as connection,
                pytest.raises(psycopg2.Error, match="fct_apart, fct_refused are not"),
            ):
                engine.refresh(connection, SCHEMA)
            assert project.dbt("run", "--select", *names, database=company) == ""
            assert sorted(refresh(company, {})) == sorted(names)

            company.execute(f"comment on schema {SCHEMA} is 'Refresh engine of before'")
        # What the project no longer has is not waited for.
        assert project.dbt("run", "--select", "fct_apart", database=company) == ""
        assert list(refresh(company, {})) == ["fct_apart"]


# --- Sessions -------------------------------------------------------------------------

OF_SESSIONS: dict[str, tuple[str, ...]] = {
    "timezone": ("UTC", "America/New_York", "Asia/Kolkata"),
    "datestyle": ("ISO, MDY", "German", "SQL, DMY"),
    "intervalstyle": ("postgres", "iso_8601", "sql_standard"),
    "extra_float_digits": ("1", "-5"),
    "bytea_output": ("hex", "escape"),
    "transform_null_equals": ("off", "on"),
}
BY_SETTINGS = {
    "fct_by_settings": model(
        "select severity, min(cast(occurred_at as date)) as first_date, "
        "min(cast(occurred_at as text)) as first_text, "
        "max(to_char(occurred_at, 'HH24 TZ')) as hour, "
        "max(cast(occurred_at - timestamptz '2020-02-01' as text)) as age, "
        "max(cast(cast(1 as double precision) / 3 as text)) as third, "
        "max(cast(decode('6100', 'hex') as text)) as bytes, "
        "cast('02/03/2026' as date) as third_of_february, "
        "count(*) filter (where endpoint = null) as none "
        'from {{ ref("stg_saas__error_logs") }} group by severity',
        **SCOPED,
    )
}


def any_settings(generator: random.Random) -> dict[str, str]:
    return {name: generator.choice(values) for name, values in OF_SESSIONS.items()}


@pytest.mark.parametrize("seed", range(int(os.environ.get("MODEL_SEEDS", "2"))))
def test_the_settings_of_a_session_decide_nothing_of_a_mart(
    project: DbtProject, company: Database, seed: int
) -> None:
    generator = random.Random(seed)
    options = " ".join(
        f"-c {name}={value.replace(' ', chr(92) + ' ')}"
        for name, value in any_settings(generator).items()
    )
    with ExitStack() as stack:
        for name, text in BY_SETTINGS.items():
            stack.enter_context(project.added(f"{FOLDER}/{name}.sql", text))
        assert (
            project.dbt("run", "--select", *BY_SETTINGS, database=company,
                        PGTZ=generator.choice(OF_SESSIONS["timezone"]),
                        PGOPTIONS=options) == ""
        )
        for rebuild in (False, False, True):
            company.execute(
                "update error_logs set endpoint = null where id in "
                "(select id from error_logs order by random() limit 1)"
            )
            with closing(company.connect()) as connection:
                with connection, connection.cursor() as cursor:
                    for name, value in any_settings(generator).items():
                        cursor.execute(f"set {name} = '{value}'")
                (run,) = engine.refresh(
                    connection,
                    SCHEMA,
                    models=sorted(BY_SETTINGS),
                    rebuild=rebuild,
                    inspect=lambda each: engine.verify(each, SCHEMA, [*BY_SETTINGS]),
                )
            assert run.is_quiet, (run, options)


# --- Another version of the engine ----------------------------------------------------


def test_a_model_that_a_new_engine_refuses_is_named_until_it_is_built(
    project: DbtProject, company: Database
) -> None:
    names = ("fct_refused", "fct_reader", "fct_apart")
    text = model(BY_SEVERITY, **SCOPED)
    reader = model('select * from {{ ref("fct_refused") }}')
    refused = model(f"select *, current_date as today from ({BY_SEVERITY}) as errors")

    with project.added(f"{FOLDER}/fct_apart.sql", text):
        with (
            project.added(f"{FOLDER}/fct_refused.sql", text),
            project.added(f"{FOLDER}/fct_reader.sql", reader),
        ):
            assert project.dbt("run", "--select", *names, database=company) == ""
            company.execute(f"comment on schema {SCHEMA} is 'Refresh engine of before'")
            with project.altered(f"{FOLDER}/fct_refused.sql", {text: refused}):
                project.dbt("run", "--select", *names, database=company)
            for models in ((), ("fct_refused",), ("fct_reader",)):
                with (
                    closing(company.connect()) as connection,
                    pytest.raises(
                        psycopg2.Error, match="built since the engine changed"
                    ) as caught,
                ):
                    engine.refresh(connection, SCHEMA, models=models)
                assert "make build" in (caught.value.diag.message_hint or "")
            assert list(refresh(company, {"fct_apart": ""})) == ["fct_apart"]

            # Still so if the engine changes again, until it is built.
            company.execute(f"comment on schema {SCHEMA} is 'Refresh engine of before'")
            project.dbt("run", "--select", "fct_reader", database=company)
            with (
                closing(company.connect()) as connection,
                pytest.raises(psycopg2.Error, match="fct_apart, fct_refused are not"),
            ):
                engine.refresh(connection, SCHEMA)
            assert project.dbt("run", "--select", *names, database=company) == ""
            assert sorted(refresh(company, {})) == sorted(names)

            company.execute(f"comment on schema {SCHEMA} is 'Refresh engine of before'")
        # What the project no longer has is not waited for.
        assert project.dbt("run", "--select", "fct_apart", database=company) == ""
        assert list(refresh(company, {})) == ["fct_apart"]
