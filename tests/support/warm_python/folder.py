"""The folder of executables, and the interpreter that waits behind them."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType

_HERE = Path(__file__).parent
_SERVER = (
    f"import sys; sys.path[0] = {str(_HERE.parents[1])!r}\n"
    "from support.warm_python.server import main; main(*sys.argv[1:])"
)
_SCRIPTS = ("lmms-eval", "lmms-manu", "torchrun", "accelerate")


class WarmPython:
    """Executables that start at once while the `with` block lasts.

    Args:
        variables: the environment variables of the commands, all that a library may read while it is imported.
        without: packages that are imported and forgotten again, so that a command imports them as if it were the first.

    Attributes:
        python: what stands in for `sys.executable`.
        variables: the given ones, with the folder of the executables in front of `PATH`.
    """

    def __init__(self, variables: Mapping[str, str], without: Sequence[str] = ()) -> None:
        # Not below pytest's folders: the path of a socket has to be short.
        self._root = Path(tempfile.mkdtemp(prefix="warm-"))
        self._without = without
        self.python = str(self._root / "bin" / "python")
        self.variables = {**variables, "PATH": f"{self._root / 'bin'}:{variables['PATH']}"}

    def __enter__(self) -> WarmPython:
        self._write_executables()
        with (self._root / "log").open("wb") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-c", _SERVER, str(self._root), *self._without],
                env=self.variables,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )
        assert self._process.stdout is not None
        if self._process.stdout.readline() != b"waiting\n":
            self._process.kill()
            raise RuntimeError((self._root / "log").read_text(encoding="utf-8", errors="replace"))
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None) -> None:
        self._process.communicate()
        shutil.rmtree(self._root, ignore_errors=True)

    def _write_executables(self) -> None:
        folder, installed = Path(self.python).parent, Path(sys.executable).parent
        folder.mkdir()
        (self._root / "interpreter").write_text(sys.executable)
        client = (_HERE / "client.py").read_text(encoding="utf-8")
        texts = {"python": f"#!{sys.executable} -IS\n{client}"}
        for name in _SCRIPTS:
            _, _, rest = (installed / name).read_text(encoding="utf-8").partition("\n")
            texts[name] = f"#!{self.python}\n{rest}"
        for name, text in texts.items():
            (folder / name).write_text(text, encoding="utf-8")
            (folder / name).chmod(0o755)
