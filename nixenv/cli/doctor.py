"""`nixenv doctor`: what is wrong on this machine, why, and the command that mends it."""

from __future__ import annotations

import argparse
import os
from dataclasses import asdict

from nixenv.cli.command import Context
from nixenv.cli.report import Report
from nixenv.doctor import Finding, Surroundings, examine
from nixlib.daemon.diagnosis import current_user
from nixlib.resolvers.indexes import read_indexes
from nixlib.store import choose_location

MARKS = {"ok": "ok     ", "warning": "warning", "problem": "PROBLEM"}


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Try everything; the exit code is 1 when a problem was found."""
    del arguments
    around = surroundings(context)
    findings = []
    for finding in examine(around):
        context.cancel.check()
        findings.append(finding)
    problems = sum(finding.state == "problem" for finding in findings)
    warnings = sum(finding.state == "warning" for finding in findings)
    text = [line for finding in findings for line in _lines(finding)]
    text.append(_verdict(problems, warnings))
    return Report(
        {
            "findings": [asdict(finding) for finding in findings],
            "problems": problems,
            "warnings": warnings,
        },
        "\n".join(text),
        exit_code=1 if problems else 0,
        is_answer=True,
    )


def surroundings(context: Context) -> Surroundings:
    """This process's own surroundings."""
    indexes = read_indexes()
    return Surroundings(
        settings=context.settings,
        location=choose_location(context.settings.store, os.environ),
        environ=dict(os.environ),
        indexes=indexes.asked,
        certificates="" if os.environ.get("SSL_CERT_FILE") else indexes.certificates,
        user=current_user(),
    )


def _lines(finding: Finding) -> list[str]:
    lines = [f"{MARKS[finding.state]}  {finding.what}"]
    if finding.state != "ok":
        lines += [f"         {finding.why}"] * bool(finding.why)
        lines += [f"         mend it: {finding.command}"] * bool(finding.command)
    return lines


def _verdict(problems: int, warnings: int) -> str:
    if problems:
        return f"\n{problems} problem{'s' * (problems > 1)}, {warnings} warnings"
    return (
        f"\nno problem, {warnings} warning{'s' * (warnings != 1)}" if warnings else "\nall is well"
    )
