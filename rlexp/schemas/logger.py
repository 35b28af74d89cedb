"""Schemas of loggers. Meanings stand in conf/logger/*.yaml, above each key."""

from __future__ import annotations

from dataclasses import dataclass

from rlexp.registry import register
from rlexp.schemas.fields import MISSING, choice


@dataclass
class LoggerConfig:
    """What every logger has."""

    name: str = MISSING


@register("logger", "tensorboard", impl="rlexp.loggers.tensorboard:TensorBoardLogger")
@dataclass
class TensorBoardConfig(LoggerConfig):
    gifs: bool = MISSING


@register("logger", "csv", impl="rlexp.loggers.csv:CsvLogger")
@dataclass
class CsvConfig(LoggerConfig):
    pass


@register("logger", "wandb", impl="rlexp.loggers.wandb:WandbLogger")
@dataclass
class WandbConfig(LoggerConfig):
    project: str | None = MISSING
    mode: str = choice("offline", "online", "disabled")
    gifs: bool = MISSING


@register("logger", "mlflow", impl="rlexp.loggers.mlflow:MlflowLogger")
@dataclass
class MlflowConfig(LoggerConfig):
    tracking_uri: str = MISSING
    experiment: str = MISSING
    gifs: bool = MISSING


@register("logger", "console", impl="rlexp.loggers.console:ConsoleLogger")
@dataclass
class ConsoleConfig(LoggerConfig):
    style: str = choice("auto", "live", "lines")
