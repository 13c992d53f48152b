"""Recognize commands of a shell, with and without prompts."""

import re

_PROMPT = re.compile(
    r"""[ \t]*(?:\([\w.-]+\)[ ]?)?(?:
    (?:\[?[\w.-]+@[\w.-]+[^\n$\#>]{0,80})?\$[ ]+(?![A-Z][a-z]+[ ])[\w./~"'({]
    | [\w.-]+@[\w.-]+:[^\n$\#]{0,80}\#[ ]+\w
    | (?:PS[ ])?[A-Za-z]:\\[^\n>|*?"<]{0,100}>[ ]*[\w."\\/]
    | ~[\w/.-]*[$%][ ]*\w
    )""",
    re.VERBOSE,
)
_SHEBANG = re.compile(r"#!.*?(?:(python|pypy)|\b([a-z]{0,3}sh\b)|$)", re.MULTILINE)


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_PACKAGES = _words(
    "install uninstall freeze list show create update upgrade add remove env run search download wheel sync lock init"
    " config info activate deactivate build build-dep reinstall tap link unlink start publish export shell"
)
# Programs that need one of these words, or an option, after their name. The names alone are words of prose too.
_PROGRAMS = (
    dict.fromkeys(
        _words("pip conda mamba poetry pipenv uv easy_install apt apt-get yum dnf brew pacman apk choco npm yarn"),
        _PACKAGES,
    )
    | dict.fromkeys(
        ("git", "docker", "docker-compose"),
        _words(
            "clone add commit push pull checkout init log diff status reset rebase merge branch remote config submodule"
            " fetch stash tag rm mv show build run exec ps images image compose login up down stop rmi logs inspect cp"
            " start restart save load volume network"
        ),
    )
)  # fmt: skip
# Programs whose names are not words of prose.
_NAMES = _words(
    "kubectl helm aws gcloud gsutil az heroku dvc mlflow kedro kaggle minikube terraform systemctl virtualenv jupyter"
    " gunicorn uvicorn pyinstaller twine chmod chown mkdir rmdir curl wget ssh scp rsync unzip cd ls cp mv rm grep sed"
    " awk cmake gcc g++ pytest nosetests mypy"
)
# Programs whose names are also words of prose, so that an option or a path must follow.
_ENGLISH = _words(
    "make find which touch source service cat echo tar flask celery scrapy tox head tail sort time screen"
)
_ARGUMENT = re.compile(r"[-./~$\"'*]|\w+[-./=:]\w|activate\b|python")
_OPERATOR = re.compile(r"[=(:,*&|<>\[\])]|[-+*/.%]+$")


def has_prompt(code: str) -> bool:
    """Return whether the code begins with a prompt of a shell and a command."""
    return _PROMPT.match(code) is not None


def shell_of(code: str) -> str | None:
    """Return "bash" for a script that begins with `#!` and a shell, "" for another one, and None for Python's."""
    shebang = _SHEBANG.match(code)
    if shebang is None or shebang[1]:
        return None
    return "bash" if shebang[2] else ""


def are_commands(code: str) -> bool:
    """Return whether every line is a command, the rest of one, or a comment."""
    continues = has_command = False
    for line in code.split("\n"):
        text = line.strip()
        if text and not continues and text[0] != "#":
            if not _is_command(text):
                return False
            has_command = True
        continues = text.endswith("\\")
    return has_command


def _is_command(line: str) -> bool:
    words = line.removeprefix("sudo ").split(None, 2)
    name, second = [*words, ""][:2]
    program = name.rstrip("0123456789.")  # `pip3`, `python3.12`
    if program in _PROGRAMS:
        return second.startswith("-") or second in _PROGRAMS[program]
    if program == "python":
        return second.startswith("-") or second.endswith(".py")
    if name in _NAMES:
        return not _OPERATOR.match(second)
    if name == "export":
        return "=" in second
    return name in _ENGLISH and _ARGUMENT.match(second) is not None
