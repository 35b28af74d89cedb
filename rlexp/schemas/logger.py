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


@register("logger", "console", impl="rlexp.loggers.console:ConsoleLogger")
@dataclass
class ConsoleConfig(LoggerConfig):
    style: str = choice("auto", "live", "lines")
