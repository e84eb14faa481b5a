"""Every block as the value of ``attention=``, by name."""

THETA = dict(type='ge_det.GatherExcite', variant='theta')
THETA_PLUS = dict(type='ge_det.GatherExcite', variant='theta_plus')
ATTENTION = {
    'none': None,
    'se': dict(type='ge_det.SqueezeExcite'),
    'se-no-bias': dict(type='ge_det.SqueezeExcite', bias=False),
    'ge-theta-minus': dict(type='ge_det.GatherExcite'),
    'ge-theta-minus-e8': dict(type='ge_det.GatherExcite', extent=8),
    'ge-theta': THETA,
    'ge-theta-e2': dict(THETA, extent=2),
    'ge-theta-e4': dict(THETA, extent=4),
    'ge-theta-e8': dict(THETA, extent=8),
    'ge-theta-plus': THETA_PLUS,
    'ge-theta-plus-e8': dict(THETA_PLUS, extent=8),
    'sge': dict(type='ge_det.SpatialGroupEnhance'),
    'sp-se': dict(type='ge_det.SpatialPyramidSE'),
    'rg-se': dict(type='ge_det.ResolutionGuidedSE'),
}
