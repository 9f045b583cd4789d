from pathlib import Path

from config import settings_table
from config.settings import rows

ROOT = Path(__file__).parents[2]
EXPECTED = [(row.names, row.default) for row in rows()]


def test_the_example_file_lists_every_setting_with_its_default_and_help():
    assert (ROOT / "config/example.env").read_text(encoding="utf-8") == settings_table.example_env()


def test_the_readme_lists_every_setting_with_its_aliases_and_default():
    assert settings_table.parse_table((ROOT / "README.md").read_text(encoding="utf-8")) == EXPECTED


def test_the_printed_table_reads_back_as_the_settings():
    assert settings_table.parse_table(f"# Title\n\n{settings_table.table()}\nMore.\n") == EXPECTED


def test_nothing_in_the_example_file_is_set():
    assert all(line.startswith("#") for line in settings_table.example_env().splitlines() if line)


def test_every_group_begins_at_a_setting():
    assert set(settings_table.HEADINGS) <= {row.name for row in rows()}
