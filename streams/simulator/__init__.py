"""A simulated shop: customers who browse, buy, send back, agree and are lost, from one seed. START HERE.

    plan = ShopPlan(seed=1, customers=2_000)
    shop = Shop(plan)
    for item in shop.events(): ...           # (topic, event) or Malformed, in order of time
    shop.assigned(event); shop.ended(event)  # and lives change

`plan.py` says what can be chosen, `nature.py` who somebody is, `customer.py` what becomes of them, `advisors.py` what
an advisor changes, `shop.py` how all of it happens at once, `runs.py` how ten million fit. How close it comes to real
shops: docs/simulator.md.
"""

from streams.simulator.plan import Market, ShopPlan
from streams.simulator.shop import Shop
from streams.simulator.suited import shop_settings
from streams.simulator.trouble import Malformed
from streams.simulator.truth import Truth

__all__ = ["Malformed", "Market", "Shop", "ShopPlan", "Truth", "shop_settings"]
