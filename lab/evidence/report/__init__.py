"""Reports of a matrix: tables, a page, pictures, and the published figures beside ours."""

from .published import Published, find_published, published_gains, verdict
from .write import write_matrix_report, write_report

__all__ = [
    'Published',
    'find_published',
    'published_gains',
    'verdict',
    'write_matrix_report',
    'write_report',
]
