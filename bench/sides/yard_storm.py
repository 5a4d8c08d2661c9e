"""Ours, for the storm: one whole process of the yard without HTTP, as `taskyard worker` starts it.

Arguments: data directory, database URL. Ends when told.
"""

import sys

from bench.sides.talk import heard, say
from bench.yards import Place
from taskyard import bootstrap
from taskyard.cli.server import run


async def main(place: Place) -> None:
    """Run clock, worker and runners until told to stop."""
    async with bootstrap.process(place.settings(), bootstrap.Roles()):
        say(ready=True)
        await heard()


if __name__ == "__main__":
    run(main(Place(*sys.argv[1:3])))
