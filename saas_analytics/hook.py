"""Gives dbt its connection in every program of the virtual environment.

dbt's profile can only read environment variables. `saas_analytics.pth` imports this
module when Python starts. The program `dbt` gets the variables at once. In any other
program, such as one that calls dbtRunner, they are set whenever dbt reads profiles.yml
for this project. A program without dbt pays for the import of this module, which
imports nothing else.
"""

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from types import ModuleType

# Whatever runs dbt reads profiles.yml by a function of this module.
READER = "dbt.config.profile"


class Watch:
    """A finder that has modules found as ever, and alters one when it is loaded."""

    @staticmethod
    def find_spec(
        name: str, path: object = None, target: object = None
    ) -> "ModuleSpec | None":
        """What Python asks of a finder."""
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
    """Let dbt have the variables before it reads a profile."""
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
    """Act for the program that Python starts with.

    Python reads the .pth files of a virtual environment twice: once is enough.
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
    """Do nothing any more: whoever runs dbt has set the variables."""
    if Watch in sys.meta_path:
        sys.meta_path.remove(Watch)
