"""Links, commands, paths and pictures of the pages are as they say; and the site builds."""

import csv
import functools
import importlib.util
import math
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import torch
import yaml
from scipy.special import stdtrit

import ge_det
from ge_det import AttentionResNet
from ge_det.catalogue import NAMES, attention_config

ROOT = Path(__file__).parents[1]
PAGES = sorted(
    [
        *ROOT.glob('*.md'),
        *(ROOT / 'docs').rglob('*.md'),
        *(ROOT / 'configs').rglob('*.md'),
        *(ROOT / 'lab').rglob('*.md'),
    ]
)
each_page = pytest.mark.parametrize('page', PAGES, ids=lambda page: str(page.relative_to(ROOT)))
FENCE = re.compile(r'^```(\w*)\n(.*?)^```', re.MULTILINE | re.DOTALL)


def text_of(page):
    return page.read_text(encoding='utf-8')


def slugs(page):
    """What a heading is called in a link."""
    headings = re.findall(r'^#+ (.+)$', FENCE.sub('', text_of(page)), re.MULTILINE)
    return {re.sub(r'\s', '-', re.sub(r'[^\w\s-]', '', h).strip().lower()) for h in headings}


@each_page
def test_links_lead_somewhere(page):
    text = re.sub(r'`[^`\n]*`', '', FENCE.sub('', text_of(page)))
    for link in re.findall(r'\]\(([^)\s]+)\)', text):
        if re.match(r'https?://|mailto:', link):
            continue
        path, _, anchor = link.partition('#')
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in slugs(target), link


@each_page
def test_files_of_ours_exist(page):
    named = re.findall(r'\b(?:tools|configs|docs|tests|ge_det|lab)/[\w./-]+\.\w+\b', text_of(page))
    gone = _moved() if page.name == 'CHANGELOG.md' else set()
    assert not {n for n in named if not (ROOT / n).exists()} - gone - {'tools/COMMAND.py'}


def _moved():
    """The old places in the changelog's table, and what it says is removed."""
    text = text_of(ROOT / 'CHANGELOG.md')
    removed = text[text.index('### Removed') :].split('\n## ')[0]
    old = re.findall(r'^\| `([^`]+)` \|', text, re.MULTILINE)
    return {*old, *re.findall(r'tools/\w+\.py', removed)}


@functools.cache
def commands():
    """Command to flags to the pages that use them, from code blocks and inline code."""
    found = {}
    for page in PAGES:
        text = text_of(page)
        blocks = [body for kind, body in FENCE.findall(text) if kind in ('bash', 'shell')]
        inline = re.findall(r'`([^`]+)`', FENCE.sub('', text))
        lines = [line for body in blocks for line in body.replace('\\\n', ' ').splitlines()]
        for line in [*lines, *(' '.join(code.split()) for code in inline)]:
            for command, flags in parsed(line):
                for flag in flags or ['--help']:
                    found.setdefault(command, {}).setdefault(flag, []).append(page.name)
    return found


def parsed(line):
    line = re.sub(r'^(\w+=\S+ )+', '', line.partition(' # ')[0].strip())
    ours = re.match(r'(?:ge-det|python -m ge_det) ([a-z][\w-]*)|python (tools/\w+\.py)', line)
    if not ours:
        return
    try:
        words = shlex.split(line)
    except ValueError:  # A piece of a sentence.
        return
    if ours[2] == 'tools/COMMAND.py':
        return
    command = ('-m', 'ge_det', ours[1]) if ours[1] else (ours[2],)
    rest = words[words.index(ours[1] or ours[2]) + 1 :]
    if command == ('tools/reproduce.py',) and rest and re.fullmatch('[a-z]+', rest[0]):
        command += (rest[0],)
    flags = [word.partition('=')[0] for word in rest if word.startswith('--')]
    yield command, flags


@functools.cache
def help_of(command):
    done = subprocess.run(
        [sys.executable, *command, '--help'], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_commands_are_found():
    assert len(commands()) > 12
    assert '--cfg-options' in commands()['-m', 'ge_det', 'train']


@pytest.mark.parametrize('command', sorted(commands()), ids=' '.join)
def test_commands_exist_with_the_flags_used(command):
    if command == ('tools/demo.py',):
        assert (ROOT / command[0]).is_file()  # It has no options, and it would run.
        return
    known = set(re.findall(r'--[\w-]+', help_of(command))) | {'--help'}
    unknown = {f: pages for f, pages in commands()[command].items() if f not in known}
    assert not unknown


def test_the_flags_of_make_config_are_told_as_they_are():
    table = re.findall(r'^\| (`--.+?) \|', text_of(ROOT / 'docs/own-data.md'), re.MULTILINE)
    told = {flag for cell in table for flag in re.findall(r'--[\w-]+', cell)}
    assert len(told) > 10
    assert told <= set(re.findall(r'--[\w-]+', help_of(('-m', 'ge_det', 'make-config'))))


@each_page
def test_targets_of_make_and_scripts_exist(page):
    targets = set(re.findall(r'^([a-z-]+):', text_of(ROOT / 'Makefile'), re.MULTILINE))
    text = text_of(page)
    asked = re.findall(r'^make (?:\w+=\S+ )?([a-z-]+)', text, re.MULTILINE)
    assert set(asked) | set(re.findall(r'`make ([a-z-]+)`', text)) <= targets


def test_tests_that_are_named_exist():
    named = re.findall(r'`(tests/[\w/]+\.py)::(\w+)`', text_of(ROOT / 'SECURITY.md'))
    assert len(named) > 8
    for file, name in named:
        assert f'def {name}(' in text_of(ROOT / file), f'{file}::{name}'


def test_nothing_asks_for_unsafe_loading():
    files = [f for folder in ('ge_det', 'lab', 'tools') for f in (ROOT / folder).rglob('*.py')]
    calls = [f for f in files if re.search(r'weights_only=False\s*[,)]', text_of(f))]
    assert len(files) > 50 and not calls


def test_parameters_are_those_of_the_blocks():
    text = text_of(ROOT / 'docs/blocks.md')
    rows = re.findall(r'^\| `([\w-]+)`.*? \| .+ \| ([\d,]+) \| ([\d,]+) \|$', text, re.MULTILINE)
    assert len(rows) >= 10
    for name, *counts in rows:
        for depth, count in zip((50, 101), counts, strict=True):
            with torch.device('meta'):
                gates = AttentionResNet(depth, attention=attention_config(name)).gates()
            added = sum(p.numel() for gate in gates.values() for p in gate.parameters())
            assert added == int(count.replace(',', '')), (name, depth)


def test_every_short_name_is_told():
    text = text_of(ROOT / 'docs/blocks.md')
    table = text[text.index('| short name') : text.index('With the global')]
    told = set()
    for cell in re.findall(r'^\| (`.+?) \|', table, re.MULTILINE):
        first, *others = re.findall(r'`([\w-]+)`', cell)
        told |= {first, *(first + other for other in others)}
    assert told == set(NAMES) - {'none'}


@pytest.mark.parametrize('page', ['blocks', 'getting-started', 'pretrained'])
def test_blocks_of_python_are_valid(page):
    bodies = [body for kind, body in FENCE.findall(text_of(ROOT / f'docs/{page}.md'))]
    for body in (b for b in bodies if 'GatherExcite(256' in b or b.startswith('plugins')):
        names = {}
        exec(body, names)
        if 'plugins' in names:
            from mmdet.registry import MODELS

            MODELS.build(dict(type='ResNet', depth=50, plugins=names['plugins']))


def test_the_block_of_the_guide_runs_fused():
    body = next(
        b for kind, b in FENCE.findall(text_of(ROOT / 'CONTRIBUTING.md')) if kind == 'python'
    )
    names = {}
    exec(body, names)
    network = AttentionResNet(18, attention=dict(type=names['Scale']), base_channels=16)
    network.init_weights()
    for gate in network.gates().values():
        torch.nn.init.normal_(gate.weight)
    network.eval()
    assert {plan.runs for plan in network.execution_plan()} == {'fused'}
    x = torch.rand(2, 3, 64, 64)
    fused = network(x)
    network.fused = False
    torch.testing.assert_close(network(x), fused, rtol=1e-4, atol=1e-5)


def test_published_figures_are_those_of_the_list():
    (file,) = (ROOT / 'lab').rglob('published.csv')
    with file.open(encoding='utf-8', newline='') as lines:
        listed = [
            (row['detector'], row['depth'], row['method'], row['baseline_value'], row['value'])
            for row in csv.DictReader(lines)
            if row['kind'] == 'bbox' and row['metric'] == 'AP' and row['confidence'] == 'read'
            if row['baseline_value']
        ]
    text = text_of(ROOT / 'docs/coco.md')
    rows = re.findall(r'^\| (.+) R-CNN, R-(\d+) \| `(.+?)` \| .+ \| (.+) → (.+?) \| ', text, re.M)
    told = [(f'{d.lower()}-rcnn', depth, *rest) for d, depth, *rest in rows]
    assert sorted(told) == sorted(listed) and len(told) > 10
    for before, after, gain in re.findall(r'\| ([\d.]+) → ([\d.]+) \| \+([\d.]+) \|', text):
        assert f'{float(after) - float(before):.1f}' == gain


def test_what_a_number_of_seeds_shows():
    text = text_of(ROOT / 'docs/coco.md')
    (cells,) = re.findall(r'\| AP, ± \| (.*) \|', text)
    for cell, seeds in zip(cells.split(' | '), (2, 3, 5, 10), strict=True):
        spread = [
            stdtrit(seeds - 1, 0.975) * math.sqrt(2) * run / math.sqrt(seeds) for run in (0.2, 0.3)
        ]
        assert cell == f'{spread[0]:.1f} to {spread[1]:.1f}'


def test_pictures_are_what_the_script_draws():
    spec = importlib.util.spec_from_file_location('draw', ROOT / 'docs/pictures/draw_blocks.py')
    draw = importlib.util.module_from_spec(spec)
    sys.modules['draw'] = draw
    spec.loader.exec_module(draw)
    pictures = draw.rows_of_all()
    assert {f.stem for f in (ROOT / 'docs/pictures').glob('*.svg')} == set(pictures)
    for name, rows in pictures.items():
        assert text_of(ROOT / f'docs/pictures/{name}.svg') == draw.draw(rows)


def test_the_citation_has_what_the_format_asks_for():
    cff = yaml.safe_load(text_of(ROOT / 'CITATION.cff'))
    assert cff['cff-version'] == '1.2.0' and cff['type'] == 'software'
    assert cff['message'] and cff['title'] and cff['authors']
    for reference in cff['references']:
        assert {'type', 'title', 'authors'} <= set(reference)
    assert cff['version'] == ge_det.__version__


def test_the_site_builds_strictly(tmp_path):
    pytest.importorskip('mkdocstrings_handlers.python', reason="pip install -e '.[docs]' brings it")
    done = subprocess.run(
        [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--quiet', '-d', tmp_path / 'site'],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    api = text_of(tmp_path / 'site/api.html')
    documented = set(re.findall(r'id="ge_det\.[\w.]+\.(\w+)"', api))
    assert {name for name in dir(ge_det) if name != '__version__'} <= documented
