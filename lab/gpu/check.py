"""Verify and time the GPU code of ge_det on a bare machine, without a network.

    python3 -u lab/gpu/check.py --limit 570               everything, in the order of importance
    python3 -u lab/gpu/check.py --limit 200 --only tune   one step again, or what is left
    python3 -u lab/gpu/check.py --dry-run                 tiny sizes on a CPU, kernels interpreted

Results are printed as they come and written under $OUT at once: report.txt (what is printed),
summary.json (all figures), log.txt (all output).
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from lab.gpu.jobs import Runner, Step

ROOT = Path(__file__).resolve().parents[2]
STEPS = (
    *('smoke', 'tests', 'networks', 'compile', 'large', 'bandwidth', 'bench', 'detector'),
    *('bench-more', 'detector-last', 'tune'),
)
"""In the order of importance."""

BLOCKS = (
    *('sge', 'ge-theta-minus-e8', 'se', 'ge-theta-plus-e8', 'ge-theta-e8', 'rg-se', 'sp-se'),
    *('ge-theta-plus', 'ge-theta', 'ge-theta-minus'),
)
"""Every kind of kernel first; ge_det.catalogue cannot be imported before all is installed."""


def parse_args(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    work = Path(tempfile.gettempdir()) / 'ge_det_gpu'
    parser.add_argument('--limit', type=float, default=570, help='seconds for everything; 570')
    parser.add_argument('--only', nargs='+', choices=STEPS, default=STEPS, metavar='STEP')
    parser.add_argument('--blocks', nargs='+', choices=BLOCKS, help='of networks and compile')
    parser.add_argument('--dry-run', action='store_true', help='tiny sizes on a CPU')
    parser.add_argument('--wheels', type=Path, help='default: .whl; in a dry run none')
    parser.add_argument('--out', type=Path, help='default: $OUT')
    parser.add_argument('--work', type=Path, default=work, help='installs, caches, data')
    return parser.parse_args(argv)


def environment(work: Path, dry: bool) -> dict[str, str]:
    """Of all steps."""
    folders = [str(Path(sys.executable).parent), os.environ.get('PATH', '')]
    found = {
        'PATH': os.pathsep.join(folders),  # Scripts of this interpreter, such as ninja.
        'PYTHONPATH': os.pathsep.join([str(work / 'site'), str(ROOT)]),
        'PYTHONUNBUFFERED': '1',
        'PYTHONWARNINGS': 'ignore::SyntaxWarning,ignore::DeprecationWarning',
        'TRITON_CACHE_DIR': str(work / 'triton'),
        'TORCHINDUCTOR_CACHE_DIR': str(work / 'inductor'),
        'TORCHINDUCTOR_COMPILE_THREADS': '4',
        'OMP_NUM_THREADS': '1',
        'MPLBACKEND': 'Agg',
    }
    cpu = {'TRITON_INTERPRET': '1', 'CUDA_VISIBLE_DEVICES': ''} if dry else {}
    return {**os.environ, **found, **cpu}


def install(folder: Path, site: Path) -> str:
    """Put the wheels into a folder of their own, mmcv_ext beside them; returns what is wrong."""
    wheels = sorted(folder.glob('*.whl'))
    if not wheels:
        return f'no wheels in {folder}: run lab/gpu/collect.sh where there is a network'
    names, mark = '\n'.join(wheel.name for wheel in wheels), site / 'installed.txt'
    if mark.is_file() and mark.read_text(encoding='utf-8') == names:
        return ''
    shutil.rmtree(site, ignore_errors=True)
    options = ('-q', '--no-index', '--no-deps', '--no-compile', '--no-cache-dir', '--target', site)
    done = subprocess.run(
        [sys.executable, '-m', 'pip', '--isolated', 'install', *options, *wheels],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        return f'pip: {done.stderr.strip()[-500:]}'
    if (site / 'mmcv').is_dir() and not list((site / 'mmcv').glob('_ext*.so')):
        shutil.copy(ROOT / 'lab/gpu/mmcv_ext.py', site / 'mmcv/_ext.py')
    mark.write_text(names, encoding='utf-8')
    return ''


def run_steps(args: argparse.Namespace, runner: Runner) -> None:
    """All that were asked for, in their order."""
    dry, cores = args.dry_run, os.cpu_count() or 2
    blocks = args.blocks or (('se',) if dry else BLOCKS)
    where = ('--device', 'cpu', '--tiny') if dry else ('--device', 'cuda')
    data = ('--data', args.work / 'data' / ('tiny' if dry else 'full'))
    fast = {'TRITON_INTERPRET': ''}  # In a dry run the plain way is quick enough.
    quiet = {'OMP_NUM_THREADS': '1' if dry else str(min(8, cores))}

    def jobs(
        step: str, module: str, limit: float, *options: object, part: str = '', **more: str
    ) -> list[Step]:
        """One, or none if the step is not asked for; all is slower on a CPU."""
        arguments = ('-m', f'lab.gpu.{module}', *where, '--limit', 'LIMIT', *options)
        found = Step(step, f'{step} {part}'.strip(), arguments, limit * (9 if dry else 1), more)
        return [found] if step in args.only else []

    # Right or wrong needs no quiet machine; times do.
    smoke = jobs('smoke', 'smoke', 100)
    runner.run(smoke)
    if no_kernel_runs(smoke):
        runner.say('no kernel runs, so all else would measure plain PyTorch: nothing more is begun')
        return
    side_by_side = jobs('detector', 'detector', 120, *data, '--draw', part='data')
    if 'tests' in args.only:
        side_by_side.append(kernel_tests(dry))
    for block in blocks:
        side_by_side += jobs('networks', 'networks', 150, '--block', block, part=block)
    for share in () if dry else ('0', '1'):  # Kernels are compiled into a cache on disk.
        side_by_side += jobs(
            'bandwidth', 'bandwidth', 100, '--warm', share, '2', part=f'warm {share}'
        )
    for block in blocks[:5]:
        side_by_side += jobs('compile', 'compiled', 110, '--block', block, part=block)
    runner.run(side_by_side, 2 if dry else cores + 2)
    alone = (
        jobs('large', 'large', 40),
        jobs('bandwidth', 'bandwidth', 50, **quiet),
        jobs('bench', 'bench', 115, **quiet, **fast),
        jobs('detector', 'detector', 130, *data, **quiet),
        jobs('bench-more', 'bench', 200, '--more', **quiet, **fast),
        jobs('detector-last', 'detector', 70, *data, '--last', **quiet),
        jobs('tune', 'bandwidth', 90, '--tune', **quiet),
    )
    runner.run([job for found in alone for job in found], 2 if dry else 1)


def no_kernel_runs(smoke: Sequence[Step]) -> bool:
    """Whether the smoke step tried kernels and not one of them was right."""
    told = {result['name']: result['ok'] for job in smoke for result in job.results}
    kernels = [ok for name, ok in told.items() if name.startswith('kernel ')]
    return told.get('kernels') is False or (bool(kernels) and not any(kernels))


def kernel_tests(dry: bool) -> Step:
    """The tests that run Triton; a dry run only collects them, since the suite runs them."""
    files = sorted((ROOT / 'tests').rglob('test_*.py'))
    chosen = [file for file in files if 'triton_interpreter' in file.read_text(encoding='utf-8')]
    how = ('--collect-only', '-q') if dry else ('-n', '5')
    return Step(
        'tests', 'tests', ('-m', 'pytest', '-q', '-p', 'no:cacheprovider', *how, *chosen), 150
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Run the check; returns 0 if nothing is bad."""
    args = parse_args(argv)
    # Where it was ignored, the steps' own interruptions would be too.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    os.chdir(ROOT)
    args.work.mkdir(parents=True, exist_ok=True)
    out = args.out or Path(os.environ.get('OUT') or tempfile.mkdtemp(prefix='gpu_check'))
    runner = Runner(out, args.limit, environment(args.work, args.dry_run))
    if args.wheels or not args.dry_run:
        problem = install(args.wheels or ROOT / '.whl', args.work / 'site')
        runner.say(f'BAD setup: {problem}' if problem else 'setup: wheels installed')
        if problem:
            return 2
    try:
        run_steps(args, runner)
    finally:
        good = runner.summary()
    return 0 if good else 1


if __name__ == '__main__':
    sys.exit(main())
