"""Takes the cockpit's pictures for README and docs from a running server.

    python -m tests.browser.screenshots http://127.0.0.1:8700 control/admin.token docs/images

Each page at three widths, and the first one in the dark, too. ``--until WORDS`` waits until the
headline holds them, so that the picture shows something going on.
"""

import argparse
from pathlib import Path

from tests.browser.chromium import Page, chromium

WIDTHS = {"": (1280, 860), "-tablet": (820, 1180), "-phone": (390, 844)}
PAGES = {"cockpit": "", "history": "/history", "nodes": "/nodes", "statistics": "/statistics"}


def main() -> None:
    """Sign in, wait for the moment, take a picture of each page."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("server")
    parser.add_argument("token_file", type=Path)
    parser.add_argument("directory", type=Path)
    parser.add_argument("--only", nargs="*", help="the names of some pictures")
    parser.add_argument("--until", default="", help="what the headline must hold")
    parser.add_argument("--whole", action="store_true", help="the page beyond the window, too")
    given = parser.parse_args()
    given.directory.mkdir(parents=True, exist_ok=True)
    with chromium() as page:
        page.look(*WIDTHS[""])
        page.sign_in(given.server.rstrip("/"), given.token_file.read_text().strip())
        page.wait(lambda: given.until in page.text("h1"), f"a headline with “{given.until}”")
        home = page.tab.url
        for name, path in PAGES.items():
            pictures = {f"{name}{width}": (*WIDTHS[width], "light") for width in WIDTHS}
            if not path:
                pictures["cockpit-dark"] = (*WIDTHS[""], "dark")
            chosen = {n: p for n, p in pictures.items() if not given.only or n in given.only}
            if chosen:
                page.go(home + path)
            for picture, look in chosen.items():
                page.look(*look)
                take(page, given.directory / f"{picture}.png", given.whole)
        for problem in page.problems:
            print(f"the page complains: {problem[:300]}")


def take(page: Page, path: Path, whole: bool) -> None:
    """Write what the page shows, once its graphs are drawn."""
    page.tab.wait_for_timeout(600)
    path.write_bytes(page.picture(whole))
    print(f"{path}: {path.stat().st_size / 1000:.0f} kB, {page.text('h1')!r}")


if __name__ == "__main__":
    main()
