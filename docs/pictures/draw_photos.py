"""Make the pictures of docs/own-data.md out of what `make demo` leaves, with chromium.

make demo && python docs/pictures/draw_photos.py
"""

import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from PIL import Image

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
(WORK_DIR,) = ROOT.glob('work_dirs/demo/se-*')


def ge_det(*arguments):
    """Run one of our commands."""
    subprocess.run([sys.executable, '-m', 'ge_det', *map(str, arguments)], cwd=ROOT, check=True)


def report(folder, height=1806):
    """The head of the report."""
    ge_det('report', WORK_DIR)
    shot = folder / 'report.png'
    options = ['--headless=new', '--no-sandbox', '--hide-scrollbars', '--window-size=1100,2600']
    page = (WORK_DIR / 'report' / 'index.html').as_uri()
    subprocess.run(['chromium', *options, f'--screenshot={shot}', page], check=True)
    with Image.open(shot) as image:
        # Without the path of this machine, under the title.
        image = image.convert('RGB').crop((0, 0, image.width, height))
        image.paste(image.getpixel((2, 2)), (0, 70, image.width, 98))
        image.resize((880, 880 * height // 1100)).save(HERE / 'report.jpg', quality=85)


def inference(folder):
    """Three drawn pictures side by side."""
    data = ROOT / 'work_dirs/demo/data/val'
    pictures = sorted(data.glob('*.png'))[3:6]
    ge_det('infer', *pictures, '--checkpoint', WORK_DIR, '--out', folder / 'drawn')
    drawn = [Image.open(file) for file in sorted((folder / 'drawn').rglob('*.png'))]
    sheet = Image.new('RGB', (sum(d.width + 4 for d in drawn) - 4, drawn[0].height), 'white')
    for number, image in enumerate(drawn):
        sheet.paste(image, (number * (image.width + 4), 0))
    sheet.save(HERE / 'infer.jpg', quality=85)


if __name__ == '__main__':
    with TemporaryDirectory() as name:
        inference(Path(name))
        report(Path(name))
