"""Every setting: name, default, help, range. The only package that reads the environment or configuration files.

Keys follow the OpenTelemetry Collector where it has them. Unknown keys are errors that name the nearest known key.
"""

from collector.config.auth import AuthConfig, DedupeConfig, LimitsConfig, TokenConfig
from collector.config.budgets import (
    ATTRIBUTE,
    DIMENSIONS,
    MAX_VALUE_LENGTH,
    WEEKDAYS,
    BudgetConfig,
    EnforcementConfig,
    LedgerConfig,
)
from collector.config.capture import CaptureConfig, CaptureRule, RedactionRule
from collector.config.evals import EvalsConfig, JudgeConfig
from collector.config.evaluator_files import all_evaluators, load_evaluators
from collector.config.evaluators import EvaluatorConfig
from collector.config.example import render_example
from collector.config.judge_caps import cap_name, with_judge_caps
from collector.config.load import load
from collector.config.pricing import PriceOverride, PriceRefreshConfig, PricingConfig
from collector.config.query import QueryConfig
from collector.config.reads import ReadsConfig
from collector.config.receivers import CorsConfig, GrpcConfig, HttpConfig, KeepaliveConfig, ReceiversConfig, TlsConfig
from collector.config.root import Config, TelemetryConfig, WebConfig
from collector.config.settings import is_loopback, split_endpoint
from collector.config.spool import SpoolConfig
from collector.config.store import StoreConfig
from collector.config.webhooks import WebhookConfig

__all__ = [
    "ATTRIBUTE",
    "DIMENSIONS",
    "MAX_VALUE_LENGTH",
    "WEEKDAYS",
    "AuthConfig",
    "BudgetConfig",
    "CaptureConfig",
    "CaptureRule",
    "Config",
    "CorsConfig",
    "DedupeConfig",
    "EnforcementConfig",
    "EvalsConfig",
    "EvaluatorConfig",
    "GrpcConfig",
    "HttpConfig",
    "JudgeConfig",
    "KeepaliveConfig",
    "LedgerConfig",
    "LimitsConfig",
    "PriceOverride",
    "PriceRefreshConfig",
    "PricingConfig",
    "QueryConfig",
    "ReadsConfig",
    "ReceiversConfig",
    "RedactionRule",
    "SpoolConfig",
    "StoreConfig",
    "TelemetryConfig",
    "TlsConfig",
    "TokenConfig",
    "WebConfig",
    "WebhookConfig",
    "all_evaluators",
    "cap_name",
    "is_loopback",
    "load",
    "load_evaluators",
    "render_example",
    "split_endpoint",
    "with_judge_caps",
]
