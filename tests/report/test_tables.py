from __future__ import annotations

import csv
import io
import json
import zipfile
from dataclasses import replace
from xml.etree import ElementTree as ET

from helpers import many_items
from helpers.viewed import HOSTILE

from batchflow.report import latex, tables
from batchflow.report.cells import cell

FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1")
SHEET = {"m": "http://schemas.openxmlformats.org/spreadsheetml/2006/main"}


def report():
    made = many_items.report(3)
    return replace(made, batches=tuple(replace(made.batches[0], name=name) for name in (*FORMULAS, "plain_name 5 %")))


def test_no_cell_of_csv_starts_a_formula():
    rows = list(csv.reader(io.StringIO(tables.scores_csv(report()), newline="")))
    assert [row[0] for row in rows[1:-1]] == [f"'{text}" for text in FORMULAS]
    assert cell("-5") == "-5"


def test_a_workbook_holds_texts_as_texts_and_numbers_as_numbers():
    out = io.BytesIO()
    items = [["=HYPERLINK(1)", 5, 0.5, True, None, "x" * 40_000], ["http://x", "12", "", "", "", ""]]
    assert tables.workbook(out, report(), ["a", "b", "c", "d", "e", "f"], items) == 2
    with zipfile.ZipFile(out) as archive:
        sheets = [archive.read(name) for name in archive.namelist() if name.startswith("xl/worksheets/sheet")]
        links = [name for name in archive.namelist() if "_rels/sheet" in name]
    found = [ET.fromstring(sheet) for sheet in sheets]
    assert not links
    assert not any(sheet.findall(".//m:f", SHEET) for sheet in found)
    cells = {one.get("r"): one for one in found[-1].iterfind(".//m:c", SHEET)}
    assert cells["A2"].get("t") == "inlineStr"
    assert "".join(cells["A2"].itertext()) == "=HYPERLINK(1)"
    assert cells["B2"].get("t") in {None, "n"}
    assert cells["D2"].get("t") == "b"
    assert cells["B3"].get("t") == "inlineStr"
    assert len("".join(cells["F2"].itertext())) == tables.MOST_CHARACTERS


def test_markdown_and_latex_make_nothing_of_texts():
    markdown = tables.markdown(report())
    assert HOSTILE not in markdown
    assert "&lt;script&gt;" in markdown
    assert "+cmd\\|' /C calc'\\!A0" in markdown
    tex = latex.latex(report())
    assert r"plain\_name 5 \%" in tex
    assert "\\textless{}script\\textgreater{}" in tex


def test_the_document_has_all_of_the_report():
    document = json.loads(tables.json(report()))
    assert document["field"] == "is_correct"
    assert len(document["batches"]) == len(FORMULAS) + 1
