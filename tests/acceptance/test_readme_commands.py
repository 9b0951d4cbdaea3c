"""Every command of the READMEs works, on small stand-ins under the names of what it names."""

from support.documented import ROOT, complaint, documented, is_rehearsed

COMMANDS = documented([ROOT / "README.md", ROOT / "tasks" / "mllmu" / "README.md"])


def test_every_command_works(run, rehearse):
    text = "\n".join(COMMANDS)
    assert all(word in text for word in ("lmms-eval --model manu_pruned", "torchrun", "accelerate"))
    complaints = [rehearse(command) if is_rehearsed(command) else complaint(command, run) for command in COMMANDS]
    assert not any(complaints), "\n\n".join(filter(None, complaints))
