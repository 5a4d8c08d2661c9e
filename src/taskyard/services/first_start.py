"""The first start on an empty database: the operator's owner, and one job that shows the yard is alive.

Any number of processes may start at the same moment: one of them makes the owner, in one transaction with the job.
"""

from dataclasses import dataclass, field

from taskyard.domain.actors import Role, member
from taskyard.domain.ids import new_id
from taskyard.domain.jobs import Command, Job, Kind
from taskyard.services import accounts, jobs, keys, passwords
from taskyard.services.transactions import Database, Tx

OWNER_NAME = "Owner"
SAMPLE_NAME = "hello"
SAMPLE_SCHEDULE = "* * * * *"
SAMPLE_COMMAND = 'echo "Hello from Taskyard, it is $(date)"'


@dataclass(frozen=True, slots=True)
class Opened:
    """What the first start made. `password` is known only when it was generated here: show it once, never log it."""

    email: str
    sample: Job
    password: str | None = field(default=None, repr=False)


async def open_yard(database: Database, *, email: str, password: str | None, api_key: str | None) -> Opened | None:
    """Make the owner and the sample job on an empty database, and let `api_key` be the owner's key on every start.

    None when the yard was open before. Raises `Invalid` for an address or a password that cannot be one.
    """
    async with database.read() as tx:
        known = await accounts.find_operator(tx)
    opened = await _open(database, email, password) if known is None else None
    async with database.write() as tx:
        owner = await accounts.find_operator(tx)
        if owner is not None:
            await keys.ensure(tx, owner, api_key)
    return opened


async def _open(database: Database, email: str, password: str | None) -> Opened | None:
    chosen = password or passwords.generated_password()
    # Hashing takes its time, which no transaction may wait for.
    password_hash = await passwords.hash_password(chosen)
    async with database.write() as tx:
        made = await accounts.first_owner(tx, email, password_hash, OWNER_NAME)
        if made is None:
            return None
        user, tenant = made
        sample = await jobs.create(tx, member(tenant, user, Role.OWNER), _sample(tx))
    return Opened(user.email, sample, None if password else chosen)


def _sample(tx: Tx) -> Job:
    ident = new_id()
    return Job(
        id=ident,
        tenant_id=ident,
        name=SAMPLE_NAME,
        kind=Kind.COMMAND,
        schedule=SAMPLE_SCHEDULE,
        command=Command(SAMPLE_COMMAND),
        created_at=tx.now,
    )
