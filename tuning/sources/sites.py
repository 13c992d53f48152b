"""Which site a dump is of: its host and display name, from which every URL and attribution is built."""

import re
from dataclasses import dataclass

from tuning.errors import TuningError

# The domains, with the names that people give them; all other sites are under the network's own.
_NETWORK = "stackexchange.com"
_DOMAINS = {
    "stackoverflow.com": "Stack Overflow",
    "superuser.com": "Super User",
    "serverfault.com": "Server Fault",
    "askubuntu.com": "Ask Ubuntu",
    "stackapps.com": "Stack Apps",
    "mathoverflow.net": "MathOverflow",
    _NETWORK: "Stack Exchange",
}
_SUFFIX_OF_WORD = {domain.split(".")[0]: "." + domain.split(".")[1] for domain in _DOMAINS}
_LANGUAGES = {"pt": "em Português", "es": "en español", "ja": "日本語", "ru": "на русском"}
_LABEL = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")
_MEND = "Give --site as in `--site stackoverflow` or `--site cardano.stackexchange.com`"


@dataclass(frozen=True)
class Site:
    """A Stack Exchange site. `host` is all lower case, such as ``cardano.stackexchange.com``."""

    host: str
    name: str

    @property
    def base_url(self) -> str:
        return f"https://{self.host}"


def parse_site(text: str) -> Site:
    """The site that a person means by `stackoverflow`, `cardano`, `meta.superuser.com`, `https://mathoverflow.net/` …

    A word alone is one of the sites with a domain of their own, or else a site under stackexchange.com.
    Raises TuningError for anything that is not a host of Stack Exchange.
    """
    host = text.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/").removeprefix("www.")
    if not host.endswith((".com", ".net")):
        last = host.rpartition(".")[2]
        host += _SUFFIX_OF_WORD.get(last, ".stackexchange.com")
    domain = next((domain for domain in _DOMAINS if host == domain or host.endswith(f".{domain}")), None)
    subdomains = host.removesuffix(domain).rstrip(".").split(".") if domain and host != domain else []
    if domain is None or not all(map(_LABEL.match, subdomains)) or len(subdomains) > 2 or host == _NETWORK:
        raise TuningError(f"{text!r} is not a site of Stack Exchange", _MEND)
    if domain == _NETWORK and len(subdomains) == 2 and subdomains[0] == "meta":
        subdomains.reverse()  # since 2018 such a site is cardano.meta.stackexchange.com
    return Site(".".join([*subdomains, domain]), _display_name(subdomains, domain))


def site_of_file(name: str) -> Site | None:
    """The site that the name of an official archive or of its folder says, such as ``cardano.stackexchange.com.7z``."""
    match = re.match(r"((?:[a-z0-9-]+\.)*(?:[a-z0-9]+\.(?:com|net)))(?:[-.]|\Z)", name.lower())
    try:
        return parse_site(match[1]) if match else None
    except TuningError:  # some other dotted name: it says nothing about a site
        return None


def _display_name(subdomains: list[str], domain: str) -> str:
    words = [label for label in subdomains if label != "meta"]
    meta = ["Meta"] if "meta" in subdomains else []
    if domain == _NETWORK:
        topic = [part.capitalize() for word in words for part in word.split("-")]
        return " ".join([*topic, *meta, "Stack Exchange"])
    return " ".join([*meta, _DOMAINS[domain], *(_LANGUAGES.get(word, word) for word in words)])
