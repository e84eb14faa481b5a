"""Labels in any format of the field, recognised and read into COCO's form.

supervision and datumaro read some of these formats, and neither fits: the one turns polygons into
one array of pixels an object, decodes every picture and shifts Pascal VOC's boxes; the other asks
for a second OpenCV and a NumPy that some stacks lack. So each format has a small reader here, and
what supervision writes is what the tests read.
"""

from ge_det.datasets.labels.labelled import Labelled
from ge_det.datasets.labels.read import read

__all__ = ['Labelled', 'read']
