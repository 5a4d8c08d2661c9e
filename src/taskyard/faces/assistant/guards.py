"""What every request of the assistant face passes before its route: the caller's proof, and D4-R01 to R04."""

from fastapi import Request

from taskyard.faces.kit.auth import principal
from taskyard.faces.kit.limits import Claim, address_key, charge
from taskyard.faces.kit.names import FaceName
from taskyard.faces.kit.yard import the_yard


async def known_caller(request: Request) -> None:
    """A proven caller within the limits of its user and tenant. Raises `Unauthenticated`, `LimitExceeded`."""
    caller = await principal(request)
    yard = the_yard(request)
    tenant = str(caller.default.tenant_id)
    claims = (
        Claim(yard.numbers.assistant_user_minute, str(caller.user.id)),
        Claim(yard.numbers.assistant_tenant_minute, tenant),
        Claim(yard.numbers.assistant_tenant_hour, tenant),
    )
    await charge(request, yard.limiter, FaceName.ASSISTANT, claims)


async def anyone_now_and_then(request: Request) -> None:
    """Anybody, within the limit for guessing at credentials. Raises `LimitExceeded`."""
    yard = the_yard(request)
    await charge(request, yard.limiter, FaceName.ASSISTANT, [Claim(yard.numbers.sign_in, address_key(request))])
