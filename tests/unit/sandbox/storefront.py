"""A desk that knows documents by name: those beside it, or those of a file that CROSSDOCK_OPERATIONS names."""

import functools
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from graphql import DocumentNode, FragmentDefinitionNode, FragmentSpreadNode, OperationDefinitionNode, Visitor, parse, print_ast, visit

from ops.sandbox.plan import Plan, Warehouse
from ops.sandbox.shopify.sales import FulfillmentOrder, Order
from ops.sandbox.shopify.state import Switches, gid
from ops.sandbox.wire import Reply, Request
from tests.unit.sandbox.desk import Desk, an_order, line, money

DOCUMENTS = Path(os.environ.get("CROSSDOCK_OPERATIONS") or Path(__file__).parent / "documents.graphql")
IDLE = Warehouse(pick_seconds=10**7)  # nobody picks unless a test does


@functools.cache
def documents() -> dict[str, str]:
    """Each operation by its name, with the fragments that it uses."""
    read = parse(DOCUMENTS.read_text())
    fragments = {node.name.value: node for node in read.definitions if isinstance(node, FragmentDefinitionNode)}
    found = {}
    for node in read.definitions:
        if isinstance(node, OperationDefinitionNode):
            assert node.name is not None
            used = _used(node, fragments)
            found[node.name.value] = print_ast(DocumentNode(definitions=(node, *(fragments[name] for name in used))))
    return found


def _used(node: Any, fragments: dict[str, FragmentDefinitionNode]) -> list[str]:
    found: list[str] = []

    class Collector(Visitor):
        def enter_fragment_spread(self, spread: FragmentSpreadNode, *_: Any) -> None:
            if spread.name.value not in found:
                found.append(spread.name.value)
                visit(fragments[spread.name.value], self)

    visit(node, Collector())
    return found


class Storefront(Desk):
    """`ask` answers what the one field of a document answered, and takes no error and no user error for an answer."""

    def __init__(self, *, skus: int = 6, locations: int = 2, seed: int = 1, **switches: Any) -> None:
        changed = Switches(**{"bucket": 10.0**6, "restore_rate": 10.0**4} | switches)
        super().__init__(Plan(skus=skus, locations=locations, warehouse=IDLE, shopify=changed), seed=seed)
        self.documents_asked: set[str] = set()

    def say(self, name: str, /, **variables: Any) -> dict[str, Any]:
        """The whole answer."""
        self.documents_asked.add(name)
        answer: dict[str, Any] = json.loads(self.post({"query": documents()[name], "variables": variables, "operationName": name}).body)
        return answer

    def payload(self, name: str, /, **variables: Any) -> Any:
        """With its user errors, whatever they are."""
        answer = self.say(name, **variables)
        assert "errors" not in answer, answer["errors"]
        return next(iter(answer["data"].values()))

    def ask(self, name: str, /, **variables: Any) -> Any:
        found = self.payload(name, **variables)
        if isinstance(found, dict):
            assert not found.get("userErrors") and not found.get("orderCancelUserErrors"), found
        return found

    def refused(self, name: str, /, **variables: Any) -> list[dict[str, Any]]:
        """The user errors, of which there are some, and nothing else."""
        found = self.payload(name, **variables)
        errors: list[dict[str, Any]] = found.get("userErrors") or found.get("orderCancelUserErrors")
        assert errors, found
        return errors

    def create(self, options: Mapping[str, Any] | None = None, **order: Any) -> dict[str, Any]:
        claiming = {"inventoryBehaviour": "DECREMENT_IGNORING_POLICY"}
        answer: dict[str, Any] = self.payload(
            "OrderCreate", order=an_order(self.variant(), **order), options=claiming if options is None else options
        )
        return answer

    def staff(self, operation: str, **arguments: Any) -> Any:
        return self.world.apply(f"shopify.{operation}", arguments, self.clock.at)

    def get(self, path: str) -> Reply:
        return self.sandbox.shopify(Request("GET", path))

    # ------------------------------------------------------------------------------------------------------- what is in it

    def place(self, n: int = 0) -> str:
        return gid("Location", list(self.shop.locations)[n])

    def sold(self, *quantities: int, paid: bool = True, **more: Any) -> Order:
        """An order of so many units of the first SKUs at 24.00 each, tax inside, 3.60 to ship; paid through a marketplace's gateway."""
        quantities = quantities or (2,)
        taxes = [{"title": "VAT", "rate": "0.2"}]
        wanted = {
            "lineItems": [line(self, n, quantity=quantity, taxLines=taxes) for n, quantity in enumerate(quantities)],
            "shippingLines": [{"title": "Standard", "priceSet": money("3.60"), "taxLines": taxes}],
        }
        if paid:
            total = f"{24 * sum(quantities) + 3.6:.2f}"
            wanted["transactions"] = [{"kind": "SALE", "status": "SUCCESS", "gateway": "asos Marketplace", "amountSet": money(total)}]
        return self.created(**wanted | more)

    def routed(self, *quantities: int, **more: Any) -> tuple[Order, FulfillmentOrder]:
        """The same, once it has been routed: with its first fulfilment order."""
        order = self.sold(*quantities, **more)
        self.later(self.shop.switches.routing_delay)
        return order, self.shop.fulfillment_orders[order.fulfillment_orders[0]]

    def fulfilled(self, *quantities: int, **more: Any) -> Order:
        """The same, all of it sent."""
        order, _ = self.routed(*quantities, **more)
        for number in order.fulfillment_orders:
            self.staff("staffFulfil", parcel=number)
        return order

    def refund_input(
        self, order: Order, *, lines: list[dict[str, Any]] | None = None, amount: str | None = None, **more: Any
    ) -> dict[str, Any]:
        wanted: dict[str, Any] = {"orderId": gid("Order", order.id), "refundLineItems": lines or []}
        if amount is not None:
            parent = gid("OrderTransaction", order.transactions[0].id)
            kind = {"orderId": wanted["orderId"], "kind": "REFUND", "gateway": order.transactions[0].gateway, "parentId": parent}
            wanted["transactions"] = [kind | {"amount": amount}]
        return wanted | more

    def unit(self, order: Order, restock: str = "NO_RESTOCK", quantity: int = 1, n: int = 0) -> dict[str, Any]:
        """Of a refund: units of the order's n-th line."""
        made = {"lineItemId": gid("LineItem", order.lines[n].id), "quantity": quantity, "restockType": restock}
        return made if restock == "NO_RESTOCK" else made | {"locationId": self.place()}
