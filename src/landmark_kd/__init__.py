"""Facial-landmark detectors distilled from two teachers, after Fard & Mahoor (2022).

Importing this package imports nothing else: `landmark_kd.predict` works without torch.
"""

__version__ = "0.1.0"
