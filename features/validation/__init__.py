"""Expectations per table and across tables; what breaks them is quarantined and kept from training."""

from features.validation.results import ExpectationResult, SuiteResult, ValidationReport
from features.validation.run import validate

__all__ = ["ExpectationResult", "SuiteResult", "ValidationReport", "validate"]
