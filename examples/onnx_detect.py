"""Detect by a file of `ge-det export`, with numpy and onnxruntime alone: model.onnx photo.ppm ...

Prints what scores over 0.3 and keeps it in photo.ppm.npz. Pillow, if there, reads more than .ppm.
"""

import json
import re
import sys

import numpy as np
import onnxruntime


def read(path):
    if not path.endswith('.ppm'):
        from PIL import Image, ImageOps

        return np.asarray(ImageOps.exif_transpose(Image.open(path)).convert('RGB'))
    with open(path, 'rb') as file:
        content = file.read()
    head = re.match(rb'P6\s+(?:#[^\n]*\s+)*(\d+)\s+(\d+)\s+255\s', content)
    return np.frombuffer(content, np.uint8, -1, head.end()).reshape(int(head[2]), int(head[1]), 3)


def between(length, size):  # Weights of pixels, linear between their centres.
    at = ((np.arange(size) + 0.5) * length / size - 0.5).clip(0, length - 1)
    return np.maximum(0, 1 - abs(at[:, None] - np.arange(length)))


def prepare(image, about):  # The picture as the network takes it, and its size without padding.
    (height, width), scale, whole = image.shape[:2], about['scale'], about['size']
    times = min(scale[0] / max(height, width), scale[1] / min(height, width)) if scale else 1
    if whole:
        times = min(times, whole[0] / height, whole[1] / width)
    new = max(1, int(height * times + 0.5)), max(1, int(width * times + 0.5))
    if scale and not about['keep_ratio']:
        new = np.minimum(scale[::-1], whole or scale[::-1]).tolist()
    pixels = np.tensordot(between(height, new[0]), image, 1)
    pixels = np.einsum('xw,ywc->cyx', between(width, new[1]), pixels, optimize=True)
    pixels = pixels if about['channels'] == 'RGB' else pixels[::-1]
    mean, std = np.reshape([about['mean'], about['std']], (2, 3, 1, 1))
    sides = whole or [-(-side // about['pad_divisor']) * about['pad_divisor'] for side in new]
    batch = np.full((1, 3, *sides), about['pad_value'], np.float32)
    batch[0, :, : new[0], : new[1]] = (pixels - mean) / std
    return batch, np.array([new])


session = onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])
texts = session.get_modelmeta().custom_metadata_map
about = {name: json.loads(text) for name, text in texts.items()}
for path in sys.argv[2:]:
    image = read(path)
    images, sizes = prepare(image, about)
    found = session.run(['boxes', 'scores', 'labels'], dict(images=images, sizes=sizes))
    boxes, scores, labels = (one[0][found[1][0] > 0.3] for one in found)
    boxes *= np.tile(np.divide(image.shape[1::-1], sizes[0, ::-1]), 2)
    for box, score, label in zip(boxes, scores, labels, strict=True):
        print(path, about['classes'][label], f'{score:.2f}', *box.round(1))
    np.savez(f'{path}.npz', boxes=boxes, scores=scores, labels=labels)
