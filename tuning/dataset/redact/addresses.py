"""Find email and IP addresses of real people and machines, except addresses that are only used in documentation."""

import ipaddress
import re
from collections.abc import Iterator

Span = tuple[int, int]

# Email ----------------------------------------------------------------------------------------------------------------

# Letters of Latin, Greek and Cyrillic, but not of Chinese, which is written without a space before an address.
_LETTERS = "A-Za-zÀ-ÖØ-öø-ɏ\u0300-\u036fͰ-ԯ"
_DOMAIN_LETTERS = "A-Za-z0-9ß-öø-ɏͰ-ԯ"  # also of international domains
_DOMAIN_END = "[A-Za-z]{2,24}|[ͰͲ-ԯ]{2,12}|xn--[A-Za-z0-9-]{2,24}"
_DOMAIN = re.compile(
    rf"@((?:[{_DOMAIN_LETTERS}](?:[{_DOMAIN_LETTERS}-]*[{_DOMAIN_LETTERS}])?\.)+({_DOMAIN_END}))(?![\w@-]|\.\w|\()"
)
_LOCAL = re.compile(rf"[{_LETTERS}0-9_+-](?:[{_LETTERS}0-9_.+%-]*[{_LETTERS}0-9_+-])?$")
# Matrix products (`A@B.T`) and attributes (`a@b.shape`) look like addresses. Only domains with these endings count.
_GENERIC = (
    "com org net edu gov mil int info biz name pro mobi aero coop museum jobs travel tel cat asia post xxx app dev "
    "online site store tech cloud xyz email page blog shop live news work world life today agency company systems "
    "solutions digital studio design media network software academy services group team space website club one top "
    "vip icu global ai"
)
_COUNTRIES = (
    "ac ad ae af ag al am ao ar as at au aw az ba bb bd be bf bg bh bi bj bm bn bo br bs bt bw by bz ca cc cd cf cg ch "
    "ci ck cl cm cn co cr cu cv cw cx cy cz de dj dk dm do dz ec ee eg er es et eu fi fj fk fm fo fr ga gb gd ge gf gg "
    "gh gi gl gm gn gp gq gr gt gu gw gy hk hm hn hr ht hu id ie il im in io iq ir is it je jm jo jp ke kg kh ki km kn "
    "kp kr kw ky kz la lb lc li lk lr ls lt lu lv ly ma mc md me mg mh mk ml mm mn mo mp mq mr ms mt mu mv mw mx my mz "
    "na nc ne nf ng ni nl no np nr nu nz om pa pe pf pg ph pk pl pm pn pr ps pt pw py qa re ro rs ru rw sa sb sc sd se "
    "sg sh si sk sl sm sn so sr ss st su sv sx sy sz tc td tf tg th tj tk tl tm tn to tr tt tv tw tz ua ug uk us uy uz "
    "va vc ve vg vi vn vu wf ws ye yt za zm zw"
)
_INTERNATIONAL = "рф рус бел укр срб мкд мон қаз бг ею ελ ευ онлайн сайт орг ком дети москва"  # noqa: RUF001 - Cyrillic
_ENDS = frozenset(f"{_GENERIC} {_COUNTRIES} {_INTERNATIONAL}".split())
# Domains that RFC 2606 and RFC 6761 reserve, and names that are used as placeholders.
_RESERVED = re.compile(
    r"(?:^|\.)(?:example\.\w+(?:\.[a-z]{2})?|(?:test|domain|company|address|website|host|foo|bar|baz|foobar|abc|xyz|acme|somewhere|localhost|invalid)\.(?:(?:com|org|net)(?:\.[a-z]{2})?|co\.[a-z]{2})|"
    r"(?:your|my|some)-?\w+\.\w+|(?:пример|тест|домен|испытание)\.\w+|test|example|invalid|localhost|local)$"
)
# Names of nobody: masked ones, and at the domains of large providers also those such as `first.last@…`. The group (?>…)
# takes the first word that fits and never tries another, so that a long name takes no longer.
_MASKED = re.compile(r"x{3,}|your[._-]?(?:e?mail|name|user|username|account|id)?")
_PROVIDERS = re.compile(r"(?:g|google|hot|e|proton)?mail\.com|(?:yahoo|outlook|live|aol|icloud|me|you)\.com")
_NOBODY = re.compile(
    r"(?:(?>your|my|the|some|any|to|from|valid|user|first|last|full|sender|receiver|recipient|example|test|fake|dummy|"
    r"e?mail|g?mail|address|name|account|someone|somebody|anyone|me|you|abc|xyz|foo|bar|x{2,}|sample|login|id|here)[._-]?)+\d{0,3}"
)
_NOT_MAIL = frozenset({"git", "hg", "svn", "bzr"})  # user names in repository URLs


def emails(text: str) -> Iterator[Span]:
    """Yield the places of email addresses, except in reserved domains, placeholders and the credentials of URLs."""
    for match in _DOMAIN.finditer(text):
        local = _LOCAL.search(text[max(0, match.start() - 64) : match.start()])
        domain, end_of_name = match[1].lower(), match[2]
        if local is None or local[0].lower() in _NOT_MAIL or _RESERVED.search(domain):
            continue
        is_end = end_of_name.lower() in _ENDS or end_of_name.lower().startswith("xn--")
        if not is_end or not (end_of_name.islower() or match[1].isupper()):
            continue
        is_provider = _PROVIDERS.fullmatch(domain) is not None
        if _MASKED.fullmatch(local[0].lower()) or (is_provider and _NOBODY.fullmatch(local[0].lower())):
            continue
        start = match.start() - len(local[0])
        if "://" not in text[max(0, start - 40) : start].rpartition(" ")[2]:  # not the credentials of a URL
            yield start, match.end()


_ADDRESS = re.compile(rf"[\w.+%-]{{1,64}}@(?:[{_DOMAIN_LETTERS}-]{{1,63}}\.){{1,5}}({_DOMAIN_END})")


def reads_as_email(value: str) -> bool:
    """Return whether a value is an email address, of a real or of a reserved domain."""
    match = _ADDRESS.fullmatch(value)
    return match is not None and (
        match[1].lower() in _ENDS or match[1][:4] == "xn--" or _RESERVED.search(value.lower()) is not None
    )


# IP -------------------------------------------------------------------------------------------------------------------

_IPV4 = re.compile(r"(?<![\w.])(?:\d{1,3}\.){3}\d{1,3}(?!\w|-[A-Za-z]|\.\d|\.in-addr)")
_IPV6 = re.compile(r"[23][0-9A-Fa-f]{3}:[0-9A-Fa-f:]+(?!\w)")
_GOES_ON = re.compile(r"[\w:.]\Z")
_VERSION_BEFORE = re.compile(
    r"(?i)(?:(?:version|ver|release|build|revision|rev|firmware|driver|chrome|firefox|opera|safari|edge|jdk|jre|sdk|oid|"
    r"section|chapter|\bv)[\s:=.\"']{0,3}(?:is\s|of\s|to\s|number\s)?|[=~<>!]=\s*|[a-z]/|[a-z]-)\Z"
)
_DOCUMENTATION = ipaddress.IPv6Network("3fff::/20")  # RFC 9637; Python 3.11 does not know it
_WELL_KNOWN = frozenset({"8.8.8.8", "8.8.4.4", "1.1.1.1", "1.0.0.1", "9.9.9.9", "208.67.222.222", "208.67.220.220"})


def ip_addresses(text: str) -> Iterator[Span]:
    """Yield the places of public IPv4 and IPv6 addresses.

    Skips the addresses of well-known DNS resolvers, and numbers that look like versions.
    """
    for match in _IPV4.finditer(text):
        octets = match[0].split(".")
        small = all(int(octet) <= 30 for octet in octets)
        if small or match[0] in _WELL_KNOWN or any(len(octet) > 1 and octet[0] == "0" for octet in octets):
            continue
        if _is_public(match[0]) and not _VERSION_BEFORE.search(text[max(0, match.start() - 24) : match.start()]):
            yield match.span()
    for match in _IPV6.finditer(text):
        address = match[0] if match[0].endswith("::") else match[0].rstrip(":")
        if (
            address.count(":") >= 2
            and not _GOES_ON.search(text, max(0, match.start() - 1), match.start())
            and _is_public(address)
        ):
            yield match.start(), match.start() + len(address)


def _is_public(text: str) -> bool:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        return False
    return address.is_global and not address.is_multicast and address not in _DOCUMENTATION
