"""The file of a table: which networks, blocks and seeds make its cells."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Annotated, Any

from mmengine.config import Config
from mmengine.fileio import load
from pydantic import Field, ValidationError

from ge_det.errors import UserError, one_line
from lab.evidence.key import CellKey
from lab.evidence.matrix.entries import Block, ByName, Entry, Name, Options, Seeds

#: Goes up when a mended fault changes what cells find.
REVISION = 1


class Network(Entry):
    """A row of a table."""

    config: str  # Relative to the file.
    published: str  # The network of the paper's Table 5 whose figures stand beside it.


class Table(Entry):
    """What a table file says; :meth:`read` checks it."""

    file: Path
    title: str
    about: str
    networks: Annotated[dict[Name, Network], ByName, Field(min_length=1)]
    attention: Annotated[dict[Block, Options], ByName, Field(min_length=1)]  # With arguments.
    seeds: Seeds

    @classmethod
    def read(cls, file: Path) -> Table:
        """Read a table file; a UserError, one line, says what cannot work."""
        if not file.is_file():
            raise UserError(f'{file}: no such table file; those of the project are in lab/cifar')
        try:
            return cls.model_validate({**load(file), 'file': file})
        except ValidationError as error:
            first = error.errors()[0]
            where = ' '.join(map(str, first['loc']))
            raise UserError(f'{file}: {where}: {first["msg"]}; mend the file') from error
        except Exception as error:  # Of YAML, and whatever else it may hold.
            raise UserError(f'{file}: no table in YAML ({one_line(error)}); mend it') from error

    def cells(self) -> list[Cell]:
        """All cells, seed by seed, in the order to run them."""
        return [
            self._cell(seed, network, block)
            for seed, network, block in product(self.seeds, self.networks, self.attention)
        ]

    def _cell(self, seed: int, network: str, block: Any) -> Cell:
        base = self.file.parent / self.networks[network].config
        config = Config.fromfile(str(base))
        backbone = config.model.backbone
        if block != 'none':
            backbone.attention = dict(type=block, **self.attention[block])
        config.merge_from_dict(dict(randomness=dict(seed=seed)))
        key = CellKey('cifar10', network, int(backbone.depth), '', '', block, seed)
        return Cell(key, base, config)


@dataclass(frozen=True, eq=False)
class Cell:
    """One training: a network with a block and a seed."""

    key: CellKey
    base: Path  # The config it derives from.
    config: Config

    @property
    def name(self) -> str:
        """Of its files."""
        return self.key.name

    @property
    def epochs(self) -> int:
        """Of the training."""
        return int(self.config.train_cfg.max_epochs)

    @property
    def fingerprint(self) -> str:
        """Hash of what decides the result, but for the pictures, whose hashes a result holds."""
        resolved = self.config.to_dict()
        for name in ('data_root', 'train_dataloader', 'val_dataloader', 'test_dataloader'):
            part = resolved.get(name)
            if isinstance(part, dict):
                part['dataset'].pop('data_root', None)
            else:
                resolved.pop(name, None)
        text = json.dumps([REVISION, resolved], sort_keys=True, default=str)
        return hashlib.sha256(text.encode()).hexdigest()[:16]
