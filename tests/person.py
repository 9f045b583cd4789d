"""A person with a browser: reads pages, fills in forms, keeps cookies, and follows redirects on this server only."""

from __future__ import annotations

import http.cookiejar
import urllib.error
import urllib.parse
import urllib.request
from html.parser import HTMLParser


class _Forms(HTMLParser):
    """The hidden fields of a page, and the texts that a person looks at before approving."""

    def __init__(self):
        super().__init__()
        self.hidden = {}
        self.texts = {}
        self._reading = None

    def handle_starttag(self, tag, attributes):
        found = dict(attributes)
        if tag == "input" and found.get("type") == "hidden":
            self.hidden[found["name"]] = found.get("value", "")
        if found.get("class") in ("name", "host"):
            self._reading = found["class"]

    def handle_data(self, data):
        if self._reading:
            self.texts[self._reading] = data
            self._reading = None


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_):
        return None


class Person:
    def __init__(self, username, password):
        self._username, self._password = username, password
        self.cookies = http.cookiejar.CookieJar()
        self._browser = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPCookieProcessor(self.cookies), _Stay)
        self.saw, self.forms = [], []

    def approve(self, address):
        """Open the authorization URL, sign in, approve. Returns the parameters of the redirect to the client."""
        return self._decide(address, "approve")

    def refuse(self, address):
        return self._decide(address, "refuse")

    def approves_device(self, address, typed):
        """Open the verification URI, type the code, sign in, approve. Returns the last page."""
        form = self._read(self._open(address)[0])
        page, _ = self._open(address, {**form.hidden, "user_code": typed})
        if "username" in page:
            page, _ = self._open(urllib.parse.urljoin(address, "/login"), {
                **self._read(page).hidden, "username": self._username, "password": self._password})
        form = self._read(page)
        self.saw = [form.texts.get("name"), form.texts.get("host")]
        page, _ = self._open(urllib.parse.urljoin(address, "/device/approval"), {**form.hidden, "decision": "approve"})
        return page

    def visit(self, address, decision="approve"):
        """The same, and then open the address that the redirect names, as a browser does."""
        self._open(self.redirect_of(address, decision))

    def _decide(self, address, decision):
        location = self.redirect_of(address, decision)
        return dict(urllib.parse.parse_qsl(urllib.parse.urlsplit(location).query))

    def redirect_of(self, address, decision="approve"):
        """The address that the browser is sent to in the end; not opened."""
        origin = "{0.scheme}://{0.netloc}".format(urllib.parse.urlsplit(address))
        page, _ = self._open(address)
        if "username" in page:
            form = self._read(page)
            sent = {**form.hidden, "username": self._username, "password": self._password}
            page, _ = self._open(f"{origin}/login", sent)
        form = self._read(page)
        self.saw = [form.texts.get("name"), form.texts.get("host")]
        return self._open(f"{origin}/oauth/authorize", {**form.hidden, "decision": decision}, follow=False)[1]

    def _open(self, address, form=None, *, follow=True):
        """The page at the end of the redirects, or where the first one leads."""
        body = urllib.parse.urlencode(form).encode() if form else None
        request = urllib.request.Request(address, body, {"Accept": "text/html", "Sec-Fetch-Site": "same-origin"})
        try:
            with self._browser.open(request, timeout=20) as response:
                return response.read().decode(), None
        except urllib.error.HTTPError as error:
            with error:
                location = error.headers.get("Location")
                if location is None:
                    raise AssertionError(f"{error.code}: {error.read().decode()}") from None
        location = urllib.parse.urljoin(address, location)
        return self._open(location) if follow else ("", location)

    def _read(self, page):
        form = _Forms()
        form.feed(page)
        self.forms.append(form.hidden)
        return form
