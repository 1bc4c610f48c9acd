"""What each operation answers, a family of operations a file; each ends in the table of what it answers."""

from ops.sandbox.mirakl.answers import account, amounts, documents, exports, messages, money, offers, orders, returns, shipments
from ops.sandbox.mirakl.answers.call import Answer

ANSWERS: dict[str, Answer] = {
    **orders.ANSWERS,
    **exports.ANSWERS,
    **amounts.ANSWERS,
    **documents.ANSWERS,
    **shipments.ANSWERS,
    **returns.ANSWERS,
    **messages.ANSWERS,
    **offers.ANSWERS,
    **money.ANSWERS,
    **account.ANSWERS,
}
