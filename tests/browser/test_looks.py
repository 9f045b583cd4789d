"""Light and dark, narrow and enlarged: every page can be read, and everything on it can be reached."""

from __future__ import annotations

import pytest

from tests.browser import measuring

WINDOWS = {
    "320 px wide": {"viewport": {"width": 320, "height": 568}},
    "1280 px wide at 200 % zoom": {"viewport": {"width": 640, "height": 400}, "device_scale_factor": 2},
}


def only_the_faulty(found):
    return {page: faults for page, faults in found.items() if faults}


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_and_border_stands_out_from_its_ground(new_visitor, every_page, scheme):
    visitor = new_visitor(color_scheme=scheme)
    found = {name: (measuring.pale_texts(visitor.page), measuring.pale_borders(visitor.page)) for name in every_page(visitor)}
    assert {name: faults for name, faults in found.items() if faults != ([], [])} == {}


def test_the_dark_pages_are_dark_and_the_light_pages_are_light(new_visitor):
    grounds = {}
    for scheme in ("light", "dark"):
        visitor = new_visitor(color_scheme=scheme)
        visitor.page.goto("/login")
        colour = visitor.page.evaluate("getComputedStyle(document.body).backgroundColor")
        grounds[scheme] = sum(int(part) for part in colour.removeprefix("rgb(").removesuffix(")").split(","))
    assert grounds["light"] > 3 * 200
    assert grounds["dark"] < 3 * 60


@pytest.mark.parametrize("window", WINDOWS.values(), ids=WINDOWS.keys())
def test_nothing_sticks_out_and_everything_can_be_pressed(new_visitor, every_page, window):
    visitor = new_visitor(**window)
    found = {}
    for name in every_page(visitor):
        found[name] = measuring.what_sticks_out(visitor.page) + measuring.small_targets(visitor.page)
        for control in visitor.page.locator("a, button, input:not([type=hidden])").all():
            control.click(trial=True)
    assert only_the_faulty(found) == {}


def test_text_alone_can_be_doubled(visitor, every_page):
    found = {}
    visitor.page.set_viewport_size({"width": 640, "height": 400})
    for name in every_page(visitor):
        visitor.page.evaluate("document.documentElement.style.fontSize = '200%'")
        found[name] = measuring.what_sticks_out(visitor.page)
    assert only_the_faulty(found) == {}


def test_the_measuring_itself_finds_what_is_wrong(visitor):
    visitor.page.goto("/login")
    visitor.page.evaluate("""() => {
        document.querySelector('h1').style.cssText = 'color: #8a8f96; width: 150vw; text-align: right';
        document.querySelector('button').style.cssText = 'border-color: #ddd; padding: 0; font-size: 8px';
    }""")
    assert [text for text, _ in measuring.pale_texts(visitor.page)] == ["Sign in"]
    assert [text for text, _ in measuring.pale_borders(visitor.page)] == ["Sign in"]
    assert measuring.what_sticks_out(visitor.page) == ["Sign in", "the page scrolls sideways"]
    assert len(measuring.small_targets(visitor.page)) == 1
