"""Gives dbt its connection in every program of the virtual environment.

dbt's profile can only read environment variables. `saas_analytics.pth` imports this
module when Python starts. The program `dbt` gets the variables at once. In any other
program, such as one that calls dbtRunner, this module sets them each time dbt reads
profiles.yml for this project. A program without dbt only pays for this import, so the
module imports no other one.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Every program that runs dbt reads profiles.yml by a function of this module.
READER = "dbt.config.profile"


class Watch:
    """A finder that patches READER when it is loaded, and finds no other module."""

    @staticmethod
    def find_spec(
        name: str, path: object = None, target: object = None
    ) -> "ModuleSpec | None":
        """The spec of READER, with a loader that patches it; None for other modules."""
        if name != READER:
            return None
        remove()
        from importlib.util import find_spec

        spec = find_spec(name)
        if spec is not None and spec.loader is not None:
            load = spec.loader.exec_module

            def exec_module(module: "ModuleType") -> None:
                load(module)
                _alter(module)

            spec.loader.exec_module = exec_module  # type: ignore[method-assign]
        return spec


def _alter(module: "ModuleType") -> None:
    """Set the variables before dbt reads a profile."""
    read = getattr(module, "read_profile", None)
    if read is None:
        return

    def read_profile(profiles_dir: str) -> object:
        from saas_analytics.dbt import environment

        environment.provide(profiles_dir)
        return read(profiles_dir)

    module.read_profile = read_profile  # type: ignore[attr-defined]


_is_installed = False


def install() -> None:
    """Set the variables for the program `dbt`, or watch for dbt in another program.

    Python reads the .pth files of a virtual environment twice. The second call returns
    at once.
    """
    global _is_installed
    if _is_installed:
        return
    _is_installed = True
    if len(sys.orig_argv) > 1 and sys.orig_argv[1].rpartition("/")[2] == "dbt":
        from saas_analytics.dbt import environment

        environment.start(sys.orig_argv[2:])
    else:
        sys.meta_path.insert(0, Watch)


def remove() -> None:
    """Stop watching for dbt: its caller has set the variables."""
    if Watch in sys.meta_path:
        sys.meta_path.remove(Watch)
