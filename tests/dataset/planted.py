"""Secrets planted in texts, and texts that hold none. Secrets are drawn when the test runs and put together from parts,
so that no scanner takes this file for a leak."""

import ast
import base64
import inspect
import random
import string
from collections.abc import Iterator
from types import ModuleType

LETTERS = string.ascii_letters + string.digits
LOWER = string.ascii_lowercase + string.digits
UPPER = string.ascii_uppercase + string.digits
HEX = "0123456789abcdef"
URL64 = LETTERS + "-_"
B64 = LETTERS + "+/"


def secrets(rng: random.Random) -> dict[str, str]:
    """One of every kind: its value by a name of our own."""

    def draw(alphabet: str, length: int) -> str:
        # Begins and ends with a letter or digit, holds a digit and letters, as a drawn secret of that length does.
        inner = "".join(rng.choice(alphabet) for _ in range(length - 3))
        edge = [c for c in alphabet if c.isalnum()]
        letter = next(c for c in rng.sample(edge, len(edge)) if c.isalpha())
        return rng.choice(edge) + inner + letter + rng.choice([c for c in alphabet if c.isdigit()])

    def uuid() -> str:
        return "-".join("".join(rng.choice(HEX) for _ in range(n)) for n in (8, 4, 4, 4, 12))

    def public_ip() -> str:
        first = rng.choice([34, 52, 81, 93, 142, 185, 193, 217])
        return f"{first}.{rng.randint(31, 250)}.{rng.randint(1, 250)}.{rng.randint(1, 250)}"

    def pem(label: str) -> str:
        body = "\n".join(draw(B64, 64) for _ in range(12))
        return f"-----BEGIN {label}-----\n{body}\n{draw(B64, 30)}==\n-----END {label}-----"

    def jwt() -> str:
        claims = f'{{"sub":"{rng.randint(10**9, 10**10)}","iat":{rng.randint(10**9, 10**10)}}}'
        parts = [base64.urlsafe_b64encode(part.encode()) for part in ('{"alg":"HS256","typ":"JWT"}', claims)]
        return ".".join(part.decode().rstrip("=") for part in parts) + "." + draw(URL64, 43)

    first = rng.choice(["anna", "j.smith", "li", "Omar.F", "pierre-luc"])
    last = rng.choice(["mueller", "k77", "wong", "dev"])
    host = rng.choice(["gmail.com", "uni-bonn.de", "mail.acme-corp.io", "outlook.co.uk"])
    groups = [f"{rng.randint(4096, 65535):x}" for _ in range(9)]
    return {
        "mail": f"{first}.{last}{rng.randint(1, 99)}@{host}",
        "mail with tag": f"{last}+{first}@{rng.choice(['proton.me', 'yahoo.fr', 'fastmail.net'])}",
        "ipv4": public_ip(),
        "ipv6": f"2a0{rng.choice(HEX)}:{':'.join(groups[:7])}",
        "ipv6 short": f"2606:{groups[7]}::{groups[8]}",
        "rsa key": pem("RSA PRIVATE " + "KEY"),
        "openssh key": pem("OPENSSH PRIVATE " + "KEY"),
        "pkcs8 key": pem("PRIVATE " + "KEY"),
        "ec key": pem("EC PRIVATE " + "KEY"),
        "aws id": "AKIA" + draw(UPPER, 16),
        "aws temporary id": "ASIA" + draw(UPPER, 16),
        "google": "AIza" + "Sy" + draw(URL64, 33),
        "google oauth": "GOC" + "SPX-" + draw(URL64, 28),
        "google access": "ya2" + "9." + draw(URL64, 60),
        "github": "gh" + rng.choice("pousr") + "_" + draw(LETTERS, 36),
        "github fine": "github" + "_pat_" + draw(LETTERS, 22) + "_" + draw(LETTERS, 59),
        "gitlab": "gl" + "pat-" + draw(URL64, 20),
        "slack bot": f"xo{'xb'}-{rng.randint(10**10, 10**11)}-{rng.randint(10**11, 10**12)}-{draw(LETTERS, 24)}",
        "slack user": f"xo{'xp'}-{rng.randint(10**10, 10**11)}-{rng.randint(10**11, 10**12)}-{draw(HEX, 32)}",
        "stripe": "sk" + "_live_" + draw(LETTERS, 24),
        "stripe restricted": "rk" + "_live_" + draw(LETTERS, 24),
        "twilio": "S" + "K" + draw(HEX, 32),
        "sendgrid": "S" + "G." + draw(URL64, 22) + "." + draw(URL64, 43),
        "openai": "sk" + "-" + draw(LETTERS, 20) + "T3Blbk" + "FJ" + draw(LETTERS, 20),
        "openai project": "sk" + "-proj-" + draw(URL64, 74),
        "anthropic": "sk" + "-ant-api03-" + draw(URL64, 93) + "AA",
        "hugging face": "h" + "f_" + draw(LETTERS, 34),
        "npm": "np" + "m_" + draw(LETTERS, 36),
        "pypi": "py" + "pi-AgEIcHlwaS5vcmc" + draw(URL64, 90),
        "telegram": f"{rng.randint(10**8, 10**10 - 1)}:AA" + draw(URL64, 33),
        "discord": rng.choice("MN") + draw(LETTERS, 23) + "." + draw(URL64, 6) + "." + draw(URL64, 27),
        "jwt": jwt(),
        "azure storage": "DefaultEndpointsProtocol=https;AccountName=store1;Account" + "Key=" + draw(B64, 86) + "==",
        "heroku": "HRKU" + "-AA" + draw(URL64, 58),
        "mailgun": "key" + "-" + draw(HEX, 32),
        "mailchimp": draw(HEX, 32) + "-us" + str(rng.randint(1, 21)),
        "square": "sq0" + "atp-" + draw(URL64, 22),
        "shopify": "shp" + "at_" + draw(HEX, 32),
        "digitalocean": "do" + "p_v1_" + draw(HEX, 64),
        "databricks": "da" + "pi" + draw(HEX, 32),
        "facebook": "EA" + "A" + draw(LETTERS, 120),
        "slack webhook": "https://hooks.slack"
        + f".com/services/T{draw(UPPER, 8)}/B{draw(UPPER, 10)}/{draw(LETTERS, 24)}",
        "discord webhook": "https://discord" + f".com/api/webhooks/{rng.randint(10**17, 10**18)}/{draw(URL64, 68)}",
        "url password": f"postgres://admin:{draw(LETTERS, 14)}@db.internal-net.io:5432/app",
        "url password with symbols": f"mongodb+srv://svc_user:{draw(LETTERS + '!_-.', 12)}@cluster0.mongodb.net/prod",
        "service account": '"private_key_id": "' + draw(HEX, 40) + '"',
    }


def named_values(rng: random.Random) -> dict[str, str]:
    """Secrets that only the name before them gives away."""

    def draw(alphabet: str, length: int) -> str:
        return (
            "".join(rng.choice(alphabet) for _ in range(length - 3))
            + rng.choice("ghkm")
            + rng.choice("RTZ")
            + rng.choice("2579")
        )

    return {
        "password": draw(LETTERS + "!#%+-_", 14),
        "DB_PASSWORD": draw(LETTERS, 16),
        "api_key": draw(LETTERS, 32),
        "apiKey": draw(LOWER, 36),
        "SECRET_KEY": draw(LETTERS + "!@#^*-_=+", 50),
        "client_secret": draw(URL64, 40),
        "access_token": draw(LETTERS, 40),
        "AWS_SECRET_ACCESS_KEY": draw(B64, 40),
        "aws_secret_access_key": draw(B64, 40),
        "TWILIO_AUTH_TOKEN": "".join(rng.choice(HEX) for _ in range(30)) + "a7",
        "consumer_secret": draw(LETTERS, 50),
    }


def around(secret: str, name: str) -> Iterator[str]:
    """The ways in which posts and code show a secret."""
    yield f"{name.upper()}={secret}\nDEBUG=1\n"
    yield f"export {name.upper()}='{secret}'"
    yield f'{name} = "{secret}"  # TODO\nprint({name})'
    yield f'{{"{name}": "{secret}", "debug": true}}'
    yield f"service:\n  {name}: {secret}\n  retries: 3\n"
    yield f"client = Client({name}='{secret}', timeout=3)"
    yield f'os.environ["{name.upper()}"] = "{secret}"'


def around_typed(secret: str) -> Iterator[str]:
    """Ways that say nothing of what the secret is."""
    yield f"I put {secret} there and it failed."
    yield f"Mine is {secret}."
    yield f"run('{secret}')"
    yield f"```\n{secret}\n```\n\nWhy?"
    yield f"see `{secret}`, please"
    yield f"curl -H 'Authorization: Bearer {secret}' https://api.host.dev/v1"
    yield f"value: {secret}\n"


def positives(rng: random.Random, rounds: int) -> Iterator[tuple[str, str, str]]:
    """(kind, text, the secret within it) for each kind in `rounds` surroundings."""
    for _ in range(rounds):
        for kind, secret in secrets(rng).items():
            yield kind, rng.choice(list(around_typed(secret))), secret
            if len(secret) < 100 and "\n" not in secret and '"' not in secret:
                yield kind, rng.choice(list(around(secret, "value"))), secret
        for name, secret in named_values(rng).items():
            yield name, rng.choice(list(around(secret, name))), secret


def tricky(rng: random.Random) -> Iterator[str]:
    """Texts that look like secrets and hold none."""

    def hexes(length: int) -> str:
        return "".join(rng.choice(HEX) for _ in range(length))

    yield from (
        "@app.route('/users')\ndef users(): ...",
        "@dataclass(frozen=True)\nclass A: ...",
        "c = a@b.T + W@x.shape[0]",
        "y = x@w.to(device)",
        "git clone git@github.com:psf/requests.git",
        "ssh://git@gitlab.com/group/project.git",
        "pip install package==1.2.3.4",
        "version 4.35.121.77 of the driver",
        "Chrome/91.0.118.124 Safari/537.36",
        "app.run(host='0.0.0.0', port=8080)",
        "connect to 127.0.0.1:5432 or 192.168.1.17, 10.0.0.5, 172.16.3.4, 169.254.1.1",
        "255.255.255.0 is the mask, 224.0.0.251 multicast, 203.0.113.9 and 198.51.100.7 documentation",
        "fe80::1ff:fe23:4567:890a%eth2, ::1, 2001:db8::8a2e:370:7334, fd12:3456:789a::1",
        "a[::2], b[1::3], x[::-1]",
        "from 12:34:56 to 23:59:59, MAC 00:1b:63:84:45:e6",
        "mail user@example.com, admin@test.example, me@localhost, you@example.org",
        "send_mail('your_name@yourdomain.com')",
        "postgres://user:password@localhost:5432/db",
        "mysql://root:root@127.0.0.1/test",
        "redis://:{password}@{host}:6379/0",
        "https://<user>:<token>@github.com/org/repo",
        "amqp://guest:guest@rabbit:5672/",
        "api_key = 'YOUR_API_KEY'",
        "api_key = 'xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx'",
        "API_KEY=<your-api-key-here>",
        "password = getpass.getpass()",
        "password = os.environ['DB_PASSWORD']",
        "password: str = Field(min_length=8)",
        "token = tokenizer.next_token()",
        "tokens = nltk.word_tokenize(sentence)",
        "secret = request.args.get('secret')",
        "access_token_url='https://api.twitter.com/oauth/access_token'",
        "if password == 'letmein': ...",
        "password = 'password123'",
        "parser.add_argument('--token', help='the token to use')",
        "client = OpenAI(api_key=os.getenv('OPENAI_API_KEY'))",
        "headers = {'Authorization': f'Bearer {token}'}",
        "headers = {'Authorization': 'Bearer ' + access_token}",
        "sk-learn-contrib-package-name-for-everyone",
        "hf_hub_download(repo_id='bert-base-uncased')",
        "class AKIAParser: pass",
        "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx",
        "AWS_ACCESS_KEY_ID=AKIA" + "IOSFODNN7EXAMPLE",
        "-----BEGIN PUBLIC KEY-----\nMFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAK\n-----END PUBLIC KEY-----",
        "-----BEGIN CERTIFICATE-----\nMIIC\n-----END CERTIFICATE-----",
        "-----BEGIN RSA PRIVATE KEY-----\n...\n-----END RSA PRIVATE KEY-----",
        "icon@2x.png and logo@3x.svg",
        "pytest tests/test_a.py::TestToken::test_secret_key_rotation",
        "np.dot(A, B) == A@B",
        "df['password_hash'].str.len()",
        "SELECT token, secret FROM credentials WHERE password IS NOT NULL",
        "email = re.compile(r'[\\w.]+@[\\w.]+\\.com')",
        "csrf_token = '{{ csrf_token() }}'",
        "SECRET_KEY = config('SECRET_KEY', default='')",
        "the oid 1.3.6.1.4.1.311.21.7",
        "section 10.2.33.41 of the manual",
        "lambda s: s.split('@')[1]",
        "decorators like @property, @functools.lru_cache(maxsize=None) and @pytest.mark.parametrize('a', [1])",
        "Password: ********",
        "key = 'name'\nvalue = data[key]",
        "primary_key='customer_identifier_2019'",
        "token_type = 'urn:ietf:params:oauth:token-type:jwt'",
    )  # fmt: skip
    for _ in range(25):
        yield f"md5sum: {hexes(32)}  archive.tar.gz"
        yield f"commit {hexes(40)}\nDate: today"
        yield f"sha256:{hexes(64)}"
        yield f"id = '{hexes(8)}-{hexes(4)}-4{hexes(3)}-a{hexes(3)}-{hexes(12)}'"
        yield f"<img src='data:image/png;base64,iVBORw0KGgo{''.join(rng.choice(B64) for _ in range(400))}'>"
        yield f"object at 0x{hexes(12)}, bytes {hexes(16)}, colour #{hexes(6)}"
        yield f"https://example.com/questions/{rng.randint(10**6, 10**8)}/how-to-use-version-{rng.randint(1, 9)}-of-it"
        yield f"pip install foo=={rng.randint(0, 9)}.{rng.randint(0, 30)}.{rng.randint(0, 30)}.{rng.randint(0, 200)}"
        yield f"listening on 192.168.{rng.randint(0, 255)}.{rng.randint(1, 254)}:{rng.randint(1024, 65000)}"
        yield f"hashed_password = bcrypt.hashpw(pw{rng.randint(1, 99)}.encode(), bcrypt.gensalt())"


def code(modules: list[ModuleType]) -> Iterator[str]:
    """The functions and classes of modules, as real code without secrets."""
    for module in modules:
        source = inspect.getsource(module)
        lines = source.splitlines(keepends=True)
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                yield "".join(lines[node.lineno - 1 : node.end_lineno])


def core(secret: str) -> str:
    """Return the part of a secret that must be removed: the password of a URL, one line of a key, else all of it."""
    if "@" in secret and "://" in secret:
        return secret.split("://")[1].split("@")[0].split(":")[1]
    if "\n" in secret:
        return secret.split("\n")[1]
    if "://" in secret:
        return secret.rsplit("/", 1)[1]
    return secret.split("Key=")[-1].removeprefix('"private_key_id": "').rstrip('"')
