"""`python -m lmms_manu` is the command `lmms-manu`."""

import sys

from lmms_manu.cli.main import main

sys.exit(main())
