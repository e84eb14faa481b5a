"""Names, folders, files and command lines in a config are data: they come back, or are refused."""

from __future__ import annotations

import ast
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from test_user_config import options

from ge_det.cli.shell import shell_line, shell_path
from ge_det.config_writer.literals import comment
from ge_det.config_writer.text import config_text, write_config
from ge_det.errors import UserError

CANARY = 'GE_DET_TEST_CANARY'
RUN = f"__import__('os').environ.update({CANARY}='ran')"
TEMPLATES = [
    '{{ fileDirname }}',
    '{{fileBasename}}',
    f'{{{{${CANARY}:x}}}}',
    f"{{{{'${CANARY}:'}}}}",
    f'{{{{${CANARY}:',
    '{{ _base_.model }}',
    '{{{',
]
ODD = [
    *('\n', '\r', '\r\n', '\x0b', '\x0c', '\x1c', '\x85', '\u2028', '\u2029', '\ufeff', '\0'),
    *("'", '"', "'''", '"""', '\\', '\\n', "\\'", '#', '%s', '$HOME', '{', '}}', '{}', '`', '; '),
    *(f"'+{RUN}+'", f'\n{RUN}\n#', f'\r{RUN}#', f'"\x0c{RUN}', '# yapf: disable', 'coding: x'),
    *(' ', '\u00a0', '\u200b', '\u202e', 'é', 'e\u0301', '車輛', '🙂', 'None', 'background'),
]
ALL = st.characters(exclude_categories=[])  # Lone surrogates, too.
NAMES = st.lists(st.one_of(st.sampled_from(ODD), st.text(ALL, max_size=8)), min_size=1).map(''.join)
HOSTILE = st.one_of(NAMES, st.builds(str.__add__, NAMES, st.sampled_from(TEMPLATES)))


def is_text(name: str) -> bool:
    return '{{' not in name and not re.search('[\ud800-\udfff]', name)


# Of folders and files: no system allows NUL or a slash there.
PARTS = NAMES.filter(is_text).map(lambda name: 'x' + re.sub('[\0/]', '', name)[:20])


def written(command: str = '', **changes: Any) -> str:
    """The text of a config; its lines are the same to everybody who splits it."""
    text = config_text(options(**changes), command)
    assert '{{' not in text
    assert text.splitlines() == text.split('\n')[:-1]
    return text


def assigned(text: str) -> dict[str, Any]:
    found = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
            try:
                found[node.targets[0].id] = ast.literal_eval(node.value)
            except ValueError:  # Says more than literals.
                continue
    return found


@settings(deadline=None, max_examples=200, database=None)
@given(st.lists(HOSTILE, min_size=1, max_size=30), HOSTILE)
@example(['{', '{'], '{')
def test_names_are_literals_or_refused(names: list[str], path: str) -> None:
    changes = dict(classes=tuple(names), train_json=path, pretrained=path or 'x')
    wanted = os.path.abspath(path)
    if not all(map(is_text, [*names, wanted])):
        with pytest.raises(UserError, match=r'holds .*; give it another name$'):
            options(**changes)
        return
    found = assigned(written(**changes))
    assert found['classes'] == tuple(names)
    assert found['train_json'] == wanted


@settings(deadline=None, max_examples=10, database=None)
@given(st.lists(NAMES.filter(is_text), min_size=1, max_size=8), st.tuples(*[PARTS] * 4))
@example([name for name in ODD if is_text(name)], tuple(ODD[:4]))
def test_mmengine_reads_and_copies_them(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], parts: tuple[str, ...]
) -> None:
    config = pytest.importorskip('mmengine.config').Config
    pytest.importorskip('mmdet')
    folder = tmp_path_factory.mktemp('names') / f'{parts[0]}{{{{ fileDirname }}}}'
    out = folder / f'{parts[1]}.py'
    data = dict(train_images=parts[2], val_images=parts[3])
    chosen = options(classes=tuple(names), train_json=parts[0], val_json=parts[1], **data)
    write_config(chosen, out, command=f'ge-det make-config {parts}\n{RUN}')

    wanted: dict[str, Any] = dict(
        classes=chosen.classes,
        train_json=chosen.train_json,
        val_json=chosen.val_json,
        train_dataloader=dict(dataset=dict(data_prefix=dict(img=chosen.train_images))),
        val_evaluator=dict(ann_file=chosen.val_json),
    )
    cfg = config.fromfile(out)
    assert cfg.metainfo == dict(classes=chosen.classes)
    assert cfg.train_dataloader.dataset.metainfo == cfg.val_dataloader.dataset.metainfo
    assert cfg.val_dataloader.dataset.data_prefix == dict(img=chosen.val_images)
    assert _same_part(cfg, wanted) == wanted
    # What MMEngine writes into work dirs and checkpoints: the whole takes seconds to format.
    wanted['work_dir'] = f'work_dirs/{out.stem}'
    config(wanted).dump(folder / 'copy.py')
    assert config.fromfile(folder / 'copy.py').to_dict() == wanted
    assert CANARY not in os.environ


def _same_part(whole: Any, part: Any) -> Any:
    """Of nested mappings, what another one names."""
    if not isinstance(part, dict):
        return whole
    return {name: _same_part(whole[name], value) for name, value in part.items()}


@pytest.mark.parametrize('template', TEMPLATES)
@pytest.mark.parametrize('where', ['classes', 'train_json', 'val_images', 'pretrained', 'out'])
def test_templates_of_mmengine_are_refused(tmp_path: Path, where: str, template: str) -> None:
    changes: dict[str, Any] = {where: (template,) if where == 'classes' else template}
    out = tmp_path / f'{changes.pop("out", "my")}.py'
    with pytest.raises(UserError, match=r"name.* holds '\{\{'|holds '\{\{'"):
        write_config(options(**changes), out)
    assert not any(tmp_path.iterdir())


@settings(deadline=None, max_examples=200, database=None)
@given(HOSTILE)
@example(f'coding: latin-1\n{RUN}')
def test_a_command_is_a_comment_of_one_line(command: str) -> None:
    assert len(comment(command).splitlines()) == 1
    text = written(command=command)
    assert ast.dump(ast.parse(text)) == ast.dump(ast.parse(config_text(options())))
    # A declaration of the encoding counts in the first two lines.
    assert not any('coding' in line for line in text.splitlines()[:2])


@settings(deadline=None, max_examples=20, database=None)
@given(st.lists(st.one_of(HOSTILE, st.text()), max_size=10))
@example([name for name in [*ODD, *TEMPLATES] if '\0' not in name])
def test_bash_reads_the_words_of_a_command_line(words: list[str]) -> None:
    words = [re.sub('[\0\ud800-\udfff]', '', word) for word in words]
    line = shell_line(words)
    assert line.isprintable() and '{{' not in line
    script = f"printf '%s\\0' {line}" if words else ':'
    told = subprocess.run(['bash', '-c', script], capture_output=True, check=True).stdout
    assert told.decode('utf-8').split('\0')[:-1] == words


def test_a_path_is_no_option_and_no_home() -> None:
    assert shell_path(Path('-x.py')) == './-x.py'
    assert shell_path('~a/my.py') == "'./~a/my.py'"
    assert shell_path('my config.py') == "'my config.py'"
    assert shell_path('a\nb.py') == r"$'a\x0ab.py'"
