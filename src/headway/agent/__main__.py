"""``python -m headway.agent CONFIG [--json]``: what ``headway agent`` becomes.

A process of its own settings, without what the command line needs.
"""

import sys
from pathlib import Path

import msgspec

from headway.agent.main import run
from headway.agent.survey import shown
from headway.errors import HeadwayError
from headway.model.views import Problem


def main() -> None:
    """Be the agent until stopped; whatever ends it otherwise is one sentence and a code."""
    config, *flags = sys.argv[1:]
    try:
        run(Path(config))
    except HeadwayError as error:
        told = f"headway: {shown(error.sentence)}"
        if "--json" in flags:
            problem = Problem(error.code, error.sentence, error.status)
            told = msgspec.json.encode(problem).decode()
        sys.stderr.write(f"{told}\n")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main()
