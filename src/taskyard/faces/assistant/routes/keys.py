"""API keys."""

from uuid import UUID

from taskyard.faces.assistant import translate
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.assistant.schemas import identity as schemas
from taskyard.faces.kit.auth import DefaultActor
from taskyard.faces.kit.paging import LimitOffset
from taskyard.faces.kit.yard import TheYard
from taskyard.services import keys

router = router_of("keys")


@router.get("", responses=answers(403, 422))
async def list_keys(yard: TheYard, actor: DefaultActor, page: LimitOffset) -> schemas.KeyPage:
    """The caller's keys, an administrator's whole tenant's; revoked ones too."""
    async with yard.database.read() as tx:
        found = await keys.list_keys(tx, actor)
    items = [translate.key(each) for each in found[page.skip : page.skip + page.limit]]
    return schemas.KeyPage(items=items, total=len(found), limit=page.limit, offset=page.skip)


@router.post("", status_code=201, responses=answers(403, 413, 422))
async def create_key(yard: TheYard, actor: DefaultActor, body: schemas.KeyWanted) -> schemas.MadeKey:
    """A new key, which acts as the caller in this tenant. It is shown this once."""
    async with yard.database.write() as tx:
        return translate.made_key(await keys.create(tx, actor, body.name))


@router.delete("/{key_id}", status_code=204, responses=answers(403, 404, 422))
async def revoke_key(yard: TheYard, actor: DefaultActor, key_id: UUID) -> None:
    """Revoke a key: it opens nothing from now on."""
    async with yard.database.write() as tx:
        await keys.revoke(tx, actor, key_id)
