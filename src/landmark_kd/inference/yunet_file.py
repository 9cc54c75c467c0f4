"""YuNet's file: in the user's cache, fetched from its publisher where it is not there."""

from __future__ import annotations

from pathlib import Path

from landmark_kd.core.errors import UserError, is_out_of_memory

URL = (
    "https://github.com/opencv/opencv_zoo/raw/main/models/face_detection_yunet/"
    "face_detection_yunet_2023mar.onnx"
)
FILE = "face_detection_yunet_2023mar.onnx"
SHA256 = "8f2383e4dd3cfbb4553ea8718107fc0423210dc964f9f4280604804ed2552fa4"
# Seconds to connect and to wait for more; who is offline is to know soon.
TIMEOUT = (3, 30)


def fetched(url: str = URL) -> Path:
    """Return YuNet's file in the user's cache, fetched from its publisher if it is not there.

    Raises:
        UserError: it cannot be fetched, or is another one than it should be.
    """
    import pooch  # with all that it needs it takes longer to import than a face takes to find

    folder = pooch.os_cache("landmark-kd")
    cache = pooch.create(
        folder,
        base_url="",
        registry={FILE: f"sha256:{SHA256}"},
        urls={FILE: url},
        retry_if_failed=1,
    )
    bring = (
        f"download {url} yourself and give it with --detector-model FILE, or put it into {folder}"
    )
    logger = pooch.get_logger()
    level = logger.level
    logger.setLevel("ERROR")
    try:
        return Path(cache.fetch(FILE, downloader=pooch.HTTPDownloader(timeout=TIMEOUT)))
    except ValueError:  # pooch's word for another checksum
        raise UserError(
            f"what {url} gave is not the file of YuNet that is expected (its SHA-256 differs); "
            f"{bring}."
        ) from None
    except Exception as error:  # requests' and the system's exceptions have no base of their own
        if is_out_of_memory(error):
            raise
        raise UserError(
            f"the file of the face detector YuNet could not be fetched ({type(error).__name__}); "
            f"{bring}."
        ) from None
    finally:
        logger.setLevel(level)
