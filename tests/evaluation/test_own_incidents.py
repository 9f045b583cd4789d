"""An operator's own table of labelled incidents."""

import pytest

from config.settings import ConfigurationError
from mcp_server.evaluation.examples import from_csv

CATEGORIES = ("network", "email")


def table(tmp_path, rows, header="number,short_description,description,category"):
    path = tmp_path / "mine.csv"
    path.write_text("\n".join([header, *rows]), encoding="utf-8")
    return path


def rows(count, category="network"):
    return [f"INC{index},short {index},long {index},{category}" for index in range(count)]


def test_each_category_is_divided_by_lot_and_alike_each_time(tmp_path):
    path = table(tmp_path, rows(20) + rows(3, "email"))
    found = from_csv(path, CATEGORIES, seed=1)
    assert found == from_csv(path, CATEGORIES, seed=1)
    parts = {(example.category, example.split) for example in found}
    assert parts == {(category, split) for category in CATEGORIES for split in ("train", "calibration", "test")}
    assert [example.id for example in from_csv(path, CATEGORIES, seed=2)] != [example.id for example in found]


def test_no_incident_is_in_two_parts(tmp_path):
    found = from_csv(table(tmp_path, rows(20) + rows(3, "email")), CATEGORIES, seed=1)
    assert len({(example.category, example.id) for example in found}) == len(found) == 23


@pytest.mark.parametrize(("content", "header", "told"), [
    (rows(3), "number,title,description,category", "Missing: short_description"),
    ([], "number,short_description,description,category", "Missing: category, short_description"),
    (rows(3, "payroll"), None, "'payroll' is not in the taxonomy"),
    (rows(2), None, "has 2 incidents; 3 are the least"),
])
def test_a_table_that_cannot_be_used_is_told_before_anything_is_asked(tmp_path, content, header, told):
    path = table(tmp_path, content, *([header] if header else []))
    with pytest.raises(ConfigurationError, match=told):
        from_csv(path, CATEGORIES, seed=1)


def test_a_file_that_is_no_text_is_told(tmp_path):
    (tmp_path / "mine.csv").write_bytes(b"\xff\xfe\x00\x01")
    with pytest.raises(ConfigurationError, match="cannot be read as CSV"):
        from_csv(tmp_path / "mine.csv", CATEGORIES, seed=1)
