"""params.yaml as typed values; whatever is wrong with it is said before any work begins."""

from __future__ import annotations

import difflib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, model_validator

from landmark_kd.config.backbones import is_timm_network, timm_networks
from landmark_kd.core.boxes import BoxName, DetectorName
from landmark_kd.core.schema import Section, read_yaml_model

Probability = Annotated[float, Field(ge=0, le=1)]
NonNegative = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]
PositiveInt = Annotated[int, Field(ge=1)]
CropSize = Annotated[int, Field(ge=32, le=1024)]
Seed = Annotated[int, Field(ge=0, lt=2**32)]
NormalizationName = Literal["auto", "symmetric", "imagenet"]
RegressionLossName = Literal["l1", "l2", "smooth_l1", "wing", "adaptive_wing", "soft_wing"]
LossName = Literal[RegressionLossName, "rle"]
UnlabelledBox = Literal["detector", "landmarks"]
HeadName = Literal["integral", "pool"]


def _known_to_timm(name: str) -> str:
    if is_timm_network(name):
        return name
    near = difflib.get_close_matches(name, timm_networks(), n=3)
    raise ValueError(
        f"'{name}' is not a network of timm's own list "
        + (f"(did you mean {' or '.join(near)}?)" if near else "(see timm.list_models())")
    )


BackboneName = Annotated[str, Field(max_length=100), AfterValidator(_known_to_timm)]


class BaseParams(Section):
    seed: Seed
    device: Literal["auto", "cpu", "cuda"]
    devices: Annotated[int, Field(ge=1, le=1024)]
    precision: Literal[32, "bf16", "fp16"]
    accumulate: PositiveInt
    deterministic: bool
    threads: Annotated[int, Field(ge=1, le=1024)]
    workers: Annotated[int, Field(ge=0, le=256)]
    checkpoint_minutes: NonNegative


class DataParams(Section):
    name: Literal["synthetic", "300w", "300w_lp", "cofw", "wflw", "pts"]
    path: str | None
    extra: list[str]
    on_bad: Literal["error", "skip"]


class SyntheticParams(Section):
    train: Annotated[int, Field(ge=4)]
    test: Annotated[int, Field(ge=2)]
    resolution: Annotated[int, Field(ge=64, le=1024)]


class PrepareParams(Section):
    validation: Annotated[float, Field(gt=0, lt=1)]


class CropParams(Section):
    resolution: CropSize
    teacher_resolution: CropSize | None
    margin: Annotated[float, Field(ge=0, le=2)]
    box: BoxName
    detector: DetectorName
    context: Annotated[float, Field(ge=1, le=4)]


class UnlabelledParams(Section):
    path: str | None
    box: UnlabelledBox
    limit: PositiveInt | None
    keep: Annotated[float, Field(gt=0, le=1)]


class AsmParams(Section):
    variance: Annotated[float, Field(gt=0, le=1)]
    align: Literal["similarity", "none"]
    limit: Positive


class AugmentParams(Section):
    rotation: Annotated[float, Field(ge=0, le=3.15)]
    scale_min: Annotated[float, Field(gt=0, le=4)]
    scale_max: Annotated[float, Field(gt=0, le=4)]
    shift: Annotated[float, Field(ge=0, le=0.5)]
    flip: Probability
    color_jitter: Probability
    blur: Probability
    random_erasing: Probability

    @model_validator(mode="after")
    def _ordered(self) -> AugmentParams:
        if self.scale_min > self.scale_max:
            raise ValueError(
                f"scale_min {self.scale_min} is greater than scale_max {self.scale_max}; "
                "give a scale_min that is at most scale_max"
            )
        return self


class TrainingParams(Section):
    """A network and the budget it is trained with."""

    backbone: BackboneName
    head: HeadName
    init: str
    normalization: NormalizationName
    flip_test: bool
    loss: LossName
    epochs: PositiveInt
    batch_size: Annotated[int, Field(ge=2)]
    learning_rate: Positive
    weight_decay: NonNegative
    warmup_epochs: Annotated[int, Field(ge=0)]
    ema_decay: Annotated[float, Field(ge=0, lt=1)]
    clip_grad: NonNegative

    @model_validator(mode="after")
    def _possible(self) -> TrainingParams:
        if self.init not in ("random", "pretrained"):
            if not self.init.endswith(".safetensors"):
                raise ValueError(
                    f"init is '{self.init}'; it must be random, pretrained or the path of a "
                    ".safetensors file"
                )
            if not Path(self.init).is_file():
                raise ValueError(f"init names the file '{self.init}', which does not exist")
        if self.loss == "rle" and self.head != "integral":
            raise ValueError(
                f"loss is rle, which needs the heat maps of the integral head, but head is "
                f"{self.head}; take integral, or another loss"
            )
        if self.warmup_epochs > 0 and self.warmup_epochs >= self.epochs:
            raise ValueError(
                f"warmup_epochs {self.warmup_epochs} must be less than epochs {self.epochs}"
            )
        return self


class StudentParams(TrainingParams):
    seed: Seed | None


class AssistiveParams(Section):
    positive: NonNegative
    negative: Annotated[float, Field(le=0)]


class KDWeights(Section):
    main: Positive
    tough: NonNegative
    tolerant: NonNegative


class PointsParams(Section):
    loss: RegressionLossName
    share: Probability


class KDParams(Section):
    variant: Literal["paper", "code", "points"]
    points: PointsParams
    beta: Annotated[float, Field(gt=0, lt=1)]
    tau: Positive
    tough: AssistiveParams
    tolerant: AssistiveParams
    weights: KDWeights
    coordinate_scale: Positive
    likelihood: NonNegative
    features: NonNegative
    heatmap: NonNegative
    decay: bool
    head: Literal["own", "teacher"]
    teacher_predictions: Literal["cached", "online"]

    @model_validator(mode="after")
    def _can_teach(self) -> KDParams:
        if self.variant == "points" and not self.weights.tough + self.weights.tolerant:
            raise ValueError(
                "variant is points, but weights.tough and weights.tolerant are both 0, so there "
                "is no teacher to learn from; give one of them a weight"
            )
        # Near e = 0 the slope of the paper's form is w_main - sum(w |negative|) / beta.
        pull = self.weights.tough * abs(self.tough.negative)
        pull += self.weights.tolerant * abs(self.tolerant.negative)
        needed = pull / self.beta
        if self.variant == "paper" and self.weights.main < needed:
            raise ValueError(
                f"weights.main is {self.weights.main:g}, under which the ground truth is no "
                f"minimum of the loss; it must be at least {needed:g} = "
                "(tough weight x |tough.negative| + tolerant weight x |tolerant.negative|) / beta"
            )
        return self


class BoxJitterParams(Section):
    shift: Annotated[float, Field(ge=0, le=0.5)]
    scale: Annotated[float, Field(ge=0, le=0.5)]


class EvaluateParams(Section):
    bootstrap: Annotated[int, Field(ge=100)]
    box_jitter: BoxJitterParams


class ExportParams(Section):
    check_faces: PositiveInt


class Params(Section):
    """The whole of params.yaml."""

    base: BaseParams
    data: DataParams
    synthetic: SyntheticParams
    prepare: PrepareParams
    crop: CropParams
    unlabelled: UnlabelledParams
    asm: AsmParams
    augment: AugmentParams
    teacher: TrainingParams
    student: StudentParams
    kd: KDParams
    evaluate: EvaluateParams
    export: ExportParams

    @model_validator(mode="after")
    def _goes_together(self) -> Params:
        if self.data.name == "pts" and not self.data.path:
            raise ValueError(
                "data.path is not set, but data.name is pts; give the folder that holds your own "
                "data set and its landmark-kd.yaml, as in -S data.path=/data/mine"
            )
        shares = self.base.devices * self.base.accumulate
        for name, network in (("teacher", self.teacher), ("student", self.student)):
            fault = fault_of_shares(network.batch_size, shares)
            if fault:
                raise ValueError(f"{name}.{fault} (base.devices x base.accumulate)")
        if self.data.name in ("synthetic", "300w", "300w_lp") and self.crop.box == "dataset":
            raise ValueError(
                f"crop.box is dataset, but {self.data.name} brings no boxes; take landmarks or "
                "detector"
            )
        if self.unlabelled.path is not None:
            self._check_unlabelled()
        for name in ("features", "heatmap"):
            if getattr(self.kd, name):
                self._check_integral(f"kd.{name}", "0")
        if self.kd.head == "teacher":
            self._check_integral("kd.head", "own")
        if self.kd.likelihood:
            self._check_integral("kd.likelihood", "0", teacher=False)
        return self

    def _check_integral(self, key: str, without: str, *, teacher: bool = True) -> None:
        heads = {"teacher": self.teacher.head} if teacher else {}
        for name, head in (heads | {"student": self.student.head}).items():
            if head != "integral":
                raise ValueError(
                    f"{key} needs an integral head, but {name}.head is {head}; take integral, or "
                    f"{without} as {key}"
                )

    def _check_unlabelled(self) -> None:
        if self.kd.teacher_predictions == "online":
            raise ValueError(
                "unlabelled.path is set, but its faces are learnt from predictions made once, and "
                "kd.teacher_predictions is online; take cached, or null as unlabelled.path"
            )
        if self.unlabelled.box == "landmarks" and self.crop.box == "dataset":
            raise ValueError(
                "unlabelled.box is landmarks, but crop.box is dataset, whose boxes enclose other "
                "things; take detector as unlabelled.box, or landmarks as crop.box"
            )


def fault_of_shares(batch_size: int, shares: int) -> str:
    """Say why a batch cannot be shared out evenly, at least 2 faces each; empty where it can."""
    if batch_size % shares == 0 and batch_size >= 2 * shares:
        return ""
    return (
        f"batch_size is {batch_size}, which cannot be shared out evenly into {shares} with at "
        f"least 2 faces each; take a multiple of {shares} that is at least {2 * shares}"
    )


# Keys of earlier versions, and what became of them.
RENAMED = {
    "crop.size": "crop.resolution",
    "crop.teacher_size": "crop.teacher_resolution",
    "synthetic.size": "synthetic.resolution",
    "augment.colour": "augment.color_jitter",
    "augment.occlusion": "augment.random_erasing",
    "teacher.flip_average": "teacher.flip_test",
    "student.flip_average": "student.flip_test",
    "teacher.ema": "teacher.ema_decay",
    "student.ema": "student.ema_decay",
    "teacher.clip": "teacher.clip_grad",
    "student.clip": "student.clip_grad",
    "kd.attention": "kd.heatmap",
}
REMOVED = {"augment.turn": "faces are turned no more, since it made all others worse"}


def load_params(path: Path = Path("params.yaml")) -> Params:
    """Read and check all of params.yaml, whichever section a stage needs.

    Raises:
        UserError: one sentence with the key, its value and what is allowed.
    """
    return read_yaml_model(
        path,
        Params,
        absent="run from the project's top folder",
        example="sections such as base and data",
        restore="`git diff params.yaml` shows what was removed",
        renamed=RENAMED,
        removed=REMOVED,
    )
