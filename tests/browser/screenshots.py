"""Takes the cockpit's pictures for README and docs from a running server.

    python -m tests.browser.screenshots http://127.0.0.1:8700 control/admin.token docs/images

``--until WORDS`` waits until the headline holds them, so that the picture shows something
going on.
"""

import argparse
from pathlib import Path

from tests.browser.chromium import Page, chromium

VIEWS = (
    ("cockpit", 1280, 860, "light"),
    ("cockpit-dark", 1280, 860, "dark"),
    ("cockpit-tablet", 820, 1180, "light"),
    ("cockpit-phone", 390, 844, "light"),
)


def main() -> None:
    """Sign in, wait for the moment, take a picture of each view."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("token_file", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", nargs="*", help="the names of some views")
    parser.add_argument("--until", default="", help="what the headline must hold")
    parser.add_argument("--whole", action="store_true", help="the page beyond the window, too")
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    with chromium() as page:
        page.look(1440, 1000)
        page.sign_in(given.server.rstrip("/"), given.token_file.read_text().strip())
        page.wait(lambda: given.until in page.text("h1"), f"a headline with “{given.until}”")
        for name, width, height, scheme in VIEWS:
            if not given.only or name in given.only:
                page.look(width, height, scheme)
                take(page, given.directory / f"{name}.png", given.whole)
        for problem in page.problems:
            print(f"the page complains: {problem}")


def take(page: Page, path: Path, whole: bool) -> None:
    """Write what the page shows."""
    path.write_bytes(page.picture(whole))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {page.text('h1')!r}")


if __name__ == "__main__":
    main()
