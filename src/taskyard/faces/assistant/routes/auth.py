"""Registering, signing in and out (D4-E01 to E03)."""

from fastapi import APIRouter, Depends, Request

from taskyard.domain.errors import Unauthenticated
from taskyard.faces.assistant import translate
from taskyard.faces.assistant.guards import anyone_now_and_then
from taskyard.faces.assistant.routes.answers import answers, router_of
from taskyard.faces.assistant.schemas import identity as schemas
from taskyard.faces.kit.auth import Means, bearer_scheme, credential, guarded
from taskyard.faces.kit.yard import TheYard

public = APIRouter(prefix="/api/v1/auth", tags=["auth"], route_class=guarded(anyone_now_and_then))
router = router_of("auth")


@public.post("/register", status_code=201, responses=answers(409, 413, 422))
async def register(yard: TheYard, body: schemas.Registration) -> schemas.Registered:
    """Register a new user and create a tenant, whose admin they are."""
    user, tenant, role = await yard.identity.register(
        email=body.email, password=body.password, full_name=body.full_name, tenant_name=body.tenant_name
    )
    return translate.registered(user, tenant, role)


@public.post("/login", responses=answers(401, 413, 422))
async def login(yard: TheYard, body: schemas.Login) -> schemas.Token:
    """Login and receive an access token."""
    return translate.token(await yard.identity.sign_in(body.email, body.password))


@public.post("/refresh", responses=answers(401), dependencies=[Depends(bearer_scheme)])
async def refresh(yard: TheYard, request: Request) -> schemas.Token:
    """A fresh access token for one that is still valid, which stays so until its own end."""
    shown = credential(request)
    if shown is None or shown.means is not Means.BEARER:
        raise Unauthenticated
    return translate.token(await yard.identity.refresh(shown.secret))


@router.post("/logout", status_code=204, responses=answers(401, 422))
async def logout(yard: TheYard, request: Request) -> None:
    """Refuse the token or session of this request from now on."""
    shown = credential(request)
    if shown is None:
        raise Unauthenticated
    await yard.identity.sign_out(shown.secret)
