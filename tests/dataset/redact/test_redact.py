"""Test that secrets are replaced and that text which only looks like a secret remains."""

import argparse
import ast
import asyncio.base_events
import configparser
import dataclasses
import datetime
import difflib
import email.message
import ftplib
import hashlib
import hmac
import http.client
import http.cookiejar
import imaplib
import ipaddress
import json.decoder
import logging
import mailbox
import netrc
import pathlib
import pickle
import platform
import random
import shutil
import smtplib
import socket
import ssl
import statistics
import subprocess
import tarfile
import time
import tokenize
import typing
import unittest.mock
import urllib.parse
import urllib.request
import uuid
import xml.sax.saxutils
import zipfile
from types import ModuleType

import pytest

from tests.dataset import planted
from tests.dataset.redact import planted_places
from tuning.dataset.redact.redact import find_secrets, redact

MODULES: list[ModuleType] = [
    argparse, ast, asyncio.base_events, configparser, dataclasses, datetime, difflib, email.message, ftplib, hashlib,
    hmac, http.client, http.cookiejar, imaplib, ipaddress, json.decoder, logging, mailbox, netrc, pathlib, pickle,
    platform, random, shutil, smtplib, socket, ssl, statistics, subprocess, tarfile, tokenize, typing, unittest.mock,
    urllib.parse, urllib.request, uuid, xml.sax.saxutils, zipfile,
]  # fmt: skip


def wilson(hits: int, total: int) -> tuple[float, float]:
    """Return the 95% confidence interval of a share."""
    z, share = 1.96, hits / total
    middle = (share + z * z / (2 * total)) / (1 + z * z / total)
    half = z * ((share * (1 - share) + z * z / (4 * total)) / total) ** 0.5 / (1 + z * z / total)
    return max(0.0, middle - half), min(1.0, middle + half)


def test_at_least_98_of_100_planted_secrets_go(capsys: pytest.CaptureFixture[str]) -> None:
    rng = random.Random(20)  # noqa: S311 - the same draw each time
    plants = [*planted.positives(rng, 8), *planted_places.positives(rng, 4)]
    missed = [(kind, text) for kind, text, secret in plants if planted.core(secret) in redact(text)[0]]
    found = len(plants) - len(missed)
    low, high = wilson(found, len(plants))
    with capsys.disabled():
        print(f"\nrecall {found}/{len(plants)} = {found / len(plants):.4f} (95%: {low:.4f} to {high:.4f})")
    assert len(plants) >= 300
    assert found / len(plants) >= 0.98, missed[:20]


def test_at_most_2_of_1000_clean_texts_are_touched(capsys: pytest.CaptureFixture[str]) -> None:
    clean = [*planted.tricky(random.Random(21)), *planted_places.STAY, *planted.code(MODULES)]  # noqa: S311 - as above
    hits = [(text[s.start : s.end], s.kind) for text in clean for s in find_secrets(text)[:1]]
    low, high = wilson(len(hits), len(clean))
    with capsys.disabled():
        print(f"\nfalse hits {len(hits)}/{len(clean)} (95%: {1000 * low:.2f} to {1000 * high:.2f} per 1,000)")
    assert len(clean) >= 1_000
    assert len(hits) <= 0.002 * len(clean), hits


def test_each_placeholder_names_what_it_stands_for() -> None:
    key = "AKIA" + "Q7ZK3M5N2P8R4T6W"
    text, kinds = redact(f"Write to jo.doe@mailbox.org, key {key}, host 93.184.216.34.")
    assert text == "Write to <EMAIL>, key <AWS_KEY>, host <IP_ADDRESS>."
    assert kinds == ("EMAIL", "AWS_KEY", "IP_ADDRESS")


def test_a_password_in_a_url_goes_and_the_url_stays() -> None:
    text, kinds = redact("postgres://svc:" + "k9vTq2LmZ" + "@db.internal-net.io:5432/app")
    assert text == "postgres://svc:<PASSWORD>@db.internal-net.io:5432/app"
    assert kinds == ("PASSWORD",)


def test_a_key_cut_off_in_a_code_block_leaves_the_block_closed() -> None:
    body = "\n".join("MIIEpAIBAAKCAQEA7bq0Vt" + "z1" * 21 for _ in range(4))
    text, kinds = redact("```\n-----BEGIN RSA PRIVATE " + f"KEY-----\n{body}\n```\n\nWhy?")
    assert text == "```\n<PRIVATE_KEY>\n```\n\nWhy?"
    assert kinds == ("PRIVATE_KEY",)


def test_a_text_without_secrets_comes_back_itself() -> None:
    text = "def f(x):\n    return x @ W.T\n"
    assert redact(text) == (text, ())


def test_texts_that_only_look_like_calls_paths_and_phone_numbers_stay() -> None:
    assert [(text, find_secrets(text)) for text in planted_places.STAY if find_secrets(text)] == []


def test_only_the_password_of_a_call_goes() -> None:
    secret = "Kx93" + "mQvT7z"
    for template in (*planted_places.CALLS, *planted_places.COMMANDS):
        text, kinds = redact(template.replace("§", secret))
        assert text.replace("<PASSWORD>", "§") == template
        assert kinds == ("PASSWORD",)


def test_only_the_name_in_a_path_goes_and_two_people_stay_apart() -> None:
    for template in planted_places.PATHS:
        assert redact(template.replace("§", "jsmith1984"))[0] == template.replace("§", "<NAME>")
    text, kinds = redact("/home/ann.m/a.py, C:\\Users\\Jane Doe\\b.py, /Users/ann.m/c.py, ann.m@host:~$ ls")
    assert text == "/home/<NAME>/a.py, C:\\Users\\<NAME_2>\\b.py, /Users/<NAME>/c.py, <NAME>@host:~$ ls"
    assert kinds == ("NAME", "NAME", "NAME", "NAME")


def test_phone_numbers_go_in_prose_and_stay_in_code() -> None:
    text, kinds = redact(
        "Call +1 415 555 0132 or (415) 555-0199.\n\n```\ncall('+1 415 555 0132')\n```\n\n`415-555-0132`"
    )
    assert text == "Call <PHONE> or <PHONE>.\n\n```\ncall('+1 415 555 0132')\n```\n\n`415-555-0132`"
    assert kinds == ("PHONE", "PHONE")
    assert redact("<p>415-555-0132 <code>415-555-0132</code></p>", is_html=True)[0] == (
        "<p><PHONE> <code>415-555-0132</code></p>"
    )


def test_an_email_address_is_never_a_password() -> None:
    address = "joe.k7@Mail-box.org"
    for template in ("login('joe', '§')", "password = '§'", "curl -u joe:§ https://x.org", "auth=('joe', '§')"):
        assert redact(template.replace("§", address)) == (template.replace("§", "<EMAIL>"), ("EMAIL",))


def test_entities_in_html_are_read_and_kept() -> None:
    secret = "Kx93" + "mQvT7z"
    call = f"login(&quot;joe&quot;, &quot;{secret}&quot;)"
    body = f"<pre><code>a &lt; b &amp;&amp; {call} &#x27;/home/ann.m/x&#39;</code></pre>"
    assert redact(body, is_html=True)[0] == body.replace(secret, "<PASSWORD>").replace("ann.m", "<NAME>")


HOSTILE = (
    "password" + "1" * 99, "a", "authorization:" + " " * 99, "api_key", "login('a','", "a.send_keys('pass')\n",
    ".connect('a','b',", "C:\\Users\\a b c d ", "/home/a/ ", "+1 2 3 4 ", "415-555-0132 ", "`a` 415-555-0132 ",
    "&quot;", "<code>", '"', "passwords={'a':", "credentials=[('a','b'),", "expect(" + "passw" * 8 + ")" * 30,
    "mysql -p ", "curl -u a", "echo a | sudo -S ", "sk-", "a@b.com ", "2aaa:", "1.1.", "password=a ", "``` `` ` ",
    "| password |\n|---|---|\n", "|---|---|\n", "x == password ", '"password",', "**password** ", "://a:b@", "psk=(",
    "-----BEGIN PRIVATE KEY-----", "connect(password='", "x" * 60 + "q@gmail.com ",
    "echo a:b | chpasswd\n", "chpasswd <<E\n", "chpasswd <<< 'a:b\n", "sudo -S <<E\nab\n", "echo '", "<password>",
    '<a name="password" ', "<key>password</key>", "<x password ", "password: |\n  a\n", "password:\n", "\\u0022",
    "&lt;", "\\u0022password\\u0022:", 'password = "a" + "b" + ', '"a" + ', "password = [\n", 'password=R"a(',
    'password = r#"', "password=%q(", "password = `", 'password = """\n', "password = <<A\n",
    "passwd --stdin ", "&amp;amp;", "password='a'\\\n",
    "chpasswd <(echo ", "cryptsetup ", "echo '|chpasswd ", "echo|tee|chpasswd ", "echo a > f chpasswd < f ",
    "> f\nchpasswd < f\n", "yes a|passwd ", "openssl -pass ", "password: !!str ", "password: !!str\n",
    'password = "%s" % ', 'password = "{}".format("a", ', "password or 'abcd", "<input type=", '<x value="a" ',
    "%22password%22%3A", "%252525", "setx PASSWORD ", "set PASSWORD=", "<x name='a.b.password'", "sudo -S stdin.write(",
)  # fmt: skip


@pytest.mark.parametrize("unit", HOSTILE)
def test_a_long_hostile_post_takes_no_longer_than_its_length_allows(unit: str) -> None:
    times = []
    for length in (10_000, 40_000):
        text = (unit * (length // len(unit) + 1))[:length] + "://x:y@z"
        started = time.process_time()
        redact(text)
        times.append(time.process_time() - started)
    assert times[1] < 10 * times[0] + 0.2  # 4 times as much for 4 times the text; 16 times would be quadratic


@pytest.mark.parametrize(
    ("unit", "other", "length"),
    [
        ("chpasswd <(echo ", "chpasswd <(cats ", 40_000),  # each echo was tried for each command
        ("echo x > f chpasswd < f ", "cats x > f chpasswd < f ", 40_000),
        ("cryptsetup ", "cryptsetup\n", 300_000),  # the beginning of the line was sought in the whole text
    ],
)
def test_a_command_takes_no_longer_after_many_others(unit: str, other: str, length: int) -> None:
    assert _seconds(unit, length) < 2.5 * _seconds(other, length)


def _seconds(unit: str, length: int) -> float:
    text = (unit * (length // len(unit) + 1))[:length]
    started = time.process_time()
    redact(text)
    return time.process_time() - started
