"""A hook of mkdocs: Sphinx's roles in docstrings become plain code, `:class:`~a.B`` becomes `B`."""

import re
from typing import Any

_ROLE = re.compile(r':(?:class|func|meth|mod|data|attr):<code>(~?)([\w.]+)</code>')


def on_page_content(html: str, **_: Any) -> str:
    """Called with the HTML of every page."""
    return _ROLE.sub(
        lambda role: f'<code>{role[2].split(".")[-1] if role[1] else role[2]}</code>', html
    )
