"""A connection to Cloud Storage that breaks while something is uploaded."""

from typing import Any

import pytest
import requests


class BrokenLine:
    """Lets some parts of an upload through, then breaks the connection, before or after the server has the part."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, whole_parts: int, times: int, arrives: bool) -> None:
        self.left, self.times, self.parts = whole_parts, times, []
        request = requests.Session.request

        def through(session: Any, method: str, url: str, *args: Any, **options: Any) -> Any:
            if method != "PUT" or not options.get("data"):
                return request(session, method, url, *args, **options)
            self.parts.append(options["headers"]["Content-Range"])
            self.left -= 1
            if self.left < 0 and self.times > 0:
                self.times -= 1
                if arrives:
                    request(session, method, url, *args, **options)
                raise requests.ConnectionError("the line broke", request=requests.Request(url=url))
            return request(session, method, url, *args, **options)

        monkeypatch.setattr(requests.Session, "request", through)
