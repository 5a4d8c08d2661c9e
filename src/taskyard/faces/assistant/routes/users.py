"""Users."""

from taskyard.faces.assistant import translate
from taskyard.faces.assistant.routes.answers import router_of
from taskyard.faces.assistant.schemas import identity as schemas
from taskyard.faces.kit.auth import Caller

router = router_of("users")


@router.get("/me")
async def me(caller: Caller) -> schemas.Me:
    """Who is calling, in which tenant, and what they may do there."""
    return translate.me(caller)
