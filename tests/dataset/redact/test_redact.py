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
    plants = list(planted.positives(random.Random(20), 8))  # noqa: S311 - the same draw each time
    missed = [(kind, text) for kind, text, secret in plants if planted.core(secret) in redact(text)[0]]
    found = len(plants) - len(missed)
    low, high = wilson(found, len(plants))
    with capsys.disabled():
        print(f"\nrecall {found}/{len(plants)} = {found / len(plants):.4f} (95%: {low:.4f} to {high:.4f})")
    assert len(plants) >= 300
    assert found / len(plants) >= 0.98, missed[:20]


def test_at_most_2_of_1000_clean_texts_are_touched(capsys: pytest.CaptureFixture[str]) -> None:
    clean = [*planted.tricky(random.Random(21)), *planted.code(MODULES)]  # noqa: S311 - as above
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
