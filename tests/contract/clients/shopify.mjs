// @shopify/admin-api-client against the address in SHOP: lists orders, creates one, pushes stock, ships. Prints what it saw as JSON.
import { createAdminApiClient } from "@shopify/admin-api-client";

const client = createAdminApiClient({
  storeDomain: process.env.SHOP,
  apiVersion: "2026-10",
  accessToken: process.env.TOKEN,
});

async function ask(document, variables) {
  const { data, errors } = await client.request(document, { variables });
  if (errors) throw new Error(JSON.stringify(errors));
  return data;
}

const variants = await ask(`query {
  productVariants(first: 1) { nodes { id sku inventoryItem { id inventoryLevels(first: 1) { nodes {
    location { id } quantities(names: ["available"]) { quantity } } } } } } }`);
const [variant] = variants.productVariants.nodes;
const [level] = variant.inventoryItem.inventoryLevels.nodes;

const created = await ask(
  `mutation Create($order: OrderCreateOrderInput!) { orderCreate(order: $order) {
    order { id name fulfillmentOrders(first: 1) { nodes { id } } } userErrors { message } } }`,
  { order: { currency: "GBP", lineItems: [{ variantId: variant.id, quantity: 1 }], tags: ["foreign"] } },
);

const stocked = await ask(
  `mutation Stock($input: InventorySetQuantitiesInput!, $key: String!) {
    inventorySetQuantities(input: $input) @idempotent(key: $key) { inventoryAdjustmentGroup { id } userErrors { message } } }`,
  {
    key: "11111111-2222-4333-8444-555555555555",
    input: {
      name: "available",
      reason: "correction",
      quantities: [
        {
          inventoryItemId: variant.inventoryItem.id,
          locationId: level.location.id,
          quantity: 77,
          changeFromQuantity: null,
        },
      ],
    },
  },
);

async function opened(order) {
  for (let patience = 50; patience > 0; patience -= 1) {
    const { order: seen } = await ask(
      `query Get($id: ID!) { order(id: $id) { fulfillmentOrders(first: 1) { nodes { id } } } }`,
      { id: order },
    );
    if (seen.fulfillmentOrders.nodes.length) return seen.fulfillmentOrders.nodes[0].id;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error("the order was never routed");
}

const shipped = await ask(
  `mutation Ship($fulfillment: FulfillmentInput!) { fulfillmentCreate(fulfillment: $fulfillment) {
    fulfillment { id status } userErrors { message } } }`,
  {
    fulfillment: {
      lineItemsByFulfillmentOrder: [{ fulfillmentOrderId: await opened(created.orderCreate.order.id) }],
      trackingInfo: { company: "Royal Mail", number: "AB123456789GB" },
    },
  },
);

const listed = await ask(`query { orders(first: 50, query: "tag:foreign") { nodes { id tags } pageInfo { hasNextPage } } }`);
const refused = await client.request("{ nonsense }");

console.log(
  JSON.stringify({
    created: created.orderCreate,
    stocked: stocked.inventorySetQuantities,
    shipped: shipped.fulfillmentCreate,
    listed: listed.orders.nodes,
    refused: refused.errors.graphQLErrors[0].message,
    sku: variant.sku,
  }),
);
