"""A shop that tells Maitred what happens: advisors are hired elsewhere, decisions are read by `advisor_tool.py`.

python examples/shop.py
"""

from streams.clients import EventRefused, Line, Shop

CUSTOMERS = ("anna", "ben", "chloé", "dario")

with Shop() as shop:
    for number, customer in enumerate(CUSTOMERS, start=1):
        shop.browsed(
            visitor_id=f"visitor-{number}", sku="boot-38", category="shoes", price_minor=49_000, currency="EUR"
        )
        shop.consent(customer, granted=True)
        shop.order(
            f"A-{number}",
            customer_id=customer,
            visitor_id=f"visitor-{number}",  # ties the browsing before the login to the customer
            currency="EUR",
            market="DE",
            lines=[Line(sku="boot-38", category="shoes", quantity=1, unit_price_minor=49_000 * number)],
        )
    try:
        shop.order("A-9", customer_id="emil", currency="euro", market="DE", lines=[])
    except EventRefused as refused:  # nothing was sent
        print(refused)

print(f"{len(CUSTOMERS)} orders are with the brokers")
