"""The table of verbs: name, the module that answers it, and one line of help. The reference page is made from it.

A verb's module is imported when the verb is used, so that `bedplate --help` imports none of them.
"""

from __future__ import annotations

from typing import NamedTuple


class Verb(NamedTuple):
    """One verb of the command line; `module` is relative to `bedplate.interfaces.cli` and holds a click command `command`."""

    name: str
    module: str
    group: str
    help: str
    attribute: str = "command"
    hidden: bool = False


VERBS = (
    Verb("new", ".new", "Make", "Start a project: a small, real one that runs as it is."),
    Verb("lint", ".lint", "Make", "Check the project file and print what each parameter is."),
    Verb("plan", ".plan", "Make", "Say what would run and why, and what it should take."),
    Verb("size", ".size", "Make", "Say what a workload takes: time, hardware, money and power."),
    Verb("run", ".run", "Make", "Make what is out of date."),
    Verb("step", ".run", "Make", "Run one step only, on the versions that are there.", "step"),
    Verb("rerun", ".rerun", "Make", "Run a past attempt again and compare what it made, bit by bit."),
    Verb("tune", ".tune", "Make", "Search settings for the best metric; the best version is `tuned`."),
    Verb("optimise", ".optimise", "Make", "Make a model quicker here: runtimes, compiled trees, pruned, distilled, in int8."),
    Verb("import", ".bring", "Make", "Bring a model that was made elsewhere, or all that an MLflow tracker holds."),
    Verb("cancel", ".cancel", "Make", "Stop a run that is going on."),
    Verb("why", ".why", "Look", "Say why a step ran or was skipped."),
    Verb("status", ".status", "Look", "Show what exists, what runs and what is served."),
    Verb("show", ".show", "Look", "Show an artifact, version, model, run, attempt or prediction."),
    Verb("diff", ".diff", "Look", "Compare two versions or two runs."),
    Verb("lineage", ".lineage", "Look", "Show what a version was made from, down to the source files."),
    Verb("logs", ".logs", "Look", "Print what a step printed."),
    Verb("sql", ".sql", "Look", "Ask the warehouse: every artifact, run, metric, prediction and cost."),
    Verb("up", ".up", "Serve", "Put one server in front of the record: runs, models, files, services, due work."),
    Verb("serve", ".serve", "Serve", "Serve the project's services on loopback."),
    Verb("promote", ".promote", "Serve", "Give a model version an alias, as a person."),
    Verb("rollback", ".promote", "Serve", "Go back to the version before, and bar the one left.", "rollback"),
    Verb("sign", ".sign", "Serve", "Write a model version as a folder of files, signed with your key."),
    Verb("verify", ".sign", "Serve", "Say whether a folder is what was signed.", "verify"),
    Verb("export", ".export", "Serve", "Write a service or model as others run it: edge, docker, kubernetes, kserve, triton."),
    Verb("labels", ".labels", "Watch", "Bring the truth about what was predicted."),
    Verb("watch", ".watch", "Watch", "Report traffic, errors, latency, drift and quality of what was served."),
    Verb("gc", ".gc", "Keep", "Remove bytes that nothing refers to."),
    Verb("cache", ".cache", "Keep", "Show what is kept to be read again quickly; pin, check or clear it."),
    Verb("doctor", ".doctor", "Keep", "Say what is wrong here and how to mend it."),
    Verb("backup", ".backup", "Keep", "Copy the record and every byte that it names, while work goes on."),
    Verb("restore", ".backup", "Keep", "Bring a backup onto an empty place.", "restore"),
    Verb("account", ".account", "Keep", "Say who may come in, and who may do what."),
    Verb("token", ".token", "Keep", "Make, list and revoke the tokens of an account."),
    Verb("audit", ".audit", "Keep", "Look at who did what, verify the log, ask why somebody may."),
    Verb("login", ".login", "Keep", "Log in to a server that others run, and keep its token."),
    Verb("target", ".target", "Keep", "Say where the project may run, try a place out, or add one."),
    Verb("work", ".work", "Keep", "Run steps for a controller (started by bedplate itself).", hidden=True),
)
