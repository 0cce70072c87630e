"""What a gate found as JUnit XML, for a CI server: one testcase per comparison and metric."""

from __future__ import annotations

import re
from collections.abc import Sequence
from xml.etree import ElementTree as ET

from ovbench.gate import UNDECIDED, Row
from ovbench.report.summary import metric_name, row_text

ILLEGAL = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")  # XML 1.0, section 2.2: Char


def junit_xml(name: str, rows: Sequence[Row], *, fail_on_unsure: bool = False) -> str:
    """The document as text. What is waived, UNSURE (unless that fails) or SKIPPED appears as skipped, with why.

    A comparison that was refused is an error.
    """
    suite = ET.Element("testsuite", name=_legal(name))
    for row in rows:
        case = ET.SubElement(suite, "testcase", classname=_legal(row.target.cell), name=_legal(metric_name(row)))
        message = _legal(row_text(row))
        undecided = row.answer in UNDECIDED
        if row.waiver is not None:
            waived = f"waived until {row.waiver.until}: {row.waiver.reason}: {row_text(row)}"
            ET.SubElement(case, "skipped", message=_legal(waived))
        elif row.refused:
            ET.SubElement(case, "error", message=message, type="BadInput")
        elif row.failed or (undecided and fail_on_unsure):
            failure = ET.SubElement(case, "failure", message=message, type=row.answer.value)
            failure.text = f"{message}\nreproduce: {_legal(row.command)}"
        elif undecided or row.answer.value == "SKIPPED":
            ET.SubElement(case, "skipped", message=message)
        else:
            ET.SubElement(case, "system-out").text = message
    suite.set("tests", str(len(rows)))
    suite.set("failures", str(len(suite.findall("testcase/failure"))))
    suite.set("errors", str(len(suite.findall("testcase/error"))))
    suite.set("skipped", str(len(suite.findall("testcase/skipped"))))
    suites = ET.Element("testsuites", name=_legal(name))
    suites.append(suite)
    ET.indent(suites)
    return '<?xml version="1.0" encoding="utf-8"?>\n' + ET.tostring(suites, encoding="unicode") + "\n"


def _legal(text: str) -> str:
    """Without the characters that no XML document may hold; they come from the messages of libraries."""
    return ILLEGAL.sub("\ufffd", text)
