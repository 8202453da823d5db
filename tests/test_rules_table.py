"""docs/rules.md says what the rules' checks and their mutants give, and all twenty are there."""

from pathlib import Path

from tests.rules_table import PAGE, checks, mutants, page, without_numbers


def test_all_twenty_rules_have_a_check_and_a_mutant(whole: Path) -> None:
    twenty = {f"r{number:02d}" for number in range(1, 21)}
    assert set(checks(whole)) == twenty
    assert {name.split()[0] for name in mutants(whole)} == twenty


def test_the_page_is_what_the_code_gives(whole: Path) -> None:
    """Written anew by ``python -m tests.rules_table``."""
    now = page(whole)
    assert "20 of 20 rules" in now
    assert without_numbers(PAGE.read_text()) == without_numbers(now)
