"""python -m tests.mutation: which test catches each planted fault?

Plants the faults of faults.yml one at a time, in the models, the macros, the schema and
the data. For each it prints the first test that fails. A fault without one survives.
"""

from __future__ import annotations

import functools
import hashlib
import json
import queue
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

import click
import psutil

from saas_analytics.errors import UserError
from tests.mutation import faults
from tests.mutation.faults import PLACES, Fault
from tests.mutation.trial import SORTS, Bench, TrialResult, Unclear
from tests.python.servers import fast_server, server_folder
from tests.python.support import ROOT

# In percent: the least share of caught faults.
WANTED_PERCENT = 95

# The results so far, for --resume.
FOUND = ROOT / "target" / "mutation.json"

Found = dict[str, TrialResult]

# Everything that a result depends on, except the list of faults.
FOLDERS = (
    *("bootstrap", "macros", "models", "packages", "saas_analytics", "seeds"),
    "tests",
)


@click.command()
@click.option("--only", multiple=True, metavar="TEXT", help="Try faults named so.")
@click.option("--list", "is_list", is_flag=True, help="List the faults.")
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1))
@click.option("--resume", is_flag=True, help="Continue the interrupted last run.")
def main(only: tuple[str, ...], is_list: bool, jobs: int, resume: bool) -> None:
    """Plant faults one at a time; exit 1 if fewer than 95% are caught."""
    # SIGTERM must stop the servers, too.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    try:
        planted = faults.chosen(only)
        if is_list:
            for fault in planted:
                click.echo(f"{fault.file or 'data'}: {fault.means}")
            return
        if misplaced := faults.misplaced():
            raise UserError(f"faults.yml is out of date: {'; '.join(misplaced)}")
        started = time.monotonic()
        found = try_all(planted, jobs, _read_found() if resume else {})
    except (UserError, Unclear, subprocess.TimeoutExpired) as error:
        click.echo(f"error: {' '.join(str(error).split())}", err=True)
        sys.exit(1)
    click.echo(f"\n{(time.monotonic() - started) / 60:.0f} minutes.\n")
    sys.exit(0 if summarize(planted, found) else 1)


def try_all(planted: Sequence[Fault], jobs: int, found: Found) -> Found:
    """Try the faults without a result, several at a time."""
    left = [fault for fault in planted if _key(fault) not in found]
    results = {
        fault.means: found[_key(fault)] for fault in planted if _key(fault) in found
    }
    kept = dict(found)
    benches: queue.Queue[Bench] = queue.Queue()

    def attempt(fault: Fault) -> None:
        bench = benches.get()
        try:
            result = bench.try_fault(fault)
        finally:
            benches.put(bench)
        results[fault.means] = result
        _show(fault, result)
        if result.outcome != "unclear":
            kept[_key(fault)] = result
            _write_found(kept)

    with server_folder() as scratch:
        server = fast_server(scratch / "server")
        try:
            server.start()
            url = server.url("postgres")
            first = Bench.make(scratch, url, "mutant_1")
            benches.put(first)
            if left:
                first.make_template("company")
                first.make_sure_that_they_pass(
                    *(fault.first for fault in left if fault.first)
                )
            for number in range(2, jobs + 1):
                bench = Bench.make(scratch, url, f"mutant_{number}")
                bench.template, bench.warnings = first.template, first.warnings
                bench.sound_files = first.sound_files
                benches.put(bench)
            with ThreadPoolExecutor(jobs) as pool:
                try:
                    list(pool.map(attempt, left))
                except BaseException:
                    # Otherwise the queued trials would still run.
                    pool.shutdown(wait=False, cancel_futures=True)
                    for child in psutil.Process().children(recursive=True):
                        child.send_signal(signal.SIGINT)
                    raise
        finally:
            server.stop()
    return results


# --- Results --------------------------------------------------------------------------


def _show(fault: Fault, result: TrialResult) -> None:
    click.echo(
        f"{result.outcome:9} {result.seconds:6.1f} s  {fault.means}\n"
        f"{'':21}{result.by}: {result.test}"
    )


def summarize(planted: Sequence[Fault], found: Found) -> bool:
    """Print the table of results. Returns whether enough faults were caught."""
    sorts = [sort for sort in SORTS if any(v.by == sort for v in found.values())]
    header = ("place", "planted", "caught", *sorts)
    click.echo(f"| {' | '.join(header)} |")
    click.echo(f"|---|{'---:|' * (len(header) - 1)}")
    for place in (*PLACES, "all"):
        results = [
            found[fault.means] for fault in planted if place in (fault.place, "all")
        ]
        by = Counter(result.by for result in results if result.outcome == "caught")
        if results:
            cells = (len(results), by.total(), *(by[sort] for sort in sorts))
            click.echo(f"| {place} | {' | '.join(map(str, cells))} |")
    for outcome in ("survived", "unclear"):
        for fault in planted:
            if found[fault.means].outcome == outcome:
                reason = found[fault.means].test or "no test catches it"
                click.echo(f"\n{outcome}: {fault.means}\n    {reason}")
    outcomes = Counter(found[fault.means].outcome for fault in planted)
    percent = 100 * outcomes["caught"] / len(planted)
    click.echo(
        f"\n{outcomes['caught']} of {len(planted)} faults caught ({percent:.1f}%)"
    )
    return percent >= WANTED_PERCENT and not outcomes["unclear"]


# --- Results of earlier runs ----------------------------------------------------------


def _key(fault: Fault) -> str:
    # The order of tests does not change the outcome.
    meaning = {**asdict(fault), "first": ""}
    text = json.dumps(meaning, sort_keys=True) + _digest()
    return hashlib.sha256(text.encode()).hexdigest()[:16]


@functools.cache
def _digest() -> str:
    """A hash of the files in FOLDERS."""
    sha = hashlib.sha256()
    for folder in FOLDERS:
        for path in sorted((ROOT / folder).rglob("*")):
            if path.suffix in (".py", ".sql", ".yml", ".csv") and path != faults.FAULTS:
                sha.update(str(path.relative_to(ROOT)).encode())
                sha.update(path.read_bytes())
    return sha.hexdigest()


def _read_found() -> Found:
    if not FOUND.exists():
        return {}
    entries = json.loads(FOUND.read_text(encoding="utf-8"))
    return {key: TrialResult(**entry) for key, entry in entries.items()}


def _write_found(found: Found) -> None:
    FOUND.parent.mkdir(exist_ok=True)
    part = Path(f"{FOUND}.part")
    part.write_text(json.dumps({key: asdict(each) for key, each in found.items()}))
    part.replace(FOUND)


if __name__ == "__main__":
    main()
