"""Commands that start at once: real processes of the real interpreter, forked from one that has imported everything.

A start of the harness is mostly imports, some ten seconds of a core, and the tests start it many times. `WarmPython`
is a folder with the executables of the environment (`python`, `lmms-eval`, `lmms-manu`, `torchrun`, ...) and an
interpreter that imports what they import, once, and waits. An executable of the folder passes its words, working
directory, variables and streams to the waiting interpreter, which forks; the fork runs the same script or module as
`python` would, and the executable ends as the fork does. Signals are passed on; who kills the executable kills the
fork and all below it.

What such a process does not show is start-up itself: tests of imports, of console scripts and of variables that are
read while a library is imported start `sys.executable`. A variable of that kind that is not the waiting interpreter's
is refused.
"""

from support.warm_python.folder import WarmPython

__all__ = ["WarmPython"]
