"""The commands around scoring: `use`, `serve`, `token` and `reference`.

Each imports what it needs when it runs. Theory: what enters service, who may ask for decisions and what the portrait is
drawn against are decisions of people, so each is a command that says what it did.
"""

import argparse
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from privacy.errors import InputError

__all__ = ["add_scoring_commands"]

_ROLES = ("scorer", "account-manager", "risk", "auditor", "approver")


def add_scoring_commands(commands: Any) -> None:
    """Add the commands to argparse's subparsers."""
    use = commands.add_parser("use", help="put a model in service, as champion or as challenger in its shadow")
    use.add_argument(
        "model", nargs="?", metavar="MODEL", help="a digest (8 digits or more), or a model's or head's file"
    )
    use.add_argument("--chosen", metavar="RECIPE", help="what this bank's last job of the recipe chose by its own rows")
    use.add_argument("--promoted", action="store_true", help="what a quorum of banks signed off")
    use.add_argument("--challenger", metavar="MODEL", help="also score by this one, logged and never returned")
    _add_config(use)
    use.set_defaults(run=_use)
    serve = commands.add_parser("serve", help="answer applications by the model in service (the decision API)")
    _add_config(serve)
    serve.set_defaults(run=_serve)
    token = commands.add_parser("token", help="say who may call the decision API")
    _add_token(token.add_subparsers(title="commands", metavar="COMMAND", required=True))
    reference = commands.add_parser("reference", help="freeze the quantiles that portraits are drawn against")
    reference.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file to write")
    _add_config(reference)
    reference.set_defaults(run=_reference)


def _add_token(commands: Any) -> None:
    add = commands.add_parser("add", help="make a token and print it once")
    add.add_argument("name", metavar="NAME", help="whose it is: the pseudonym that logs will show")
    add.add_argument("--role", required=True, choices=_ROLES, help="what it may do")
    listed = commands.add_parser("list", help="list names and roles")
    revoke = commands.add_parser("revoke", help="make a token worthless, within a second")
    revoke.add_argument("name", metavar="NAME", help="whose it is")
    for each, run in ((add, _token_add), (listed, _token_list), (revoke, _token_revoke)):
        _add_config(each)
        each.set_defaults(run=run)


def _add_config(command: argparse.ArgumentParser) -> None:
    command.add_argument(
        "--config", type=Path, default=Path("node.toml"), metavar="node.toml", help="this node's settings"
    )


def _use(options: argparse.Namespace) -> int:
    from node import config
    from node.access import leave_note
    from node.serving import Serving, chosen, install, named, promoted
    from node.toml_file import read_document
    from risk.dictionary import parse_dictionary

    if sum((options.model is not None, options.chosen is not None, options.promoted)) != 1:
        raise InputError("usage", "use needs one of: MODEL, --chosen RECIPE, --promoted")
    settings = config.load(options.config)
    state, schema = settings.state.dir, settings.source.schema_file
    if options.promoted:
        wanted = promoted(state)
    else:
        wanted = Serving(chosen(state, options.chosen) if options.chosen else named(state, options.model))
    if options.challenger is not None:
        wanted = Serving(wanted.champion, named(state, options.challenger))
    made = install(state, parse_dictionary(read_document(schema), str(schema)), wanted)
    leave_note(state, "use", made.champion.sha256)
    print(f"champion   {made.champion.kind:8} {made.champion.sha256}")
    if made.challenger is not None:
        print(f"challenger {made.challenger.kind:8} {made.challenger.sha256}")
    print("a running scorer changes over within seconds, without a failed request")
    return 0


def _serve(options: argparse.Namespace) -> int:
    from node import config

    settings = config.load(options.config)
    try:
        from node.scorer.serve import serve
    except ModuleNotFoundError as error:
        raise InputError(
            "serve-missing", f"{error.name} is not installed; run: pip install 'creditmesh[serve]'"
        ) from None
    return serve(settings, options.config)


def _token_add(options: argparse.Namespace) -> int:
    from node import config
    from node.access import leave_note
    from node.tokens import TokenFile

    state = config.load(options.config).state.dir
    secret = TokenFile(state).add(options.name, options.role, datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"))
    leave_note(state, "token-add", f"{options.name}/{options.role}")
    print(secret)
    return 0


def _token_list(options: argparse.Namespace) -> int:
    from node import config
    from node.tokens import TokenFile

    for entry in TokenFile(config.load(options.config).state.dir).listed():
        print(f"{entry['name']:32} {entry['role']:16} {entry['created']}")
    return 0


def _token_revoke(options: argparse.Namespace) -> int:
    from node import config
    from node.access import leave_note
    from node.tokens import TokenFile

    state = config.load(options.config).state.dir
    TokenFile(state).revoke(options.name)
    leave_note(state, "token-revoke", options.name)
    print(f"{options.name}: revoked")
    return 0


def _reference(options: argparse.Namespace) -> int:
    from node import config
    from node.source import read_table
    from node.toml_file import read_document
    from risk.dictionary import parse_dictionary
    from risk.lending_policy import check_policy, parse_policy
    from risk.modelfile import canonical_json
    from risk.portrait import build_reference

    settings = config.load(options.config)
    if settings.scoring.policy is None:
        raise InputError(
            "policy-none", f"{options.config}: the portrait's fields stand in a policy; set scoring.policy"
        )
    schema, policy_file = settings.source.schema_file, settings.scoring.policy
    dictionary = parse_dictionary(read_document(schema), str(schema))
    policy = parse_policy(read_document(policy_file), str(policy_file))
    check_policy(policy, dictionary)
    table = read_table(settings.source.table, dictionary, settings.member.id)
    reference = build_reference(table, dictionary, policy.portrait)
    content = canonical_json(reference.to_document())
    # Quantiles of a bank's book are its own business.
    descriptor = os.open(options.out, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as stream:
        stream.write(content)
    print(f"{options.out}: quantiles of {table.rows} rows; name it as scoring.reference in {options.config}")
    empty = sorted({name for axis in policy.portrait for name in axis} - set(reference.fields))
    if empty:
        print(f"left out, empty in every row: {', '.join(empty)}")
    return 0
