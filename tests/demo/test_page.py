"""The page in headless Chromium: its points are Python's, from a file and before a camera."""

from __future__ import annotations

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from PIL import Image

from landmark_kd.cli.demo import default_model
from landmark_kd.imaging.images import read_image, write_image
from landmark_kd.inference.detector import LandmarkDetector
from landmark_kd.inference.shipped import shipped_names
from landmark_kd.inference.tracking import FaceTracker
from landmark_kd.landmarks import geometry
from landmark_kd.landmarks.scheme import WFLW_98
from tests.support.browser import PATIENCE, chromium, opened, playwright, saved_points, served
from tests.support.constant_model import constant_model

pytestmark = pytest.mark.seconds

FACE = "data/300w/helen/testset/2998572157_1.jpg"
# Two faces, and one in profile.
OTHERS = ("data/300w/helen/testset/2985256907_1.jpg", "data/300w/afw/134212_1.jpg")
YUNET = "peers/face_detection_yunet_2023mar.onnx"
FRAME = (640, 480)
# Of EXIF.
ORIENTATION = 0x0112
# What the page shows where there is no number.
NOTHING = "\N{EN DASH}"


@pytest.fixture(scope="module")
def detector(shared: Path) -> LandmarkDetector:
    return LandmarkDetector.load(default_model(), face_detector_model=shared / YUNET)


@pytest.fixture(scope="module")
def url(shared: Path) -> Iterator[str]:
    with served(default_model(), shared / YUNET) as address:
        yield address


@pytest.fixture(scope="module")
def url_without_detector(shared: Path) -> Iterator[str]:
    with served(default_model(), None) as address:
        yield address


@pytest.fixture(scope="module")
def player() -> Iterator[Any]:
    with playwright() as started:
        yield started


@pytest.fixture(scope="module")
def browser(player: Any) -> Iterator[Any]:
    with chromium(player) as started:
        yield started


@pytest.fixture(scope="module")
def page(browser: Any, url: str) -> Iterator[Any]:
    """One page for all tests that need no other: opening one takes longer than an image."""
    with opened(browser, url) as page:
        yield page


@pytest.fixture(scope="module")
def hard_images(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> list[Path]:
    """Real faces as they are, tilted, upside down, grey, so large that they are reduced, EXIF."""
    folder = tmp_path_factory.mktemp("images")
    image = read_image(shared / FACE)
    height, width = image.shape[:2]
    tilted = cv2.warpAffine(
        image, cv2.getRotationMatrix2D((width / 2, height / 2), -40, 0.9), (width, height)
    )
    made = {
        "tilted": tilted,
        "upside_down": image[::-1, ::-1],
        "large": cv2.resize(image, None, fx=3.3, fy=3.3, interpolation=cv2.INTER_CUBIC),
    }
    for name, content in made.items():
        write_image(folder / f"{name}.png", np.ascontiguousarray(content))
    cv2.imwrite(str(folder / "grey.png"), cv2.cvtColor(image, cv2.COLOR_BGR2GRAY))
    exif = Image.Exif()
    exif[ORIENTATION] = 6  # to be turned clockwise
    Image.open(shared / FACE).rotate(90, expand=True).save(folder / "exif.jpg", exif=exif)
    return [shared / FACE, *(shared / name for name in OTHERS), *sorted(folder.iterdir())]


@contextmanager
def counted(page: Any) -> Iterator[None]:
    """Wait after the block for the page's next number of faces."""
    page.locator("#count").evaluate("(element, text) => { element.textContent = text; }", NOTHING)
    yield
    page.locator("#count", has_text=NOTHING).wait_for(state="detached")


def choose(page: Any, path: Path) -> None:
    """Give the page an image, and wait for what it says of it."""
    with counted(page):
        page.set_input_files("#file", path)


def largest_difference(found: dict[str, Any], landmarks: np.ndarray) -> float:
    return float(np.abs(np.array(found["landmarks"]) - landmarks).max())


@pytest.mark.parametrize("name", shipped_names())
def test_its_points_are_those_of_python_within_a_pixel(
    browser: Any, shared: Path, hard_images: list[Path], name: str
) -> None:
    detector = LandmarkDetector.load(name, face_detector_model=shared / YUNET)
    with served(name, shared / YUNET) as url, opened(browser, url) as page:
        check_points(page, detector, hard_images)


def check_points(page: Any, detector: LandmarkDetector, images: list[Path]) -> None:
    """Let the page and Python find the landmarks of images, and compare them."""
    for path in images:
        image = cv2.imread(str(path))  # turned as EXIF says, as by `predict`
        assert image is not None
        choose(page, path)
        found = saved_points(page)
        assert (found["width"], found["height"]) == image.shape[1::-1]
        wanted = detector.detect(image)
        assert len(found["faces"]) == len(wanted) > 0, path.name
        for face, own in zip(found["faces"], wanted, strict=True):
            assert largest_difference(face, own.landmarks) < 1, path.name
            # Steep where a face is half trusted.
            assert face["score"] == pytest.approx(own.score, abs=0.1)
            # And much nearer where both look at the same box.
            (same,) = detector.detect(image, np.array([face["box"]]), np.array([face["roll"]]))
            assert largest_difference(face, same.landmarks) < 0.5, path.name
            assert face["uncertainty"] == pytest.approx(same.uncertainty, rel=0.1)


def test_without_a_face_detector_a_face_is_boxed_by_hand(
    browser: Any, url_without_detector: str, detector: LandmarkDetector, shared: Path
) -> None:
    image = read_image(shared / FACE)
    with opened(browser, url_without_detector) as page:
        page.set_input_files("#file", shared / FACE)
        page.get_by_text("Drag a box around a face, from").wait_for()
        for backwards in (False, True):
            with counted(page):
                drag(page, (0.35, 0.35), (0.72, 0.8), backwards=backwards)
            (face,) = saved_points(page)["faces"]
            (own,) = detector.detect(image, np.array([face["box"]]))
            assert largest_difference(face, own.landmarks) < 0.5


def test_a_network_of_another_scheme_and_without_sigma_is_served_too(
    browser: Any, tmp_path: Path
) -> None:
    shape = np.random.default_rng(0).uniform(40, 120, (WFLW_98.points, 2))
    model = constant_model(tmp_path / "model.onnx", shape, WFLW_98)
    image = tmp_path / "image.png"
    write_image(image, np.zeros((200, 200, 3), np.uint8))
    with served(model, None) as url, opened(browser, url) as page:
        page.set_input_files("#file", image)
        page.get_by_text("Drag a box around a face, from").wait_for()
        assert page.get_by_text("90 % regions").is_hidden()
        low, high = geometry.landmarks_box(shape).reshape(2, 2) / 200
        drag(page, (low[0], low[1]), (high[0], high[1]))
        page.locator("#count", has_text="1").wait_for()
        (face,) = saved_points(page)["faces"]
    # By hand: the mouse meets whole pixels of the screen.
    assert largest_difference(face, shape) < 2
    assert face["uncertainty"] is None


def drag(
    page: Any, start: tuple[float, float], end: tuple[float, float], *, backwards: bool = False
) -> None:
    """Drag a box on the image, from and to shares of its width and height."""
    at = page.locator("#points").bounding_box()
    ends = [(at["x"] + x * at["width"], at["y"] + y * at["height"]) for x, y in (start, end)]
    if backwards:
        ends.reverse()
    page.mouse.move(*ends[0])
    page.mouse.down()
    page.mouse.move(*ends[1], steps=4)
    page.mouse.up()


@pytest.fixture(scope="module")
def frame(shared: Path) -> np.ndarray:
    """What the fake camera shows: a face that keeps still."""
    move = np.array([[1.0, 0.0, 100.0], [0.0, 1.0, 20.0]])
    return cv2.warpAffine(read_image(shared / FACE), move, FRAME, borderMode=cv2.BORDER_REPLICATE)


@pytest.fixture(scope="module")
def browser_with_camera(
    player: Any, frame: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Any]:
    path = tmp_path_factory.mktemp("camera") / "frames.mjpeg"
    _, jpeg = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 98])
    path.write_bytes(jpeg.tobytes() * 3)
    with chromium(
        player, "--use-fake-device-for-media-stream", f"--use-file-for-fake-video-capture={path}"
    ) as started:
        yield started


def check_camera(page: Any, frame: np.ndarray, detector: LandmarkDetector) -> None:
    """Wait until a face is followed; its points are those of Python in the camera's frame."""
    page.locator("#count", has_text="1").wait_for()
    # The first frames: what is smoothed comes to rest.
    page.wait_for_timeout(1500)
    assert float(page.text_content("#time").removesuffix(" ms")) > 0
    assert int(page.text_content("#rate")) > 0
    found = saved_points(page)
    (face,) = found["faces"]
    (own,) = detector.detect(frame)
    # Chromium scales the file to the size that was asked for.
    points = np.array(face["landmarks"]) * FRAME[0] / found["width"]
    side = np.ptp(own.landmarks, axis=0).max()
    assert np.linalg.norm(points - own.landmarks, axis=1).mean() < 0.01 * side


def test_a_face_before_the_camera_is_followed(
    browser_with_camera: Any, url: str, frame: np.ndarray, detector: LandmarkDetector
) -> None:
    with opened(browser_with_camera, url, camera=True) as page:
        page.click("#camera")
        check_camera(page, frame, detector)
        page.click("#camera")
        page.get_by_role("button", name="Use camera").wait_for()
        assert page.text_content("#rate") == NOTHING


def clip(shared: Path) -> list[np.ndarray]:
    """Frames of a face that moves, is gone for three of them, and comes back."""
    image = read_image(shared / FACE)
    frames = []
    for step in range(14):
        move = np.array([[0.6, 0.0, 30.0 + 6 * step], [0.0, 0.6, 8 * np.sin(step)]])
        frames.append(cv2.warpAffine(image, move, (400, 280)))
    for step in (7, 8, 9):
        frames[step] = np.zeros_like(frames[step])
    return frames


# Asks worker.js as the page does; frames are base64 of RGBA.
FOLLOW = """async ({ width, height, frames }) => {
    const { Engine } = await import("./engine.js");
    const engine = new Engine();
    await engine.ask("open");
    const found = [];
    for (const [i, frame] of frames.entries()) {
        const data = Uint8ClampedArray.from(atob(frame), (letter) => letter.charCodeAt(0));
        const image = { width, height, data };
        found.push((await engine.ask("follow", { image, time: i / 30 })).result);
    }
    return found;
}"""


def test_faces_are_followed_as_python_follows_them(
    page: Any, detector: LandmarkDetector, shared: Path
) -> None:
    frames = clip(shared)
    coded = [
        base64.b64encode(cv2.cvtColor(frame, cv2.COLOR_BGR2RGBA).tobytes()).decode()
        for frame in frames
    ]
    height, width = frames[0].shape[:2]
    found = page.evaluate(FOLLOW, {"width": width, "height": height, "frames": coded})
    tracker = FaceTracker(detector)
    counts = []
    for i, frame in enumerate(frames):
        wanted = tracker.update(frame, i / 30)
        counts.append(len(wanted))
        assert [face["id"] for face in found[i]] == [face.id for face in wanted]
        for face, own in zip(found[i], wanted, strict=True):
            assert largest_difference(face, own.landmarks) < 1, i
    assert counts == [1] * 7 + [0] * 3 + [1] * 4


def test_a_face_before_the_camera_is_boxed_by_hand(
    browser_with_camera: Any,
    url_without_detector: str,
    frame: np.ndarray,
    detector: LandmarkDetector,
) -> None:
    (own,) = detector.detect(frame)
    low, high = geometry.landmarks_box(own.landmarks).reshape(2, 2) / FRAME
    with opened(browser_with_camera, url_without_detector, camera=True) as page:
        page.click("#camera")
        page.get_by_text("Drag a box around a face, from").wait_for()
        # The page is a mirror.
        drag(page, (1 - high[0], low[1]), (1 - low[0], high[1]))
        check_camera(page, frame, detector)
        assert page.text_content("#message") == ""


def test_a_box_before_the_camera_without_a_face_is_said(
    browser_with_camera: Any, url_without_detector: str
) -> None:
    with opened(browser_with_camera, url_without_detector, camera=True) as page:
        page.click("#camera")
        page.get_by_text("Drag a box around a face, from").wait_for()
        drag(page, (0.05, 0.05), (0.15, 0.2))
        page.get_by_text("The network sees no face in that box").wait_for()


def test_a_camera_that_is_not_allowed_is_said(browser_with_camera: Any, url: str) -> None:
    with opened(browser_with_camera, url) as page:
        page.click("#camera")
        page.get_by_text("The camera is not allowed for this page").wait_for()


def test_a_computer_without_a_camera_is_said(browser: Any, url: str) -> None:
    with opened(browser, url, camera=True) as page:
        page.click("#camera")
        page.get_by_text("There is no camera at this computer").wait_for()


def test_a_file_that_is_no_image_is_said_and_the_next_one_is_taken(
    page: Any, shared: Path, tmp_path: Path
) -> None:
    notes = tmp_path / "notes.txt"
    notes.write_text("no image")
    page.set_input_files("#file", notes)
    page.get_by_text("notes.txt is not an image that this browser can show").wait_for()
    choose(page, shared / FACE)
    assert page.text_content("#count") == "1"
    assert page.text_content("#message") == ""


def test_an_image_without_a_face_is_said_and_a_box_may_be_drawn(page: Any, tmp_path: Path) -> None:
    grey = tmp_path / "grey.png"
    write_image(grey, np.full((300, 400, 3), 128, np.uint8))
    choose(page, grey)
    assert page.text_content("#count") == "0"
    page.get_by_text("No face was found. Drag a box around one").wait_for()
    assert page.locator("#save-points").is_disabled()
    drag(page, (0.2, 0.2), (0.8, 0.8))
    page.locator("#count", has_text="1").wait_for()


def test_it_runs_in_several_threads(browser: Any, url: str, shared: Path) -> None:
    # As onnxruntime-web itself does it on a computer of eight cores.
    def with_threads(route: Any) -> None:
        answer = route.fetch()
        line = "ort.env.logLevel ="
        assert answer.text().count(line) == 1
        changed = answer.text().replace(line, f"ort.env.wasm.numThreads = 4; {line}")
        route.fulfill(response=answer, body=changed)

    context = browser.new_context()
    context.route("**/worker.js", with_threads)
    page = context.new_page()
    page.goto(url)
    page.wait_for_selector("body.ready", timeout=PATIENCE)
    # The page's own worker and those of the threads.
    assert len(page.workers) >= 4
    choose(page, shared / FACE)
    assert page.text_content("#count") == "1"
    context.close()


def test_a_page_whose_file_is_gone_says_so(browser: Any, url: str) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("**/*.wasm", lambda route: route.abort())
    page.goto(url)
    page.get_by_text("The page could not be opened").wait_for(timeout=PATIENCE)
    context.close()


def test_a_dropped_image_is_taken(page: Any, shared: Path) -> None:
    content = list((shared / FACE).read_bytes())
    handle = page.evaluate_handle(
        """content => {
            const transfer = new DataTransfer();
            transfer.items.add(new File([new Uint8Array(content)], "face.jpg"));
            return transfer;
        }""",
        content,
    )
    with counted(page):
        page.dispatch_event(".stage", "drop", {"dataTransfer": handle})
    assert page.text_content("#count") == "1"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1400])
def test_it_is_no_wider_than_the_window(page: Any, shared: Path, width: int, scheme: str) -> None:
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    choose(page, shared / FACE)
    assert page.evaluate("document.documentElement.scrollWidth") <= width
    wide = "all => all.filter(e => e.scrollWidth > e.clientWidth + 1).map(e => e.outerHTML)"
    assert page.eval_on_selector_all("header, main, footer, .bar, button, p, dl", wide) == []
    light = page.evaluate("getComputedStyle(document.body).backgroundColor") > "rgb(2"
    assert light == (scheme == "light")
