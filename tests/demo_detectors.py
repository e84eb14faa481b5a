"""The demo's detectors and pictures, for a module of tests."""

from functools import cached_property

from lab.demo import detectors


class Demo:
    """Made when they are asked for, in the folder where their configs look for weights."""

    def __init__(self, folder):
        self.folder = folder

    def write(self, val, train=1):
        detectors.SHAPES.write(self.folder, train=train, val=val, progress=False)
        return self.folder

    @cached_property
    def plain(self):
        return detectors.build(
            detectors.read_config(detectors.PLAIN, self.folder), detectors.WEIGHTS
        )

    @cached_property
    def gated(self):
        return detectors.build(detectors.read_config(detectors.GATED, self.folder))
