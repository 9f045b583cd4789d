from pathlib import Path

import pytest

from config.settings import ConfigurationError
from mcp_server.tools.taxonomy import Taxonomy

SHIPPED = Path(__file__).parents[2] / "config" / "incident_taxonomy.yaml"
GOOD = """categories:
  network:
    description: VPN and Wi-Fi
    subcategories: [vpn, wifi]
    assignment_group: Network
"""


@pytest.fixture
def load(tmp_path):
    def load(text):
        path = tmp_path / "taxonomy.yaml"
        path.write_text(text)
        return Taxonomy.load(path)

    return load


def test_the_shipped_taxonomy_has_a_group_and_a_description_for_every_category():
    taxonomy = Taxonomy.load(SHIPPED)
    assert len(taxonomy.categories) >= 12
    for category in taxonomy.categories:
        assert category.assignment_group
        assert len(category.description.split()) >= 5
        assert category.subcategories


def test_a_category_is_found_by_its_id(load):
    network = load(GOOD).find("network")
    assert (network.description, network.subcategories, network.assignment_group) == ("VPN and Wi-Fi", ("vpn", "wifi"), "Network")
    assert load(GOOD).find("hardware") is None


@pytest.mark.parametrize(("spoil", "by", "problem"), [
    ("    description: VPN and Wi-Fi\n", "", "line 2, categories.network.description: Missing data for required field."),
    ("description: VPN", "descripton: VPN", "line 3, categories.network.descripton: Unknown field."),
    ("[vpn, wifi]", "[vpn, Wi-Fi]", "line 4, categories.network.subcategories.1: must be lower case"),
    ("[vpn, wifi]", "vpn", "line 4, categories.network.subcategories: Not a valid list."),
    ("  network:", "  Network:", "line 2, categories.Network: must be lower case"),
    ("  network:", "  unknown:", "line 2, categories.unknown: is what an unclear incident gets"),
    ("assignment_group: Network", "assignment_group: 7", "line 5, categories.network.assignment_group: Not a valid string."),
    ("    subcategories: [vpn, wifi]\n", "    description: again\n", "line 4: the key 'description' is there twice."),
    (GOOD, "# none yet\ncategories: {}\n", "line 2, categories: Length must be between 1 and 500."),
    ("categories:", "groups:", ", categories: Missing data for required field."),
    (GOOD, "", ", categories: Missing data for required field."),
    (GOOD, "- a\n- b\n", ": Invalid input type."),
    ("[vpn, wifi]", "[vpn", "is not YAML"),
    ("[vpn, wifi]", "!!python/object:os.system x", "is not YAML"),
])
def test_an_error_is_told_by_file_line_and_key(load, spoil, by, problem):
    assert spoil in GOOD
    with pytest.raises(ConfigurationError) as caught:
        load(GOOD.replace(spoil, by))
    assert any("taxonomy.yaml" in told and problem in told for told in caught.value.problems), caught.value.problems


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigurationError, match=r"nothing\.yaml cannot be read: No such file"):
        Taxonomy.load(tmp_path / "nothing.yaml")
