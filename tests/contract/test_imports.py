def test_a_content_is_imported_once(registry, now):
    assert [registry.imports.claim("digest", now) for _ in range(3)] == [True, False, False]
    assert registry.imports.claim("other", now) is True


def test_a_content_is_imported_by_exactly_one_of_those_who_start_at_once(registry, race, now):
    def claim(number, _caller):
        return registry.imports.claim(f"digest{number}", now)

    for answers in race(claim):
        assert sorted(answers) == [False] * (len(answers) - 1) + [True]
