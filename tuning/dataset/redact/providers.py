"""Define the formats of the secrets of common providers. Extend the table `RULES` to find more kinds.

A rule applies only to texts with one of its signs. The signs of all rules are found with one search, so texts without
any are done quickly. The formats are from
https://docs.github.com/en/code-security/reference/secret-security/supported-secret-scanning-patterns and from the
documentation of each provider.
"""

import re
from typing import NamedTuple

from tuning.dataset.sieve import Sieve


class Rule(NamedTuple):
    """Describe the format of one secret. The placeholder in the redacted text is named after `kind`.

    The secret is the group "secret" of `pattern`, or the whole match if there is no such group. A whole match that
    continues a preceding word is not a secret ("sk-…" in "task-…").
    """

    kind: str
    sign: str  # in RE2's syntax; the rule applies only to texts in which it occurs
    pattern: re.Pattern[str]
    shortest_run: int  # length of the shortest run of letters, digits and `_+%-` with a digit in a secret of this kind


def _rule(kind: str, signs: str, *alternatives: str, shortest_run: int = 20) -> Rule:
    # `C{` is short for a repeated character of URL-safe base64. The signs are separated by blanks, and have no counted
    # repetition of common characters, which would make the search for all signs slow.
    pattern = re.compile("|".join(alternatives).replace("C{", "[A-Za-z0-9_-]{"))
    return Rule(kind, "|".join(signs.split()), pattern, shortest_run)


_UUID = "[0-9a-fA-F]{8}-(?:[0-9a-fA-F]{4}-){3}[0-9a-fA-F]{12}"
_PEM_LABEL = "(?:[A-Z0-9]+ )*PRIVATE KEY(?: BLOCK)?-----"
_SSH2_LABEL = "SSH2 (?:ENCRYPTED )?PRIVATE KEY ----"
# The headers of an encrypted key, and all before its first line, which has no five hyphens.
_PEM_HEADERS = (
    r"(?:(?:\s|\\n|[\"'>+,])*(?:Proc-Type|DEK-Info|Version|Comment|Subject|x-\w{1,20}): ?[^\n`\\]{1,200}){0,9}"
)
_PEM_START = r"(?=(?:[^`-]|-(?!----)){0,2000}?[A-Za-z0-9+/]{16})"
_PEM_LINES = r"(?:(?:\s|\\n|[\"'>+,])*[A-Za-z0-9+/=]{40,})+"

RULES = (
    _rule(
        "PRIVATE_KEY",
        "PRIVATE",
        # Contains no backtick, so that a redaction never includes the end of a code block.
        f"-----BEGIN {_PEM_LABEL}{_PEM_START}[^`]{{16,20000}}?-----END {_PEM_LABEL}",
        f"---- BEGIN {_SSH2_LABEL}{_PEM_START}[^`]{{16,20000}}?---- END {_SSH2_LABEL}",
        # A key whose end is cut off.
        f"-----BEGIN {_PEM_LABEL}{_PEM_HEADERS}{_PEM_LINES}",
        f"---- BEGIN {_SSH2_LABEL}{_PEM_HEADERS}{_PEM_LINES}",
    ),
    _rule("PRIVATE_KEY", "Private-Lines", r"Private-Lines: \d+\s+(?P<secret>[A-Za-z0-9+/=\s]{40,}[A-Za-z0-9+/=])"),
    _rule("PRIVATE_KEY", "AGE-SECRET-KEY-", "AGE-SECRET-KEY-1[0-9A-Z]{50,}"),
    _rule("PRIVATE_KEY", "private_key_id", r"private_key_id\W{1,8}(?P<secret>[0-9a-f]{40})"),
    # 43 characters and "=", but also keys that were copied with a mistake.
    _rule("FERNET_KEY", "ernet ERNET", "(?<![A-Za-z0-9_=/+-])C{40,46}={1,2}(?![A-Za-z0-9_=])"),
    _rule("FERNET_KEY", r"Fernet\(", r"Fernet\(\s{0,9}(?:key=)?b?[\"'](?P<secret>[A-Za-z0-9_+/-]{30,}={0,2})[\"']"),
    _rule("AWS_KEY", "AKIA ASIA ABIA ACCA", "A(?:KI|SI|BI|CC)A[A-Z0-9]{16}(?![A-Za-z0-9])"),
    _rule("AWS_SECRET", "AQoD IQoJ FwoG FQoG", "(?:AQoD|IQoJ|FwoG|FQoG)[A-Za-z0-9/+=]{100,}"),
    _rule(
        "AWS_SECRET",
        "aws AWS Aws SecretAccessKey secretAccessKey SECRET_ACCESS secret_access",
        r"(?i:aws[\w.-]{0,20}secret[\w.-]{0,20}|secret_?access_?key|aws_?secret)\W{1,8}(?P<secret>[A-Za-z0-9/+]{40})"
        "(?![A-Za-z0-9/+=])",
    ),
    _rule("GOOGLE_API_KEY", "AIza", r"AIza[\w-]{35}(?![\w-])"),
    _rule("GOOGLE_API_KEY", ":APA91b", "AAAAC{7}:APA91bC{100,}"),
    _rule(
        "GOOGLE_OAUTH",
        r"GOCSPX- ya29\. 1//0 \.apps\.googleusercontent",
        r"GOCSPX-C{20,}|ya29\.[A-Za-z0-9._-]{20,}|1//0C{30,}|\d{6,}-[a-z0-9]{32}(?=\.apps\.googleusercontent)",
    ),
    _rule("GITHUB_TOKEN", "ghp_ gho_ ghu_ ghs_ ghr_", "gh[pousr]_[A-Za-z0-9]{36,255}"),
    _rule("GITHUB_TOKEN", "github_pat_", "github_pat_[A-Za-z0-9_]{36,}"),
    _rule(
        "GITLAB_TOKEN",
        "gl(?:pat|dt|rt|ptt|cbt|soat|ft|imt|agent|oas)-",
        r"gl(?:pat|dt|rt|ptt|cbt|soat|ft|imt|agent|oas)-(?:[\w-]{1,9}\.)?[\w-]{20,}(?:\.\w{7,})*",
    ),
    _rule("GITLAB_TOKEN", "GR1348941", "GR1348941C{20,}"),
    _rule("SLACK_TOKEN", "xox xapp-", r"xox[abcdeoprs](?:\.xox[abp])?-[A-Za-z0-9-]{10,}|xapp-\d-[A-Za-z0-9-]{10,}"),
    _rule("WEBHOOK", r"hooks\.slack\.com", r"hooks\.slack\.com/\w+/(?P<secret>[A-Za-z0-9/]{20,})"),
    _rule("WEBHOOK", "discord", r"discord(?:app)?\.com/api(?:/v\d+)?/webhooks/(?P<secret>\d{15,}/C{40,})"),
    _rule("WEBHOOK", "webhookb2", r"webhookb2/(?P<secret>[\w@-]+/IncomingWebhook/\w+/[\w-]+)"),
    _rule("STRIPE_KEY", "_live_ _test_ whsec_", "[srp]k_(?:live|test)_[A-Za-z0-9]{16,}|whsec_[A-Za-z0-9+/=]{24,}"),
    _rule("TWILIO_KEY", "(?:AC|SK)[0-9a-f]{8}", "(?:AC|SK)[0-9a-f]{32}(?![A-Za-z0-9])"),
    _rule("SENDGRID_KEY", r"SG\.", r"SG\.C{16,32}\.C{16,64}"),
    _rule("MAILGUN_KEY", "key-", "key-[0-9a-f]{32}(?![A-Za-z0-9])"),
    _rule(
        "MAILGUN_KEY",
        "[0-9a-f]-[0-9a-f]{8}-[0-9a-f]{8}",
        "[0-9a-f]{32}-[0-9a-f]{8}-[0-9a-f]{8}(?![A-Za-z0-9-])",
        shortest_run=27,
    ),
    _rule("MAILCHIMP_KEY", r"[0-9a-f]-us\p{Nd}", r"[0-9a-f]{32}-us\d{1,2}(?![A-Za-z0-9])"),
    _rule("ANTHROPIC_KEY", "sk-ant-", "sk-ant-C{20,}"),
    _rule("OPENAI_KEY", "sk-", r"sk-(?:proj-|svcacct-|admin-|None-|or-v1-|lf-)?(?=[A-Za-z_-]{0,99}\d)C{20,}(?<![-_])"),
    _rule(
        "AI_PROVIDER_KEY",
        "gsk_ xai- pplx- r8_ nvapi- tgp_v1_",
        "(?:gsk_|xai-|pplx-|nvapi-|tgp_v1_)C{30,}|r8_[A-Za-z0-9]{37}",
    ),
    _rule("HUGGINGFACE_TOKEN", "hf_ api_org_", "(?:hf|api_org)_(?=[A-Za-z]*[0-9])[A-Za-z0-9]{30,}"),
    # Most have no digit. In a name, words of one or two letters do not occur so often.
    _rule(
        "HUGGINGFACE_TOKEN",
        "hf_ api_org_",
        "(?:hf|api_org)_(?=(?:[A-Za-z]*?[A-Z][a-z]?(?=[A-Z])){4})[A-Za-z]{34}(?![A-Za-z0-9_])",
    ),
    _rule(
        "API_KEY",
        "tvly- pcsk_ lsv2_",
        "tvly-(?:dev-|prod-)?[A-Za-z0-9]{32}|pcsk_[A-Za-z0-9_]{60,}|lsv2_(?:pt|sk)_[a-f0-9]{32}(?:_[a-f0-9]{10})?",
    ),
    _rule("API_KEY", r"infura\.io/", r"infura\.io/(?:ws/)?v3/(?P<secret>[a-f0-9]{32})(?![A-Za-z0-9])"),
    _rule(
        "API_KEY",
        r"alchemy(?:api)?\.(?:com|io)/",
        r"alchemy(?:api)?\.(?:com|io)/(?:nft/)?v\d/(?P<secret>C{32})(?![\w-])",
    ),
    _rule(
        "API_KEY", r"wandb\.login", r"wandb\.login\([^()\n]{0,80}?[\"'](?P<secret>[a-f0-9]{40})[\"']", shortest_run=40
    ),
    _rule("NPM_TOKEN", "npm_", "npm_[A-Za-z0-9]{36}"),
    _rule("NPM_TOKEN", "_authToken", rf"_authToken\W{{1,5}}(?P<secret>{_UUID}|C{{20,}})"),
    _rule("PYPI_TOKEN", "pypi-", "pypi-C{50,}"),
    _rule("RUBYGEMS_KEY", "rubygems_", "rubygems_[0-9a-f]{48}"),
    _rule("DOCKER_TOKEN", "dckr_", "dckr_(?:pat|oat)_C{24,}"),
    _rule(
        "TELEGRAM_TOKEN",
        r"\p{Nd}:[\w-]{8}",
        r"\d{8,10}:(?=[\w-]*[A-Z])(?=[\w-]*[a-z])C{35}(?![\w-])",
        shortest_run=27,
    ),
    _rule(
        "DISCORD_TOKEN",
        r"\.[\w-]{6}\.[\w-]{12} mfa\.",
        r"[MNO]C{22,27}\.C{6}\.C{27,40}(?![\w-])|mfa\.C{60,}",
        shortest_run=27,
    ),
    _rule("JWT", "eyJ", r"eyJC{8,}\.eyJC{8,}\.C{8,}|eyJC{8,}\.C{0,}\.C{8,}\.C{8,}\.C{8,}"),
    _rule("AZURE_KEY", r"[A-Za-z0-9+/]==(?:[^A-Za-z0-9+/=]|\z)", "[A-Za-z0-9+/]{86}==(?![A-Za-z0-9+/=])"),
    _rule("AZURE_KEY", "Key=", "(?:AccountKey|SharedAccessKey)=(?P<secret>[A-Za-z0-9+/]{40,}={0,2})"),
    _rule("AZURE_KEY", "sig=", "[?&;]sig=(?P<secret>[A-Za-z0-9%+/_-]{30,}(?:%3[dD]|=)*)"),
    _rule("AZURE_KEY", "Q~", r"[\w~.-]{3}\dQ~[\w~.-]{31,34}(?![\w~.-])"),
    _rule("HEROKU_KEY", "HRKU-", "HRKU-C{30,}"),
    _rule("HEROKU_KEY", "eroku EROKU", rf"(?i:heroku)[^\n`]{{0,40}}?(?<![\w-])(?P<secret>{_UUID})(?![\w-])"),
    _rule("SQUARE_TOKEN", "sq0 EAAA", r"sq0(?:atp|csp|idp)-C{22,43}|EAAAC{60}(?![\w-])"),
    _rule("SHOPIFY_TOKEN", "shp", "shp(?:at|ca|pa|ss|ua|ct)_[a-fA-F0-9]{32}"),
    _rule("DIGITALOCEAN_TOKEN", "_v1_", "do[opr]_v1_[a-f0-9]{64}"),
    _rule("DATABRICKS_TOKEN", "dapi dose", r"d(?:api|ose)[a-f0-9]{32}(?:-\d)?"),
    _rule("FACEBOOK_TOKEN", "EAA", "EAA[A-Za-z0-9]{40,}"),
    _rule("FACEBOOK_TOKEN", r"\p{Nd}\|[\w-]{8}", r"\d{13,17}\|C{27}(?![\w|-])", shortest_run=27),
    _rule("TWITTER_TOKEN", "AAAAAAAAAAAAAAAA", "AAAAAAAAAAAAAAAA[A-Za-z0-9%]{40,}"),
    _rule("VAULT_TOKEN", r"hvs\. hvb\. hvr\. \.atlasv1\.", r"hv[sbr]\.C{24,}|C{14}\.atlasv1\.C{60,}"),
    _rule("API_KEY", "lin_", "lin_(?:api|oauth)_[A-Za-z0-9]{32,}"),
    _rule("API_KEY", "secret_ ntn_", "(?:secret|ntn)_[A-Za-z0-9]{40,}"),  # Notion
    _rule("API_KEY", "PMAK-", "PMAK-[a-f0-9]{24}-[a-f0-9]{34}"),
    _rule("API_KEY", r"dp\.", r"dp\.(?:pt|st|ct|sa)\.(?:[\w-]+\.)?[A-Za-z0-9]{40,}"),
    _rule("API_KEY", "pul-", "pul-[a-f0-9]{40}"),
    _rule("API_KEY", "glc_ glsa_", "gl(?:c|sa)_[A-Za-z0-9+/=_]{30,}"),
    _rule("API_KEY", "NRAK NRAL", "NRA[KL]-?[A-Za-z0-9]{27,}"),
    _rule("API_KEY", "sntry", "sntry[su]_[A-Za-z0-9+/=_]{40,}"),
    _rule(
        "API_KEY",
        "sbp_ nfp_ pscale_ tfp_ figd_ phc_ phx_ rnd_",
        "(?:sbp|nfp|pscale_tkn|pscale_pw|tfp|figd|ph[cx]|rnd)_C{28,}",
    ),
    _rule("API_KEY", r"CFPAT- dt0c01\.", r"CFPAT-C{43}|dt0c01\.[A-Z0-9]{24}\.[A-Z0-9]{64}"),
    _rule("API_KEY", "shippo_ key_live_", "shippo_(?:live|test)_[a-f0-9]{40}|key_live_[A-Za-z0-9]{24,}"),
    _rule("API_KEY", "LTAI AKID ATATT3", "LTAI[A-Za-z0-9]{17,21}|AKID[A-Za-z0-9]{32}|ATATT3C{60,}"),
    _rule("API_KEY", "FLWSECK", "FLWSECK(?:_TEST)?-[a-f0-9]{32}-X"),
    _rule("API_KEY", r"k\.eyJ", r"[sp]k\.eyJC{40,}\.C{20,}"),  # Mapbox
    _rule(
        "API_KEY", r"access- sl\.", rf"access-(?:sandbox|development|production)-{_UUID}|sl\.C{{100,}}"
    ),  # Plaid, Dropbox
)

_SIEVE = Sieve({rule: rule.sign for rule in RULES})


def rules_for(text: str) -> list[Rule]:
    """Return the rules that apply to the text, in the order of `RULES`."""
    return _SIEVE.search(text)
