"""Every command of the documentation works, in its order, on small stand-ins under the names of what it names."""

from support.documented import ROOT, complaint, documented, is_rehearsed

COMMANDS = documented(sorted((ROOT / "docs").glob("*.md")))


def test_every_command_works(run, rehearse, world):
    text = "\n".join(COMMANDS)
    assert all(word in text for word in ("evaluate", "sweep", "report", "gate", "measure", "prune", "inspect"))
    for example in ("gate.yaml", "table1.yaml", "table2.yaml", "edits.yaml"):
        (world / example).write_text((ROOT / "examples" / example).read_text())
    complaints = [rehearse(command) if is_rehearsed(command) else complaint(command, run) for command in COMMANDS]
    assert not any(complaints), "\n\n".join(filter(None, complaints))
