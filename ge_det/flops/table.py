"""Costs as rows for a file and as text for a terminal."""

from __future__ import annotations

from collections import Counter
from typing import Any

from ge_det.words import aligned

from .config_network import CountedConfig
from .count import Parameters


def cost_rows(counted: CountedConfig, trunk: str = 'mmengine') -> list[dict[str, Any]]:
    """Whole, trunk and gates, then the gates by stage, then the parts of the network.

    Args:
        counted (CountedConfig): What was counted.
        trunk (str): Convention for what is outside the gates, see
            :data:`~ge_det.flops.count.CONVENTIONS`. Gates are always counted in full.

    Returns:
        list[dict]: ``part``, ``kind`` (``'whole'``, ``'trunk'``, ``'gates'``, ``'stage'`` or
        ``'part'``), ``parameters``, ``trainable``, ``statistics`` and ``flops``.
    """
    cost = counted.cost
    whole, gates = cost.parameters[''], cost.gate_parameters()
    flops, gate_flops = cost.flops(trunk=trunk), cost.gate_flops()
    stages = [
        _row(name, 'stage', cost.gate_parameters(name), cost.gate_flops(name))
        for name in _stages(counted)
    ]
    parts = [
        _row(name, 'part', parameters, cost.flops(name, trunk))
        for name, parameters in cost.parameters.items()
        if name and '.' not in name and (parameters.total or cost.flops(name, trunk))
    ]
    return [
        _row(counted.kind, 'whole', whole, flops),
        _row('trunk', 'trunk', whole - gates, flops - gate_flops),
        _row(_gates_name(counted), 'gates', gates, gate_flops),
        *stages,
        *(parts if len(parts) > 1 else []),
    ]


def _row(part: str, kind: str, parameters: Parameters, flops: int) -> dict[str, Any]:
    return dict(
        part=part,
        kind=kind,
        parameters=parameters.total,
        trainable=parameters.trainable,
        statistics=parameters.statistics,
        flops=flops,
    )


def _gates_name(counted: CountedConfig) -> str:
    kinds = Counter(counted.cost.gates.values())
    return 'gates: ' + (', '.join(f'{n} {kind}' for kind, n in kinds.items()) or 'none')


def _stages(counted: CountedConfig) -> list[str]:
    """What gates stand in: 'backbone.layer1' for 'backbone.layer1.0.sge'."""
    return list(dict.fromkeys(gate.rsplit('.', 2)[0] for gate in counted.cost.gates))


def cost_table(counted: CountedConfig, trunk: str = 'mmengine') -> str:
    """The rows of :func:`cost_rows` as text, with shares of the whole."""
    rows = cost_rows(counted, trunk)
    whole = rows[0]
    image, padded = (f'{height}x{width}' for height, width in (counted.image, counted.padded))
    table = [['', 'parameters', 'share', 'trainable', 'statistics', 'GFLOPs', 'share']]
    for row in rows:
        indent = {'whole': '', 'part': 'all of '}.get(row['kind'], '  ')
        if row['kind'] == 'stage':
            indent = '    in '
        table.append(
            [
                indent + row['part'],
                f'{row["parameters"]:,}',
                _share(row['parameters'], whole['parameters']),
                f'{row["trainable"]:,}',
                f'{row["statistics"]:,}',
                f'{row["flops"] / 1e9:.4f}',
                _share(row['flops'], whole['flops']),
            ]
        )
    lines = [f'one image of {image}' + (f', padded to {padded}' if padded != image else '')]
    lines += aligned(table, left=(0,))
    lines.append('')
    lines.append(
        'A multiply-add is one FLOP. Gates: every operation of their formulas. '
        f'Trunk: {trunk!r}, see --trunk.'
    )
    lines.append('Statistics: running means and variances, not among the parameters.')
    if 'roi_head' in counted.cost.parameters:
        lines.append('The RoI head saw as many proposals as untrained weights yield.')
    unknown = {op for gate in counted.cost.gates for op in counted.cost.without_rule.get(gate, ())}
    if unknown:
        lines.append(f'NOT counted in the gates, without a rule: {", ".join(sorted(unknown))}')
    if not counted.cost.gates:
        lines.append('There is no attention block in this network.')
    return '\n'.join(lines)


def _share(part: int, whole: int) -> str:
    return f'{part / whole:.3%}' if whole else '-'
