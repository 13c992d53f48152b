"""Find the code in Markdown and in HTML, where numbers are not phone numbers."""

import re

Span = tuple[int, int]

_FENCE = re.compile(r"^[ >]{0,20}(?:(?:[-*+]|\d{1,9}[.)]) )?[ >]{0,20}(`{3,}|~{3,})([^`\n]*)$", re.MULTILINE)
_INLINE = re.compile(r"(?<!`)(`+)(?!`)(?:(?!\n\n)[\s\S]){1,2000}?(?<!`)\1(?!`)")
_TAG = re.compile(r"<(/?)(?:pre|code)\b[^<>]{0,200}>", re.IGNORECASE)


def code_spans(text: str) -> list[Span]:
    """Return the places of code in text order: between fences, between backticks, and in `<pre>` and `<code>`."""
    spans = []
    start, fence, end = 0, "", 0  # of the open block, and the end of the block before it
    for match in _FENCE.finditer(text):
        if not fence:
            spans += [inline.span() for inline in _INLINE.finditer(text, end, match.start())]
            start, fence = match.start(), match[1]
        elif match[1].startswith(fence) and not match[2].strip():
            spans.append((start, match.end()))
            fence, end = "", match.end()
    if fence:
        spans.append((start, len(text)))
    else:
        spans += [inline.span() for inline in _INLINE.finditer(text, end)]
    merged: list[Span] = []
    for span in sorted(spans + (_tagged(text) if "<code" in text or "<pre" in text else [])):
        if merged and span[0] < merged[-1][1]:
            merged[-1] = merged[-1][0], max(merged[-1][1], span[1])
        else:
            merged.append(span)
    return merged


def _tagged(text: str) -> list[Span]:
    spans = []
    start = depth = 0
    for match in _TAG.finditer(text):
        if not match[1]:
            start = start if depth else match.start()
            depth += 1
        elif depth:
            depth -= 1
            if not depth:
                spans.append((start, match.end()))
    return [*spans, (start, len(text))] if depth else spans
