"""Find the site of a dump: its host and display name. All URLs and attributions are built from them."""

import re
from dataclasses import dataclass

from tuning.errors import TuningError

# Sites with their own domain, and their display names. All other sites are subdomains of stackexchange.com.
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
_HINT = "Give --site as in `--site stackoverflow` or `--site cardano.stackexchange.com`"


@dataclass(frozen=True)
class Site:
    """Represent a Stack Exchange site. `host` is in lower case, such as ``cardano.stackexchange.com``."""

    host: str
    name: str

    @property
    def base_url(self) -> str:
        """Return the URL of the site, without a slash at the end."""
        return f"https://{self.host}"


def parse_site(text: str) -> Site:
    """Return the site for a name such as `stackoverflow`, `meta.superuser.com` or `https://mathoverflow.net/`.

    A single word is a site with its own domain, such as `stackoverflow`, or else a subdomain of stackexchange.com, such
    as `cardano`. Raises TuningError if the result is not a host of Stack Exchange.
    """
    host = text.strip().lower().removeprefix("https://").removeprefix("http://").rstrip("/").removeprefix("www.")
    if not host.endswith((".com", ".net")):
        last = host.rpartition(".")[2]
        host += _SUFFIX_OF_WORD.get(last, ".stackexchange.com")
    domain = next((domain for domain in _DOMAINS if host == domain or host.endswith(f".{domain}")), None)
    subdomains = host.removesuffix(domain).rstrip(".").split(".") if domain and host != domain else []
    if domain is None or not all(map(_LABEL.match, subdomains)) or len(subdomains) > 2 or host == _NETWORK:
        raise TuningError(f"{text!r} is not a Stack Exchange site", _HINT)
    if domain == _NETWORK and len(subdomains) == 2 and subdomains[0] == "meta":
        subdomains.reverse()  # since 2018, the host is cardano.meta.stackexchange.com
    return Site(".".join([*subdomains, domain]), _display_name(subdomains, domain))


def site_of_file(name: str) -> Site | None:
    """Return the site named by an official archive or its folder, such as ``cardano.stackexchange.com.7z``, or None."""
    match = re.match(r"((?:[a-z0-9-]+\.)*(?:[a-z0-9]+\.(?:com|net)))(?:[-.]|\Z)", name.lower())
    try:
        return parse_site(match[1]) if match else None
    except TuningError:  # a name with dots that is not a site
        return None


def _display_name(subdomains: list[str], domain: str) -> str:
    words = [label for label in subdomains if label != "meta"]
    meta = ["Meta"] if "meta" in subdomains else []
    if domain == _NETWORK:
        topic = [part.capitalize() for word in words for part in word.split("-")]
        return " ".join([*topic, *meta, "Stack Exchange"])
    return " ".join([*meta, _DOMAINS[domain], *(_LANGUAGES.get(word, word) for word in words)])
