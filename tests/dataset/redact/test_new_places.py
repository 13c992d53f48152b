r"""Test secrets in places that are easy to miss: before the variable of a host, in marked-up text, in other scripts."""

import pytest

from tuning.dataset.redact.redact import redact

SECRET = "Kx93" + "mQvT7z"

GO = {
    "URL": (
        'f"postgresql://joe:§@{host}/shop"',
        '"mysql://joe:§@%s/x" % host',
        '"postgresql://joe:§@" + host',
        "'amqp://joe:§@' . $host",
        "postgresql://joe:§@$HOST/x",
        "postgresql://joe:§@${HOST}:5432",
        "mongodb+srv://joe:§@<cluster>/x",
        "redis://:§@/0",
        "http://joe:§@db.corp.com?x=a@b",
        "mongodb://joe:§@h1.corp.com:27017,h2.corp.com:27017/x",
    ),
}
STAY = {
    "URL": (
        "http://user:password@host",
        "http://user:password@{host}",
        "http://YOUR_USER:YOUR_PASSWORD@$HOST",
        "f'http://{user}:{password}@{host}/'",
        "http://$USER:$PASS@$HOST",
        "postgres://${U}:${P}@${H}/x",
        "'http://%s:%s@%s' % (u, p, h)",
        "'http://%(u)s:%(p)s@%(h)s'",
        "'postgresql://user:pass@' + host",
        '"http://" + user + ":" + pw + "@" + host',
        'r"^https?://[^:/]+:([^@]+)@"',
        'r"://(\\w+):(\\w+)@%s"',
        "http://host:8080/x@{y}",
    ),
}


@pytest.mark.parametrize("template", [template for templates in GO.values() for template in templates])
def test_only_the_secret_goes(template: str) -> None:
    changed, kinds = redact(template.replace("§", SECRET))
    assert changed.replace("<PASSWORD>", "§") == template
    assert kinds == ("PASSWORD",)


@pytest.mark.parametrize("text", [text for texts in STAY.values() for text in texts])
def test_what_names_no_secret_stays(text: str) -> None:
    assert redact(text) == (text, ())


def test_a_password_with_an_at_sign_goes_whole() -> None:
    for password in ("Kx9@3mQvT7z", "Kx9@3mQ@vT7z"):
        assert redact(f"postgres://joe:{password}@db.corp.com/x")[0] == "postgres://joe:<PASSWORD>@db.corp.com/x"
