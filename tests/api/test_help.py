"""Every command says what each of its arguments is."""

from labwm.api.cli import _COMMANDS, _SINGLE, create_cli


def test_every_argument_of_every_command_is_explained():
    app = create_cli()
    commands = {
        **{
            f"{g} {c.name}": app[g][c.name] for g, own in _COMMANDS.items() for c in own
        },
        **{c.name: app[c.name] for c in _SINGLE},
    }
    unexplained = [
        f"{name} {argument.name}"
        for name, command in commands.items()
        for argument in command.assemble_argument_collection(parse_docstring=True)
        if not argument.parameter.help
    ]
    assert len(commands) > 40
    assert unexplained == []
