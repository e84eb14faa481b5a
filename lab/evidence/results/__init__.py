"""The result of a finished cell: what it holds, and how it is measured from detections and logs."""
