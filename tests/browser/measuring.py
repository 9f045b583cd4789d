"""What can only be measured in the page: contrast (WCAG 2.2 §1.4.3, §1.4.11), what sticks out at the side, and how large a target is."""

from __future__ import annotations

from typing import Any

_COLOURS = """
const parse = text => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return { r, g, b, a } };
const over = (top, below) => {
  const mix = name => top[name] * top.a + below[name] * (1 - top.a);
  return { r: mix('r'), g: mix('g'), b: mix('b'), a: 1 };
};
const linear = part => part / 255 <= 0.04045 ? part / 255 / 12.92 : ((part / 255 + 0.055) / 1.055) ** 2.4;
const luminance = colour => 0.2126 * linear(colour.r) + 0.7152 * linear(colour.g) + 0.0722 * linear(colour.b);
const contrast = (one, other) => {
  const [dark, light] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
};
const ground = element => {
  const above = element ? ground(element.parentElement) : { r: 255, g: 255, b: 255, a: 1 };
  return element ? over(parse(getComputedStyle(element).backgroundColor), above) : above;
};
const colour = (element, property) => {
  const below = ground(element);
  return over(parse(getComputedStyle(element)[property]), below);
};
const shown = element => element.checkVisibility() && element.getClientRects().length;
const texts = () => {
  const found = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) if (walker.currentNode.data.trim() && shown(walker.currentNode.parentElement)) found.push(walker.currentNode);
  return found;
};
const controls = () => [...document.querySelectorAll('a, button, input:not([type=hidden])')].filter(shown);
"""


def _measure(page, body) -> Any:
    return page.evaluate(f"() => {{ {_COLOURS} {body} }}")


def pale_texts(page):
    """Texts, and what is typed into fields, with less than 4.5:1 against what is behind them."""
    return _measure(page, """
        const typed = controls().filter(control => control.tagName === 'INPUT');
        return [...texts().map(text => [text.data.trim(), text.parentElement]), ...typed.map(field => [field.id, field])]
          .map(([what, element]) => [what.slice(0, 60), contrast(colour(element, 'color'), ground(element))])
          .filter(([, ratio]) => !(ratio >= 4.5));""")


def pale_borders(page):
    """Buttons and fields whose border has less than 3:1 against the page."""
    return _measure(page, """
        return controls().filter(control => control.tagName !== 'A')
          .map(control => [control.id || control.innerText, contrast(colour(control, 'borderTopColor'), ground(control.parentElement))])
          .filter(([, ratio]) => !(ratio >= 3));""")


def outline_of_the_focused(page):
    """Its style, its width in pixels, and its contrast against the page."""
    return _measure(page, """
        const focused = document.activeElement, style = getComputedStyle(focused);
        return { style: style.outlineStyle, width: parseFloat(style.outlineWidth),
                 contrast: contrast(colour(focused, 'outlineColor'), ground(focused.parentElement)) };""")


def what_sticks_out(page):
    """Texts and controls that reach over the sides of the window; the page itself where it scrolls sideways.

    A table may scroll within its own frame (WCAG 2.2 §1.4.10): then the frame is what must not stick out.
    """
    return _measure(page, """
        const wide = document.documentElement.clientWidth, range = document.createRange();
        const outside = rectangles => [...rectangles].some(({ left, right }) => left < 0 || right > wide + 0.5);
        const rectangles = text => { range.selectNodeContents(text); return range.getClientRects() };
        const framed = element => element.closest('.scroll') !== null;
        const frames = [...document.querySelectorAll('.scroll')].filter(frame => outside(frame.getClientRects()));
        const free = texts().filter(text => !framed(text.parentElement)), pressed = controls().filter(control => !framed(control));
        return [...frames.map(() => 'the frame of a table'),
                ...free.filter(text => outside(rectangles(text))).map(text => text.data.trim().slice(0, 60)),
                ...pressed.filter(control => outside(control.getClientRects())).map(control => control.outerHTML.slice(0, 60)),
                ...(document.documentElement.scrollWidth > wide ? ['the page scrolls sideways'] : [])];""")


def small_targets(page):
    """Buttons and fields of less than 24 by 24 pixels (WCAG 2.2 §2.5.8; links in a sentence are exempt)."""
    return _measure(page, """
        return controls().filter(control => control.tagName !== 'A').map(control => [control.outerHTML.slice(0, 60), control.getBoundingClientRect()])
          .filter(([, { width, height }]) => width < 24 || height < 24).map(([what]) => what);""")
