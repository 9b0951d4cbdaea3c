"""The user's own people: tables that the user names, as a benchmark like every other one."""
