"""The files of a new mart: what `make lint`, `make audit` and the tests ask for."""

import re
from pathlib import Path
from typing import Any

import click

from saas_analytics.errors import UserError
from saas_analytics.new import files

PATTERN = r"(fct|dim)_[a-z][a-z0-9]*(_[a-z0-9]+)*"
# The engine's tables of a model add some characters to its name.
LONGEST = 50

FACT = """\
{{{{ config(
    meta={{"exact": {{
        "keys": ["report_date"],
        "inputs": {{
            "{reads}": {{"keys": {{"report_date": "day of {time}"}}}},
        }},
    }}}},
) }}}}

-- One row per day, with how many {noun} there were. Each counts on the day of
-- its {time}.
with {source} as (
    select * from {{{{ ref("{reads}") }}}}
    where {time} is not null
)

select
    {{{{ reporting_date("{time}") }}}} as report_date,
    count(*) as {source}
from {source}
group by {{{{ reporting_date("{time}") }}}}
"""

FACT_PROPERTIES = """\
version: 2

models:
  - name: {name}
    description: |-
      One row per day, with how many {noun} there were.

      The last 30 days:
      ```sql
      select report_date, {source}
      from analytics.{name}
      where report_date >= current_date - 30
      order by report_date
      ```
    columns:
      - name: report_date
        data_type: date
        description: Day of the {noun} in the reporting time zone.
        constraints:
          - type: not_null
        data_tests:
          - primary_key
      - name: {source}
        data_type: bigint
        description: How many {noun} there were.
        constraints:
          - type: not_null

unit_tests:
  - name: {name}_counts_each_row_on_its_day
    description: Two rows of one day and one of the next.
    model: {name}
    overrides:
      vars: {{reporting_timezone: UTC}}
    given:
      - input: ref('{reads}')
        rows:
          - {{{time}: "2026-01-01 00:00:00+00"}}
          - {{{time}: "2026-01-01 23:59:59.999999+00"}}
          - {{{time}: "2026-01-02 00:00:00+00"}}
    expect:
      rows:
        - {{report_date: 2026-01-01, {source}: 2}}
        - {{report_date: 2026-01-02, {source}: 1}}
"""

DIMENSION = """\
{{{{ config(
    meta={{"exact": {{
        "keys": ["{key}"],
        "inputs": {{"{reads}": {{}}}},
    }}}},
) }}}}

-- One row of {reads} each.
select
    {key},
    {time}
from {{{{ ref("{reads}") }}}}
"""

DIMENSION_PROPERTIES = """\
version: 2

models:
  - name: {name}
    description: |-
      One row per row of {noun}.

      The newest ones:
      ```sql
      select {key}, {time}
      from analytics.{name}
      order by {time} desc
      limit 10
      ```
    columns:
      - name: {key}
        data_type: uuid
        description: Primary key.
        constraints:
          - type: not_null
        data_tests:
          - primary_key
      - name: {time}
        data_type: timestamp with time zone
        description: When the row was made; null where that is not known.
"""

EXPOSURE = """
  - name: readers_of_{name}
    label: Readers of {name}
    type: analysis
    maturity: low
    description: The report or program that reads {name}, and its decision.
    depends_on:
      - ref('{name}')
    owner:
      name: {owner}
      email: {email}
"""

FAULT = """
- id: {name}_counts_twice
  kind: a wrong figure
  means: Each row of {name} is counted twice.
  file: {folder}/{name}.sql
  find: {find}
  put: {put}
"""

NEXT = """\
Next: edit the select and its description, then
  .venv/bin/saas build --select +{name}
  make lint audit
  .venv/bin/pytest tests/python/test_properties.py tests/python/test_mutation.py
docs/how-to/add-a-mart.md says what each file is for."""


@click.command("mart")
@click.argument("name")
@click.option(
    "--domain", required=True, help="Folder of models/marts that it belongs to."
)
@click.option("--reads", required=True, help="Staging view that it reads.")
def mart(name: str, domain: str, reads: str) -> None:
    """Write the files of a mart, which counts the rows of a day.

    NAME begins with fct_ (a fact) or dim_ (a dimension).
    """
    files.refuse_name(name, PATTERN, "fct_… or dim_…, as fct_orders_daily", LONGEST)
    models = files.folder("models")
    for path in models.rglob(f"{name}.sql"):
        where = path.relative_to(models.parent)
        raise UserError(f"model {name} is in {where} already: choose another name")
    domains = sorted(
        path.name for path in (models / "marts").iterdir() if path.is_dir()
    )
    if domain not in domains:
        raise UserError(
            f"there is no domain {domain}: give --domain one of {', '.join(domains)}"
        )
    given = _names(name, reads, models) | _owner(domain, models)
    given["folder"] = f"models/marts/{domain}"
    if name.startswith("fct_"):
        select, properties = FACT, FACT_PROPERTIES
        given["find"] = f"count(*) as {given['source']}"
        given["put"] = f"2 * {given['find']}"
    else:
        select, properties = DIMENSION, DIMENSION_PROPERTIES
        given["find"] = f"{given['key']},"
        given["put"] = f"null as {given['find']}"
    files.write(
        {
            f"{given['folder']}/{name}.sql": select.format(**given),
            f"{given['folder']}/{name}.yml": properties.format(**given),
        },
        {
            "models/exposures.yml": EXPOSURE.format(**given),
            "tests/mutation/faults.yml": FAULT.format(**given),
        },
    )
    click.echo(NEXT.format(**given))


def _names(name: str, reads: str, models: Path) -> dict[str, str]:
    """What the files call the mart, its input, and the input's key and time.

    Raises:
        UserError: there is no such staging view, or it has no time.
    """
    views = sorted(path.stem for path in (models / "staging").glob("*.yml"))
    if reads not in views or reads.startswith("_"):
        known = ", ".join(view for view in views if not view.startswith("_"))
        raise UserError(
            f"there is no staging view {reads}: give --reads one of {known}"
        )
    described = _properties(models / "staging" / f"{reads}.yml")
    columns = [column["name"] for column in described["models"][0]["columns"]]
    for time in ("occurred_at", "created_at"):
        if time in columns:
            break
    else:
        raise UserError(
            f"{reads} has no column occurred_at or created_at: give --reads a view "
            "that has one"
        )
    source = re.sub(r"^stg_\w+?__", "", reads)
    return {
        "name": name,
        "reads": reads,
        "source": source,
        "noun": source.replace("_", " "),
        "key": columns[0],
        "time": time,
    }


def _owner(domain: str, models: Path) -> dict[str, str]:
    """Name and address of the owner of a domain's marts."""
    groups = _properties(models / "_groups.yml")["groups"]
    owners = {group["name"]: group["owner"] for group in groups}
    owner = owners.get(domain, groups[0]["owner"])
    return {"owner": owner["name"], "email": owner["email"]}


def _properties(path: Path) -> dict[str, Any]:
    # It takes long to import.
    import yaml

    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found
