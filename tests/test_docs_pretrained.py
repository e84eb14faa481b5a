"""What docs/pretrained.md says is what the code and the sources say."""

import re
from pathlib import Path

import pytest

from ge_det.weights.importing import PretrainedOptions
from ge_det.weights.sources import SOURCES

ROOT = Path(__file__).parents[1]
PAGE = (ROOT / 'docs' / 'pretrained.md').read_text(encoding='utf-8')
ROW = re.compile(r'^\| (\w+) \| (\d+) \| ([\d.]+) \| (\w+) `([^`]+)` \| \[\w+\]\((\S+)\) \|$', re.M)


def test_every_line_to_copy_is_understood():
    lines = re.findall(r'^pretrained = (dict\(.*\))$', PAGE, re.M)
    assert {eval(line)['source'] for line in lines} == set(SOURCES)
    for line in lines:
        options = PretrainedOptions.parse(eval(line))
        if not options.checkpoint.endswith(('.tar', '.pth')):
            assert SOURCES[options.source].locate(options.checkpoint).startswith('https://')


@pytest.mark.parametrize('row', ROW.findall(PAGE), ids=lambda row: row[4])
def test_names_in_the_table_are_the_files_beside_them(row):
    source, name, url = row[3:]
    assert SOURCES[source].locate(name) == url


def test_accuracies_are_those_of_mmpretrains_index():
    import importlib.util

    from modelindex.load_model_index import load

    package = Path(importlib.util.find_spec('mmpretrain').origin).parent
    models = {m.name: m for m in load(str(package / '.mim' / 'model-index.yml')).models}
    rows = [row for row in ROW.findall(PAGE) if row[3] == 'mmpretrain']
    assert len(rows) == 8
    for row in rows:
        assert models[row[4]].results[0].metrics['Top 1 Accuracy'] == float(row[2])


def test_accuracies_are_torchvisions(peers):
    from torchvision.models import get_model_weights

    published = {
        weights.url: weights.meta['_metrics']['ImageNet-1K']['acc@1']
        for depth in (18, 34, 50, 101, 152)
        for weights in get_model_weights(f'resnet{depth}')
    }
    rows = [row for row in ROW.findall(PAGE) if row[3] == 'torchvision']
    assert {row[5]: float(row[2]) for row in rows} == published
