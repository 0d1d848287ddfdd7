"""What a training run consists of; with a seed it repeats the run."""

from pydantic import BaseModel, ConfigDict, Field


class TrainConfig(BaseModel):
    """Settings of ``damageland train``. The defaults take about five minutes of processor time."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    seed: int = Field(default=0, ge=0)
    """Same seed, same data, same machine and thread count: same weights, to the byte."""
    steps: int = Field(default=1300, ge=1)
    """Training steps of the detector. Its time is proportional to this."""
    locate_steps: int = Field(default=700, ge=1)
    """Training steps of the localiser, which finds the item in the picture."""
    pairs: int = Field(default=14, ge=1)
    """Pairs (damaged view, the same view of its pristine twin) per step."""
    unpaired: int = Field(default=6, ge=0)
    """Further pristine views per step: gallery pictures and other twins."""
    warped: int = Field(default=0, ge=0)
    """Pairs per step whose damaged view is a sound one, dented by warping the picture."""
    frame_px: int = Field(default=224, ge=32)
    """Side of the square frames kept in memory. About 6 bytes per pixel: 0.3 MB per view at 224."""
    crop_px: int = Field(default=128, ge=32, multiple_of=8)
    """Side of the crop around the item that the detector sees."""
    locate_px: int = Field(default=96, ge=32, multiple_of=4)
    """Side of the picture that the localiser sees."""
    width: int = Field(default=24, ge=8, multiple_of=8)
    """Channels of the detector's first layer; the number of parameters grows with its square."""
    lr: float = Field(default=3e-3, gt=0)
    """Peak learning rate of the one-cycle schedule."""
    weight_decay: float = Field(default=1e-2, ge=0)
    """AdamW's decoupled weight decay."""
    mask_weight: float = Field(default=1.0, ge=0)
    """Weight of the mask loss beside the image-level loss."""
    modality_dropout: float = Field(default=0.5, ge=0, le=1)
    """Share of training pairs whose depth is hidden, so that one checkpoint scores with and without depth."""
    background_swap: float = Field(default=0.5, ge=0, le=1)
    """Share of training pairs whose background is replaced."""
    real_share: float = Field(default=0.5, ge=0, lt=1)
    """Share of real views in a batch once mixing has begun, if real captures are given."""
    real_from: float = Field(default=0.4, ge=0, lt=1)
    """Share of the steps that are synthetic only, before real views are mixed in."""
    fpr_budget: float = Field(default=0.01, gt=0, lt=1)
    """False alarms the threshold may raise on pristine captures."""
    delta: float = Field(default=0.05, gt=0, lt=1)
    """Accepted probability that the threshold breaks its budget all the same."""
    threads: int = Field(default=1, ge=0)
    """Threads of torch, beside one that prepares batches; 0 leaves torch's own choice. More than 1 pays on an idle
    machine of four cores or more, and costs dearly where other work shares the cores."""
