"""Relations that were there before Maitred: taken in as facts, set aside where they contradict what is known here."""

from schemas.events import Brief, RelationImported
from schemas.records import Fault, Record, Rejection
from streams.assignment.desk import Desk
from streams.assignment.notices import Cause
from streams.assignment.pools import decode_offer, encode, offer_without_look
from streams.assignment.services import Service


def take_in(cause: Cause, desk: Desk, relation: RelationImported, record: Record) -> None:
    """The customer is served from now on, contact made: also beyond capacity, intake, pause or absence."""
    held = desk.service_of(relation.customer_id)
    if desk.knows_relation(relation.relation_id):
        desk.ledger.counts["duplicates"] += 1
    elif held is not None and held.advisor_id == relation.advisor_id:
        desk.ledger.counts["relations_known"] += 1
    elif fault := _contradiction(cause, desk, relation, held):
        desk.ledger.counts["rejected"] += 1
        desk.ledger.outputs.append(Rejection(record, fault))
    else:
        desk.begin(cause, relation.customer_id, _service(cause, desk, relation), "imported")
        desk.note_relation(relation.relation_id)


def _service(cause: Cause, desk: Desk, relation: RelationImported) -> Service:
    queued = desk.pool.waiting.get(relation.customer_id)
    known = decode_offer(queued.offer) if queued else None
    return Service(
        assignment_id=cause.id("assignment"),
        advisor_id=relation.advisor_id,
        contact_by_ms=0,
        service_until_ms=relation.service_until_ms or cause.now_ms + desk.policy.service_ms,
        language=relation.language,
        offer=encode(offer_without_look(known, Brief(language=relation.language))),
        withheld_in=desk.withheld_in(relation.customer_id),
    )


def _contradiction(cause: Cause, desk: Desk, relation: RelationImported, held: Service | None) -> Fault | None:
    """What keeps a relation from being true here. None of it is remembered: mended, it may come again under its id."""
    advisor = desk.pool.advisors.get(relation.advisor_id)
    memory = desk.ledger.memory(relation.customer_id)
    if advisor is None or advisor.status == "left":
        cure = "enter the advisor first (`maitred roster set`), then `maitred rejected retry`"
        return Fault("unknown_advisor", "advisor_id", f"an advisor of pool {desk.name}", relation.advisor_id, cure)
    if held is not None:
        cure = "to give the customer to another advisor, publish AssignmentWished (`maitred assignments hand-over`)"
        return Fault(
            "conflict", "advisor_id", f"{held.advisor_id}, who serves this customer", relation.advisor_id, cure
        )
    if desk.is_elsewhere(relation.customer_id):
        cure = "import a customer into the pool of their market"
        return Fault("conflict", "pool", f"{memory.held_by}, where this customer is served or waits", desk.name, cure)
    if relation.service_until_ms is not None and relation.service_until_ms <= cause.now_ms:
        cure = "leave out what has ended"
        return Fault(
            "invalid", "service_until_ms", f"a time after {cause.now_ms}", str(relation.service_until_ms), cure
        )
    if memory.withdrawn:
        return _unwilling("consent withdrawn", "publish ConsentChanged once they agree, then `maitred rejected retry`")
    if memory.never:
        return _unwilling("one who is never to be", "`maitred assignments lift`, then `maitred rejected retry`")
    if cause.now_ms < memory.rest_until_ms:
        return _unwilling("one whose service has ended here since", "`maitred assignments assign` begins another")
    return None


def _unwilling(got: str, cure: str) -> Fault:
    return Fault("conflict", "customer_id", "a customer who may be advised", got, cure)
