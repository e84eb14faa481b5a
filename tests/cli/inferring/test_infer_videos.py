"""`ge-det infer` with videos."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import supervision as sv

pytest.importorskip('mmdet')

from infer_runs import infer, listed, picture, rows

from ge_det.cli.inferring import videos


def write_video(path: Path, frames: int = 4, size: tuple[int, int] = (64, 48)) -> None:
    with sv.VideoSink(str(path), sv.VideoInfo(*size, fps=8), 'mp4v') as sink:
        for number in range(frames):
            sink.write_frame(np.full((*size[::-1], 3), 60 * number, dtype=np.uint8))


def test_a_video(photos: Path, detector: Path, capsys) -> None:
    write_video(photos / 'clip.mp4')
    picture().save(photos / 'a.png')
    (photos / 'bad.mov').write_text('no video')
    assert infer(detector, photos, '--score-thr', 0) == 1
    said = capsys.readouterr()
    assert 'out: 1 image and 1 video of 4 frames, 25 detections over 0.0 drawn' in said.out
    assert said.err.splitlines()[-1].endswith(
        '/bad.mov: no video, damaged or of a kind that OpenCV does not read'
    )
    info = sv.VideoInfo.from_video_path('out/vis/clip.mp4')
    assert (info.width, info.height, info.fps, info.total_frames) == (64, 48, 8, 4)
    assert sorted(os.listdir('out/vis')) == ['a.png', 'clip.mp4']
    frames = [image for image in listed()['images'] if image['file_name'] == 'clip.mp4']
    assert [image['frame'] for image in frames] == [0, 1, 2, 3]
    assert [image['time'] for image in frames] == [0, 0.125, 0.25, 0.375]
    assert [row['time'] for row in rows() if row['path'].endswith('clip.mp4')][-1] == '0.375'
    assert infer(detector, photos, '--score-thr', 0, '--resume') == 1  # The bad one is left.
    assert infer(detector, photos / 'clip.mp4', '--score-thr', 0, '--resume') == 0
    assert '1 of 1 image is drawn already' in capsys.readouterr().out


def test_without_the_codec_a_video_is_skipped(photos, detector, monkeypatch, capsys) -> None:
    write_video(photos / 'clip.mp4')
    picture().save(photos / 'a.png')
    monkeypatch.setattr(videos, '_CODEC', 'none')
    assert infer(detector, photos) == 1
    assert 'clip.mp4: OpenCV writes no MP4 here, for want of' in capsys.readouterr().err
    assert os.listdir('out/vis') == ['a.png']
